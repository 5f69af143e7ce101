// Package simpledate formats and parses points in time by patterns of Java's
// SimpleDateFormat, with its lenience: fields roll over (month 13 is January), what
// follows the pattern is ignored, "SSS" counts milliseconds and is no fraction, two
// digits for a year mean one within the last 80 or the next 20 years, and dates before
// 15 October 1582 are of the Julian calendar.
//
// Names are English, weeks begin on Sunday, and 1 January is always in week 1. Zone
// names are the common abbreviations. Weeks and days of the week are read but do not
// decide the date.
package simpledate

// Package javatext prints values of Connect's data model as Java does: the text forms
// of numbers and containers, and the order in which its hash maps are iterated.
package javatext

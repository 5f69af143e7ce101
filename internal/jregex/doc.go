// Package jregex matches whole strings against java.util.regex patterns, as Matcher.matches() does.
//
// Users write topic and group filters for the Java tools, so the dialect must be Java's: look-around,
// possessive quantifiers, class intersections such as [a-z&&[^x]], \Q...\E and \p{Alpha} included. No
// Go engine reads that dialect, and some constructs they read silently in another sense. So a pattern
// is parsed here by Java's rules and written out again in the few constructs on which all engines
// agree; character classes are computed and written as plain ranges.
//
// Patterns without look-around, back-references and atomic parts run on the standard library's
// engine in linear time. The others run on a backtracking engine with a time limit.
//
// Refused with a clear error, though Java knows them: the flags u and U, \X, \G, \b{g}, \N{name},
// Unicode blocks (\p{InGreek}) and rarely used properties.
package jregex

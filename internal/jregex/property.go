package jregex

import (
	"strings"
	"unicode"
)

var (
	setDigit = newSet(runeRange{'0', '9'})
	setLower = newSet(runeRange{'a', 'z'})
	setUpper = newSet(runeRange{'A', 'Z'})
	setAlpha = setLower.union(setUpper)
	setWord  = setAlpha.union(setDigit).union(setOf("_"))
	setSpace = setOf(" \t\n\v\f\r")
	// Horizontal and vertical white space, as \h and \v.
	setHorizontal = setOf(" \t\u00a0\u1680\u180e\u202f\u205f\u3000").union(newSet(runeRange{0x2000, 0x200a}))
	setVertical   = setOf("\n\v\f\r\u0085\u2028\u2029")
	// What '.' leaves out, and before which '$' matches.
	setLineEnd = setOf("\n\r\u0085\u2028\u2029")
	// What \b takes for a part of a word in Java 17: wider than \w.
	setBoundaryWord = fromTables(unicode.L, unicode.Nd).union(setOf("_"))
)

// posixClasses are the ASCII classes of POSIX, by their name in \p{...}.
var posixClasses = map[string]runeSet{
	"Lower":  setLower,
	"Upper":  setUpper,
	"ASCII":  newSet(runeRange{0, 0x7f}),
	"Alpha":  setAlpha,
	"Digit":  setDigit,
	"Alnum":  setAlpha.union(setDigit),
	"Punct":  newSet(runeRange{'!', '/'}, runeRange{':', '@'}, runeRange{'[', '`'}, runeRange{'{', '~'}),
	"Graph":  newSet(runeRange{'!', '~'}),
	"Print":  newSet(runeRange{' ', '~'}),
	"Blank":  setOf(" \t"),
	"Cntrl":  newSet(runeRange{0, 0x1f}, runeRange{0x7f, 0x7f}),
	"XDigit": setDigit.union(newSet(runeRange{'a', 'f'}, runeRange{'A', 'F'})),
	"Space":  setSpace,
}

// javaMethods are the classes named after methods of java.lang.Character.
var javaMethods = map[string]runeSet{
	"javaLowerCase":     fromTables(unicode.Ll, unicode.Other_Lowercase),
	"javaUpperCase":     fromTables(unicode.Lu, unicode.Other_Uppercase),
	"javaTitleCase":     fromTables(unicode.Lt),
	"javaDigit":         fromTables(unicode.Nd),
	"javaLetter":        fromTables(unicode.L),
	"javaLetterOrDigit": fromTables(unicode.L, unicode.Nd),
	"javaAlphabetic":    setAlphabetic,
}

var setAlphabetic = fromTables(unicode.L, unicode.Nl, unicode.Other_Alphabetic)

// binaryProperties are those written \p{Is...}, in upper case as Java compares them.
var binaryProperties = map[string]runeSet{
	"ALPHABETIC":  setAlphabetic,
	"LETTER":      fromTables(unicode.L),
	"IDEOGRAPHIC": fromTables(unicode.Ideographic),
	"LOWERCASE":   fromTables(unicode.Ll, unicode.Other_Lowercase),
	"UPPERCASE":   fromTables(unicode.Lu, unicode.Other_Uppercase),
	"TITLECASE":   fromTables(unicode.Lt),
	"WHITE_SPACE": fromTables(unicode.White_Space),
	"CONTROL":     fromTables(unicode.Cc),
	"PUNCTUATION": fromTables(unicode.P),
	"HEX_DIGIT":   fromTables(unicode.Hex_Digit),
	"DIGIT":       fromTables(unicode.Nd),
	"ALNUM":       setAlphabetic.union(fromTables(unicode.Nd)),
}

// property finds the set for the name in \p{name}. fold says that (?i) is on: Java then takes the
// three cases for each other in properties that name one.
func property(name string, fold bool) (runeSet, bool) {
	if fold {
		switch strings.ToUpper(name) {
		case "LOWER", "UPPER":
			name = "Alpha"
		case "LU", "LL", "LT", "ISLU", "ISLL", "ISLT":
			return category("LC")
		case "ISLOWERCASE", "ISUPPERCASE", "ISTITLECASE", "JAVALOWERCASE", "JAVAUPPERCASE", "JAVATITLECASE":
			return binaryProperties["LOWERCASE"].union(binaryProperties["UPPERCASE"]).union(binaryProperties["TITLECASE"]), true
		}
	}
	if key, value, ok := strings.Cut(name, "="); ok {
		switch strings.ToLower(key) {
		case "sc", "script":
			return script(value)
		case "gc", "general_category":
			return category(value)
		}
		return nil, false
	}
	if rest, ok := strings.CutPrefix(name, "Is"); ok {
		if set, ok := binaryProperties[strings.ToUpper(rest)]; ok {
			return set, true
		}
		if set, ok := category(rest); ok {
			return set, true
		}
		return script(rest)
	}
	if set, ok := posixClasses[name]; ok {
		return set, true
	}
	if set, ok := javaMethods[name]; ok {
		return set, true
	}
	return category(name)
}

func category(name string) (runeSet, bool) {
	switch name {
	case "LC":
		return fromTables(unicode.Lu, unicode.Ll, unicode.Lt), true
	case "LD":
		return fromTables(unicode.L, unicode.Nd), true
	case "L1":
		return newSet(runeRange{0, 0xff}), true
	case "all":
		return newSet(runeRange{0, unicode.MaxRune}), true
	}
	table, ok := unicode.Categories[name]
	if !ok {
		return nil, false
	}
	return fromTables(table), true
}

func script(name string) (runeSet, bool) {
	for known, table := range unicode.Scripts {
		if strings.EqualFold(known, name) {
			return fromTables(table), true
		}
	}
	return nil, false
}

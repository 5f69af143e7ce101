package jregex

import (
	"slices"
	"strings"
	"unicode"
)

// runeRange is an inclusive range of code points.
type runeRange struct{ lo, hi rune }

// runeSet is a set of code points: sorted ranges that neither overlap nor touch.
type runeSet []runeRange

func newSet(ranges ...runeRange) runeSet {
	slices.SortFunc(ranges, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	var set runeSet
	for _, r := range ranges {
		if last := len(set) - 1; last >= 0 && r.lo <= set[last].hi+1 {
			set[last].hi = max(set[last].hi, r.hi)
			continue
		}
		set = append(set, r)
	}
	return set
}

func setOf(runes string) runeSet {
	var ranges []runeRange
	for _, r := range runes {
		ranges = append(ranges, runeRange{r, r})
	}
	return newSet(ranges...)
}

func fromTables(tables ...*unicode.RangeTable) runeSet {
	var ranges []runeRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			ranges = append(ranges, runeRange{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			ranges = append(ranges, runeRange{r, r})
		}
	}
	for _, table := range tables {
		for _, r := range table.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return newSet(ranges...)
}

func (s runeSet) union(o runeSet) runeSet {
	return newSet(append(slices.Clone(s), o...)...)
}

func (s runeSet) negate() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, runeRange{next, unicode.MaxRune})
	}
	return out
}

func (s runeSet) intersect(o runeSet) runeSet {
	return s.negate().union(o.negate()).negate()
}

// foldASCII closes the set under ASCII case, which is all that Java's (?i) does without (?u).
func (s runeSet) foldASCII() runeSet {
	out := slices.Clone(s)
	for r := 'a'; r <= 'z'; r++ {
		upper := r - 'a' + 'A'
		if s.contains(r) != s.contains(upper) {
			out = append(out, runeRange{r, r}, runeRange{upper, upper})
		}
	}
	return newSet(out...)
}

func (s runeSet) contains(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(e runeRange, r rune) int {
		switch {
		case e.hi < r:
			return -1
		case e.lo > r:
			return 1
		}
		return 0
	})
	return found
}

// String writes the set as a class, or a single character as itself, in the syntax that both
// engines share. Surrogates are left out: no Go string holds one.
func (s runeSet) String() string {
	plain := s.intersect(notSurrogate)
	if len(plain) == 0 {
		return "[^\\x00-\U0010FFFF]"
	}
	if len(plain) == 1 && plain[0].lo == plain[0].hi {
		return quoteRune(plain[0].lo)
	}
	var b strings.Builder
	b.WriteByte('[')
	for _, r := range plain {
		b.WriteString(quoteRune(r.lo))
		if r.hi > r.lo {
			b.WriteByte('-')
			b.WriteString(quoteRune(r.hi))
		}
	}
	b.WriteByte(']')
	return b.String()
}

var notSurrogate = runeSet{{0, 0xD7FF}, {0xE000, unicode.MaxRune}}

// quoteRune writes one literal character, inside or outside a class. ASCII that could have a meaning
// is written as a code, since the backtracking engine misreads ranges that end in an escaped hyphen.
func quoteRune(r rune) string {
	const hex = "0123456789ABCDEF"
	if r > 0x7F || setWord.contains(r) {
		return string(r)
	}
	return `\x` + string(hex[r>>4]) + string(hex[r&15])
}

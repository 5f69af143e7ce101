package simpledate

import "strings"

// abbreviations are the zone names in use, in hours east of Greenwich. IDs such as
// Europe/Berlin are no names to Java either.
var abbreviations = map[string]float64{
	"UTC": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "IST": 5.5,
	"SGT": 8, "HKT": 8, "AWST": 8, "JST": 9, "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
	"NST": -3.5, "NDT": -2.5, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10,
	"Coordinated Universal Time": 0, "Greenwich Mean Time": 0,
}

// zone reads what z and Z accept: "GMT", "GMT+h:mm", a name, or "+hhmm".
func (p *parser) zone(start int) bool {
	rest := p.text[p.at:]
	switch {
	case rest[0] == '+' || rest[0] == '-':
		return p.offsetAt(sign(rest[0]), 0, false)
	case len(p.text)-start >= 3 && strings.EqualFold(p.text[start:start+3], "GMT"):
		p.at = start + 3
		if p.at == len(p.text) || p.text[p.at] != '+' && p.text[p.at] != '-' {
			p.setOffset(0)
			return true
		}
		return p.offsetAt(sign(p.text[p.at]), 0, true)
	}
	return p.zoneName(rest)
}

func (p *parser) zoneName(rest string) bool {
	best := ""
	for name := range abbreviations {
		if len(name) > len(best) && len(rest) >= len(name) && strings.EqualFold(rest[:len(name)], name) {
			best = name
		}
	}
	if best == "" {
		return false
	}
	p.at += len(best)
	p.setOffset(int(abbreviations[best] * 3600))
	return true
}

// isoZone reads Z, or an offset in hours and, from two letters on, minutes; three letters
// ask for a colon.
func (p *parser) isoZone(count int) bool {
	switch c := p.text[p.at]; c {
	case 'Z':
		p.at++
		p.setOffset(0)
		return true
	case '+', '-':
		return p.offsetAt(sign(c), count, count == 3)
	}
	return false
}

func sign(c byte) int {
	if c == '-' {
		return -1
	}
	return 1
}

// offsetAt reads an offset after its sign, with count letters of X, 0 for another
// pattern. Without a colon, hours have two digits.
func (p *parser) offsetAt(sign, count int, colon bool) bool {
	p.at++
	digit := func() (int, bool) {
		if p.at == len(p.text) || p.text[p.at] < '0' || p.text[p.at] > '9' {
			return 0, false
		}
		p.at++
		return int(p.text[p.at-1] - '0'), true
	}
	hours, ok := digit()
	if !ok {
		return false
	}
	if next, ok := digit(); ok {
		hours = 10*hours + next
	} else if count > 0 || !colon {
		return false
	}
	minutes := 0
	if count != 1 {
		if colon {
			if p.at == len(p.text) || p.text[p.at] != ':' {
				return false
			}
			p.at++
		}
		tens, first := digit()
		ones, second := digit()
		if minutes = 10*tens + ones; !first || !second || minutes > 59 {
			return false
		}
	}
	if hours > 23 {
		return false
	}
	p.setOffset(sign * (hours*60 + minutes) * 60)
	return true
}

func (p *parser) setOffset(seconds int) { p.offset, p.offsetIsRead = seconds, true }

package jregex

import (
	"strings"
	"unicode"
	"unicode/utf16"
)

// escape translates what follows a backslash outside a class.
func (p *parser) escape() fragment {
	t := p.raw(0)
	if t.r == end {
		return p.fail(`unexpected end after '\'`)
	}
	if set, ok := p.escapedSet(); ok {
		return both(set.String())
	}
	switch t.r {
	case 'A':
		p.pos++
		return both(`\A`)
	case 'z':
		p.pos++
		return both(`\z`)
	case 'Z':
		p.pos++
		return p.beforeFinalTerminator()
	case 'b', 'B':
		p.pos++
		return p.boundary(t.r)
	case 'R':
		p.pos++
		return both(`(?:\r\n|` + setVertical.String() + `)`)
	case 'k':
		p.pos++
		return p.namedReference()
	case 'G', 'X', 'N':
		return p.fail(`\%c is not supported`, t.r)
	}
	if t.r >= '1' && t.r <= '9' {
		p.pos++
		return p.numberedReference(t.r)
	}
	return p.literal(p.escapedRune())
}

// boundary is \b or \B.
func (p *parser) boundary(kind rune) fragment {
	if kind == 'b' && p.raw(0).r == '{' {
		return p.fail(`\b{...} is not supported`)
	}
	word := setBoundaryWord.String()
	inside := `(?:(?<=` + word + `)(?!` + word + `)|(?<!` + word + `)(?=` + word + `))`
	if kind == 'B' {
		return fragment{`\B`, `(?!` + inside + `)`}
	}
	return fragment{`\b`, inside}
}

// escapedSet reads an escape that stands for several characters: \d, \p{...} and the like. It reads
// nothing if there is none.
func (p *parser) escapedSet() (runeSet, bool) {
	r := p.raw(0).r
	var set runeSet
	switch unicode.ToLower(r) {
	case 'd':
		set = setDigit
	case 's':
		set = setSpace
	case 'w':
		set = setWord
	case 'h':
		set = setHorizontal
	case 'v':
		set = setVertical
	case 'p':
		p.pos++
		set = p.property()
	default:
		return nil, false
	}
	if r != 'p' && r != 'P' {
		p.pos++
	}
	if unicode.IsUpper(r) {
		set = set.negate()
	}
	return set, true
}

// property reads {Name} or a single letter behind \p.
func (p *parser) property() runeSet {
	t := p.raw(0)
	if t.r == end {
		p.fail("unexpected end in a property")
		return nil
	}
	p.pos++
	name := string(t.r)
	if t.r == '{' {
		length := p.indexOf('}')
		if length <= 0 {
			p.fail("unclosed or empty character property")
			return nil
		}
		var b strings.Builder
		for _, t := range p.tokens[p.pos : p.pos+length] {
			b.WriteRune(t.r)
		}
		name = b.String()
		p.pos += length + 1
	}
	set, ok := property(name, p.flags.fold)
	switch {
	case ok:
	case strings.HasPrefix(name, "In") || strings.HasPrefix(strings.ToLower(name), "bl"):
		p.fail("Unicode blocks such as \\p{%s} are not supported; name a script, as in \\p{IsGreek}, or a range", name)
	default:
		p.fail("the character property {%s} is unknown or not supported", name)
	}
	return set
}

// escapedRune reads an escape that stands for one character. Letters without a meaning are refused.
func (p *parser) escapedRune() rune {
	r := p.raw(0).r
	p.pos++
	switch r {
	case end:
		p.fail(`unexpected end after '\'`)
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	case 'a':
		return '\a'
	case 'e':
		return 0x1b
	case '0':
		return p.octal()
	case 'x':
		return p.hex()
	case 'u':
		return p.utf16()
	case 'c':
		control := p.raw(0).r
		p.pos++
		if control == end {
			p.fail(`\c must be followed by a character`)
		}
		return control ^ 64
	default:
		if isASCIILetter(r) {
			p.fail(`illegal or unsupported escape sequence \%c`, r)
		}
	}
	return r
}

// octal reads up to three digits, at most 0377.
func (p *parser) octal() rune {
	value, digits := rune(0), 0
	for ; digits < 3; digits++ {
		r := p.raw(0).r
		if r < '0' || r > '7' || value*8+r-'0' > 0o377 {
			break
		}
		value = value*8 + r - '0'
		p.pos++
	}
	if digits == 0 {
		p.fail(`\0 must be followed by an octal number`)
	}
	return value
}

// hex reads hh or {h...h}.
func (p *parser) hex() rune {
	if p.raw(0).r != '{' {
		value, ok := p.hexDigits(2)
		if !ok {
			p.fail(`\x must be followed by two hexadecimal digits or {...}`)
		}
		return value
	}
	p.pos++
	length := p.indexOf('}')
	if length < 1 || length > 8 {
		p.fail(`\x{...} must hold a hexadecimal number`)
		return 0
	}
	value, ok := p.hexDigits(length)
	if !ok || value < 0 || value > unicode.MaxRune {
		p.fail(`\x{...} must hold a hexadecimal number up to 10FFFF`)
		return 0
	}
	p.pos++
	return value
}

// utf16 reads the four digits of \u, and a second \u that completes a surrogate pair.
func (p *parser) utf16() rune {
	value, ok := p.hexDigits(4)
	if !ok {
		p.fail(`\u must be followed by four hexadecimal digits`)
		return 0
	}
	if !utf16.IsSurrogate(value) || p.raw(0).r != '\\' || p.raw(1).r != 'u' {
		return value
	}
	before := p.pos
	p.pos += 2
	if low, ok := p.hexDigits(4); ok {
		if full := utf16.DecodeRune(value, low); full != unicode.ReplacementChar {
			return full
		}
	}
	p.pos = before
	return value
}

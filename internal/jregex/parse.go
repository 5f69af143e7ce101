package jregex

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is one character of a pattern. A quoted one stood between \Q and \E.
type token struct {
	r      rune
	quoted bool
}

// end is what peek returns behind the last token. No pattern holds it.
const end = rune(-1)

// fragment is a piece of translated pattern: fast for printable ASCII input on the standard
// engine, full for any input on the backtracking engine.
type fragment struct{ fast, full string }

func both(s string) fragment { return fragment{s, s} }

func (f fragment) then(o fragment) fragment { return fragment{f.fast + o.fast, f.full + o.full} }

func (f fragment) wrap(open, close string) fragment {
	return fragment{open + f.fast + close, open + f.full + close}
}

// flags are the embedded flags of Java that matter here.
type flags struct{ fold, multiline, dotAll, comments, unixLines bool }

type parser struct {
	source string
	tokens []token
	pos    int
	flags  flags
	// regular is false once a construct appeared that only the backtracking engine has.
	regular bool
	groups  int
	// known is the number of groups in the whole pattern, 0 in the first pass.
	known int
	names map[string]int
	out   fragment
	err   *SyntaxError
}

// parse translates pattern. known is the number of its groups, as found by a first pass.
func parse(pattern string, known int) (*parser, error) {
	p := &parser{source: pattern, tokens: tokenize(pattern), known: known, regular: true, names: map[string]int{}}
	p.out = p.alternatives()
	if p.err == nil && p.pos < len(p.tokens) {
		p.fail("unmatched closing ')'")
	}
	if p.err != nil {
		return nil, p.err
	}
	return p, nil
}

// tokenize resolves \Q...\E, which Java does before all else, too.
func tokenize(pattern string) []token {
	var tokens []token
	for len(pattern) > 0 {
		if quoted, ok := strings.CutPrefix(pattern, `\Q`); ok {
			quoted, pattern, _ = strings.Cut(quoted, `\E`)
			for _, r := range quoted {
				tokens = append(tokens, token{r, true})
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(pattern)
		tokens = append(tokens, token{r: r})
		pattern = pattern[size:]
		if r == '\\' && pattern != "" {
			r, size = utf8.DecodeRuneInString(pattern)
			tokens = append(tokens, token{r: r})
			pattern = pattern[size:]
		}
	}
	return tokens
}

// fail keeps the first error and moves to the end, so that every loop ends.
func (p *parser) fail(format string, args ...any) fragment {
	if p.err == nil {
		p.err = &SyntaxError{Pattern: p.source, Position: min(p.pos, len(p.tokens)), Reason: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.tokens)
	return fragment{}
}

// peek returns the next token, past blanks and comments under (?x).
func (p *parser) peek() token {
	if p.flags.comments {
		for p.pos < len(p.tokens) && !p.tokens[p.pos].quoted {
			r := p.tokens[p.pos].r
			if r == '#' {
				for p.pos < len(p.tokens) && !setLineEnd.contains(p.tokens[p.pos].r) {
					p.pos++
				}
			} else if setSpace.contains(r) {
				p.pos++
			} else {
				break
			}
		}
	}
	return p.raw(0)
}

// raw returns the token at distance ahead, blanks included.
func (p *parser) raw(ahead int) token {
	if p.pos+ahead >= len(p.tokens) {
		return token{r: end}
	}
	return p.tokens[p.pos+ahead]
}

func (p *parser) next() token {
	t := p.peek()
	p.pos++
	return t
}

// at says whether the next token is the unquoted metacharacter r.
func (p *parser) at(r rune) bool {
	t := p.peek()
	return t.r == r && !t.quoted
}

func (p *parser) accept(r rune) bool {
	if p.at(r) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) alternatives() fragment {
	out := p.sequence()
	for p.accept('|') {
		out = out.then(both("|")).then(p.sequence())
	}
	return out
}

func (p *parser) sequence() fragment {
	var out fragment
	for {
		t := p.peek()
		if t.r == end || !t.quoted && (t.r == '|' || t.r == ')') {
			return out
		}
		if !t.quoted && strings.ContainsRune("?*+", t.r) {
			return p.fail("dangling meta character '%c'", t.r)
		}
		out = out.then(p.quantified(p.atom()))
	}
}

// atom translates one item of a sequence, without its quantifier.
func (p *parser) atom() fragment {
	if p.at('{') {
		// To Java a brace here repeats nothing; a brace that is no repetition is refused.
		return both("(?:)")
	}
	t := p.next()
	if t.quoted {
		return p.literal(t.r)
	}
	switch t.r {
	case '(':
		return p.group()
	case '[':
		return both(p.class(true).String())
	case '.':
		return both(p.dot().String())
	case '^':
		return p.caret()
	case '$':
		return p.dollar()
	case '\\':
		return p.escape()
	}
	return p.literal(t.r)
}

func (p *parser) literal(r rune) fragment {
	set := newSet(runeRange{r, r})
	if p.flags.fold {
		set = set.foldASCII()
	}
	return both(set.String())
}

func (p *parser) dot() runeSet {
	switch {
	case p.flags.dotAll:
		return newSet(runeRange{0, unicode.MaxRune})
	case p.flags.unixLines:
		return setOf("\n").negate()
	}
	return setLineEnd.negate()
}

// terminator is a pattern for one line terminator.
func (p *parser) terminator() string {
	if p.flags.unixLines {
		return `\n`
	}
	return `(?:\r\n|` + setLineEnd.String() + `)`
}

// notInCRLF keeps anchors from matching between the two characters of CRLF.
const notInCRLF = `(?!(?<=\r)\n)`

func (p *parser) caret() fragment {
	if !p.flags.multiline {
		return both(`\A`)
	}
	return fragment{`\A`, `(?:\A|(?<=` + p.terminator() + `)` + notInCRLF + `(?!\z))`}
}

func (p *parser) dollar() fragment {
	if p.flags.multiline {
		return fragment{`\z`, `(?:` + notInCRLF + `(?=` + p.terminator() + `|\z))`}
	}
	return p.beforeFinalTerminator()
}

// beforeFinalTerminator is $ without (?m), and \Z.
func (p *parser) beforeFinalTerminator() fragment {
	return fragment{`\z`, `(?:` + notInCRLF + `(?=` + p.terminator() + `?\z))`}
}

// quantified adds the quantifier that follows atom, if any.
func (p *parser) quantified(atom fragment) fragment {
	var count string
	t := p.peek()
	switch {
	case t.quoted:
		return atom
	case t.r == '?' || t.r == '*' || t.r == '+':
		p.pos++
		count = string(t.r)
	case t.r == '{':
		p.pos++
		if count = p.braces(); count == "" {
			return fragment{}
		}
	default:
		return atom
	}
	out := atom.wrap("(?:", ")").then(both(count))
	switch {
	case p.accept('?'):
		return out.then(both("?"))
	case p.accept('+'):
		p.regular = false
		return out.wrap("(?>", ")")
	}
	return out
}

// braces reads n}, n,} or n,m} and returns the quantifier, "" after an error.
func (p *parser) braces() string {
	low, ok := p.number()
	if !ok {
		p.fail("illegal repetition: '{' must be followed by a number; write \\{ for a brace")
		return ""
	}
	if p.accept('}') {
		return fmt.Sprintf("{%d}", low)
	}
	if !p.accept(',') {
		p.fail("unclosed counted repetition")
		return ""
	}
	if p.accept('}') {
		return fmt.Sprintf("{%d,}", low)
	}
	high, ok := p.number()
	switch {
	case !ok || !p.accept('}'):
		p.fail("unclosed counted repetition")
	case high < low:
		p.fail("illegal repetition range: %d is less than %d", high, low)
	default:
		return fmt.Sprintf("{%d,%d}", low, high)
	}
	return ""
}

func (p *parser) number() (int, bool) {
	var digits strings.Builder
	for t := p.peek(); !t.quoted && t.r >= '0' && t.r <= '9'; t = p.peek() {
		digits.WriteRune(t.r)
		p.pos++
	}
	if digits.Len() == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits.String(), 10, 32)
	if err != nil {
		p.fail("repetition %s is out of range", digits.String())
	}
	return int(n), err == nil
}

// group translates what follows an opening parenthesis.
func (p *parser) group() fragment {
	saved := p.flags
	open := "("
	if p.raw(0).r == '?' && !p.raw(0).quoted {
		p.pos++
		var done bool
		if open, done = p.groupKind(); done {
			return both("(?:)")
		}
	} else {
		p.groups++
	}
	body := p.alternatives()
	if !p.accept(')') {
		return p.fail("unclosed group")
	}
	p.flags = saved
	return body.wrap(open, ")")
}

// groupKind reads what follows "(?". done says that it was only flags, which hold on until the
// enclosing group ends.
func (p *parser) groupKind() (open string, done bool) {
	t := p.raw(0)
	p.pos++
	switch t.r {
	case ':':
		return "(?:", false
	case '=', '!', '>':
		p.regular = false
		return "(?" + string(t.r), false
	case '<':
		if r := p.raw(0).r; r == '=' || r == '!' {
			p.pos++
			p.regular = false
			return "(?<" + string(r), false
		}
		p.groups++
		name := p.groupName()
		if _, taken := p.names[name]; taken {
			p.fail("named capturing group <%s> is already defined", name)
		}
		p.names[name] = p.groups
		return "(", false
	}
	p.pos--
	return p.groupFlags()
}

// groupName reads name>.
func (p *parser) groupName() string {
	var name strings.Builder
	for {
		t := p.raw(0)
		p.pos++
		switch {
		case t.r == '>' && name.Len() > 0:
			return name.String()
		case t.r >= 'a' && t.r <= 'z' || t.r >= 'A' && t.r <= 'Z' || t.r >= '0' && t.r <= '9' && name.Len() > 0:
			name.WriteRune(t.r)
		default:
			p.fail("a group name must be letters and digits, begin with a letter and end with '>'")
			return ""
		}
	}
}

func (p *parser) groupFlags() (open string, done bool) {
	on := true
	for {
		t := p.raw(0)
		p.pos++
		switch t.r {
		case '-':
			on = false
		case 'i':
			p.flags.fold = on
		case 'm':
			p.flags.multiline = on
		case 's':
			p.flags.dotAll = on
		case 'x':
			p.flags.comments = on
		case 'd':
			p.flags.unixLines = on
		case ')':
			return "", true
		case ':':
			return "(?:", false
		case 'u', 'U':
			p.fail("the flag %c (Unicode case and classes) is not supported", t.r)
			return "", true
		default:
			p.fail("unknown group or flag after '(?'")
			return "", true
		}
	}
}

// reference is a back-reference to group n.
func (p *parser) reference(n int) fragment {
	p.regular = false
	if n > p.known {
		return both("(?!)")
	}
	open := "(?:"
	if p.flags.fold {
		open = "(?i:"
	}
	return both(open + `\` + strconv.Itoa(n) + ")")
}

// numberedReference reads the digits of a back-reference: more than one only as long as so many
// groups were opened before.
func (p *parser) numberedReference(first rune) fragment {
	n := int(first - '0')
	for {
		t := p.raw(0)
		if t.quoted || t.r < '0' || t.r > '9' || n*10+int(t.r-'0') > p.groups {
			return p.reference(n)
		}
		n = n*10 + int(t.r-'0')
		p.pos++
	}
}

func (p *parser) namedReference() fragment {
	if t := p.raw(0); t.r != '<' {
		return p.fail(`\k must be followed by <name>`)
	}
	p.pos++
	name := p.groupName()
	n, ok := p.names[name]
	if !ok {
		return p.fail("named capturing group <%s> does not exist", name)
	}
	return p.reference(n)
}

// isASCIILetter says which escapes Java reserves.
func isASCIILetter(r rune) bool { return r < 0x80 && unicode.IsLetter(r) }

// hexDigits reads exactly n hexadecimal digits.
func (p *parser) hexDigits(n int) (rune, bool) {
	if p.pos+n > len(p.tokens) {
		return 0, false
	}
	var digits strings.Builder
	for _, t := range p.tokens[p.pos : p.pos+n] {
		digits.WriteRune(t.r)
	}
	v, err := strconv.ParseUint(digits.String(), 16, 32)
	if err != nil {
		return 0, false
	}
	p.pos += n
	return rune(v), true
}

// indexOf finds the unquoted r from here on, -1 if there is none.
func (p *parser) indexOf(r rune) int {
	return slices.Index(p.tokens[min(p.pos, len(p.tokens)):], token{r: r})
}

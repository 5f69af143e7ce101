package javajson

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth        = 500  // Jackson's limit on nesting, less what recursion here may cost
	maxNumberLength = 1000 // Jackson's limit too; it bounds the work for one number
)

// Parse reads one JSON value as Java's converter does: nil, bool, string, int64,
// float64, []any or map[string]any. Beyond the standard it accepts leading zeros in
// numbers, takes the last of repeated fields, ignores whatever follows the value, and
// reads nothing at all (empty or blank input) as null. Integers beyond 64 bits keep
// their low 64 bits.
func Parse(data []byte) (any, error) {
	p, err := NewParser(data)
	if err != nil || p.AtEnd() {
		return nil, err
	}
	v, err := p.Value()
	if err != nil {
		return nil, p.Explain(err)
	}
	return v, nil
}

// Parser reads JSON piece by piece, with the lenience of Parse. After an error it is of
// no more use.
type Parser struct {
	data  []byte
	at    int
	depth int
	room  []byte // for texts with escapes
}

// NewParser returns a parser of data, which must not change while it is in use.
func NewParser(data []byte) (*Parser, error) {
	p := new(Parser)
	if err := p.Reset(data); err != nil {
		return nil, err
	}
	return p, nil
}

// mostRoom is what a parser keeps at most between two texts.
const mostRoom = 1 << 20

// Reset makes p, which may be blank or have failed, a parser of data.
func (p *Parser) Reset(data []byte) error {
	room := p.room
	if cap(room) > mostRoom {
		room = nil
	}
	*p = Parser{room: room[:0]}
	if !utf8.Valid(data) {
		return errors.New("invalid JSON: not UTF-8")
	}
	p.data = bytes.TrimPrefix(data, []byte("\ufeff"))
	return nil
}

// Explain adds to an error where it was met.
func (p *Parser) Explain(err error) error {
	return fmt.Errorf("invalid JSON at byte %d: %w", p.at, err)
}

// AtEnd reports whether nothing but blanks is left.
func (p *Parser) AtEnd() bool {
	p.space()
	return p.at == len(p.data)
}

// Offset is the place of the next byte.
func (p *Parser) Offset() int { return p.at }

// Since returns the bytes from an earlier Offset to here. They are shared.
func (p *Parser) Since(from int) []byte { return p.data[from:p.at] }

// SkipKnown skips text, which must be one whole object or array, if it is what follows.
func (p *Parser) SkipKnown(text []byte) bool {
	p.space()
	if len(text) == 0 || !bytes.HasPrefix(p.data[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

var errEnd = errors.New("unexpected end")

func (p *Parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// Peek skips white space and returns the next byte, 0 at the end.
func (p *Parser) Peek() byte {
	p.space()
	if p.at == len(p.data) {
		return 0
	}
	return p.data[p.at]
}

// Value reads any value, as Parse does.
func (p *Parser) Value() (any, error) {
	switch c := p.Peek(); {
	case p.at == len(p.data):
		return nil, errEnd
	case c == '{':
		m := map[string]any{}
		err := p.Object(func(name []byte) error {
			key := string(name)
			v, err := p.Value()
			m[key] = v
			return err
		})
		return m, err
	case c == '[':
		list := []any{}
		err := p.Array(func() error {
			v, err := p.Value()
			list = append(list, v)
			return err
		})
		return list, err
	case c == '"':
		return p.String()
	case isNumber(c):
		n, err := p.Number()
		if err != nil {
			return nil, err
		}
		return n.value(), nil
	default:
		return p.Literal()
	}
}

// Skip reads past any value.
func (p *Parser) Skip() error {
	var err error
	switch c := p.Peek(); {
	case p.at == len(p.data):
		return errEnd
	case c == '{':
		return p.Object(func([]byte) error { return p.Skip() })
	case c == '[':
		return p.Array(p.Skip)
	case c == '"':
		_, err = p.text()
	case isNumber(c):
		_, err = p.Number()
	default:
		_, err = p.Literal()
	}
	return err
}

func isNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

// Literal reads null, true or false.
func (p *Parser) Literal() (any, error) {
	switch c := p.Peek(); c {
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		return nil, fmt.Errorf("unexpected %q", c)
	}
}

// Object reads an object and calls field for each, which must read the value. name is
// valid until then. Repeated fields are as they stand.
func (p *Parser) Object(field func(name []byte) error) error {
	if p.Peek() != '{' {
		return errors.New("expected an object")
	}
	if err := p.enter(); err != nil {
		return err
	}
	if p.Peek() == '}' {
		return p.leave()
	}
	for {
		if p.Peek() != '"' {
			return errors.New("expected a field name")
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		if p.Peek() != ':' {
			return errors.New("expected a colon")
		}
		p.at++
		if err := field(name); err != nil {
			return err
		}
		switch p.Peek() {
		case ',':
			p.at++
		case '}':
			return p.leave()
		default:
			return errors.New("expected a comma or the end of an object")
		}
	}
}

// Array reads an array and calls element for each, which must read it.
func (p *Parser) Array(element func() error) error {
	if p.Peek() != '[' {
		return errors.New("expected an array")
	}
	if err := p.enter(); err != nil {
		return err
	}
	if p.Peek() == ']' {
		return p.leave()
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch p.Peek() {
		case ',':
			p.at++
		case ']':
			return p.leave()
		default:
			return errors.New("expected a comma or the end of an array")
		}
	}
}

func (p *Parser) enter() error {
	p.at++
	if p.depth++; p.depth > maxDepth {
		return fmt.Errorf("more than %d levels", maxDepth)
	}
	return nil
}

func (p *Parser) leave() error {
	p.at++
	p.depth--
	return nil
}

// delimited reports whether a bare word or number ends here, as Jackson wants it to.
func (p *Parser) delimited() bool {
	if p.at == len(p.data) {
		return true
	}
	switch p.data[p.at] {
	case ' ', '\t', '\n', '\r', ',', '}', ']':
		return true
	}
	return false
}

func (p *Parser) word(word string) error {
	if !bytes.HasPrefix(p.data[p.at:], []byte(word)) {
		return errors.New("unknown word")
	}
	p.at += len(word)
	if !p.delimited() {
		return errors.New("unknown word")
	}
	return nil
}

func (p *Parser) digits() int {
	from := p.at
	for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}

func (p *Parser) accept(any string) bool {
	if p.at < len(p.data) && strings.IndexByte(any, p.data[p.at]) >= 0 {
		p.at++
		return true
	}
	return false
}

// Number reads a number.
func (p *Parser) Number() (Number, error) {
	p.space()
	from := p.at
	p.accept("-")
	if p.digits() == 0 {
		return Number{}, errors.New("a number without digits")
	}
	n := Number{Integer: true}
	if p.delimited() {
		return p.number(n, from)
	}
	if p.accept(".") {
		n.Integer = false
		if p.digits() == 0 {
			return Number{}, errors.New("a number without digits after the point")
		}
	}
	if p.accept("eE") {
		n.Integer = false
		p.accept("+-")
		if p.digits() == 0 {
			return Number{}, errors.New("a number without digits in its exponent")
		}
	}
	if !p.delimited() {
		return Number{}, errors.New("a number that does not end")
	}
	return p.number(n, from)
}

// number is n with its text, which ends here.
func (p *Parser) number(n Number, from int) (Number, error) {
	if n.Text = p.data[from:p.at]; len(n.Text) > maxNumberLength {
		return Number{}, fmt.Errorf("a number longer than %d characters", maxNumberLength)
	}
	return n, nil
}

// String reads a string.
func (p *Parser) String() (string, error) {
	if p.Peek() != '"' {
		return "", errors.New("expected a string")
	}
	run, more, err := p.run()
	if err != nil || !more {
		return string(run), err
	}
	// What is left is no longer without its escapes than with them.
	b, err := p.escaped(append(slices.Grow(p.room, len(p.data)-p.at+len(run)+wordSize), run...))
	if err != nil {
		return "", err
	}
	p.room = b[:0]
	return string(b), nil
}

// text reads a string's bytes, shared with the input where it has no escapes.
func (p *Parser) text() ([]byte, error) {
	run, more, err := p.run()
	if err != nil || !more {
		return run, err
	}
	return p.escaped(append(make([]byte, 0, len(run)+untilQuote(p.data[p.at:])), run...))
}

// run reads a string up to its first escape, which then is more to come, or its end.
func (p *Parser) run() (run []byte, more bool, err error) {
	from := p.at + 1
	p.at = runEnd(p.data, from)
	switch {
	case p.at == len(p.data):
		return nil, false, errEnd
	case p.data[p.at] == '"':
		p.at++
		return p.data[from : p.at-1], false, nil
	case p.data[p.at] == '\\':
		return p.data[from:p.at], true, nil
	}
	return nil, false, errControl
}

var errControl = errors.New("a control character in a string")

// untilQuote is how many bytes of a string are left before the quote that ends it, or all.
func untilQuote(data []byte) int {
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return len(data)
}

// unescaped are the bytes that stand behind a backslash for others; 0 is none.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the rest of a string from an escape on, and appends it.
func (p *Parser) escaped(b []byte) ([]byte, error) {
	for p.at < len(p.data) {
		b = p.copyPlain(b)
		from := p.at
		p.at = runEnd(p.data, from)
		b = append(b, p.data[from:p.at]...)
		if p.at == len(p.data) {
			break
		}
		c := p.data[p.at]
		switch {
		case c == '"':
			p.at++
			return b, nil
		case c < ' ':
			return nil, errControl
		}
		p.at++
		if p.at == len(p.data) {
			break
		}
		c = p.data[p.at]
		p.at++
		if c == 'u' {
			r, err := p.unicode()
			if err != nil {
				return nil, err
			}
			b = utf8.AppendRune(b, r)
			continue
		}
		if unescaped[c] == 0 {
			return nil, fmt.Errorf("unknown escape %q", c)
		}
		b = append(b, unescaped[c])
	}
	return nil, errEnd
}

// copyPlain appends runs and escapes of one letter as long as whole words are left, and room for them.
func (p *Parser) copyPlain(b []byte) []byte {
	data, at, n := p.data, p.at, len(b)
	b = b[:cap(b)]
	for len(data)-at > wordSize && len(b)-n > wordSize {
		w := binary.LittleEndian.Uint64(data[at:])
		binary.LittleEndian.PutUint64(b[n:], w)
		mask := quoteOrControl(w)
		if mask == 0 {
			at, n = at+wordSize, n+wordSize
			continue
		}
		run := firstOf(mask)
		at, n = at+run, n+run
		letter := unescaped[data[at+1]]
		if data[at] != '\\' || letter == 0 {
			break
		}
		b[n] = letter
		at, n = at+2, n+1
	}
	p.at = at
	return b[:n]
}

// unicode reads what follows \u, and the second half of a surrogate pair. Half a pair
// alone cannot be held in UTF-8 and becomes U+FFFD.
func (p *Parser) unicode() (rune, error) {
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !bytes.HasPrefix(p.data[p.at:], []byte(`\u`)) {
		return utf8.RuneError, nil
	}
	back := p.at
	p.at += 2
	low, err := p.hex4()
	if err != nil {
		return 0, err
	}
	if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
		return pair, nil
	}
	p.at = back
	return utf8.RuneError, nil
}

func (p *Parser) hex4() (rune, error) {
	if p.at+4 > len(p.data) {
		return 0, errEnd
	}
	n, err := strconv.ParseUint(string(p.data[p.at:p.at+4]), 16, 16)
	if err != nil {
		return 0, errors.New(`four hexadecimal digits must follow \u`)
	}
	p.at += 4
	return rune(n), nil
}

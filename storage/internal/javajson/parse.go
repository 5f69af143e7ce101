package javajson

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strconv"
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
	if !utf8.Valid(data) {
		return nil, errors.New("invalid JSON: not UTF-8")
	}
	p := parser{data: bytes.TrimPrefix(data, []byte("\ufeff"))}
	p.space()
	if p.at == len(p.data) {
		return nil, nil
	}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("invalid JSON at byte %d: %w", p.at, err)
	}
	return v, nil
}

type parser struct {
	data []byte
	at   int
}

var errEnd = errors.New("unexpected end")

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.at == len(p.data) {
		return 0
	}
	return p.data[p.at]
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	switch c := p.peek(); {
	case p.at == len(p.data):
		return nil, errEnd
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	default:
		return nil, fmt.Errorf("unexpected %q", c)
	}
}

func (p *parser) object(depth int) (any, error) {
	p.at++
	m := map[string]any{}
	if p.peek() == '}' {
		p.at++
		return m, nil
	}
	for {
		if p.peek() != '"' {
			return nil, errors.New("expected a field name")
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.peek() != ':' {
			return nil, errors.New("expected a colon")
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m[key] = v
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return m, nil
		default:
			return nil, errors.New("expected a comma or the end of an object")
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	p.at++
	list := []any{}
	if p.peek() == ']' {
		p.at++
		return list, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return list, nil
		default:
			return nil, errors.New("expected a comma or the end of an array")
		}
	}
}

// delimited reports whether a bare word or number ends here, as Jackson wants it to.
func (p *parser) delimited() bool {
	if p.at == len(p.data) {
		return true
	}
	switch p.data[p.at] {
	case ' ', '\t', '\n', '\r', ',', '}', ']':
		return true
	}
	return false
}

func (p *parser) word(word string) error {
	if !bytes.HasPrefix(p.data[p.at:], []byte(word)) {
		return errors.New("unknown word")
	}
	p.at += len(word)
	if !p.delimited() {
		return errors.New("unknown word")
	}
	return nil
}

func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}

func (p *parser) accept(any string) bool {
	if p.at < len(p.data) && bytes.IndexByte([]byte(any), p.data[p.at]) >= 0 {
		p.at++
		return true
	}
	return false
}

func (p *parser) number() (any, error) {
	from := p.at
	p.accept("-")
	if p.digits() == 0 {
		return nil, errors.New("a number without digits")
	}
	integer := true
	if p.accept(".") {
		integer = false
		if p.digits() == 0 {
			return nil, errors.New("a number without digits after the point")
		}
	}
	if p.accept("eE") {
		integer = false
		p.accept("+-")
		if p.digits() == 0 {
			return nil, errors.New("a number without digits in its exponent")
		}
	}
	if !p.delimited() {
		return nil, errors.New("a number that does not end")
	}
	text := string(p.data[from:p.at])
	if len(text) > maxNumberLength {
		return nil, fmt.Errorf("a number longer than %d characters", maxNumberLength)
	}
	if integer {
		return parseInteger(text)
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is an infinity, as in Java
	if f == 0 {
		return 0.0, nil // Java's reader goes through BigDecimal, which has no -0.0
	}
	return f, nil
}

func parseInteger(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, errors.New("not a number")
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	return int64(low.Uint64()), nil
}

func (p *parser) string() (string, error) {
	p.at++
	from := p.at
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(p.data[from : p.at-1]), nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.data[from:p.at]...))
		case c < ' ':
			return "", errors.New("a control character in a string")
		}
		p.at++
	}
	return "", errEnd
}

// escaped reads the rest of a string from its first escape on.
func (p *parser) escaped(b []byte) (string, error) {
	for p.at < len(p.data) {
		c := p.data[p.at]
		switch {
		case c == '"':
			p.at++
			return string(b), nil
		case c < ' ':
			return "", errors.New("a control character in a string")
		case c != '\\':
			b = append(b, c)
			p.at++
			continue
		}
		p.at++
		if p.at == len(p.data) {
			return "", errEnd
		}
		c = p.data[p.at]
		p.at++
		if c == 'u' {
			r, err := p.unicode()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			continue
		}
		i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if i < 0 {
			return "", fmt.Errorf("unknown escape %q", c)
		}
		b = append(b, "\"\\/\b\f\n\r\t"[i])
	}
	return "", errEnd
}

// unicode reads what follows \u, and the second half of a surrogate pair. Half a pair
// alone cannot be held in UTF-8 and becomes U+FFFD.
func (p *parser) unicode() (rune, error) {
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

func (p *parser) hex4() (rune, error) {
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

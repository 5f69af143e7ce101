package properties

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// keyPrefix stands before every key that is handed to the lexer. The lexer refuses an empty key and
// would take a key that begins with an escaped '#' for what it is not; Java allows both.
const keyPrefix = "k"

// logicalLines turns raw into what the properties lexer reads without surprise: no comments, no
// blank lines, no continuations, LF line ends, every key prefixed, and UTF-8 instead of Latin-1.
// Escapes are checked here, because the lexer leaks a goroutine for each error it reports.
func logicalLines(raw []byte) ([]byte, error) {
	var (
		out       = make([]byte, 0, len(raw)+len(raw)/8)
		line      []byte // the logical line so far, in Latin-1
		starts    []lineStart
		continued bool
		number    int
		crlf      = bytes.HasSuffix(raw, []byte("\r\n"))
	)
	finish := func() error {
		text, err := decode(line, starts)
		if err != nil {
			return err
		}
		out = append(out, keyPrefix...)
		out = append(out, text...)
		out = append(out, '\n')
		line, starts, continued = line[:0], starts[:0], false
		return nil
	}
	for len(raw) > 0 {
		var natural []byte
		natural, raw = cutLine(raw)
		number++
		natural = bytes.TrimLeft(natural, " \t\f")
		// Java drops comments wherever the logical line is still empty, even after a lone
		// backslash, and blank lines as long as nothing was begun.
		if len(line) == 0 && (len(natural) == 0 || natural[0] == '#' || natural[0] == '!') {
			continued = false
			continue
		}
		starts = append(starts, lineStart{at: len(line), number: number})
		body, more := trimContinuation(natural)
		line = append(line, body...)
		if continued = more; continued {
			continue
		}
		if err := finish(); err != nil {
			return nil, err
		}
	}
	// A backslash alone at the end of the file is an empty key to Java, save before CRLF.
	if continued && (len(line) > 0 || !crlf) {
		if err := finish(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lineStart says at which byte of a logical line a natural line begins.
type lineStart struct{ at, number int }

// cutLine splits raw after its first line, which may end in LF, CR or CRLF.
func cutLine(raw []byte) (line, rest []byte) {
	i := bytes.IndexAny(raw, "\r\n")
	if i < 0 {
		return raw, nil
	}
	rest = raw[i+1:]
	if raw[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return raw[:i], rest
}

// trimContinuation cuts the last backslash off a line that ends in an odd number of them.
func trimContinuation(line []byte) (body []byte, continued bool) {
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	if n%2 == 0 {
		return line, false
	}
	return line[:len(line)-1], true
}

// decode widens Latin-1 to UTF-8, checks every \uXXXX and joins surrogate pairs, which the lexer
// would decode one by one. All other escapes stay for the lexer.
func decode(line []byte, starts []lineStart) ([]byte, error) {
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' || i+1 == len(line) {
			out = utf8.AppendRune(out, rune(line[i]))
			continue
		}
		if line[i+1] != 'u' {
			out = append(out, '\\')
			i++
			out = utf8.AppendRune(out, rune(line[i]))
			continue
		}
		unit, ok := unicodeEscape(line[i:])
		if !ok {
			return nil, &SyntaxError{Line: lineOf(starts, i), Reason: `malformed \uXXXX escape: write four hexadecimal digits after \u, or \\u for a backslash and a u`}
		}
		if !utf16.IsSurrogate(unit) {
			out = append(out, line[i:i+6]...)
			i += 5
			continue
		}
		i += 5
		// A low unit that is missing or malformed leaves U+FFFD here, and the loop sees it next.
		full := rune(utf8.RuneError)
		if low, ok := unicodeEscape(line[i+1:]); ok {
			if full = utf16.DecodeRune(unit, low); full != utf8.RuneError {
				i += 6
			}
		}
		out = utf8.AppendRune(out, full)
	}
	return out, nil
}

// unicodeEscape reads \uXXXX at the start of b.
func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(unit), err == nil
}

// lineOf finds the natural line that holds byte at of a logical line.
func lineOf(starts []lineStart, at int) int {
	number := 0
	for _, s := range starts {
		if s.at <= at {
			number = s.number
		}
	}
	return number
}

package file

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// splitter makes lines of what is added piece by piece. Lines end with \n, \r\n or \r; what
// has no end yet waits. Lines that came together share memory.
type splitter struct {
	whole string // lines with their ends
	clean bool   // of bytes that are UTF-8 and no \r
	rest  []byte // what came behind them
}

// add takes more. It is called when there is no next line.
func (s *splitter) add(chunk []byte) {
	end := lastEnd(chunk)
	// A \r at the end of the rest waited for what follows it.
	if end == 0 && len(s.rest) > 0 && s.rest[len(s.rest)-1] == '\r' && len(chunk) > 0 {
		s.set(s.rest, nil)
		s.rest = append(s.rest[:0], chunk...)
		return
	}
	if end > 0 {
		s.set(s.rest, chunk[:end])
		s.rest, chunk = s.rest[:0], chunk[end:]
	}
	s.rest = append(s.rest, chunk...)
}

// lastEnd is the place behind the last line that certainly ends, 0 without one.
func lastEnd(chunk []byte) int {
	end := bytes.LastIndexByte(chunk, '\n') + 1
	if behind := chunk[end:]; len(behind) > 0 {
		return end + bytes.LastIndexByte(behind[:len(behind)-1], '\r') + 1
	}
	return end
}

func (s *splitter) set(first, second []byte) {
	var b strings.Builder
	b.Grow(len(first) + len(second))
	_, _ = b.Write(first) // which cannot fail
	_, _ = b.Write(second)
	s.whole = b.String()
	s.clean = utf8.ValidString(s.whole) && strings.IndexByte(s.whole, '\r') < 0
}

// next returns a line and its length in bytes, its end included.
func (s *splitter) next() (line string, length int, ok bool) {
	if s.whole == "" {
		return "", 0, false
	}
	if s.clean {
		line, s.whole, _ = strings.Cut(s.whole, "\n")
		return line, len(line) + 1, true
	}
	end := strings.IndexAny(s.whole, "\r\n")
	length = end + 1
	if s.whole[end] == '\r' && length < len(s.whole) && s.whole[length] == '\n' {
		length++
	}
	line = strings.ToValidUTF8(s.whole[:end], "\uFFFD")
	s.whole = s.whole[length:]
	return line, length, true
}

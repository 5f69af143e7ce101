package file

import (
	"bytes"
	"strings"
)

// splitter makes lines of what is added piece by piece. Lines end with \n, \r\n or \r; what
// has no end yet waits.
type splitter struct{ rest []byte }

func (s *splitter) add(chunk []byte) { s.rest = append(s.rest, chunk...) }

// next returns a line and its length in bytes, its end included.
func (s *splitter) next() (line string, length int, ok bool) {
	end := bytes.IndexAny(s.rest, "\r\n")
	if end < 0 {
		return "", 0, false
	}
	length = end + 1
	if s.rest[end] == '\r' {
		if length == len(s.rest) {
			return "", 0, false // a \n may follow
		}
		if s.rest[length] == '\n' {
			length++
		}
	}
	line = strings.ToValidUTF8(string(s.rest[:end]), "\uFFFD")
	s.rest = s.rest[length:]
	return line, length, true
}

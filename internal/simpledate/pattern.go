package simpledate

import (
	"fmt"
	"strings"
	"time"
)

// Format is a compiled pattern. Immutable, so safe for concurrent use.
type Format struct {
	pattern  string
	items    []item
	location *time.Location // nil is the machine's
}

// item is either text to stand as it is, or a field: a pattern letter and how often it
// was repeated.
type item struct {
	text   string
	letter byte
	count  int
}

const letters = "GyMwWDdkHmsSEFaHhKzZYuXL"

// Compile reads a pattern for times in that location, nil for the machine's. The errors
// are Java's.
func Compile(pattern string, location *time.Location) (*Format, error) {
	f := &Format{pattern: pattern, location: location}
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			f.items = append(f.items, item{text: literal.String()})
			literal.Reset()
		}
	}
	quoted := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\'' && i+1 < len(pattern) && pattern[i+1] == '\'':
			literal.WriteByte('\'')
			i++
		case c == '\'':
			quoted = !quoted
		case quoted || !isLetter(c):
			literal.WriteByte(c)
		case strings.IndexByte(letters, c) < 0:
			return nil, fmt.Errorf("Illegal pattern character '%c'", c)
		default:
			flush()
			count := 1
			for i+1 < len(pattern) && pattern[i+1] == c {
				i++
				count++
			}
			if c == 'X' && count > 3 {
				return nil, fmt.Errorf("invalid ISO 8601 format: length=%d", count)
			}
			f.items = append(f.items, item{letter: c, count: count})
		}
	}
	if quoted {
		return nil, fmt.Errorf("Unterminated quote")
	}
	flush()
	return f, nil
}

func (f *Format) place() *time.Location {
	if f.location == nil {
		return time.Local
	}
	return f.location
}

// Pattern returns the pattern as it was given.
func (f *Format) Pattern() string { return f.pattern }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// numeric reports whether a field is read as a number, so that a number right before it
// must not take its digits.
func (it *item) numeric() bool {
	switch it.letter {
	case 0, 'G', 'E', 'a', 'z', 'Z', 'X':
		return false
	case 'M', 'L':
		return it.count <= 2
	}
	return true
}

var (
	months   = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	weekdays = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	halves   = []string{"AM", "PM"}
	eras     = []string{"BC", "AD"}
)

package values

import "strings"

// tokens cuts a text at : , { } [ ] and ", unless a backslash is before them. All
// between two of them is one token, blanks included.
type tokens struct {
	text     string
	at       int
	peeked   string
	hasPeek  bool
	previous string
}

// mark is the place of the next token, for rewind.
func (t *tokens) mark() int { return t.at - len(t.peeked) }

func (t *tokens) rewind(to int) { t.at, t.peeked, t.hasPeek, t.previous = to, "", false, "" }

func (t *tokens) more() bool { return t.hasPeek || t.at < len(t.text) }

func (t *tokens) next() string {
	if t.hasPeek {
		t.previous, t.peeked, t.hasPeek = t.peeked, "", false
	} else {
		t.previous = t.cut()
	}
	return t.previous
}

// nextFew returns the text of the next n tokens, or false, and takes nothing, when there
// are not as many.
func (t *tokens) nextFew(n int) (string, bool) {
	start := t.mark()
	for range n {
		if !t.more() {
			t.rewind(start)
			return "", false
		}
		t.next()
	}
	return t.text[start:t.at], true
}

func (t *tokens) cut() string {
	start, escaped := t.at, false
	for ; t.at < len(t.text); t.at++ {
		switch t.text[t.at] {
		case '\\':
			escaped = !escaped
		case ':', ',', '{', '}', '[', ']', '"':
			if escaped {
				escaped = false
				continue
			}
			if start == t.at {
				t.at++
			}
			return t.text[start:t.at]
		default:
			escaped = false
		}
	}
	return t.text[start:]
}

// take consumes the next token if it is the wanted one; blank tokens before it go too.
func (t *tokens) take(wanted string) bool {
	if !t.hasPeek {
		if !t.more() {
			return false
		}
		t.peeked, t.hasPeek = t.cut(), true
	}
	for blank(t.peeked) && t.at < len(t.text) {
		t.peeked = t.cut()
	}
	if trim(t.peeked) != wanted {
		return false
	}
	t.peeked, t.hasPeek = "", false
	return true
}

// trim is Java's String.trim.
func trim(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
}

func blank(text string) bool { return trim(text) == "" }

package provider

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Concealment puts references back where a text would show what they stand for: that may be
// a secret under any key. The zero value and nil conceal nothing. Safe for concurrent use.
type Concealment struct {
	mu    sync.Mutex // of those who add
	texts atomic.Pointer[concealedTexts]
}

// concealed is a text that may only be known by the reference that it came from.
type concealed struct{ resolved, written string }

// wordLength is how long a text has to be to be looked for everywhere. A shorter one, such as a
// number, is also part of what has nothing to do with it: it is found where it stands alone.
const wordLength = 6

// Add takes a configuration as it was written and without its references.
func (c *Concealment) Add(written, resolved map[string]string) {
	var more []concealed
	for key, value := range resolved {
		before := written[key]
		if value == before {
			continue
		}
		parts := map[string]bool{}
		for part := range strings.SplitSeq(before, ",") {
			parts[part] = true
		}
		add := func(written, text string) {
			// Errors name a whole value, one item of a list, or one line.
			for _, text := range slices.Concat([]string{text}, strings.Split(text, ","), lines(text)) {
				if text = strings.TrimSpace(text); !parts[text] {
					more = append(more, forms(text, written)...)
				}
			}
		}
		add(before, value)
		for _, one := range values(before, value) {
			add(one.written, one.resolved)
		}
	}
	c.add(more)
}

// Include takes what another one conceals.
func (c *Concealment) Include(other *Concealment) {
	if other == nil {
		return
	}
	if texts := other.texts.Load(); texts != nil {
		c.add(texts.list)
	}
}

func (c *Concealment) add(more []concealed) {
	if len(more) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &concealedTexts{}
	if now := c.texts.Load(); now != nil {
		more = slices.Concat(now.list, more)
	}
	// Longest first: a text may be part of another. Of two references that stand for the same,
	// the shorter one is what was replaced.
	slices.SortFunc(more, func(a, b concealed) int {
		return cmp.Or(cmp.Compare(len(b.resolved), len(a.resolved)), strings.Compare(a.resolved, b.resolved),
			cmp.Compare(len(a.written), len(b.written)), strings.Compare(a.written, b.written))
	})
	next.list = slices.CompactFunc(more, func(a, b concealed) bool { return a.resolved == b.resolved })
	next.index()
	c.texts.Store(next)
}

// forms are the ways in which a text is shown: as it is, and in quotes. What has neither letters
// nor digits and is short is punctuation, not a secret.
func forms(text, written string) []concealed {
	if text == "" || len(text) < wordLength && !strings.ContainsFunc(text, isWord) {
		return nil
	}
	out := []concealed{{text, written}}
	if quoted := strconv.Quote(text); quoted[1:len(quoted)-1] != text {
		out = append(out, concealed{quoted[1 : len(quoted)-1], written})
	}
	return out
}

// lines are those of a text with several that could be its own secret.
func lines(text string) (out []string) {
	if !strings.Contains(text, "\n") {
		return nil
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= wordLength && !strings.HasPrefix(line, "-----") {
			out = append(out, line)
		}
	}
	return out
}

// values are what the references in before stand for in value.
func values(before, value string) (out []concealed) {
	var pattern strings.Builder
	var written []string
	done := 0
	pattern.WriteString(`(?s)\A`)
	for ref := range references(before) {
		pattern.WriteString(regexp.QuoteMeta(before[done:ref.start]) + `(.*?)`)
		written = append(written, before[ref.start:ref.end])
		done = ref.end
	}
	pattern.WriteString(regexp.QuoteMeta(before[done:]) + `\z`)
	expression, err := regexp.Compile(pattern.String())
	if err != nil {
		return nil // of no valid UTF-8, or too long
	}
	found := expression.FindStringSubmatch(value)
	for i, text := range written {
		if found != nil && found[i+1] != text {
			out = append(out, concealed{found[i+1], text})
		}
	}
	return out
}

// Text is a message with the references in place.
func (c *Concealment) Text(message string) string {
	if c == nil {
		return message
	}
	texts := c.texts.Load()
	if texts == nil {
		return message
	}
	return texts.replace(message)
}

// concealedTexts do not change. A list may be of many items, and all that is said of each of
// them is searched for all: what is looked for is found by its length and text.
type concealedTexts struct {
	list     []concealed // longest first
	resolved map[string]*concealed
	lengths  [256][]int // of those that begin with a byte, longest first
	written  []string   // the references, each once
}

func (c *concealedTexts) index() {
	c.resolved = make(map[string]*concealed, len(c.list))
	written := map[string]bool{}
	for i := range c.list {
		t := &c.list[i]
		c.resolved[t.resolved] = t
		if lengths := &c.lengths[t.resolved[0]]; len(*lengths) == 0 || (*lengths)[len(*lengths)-1] != len(t.resolved) {
			*lengths = append(*lengths, len(t.resolved))
		}
		if !written[t.written] && strings.HasPrefix(t.written, "${") {
			written[t.written] = true
			c.written = append(c.written, t.written)
		}
	}
}

func (c *concealedTexts) replace(s string) string {
	var out strings.Builder
	done := 0
	for i := 0; i < len(s); {
		// What is concealed already stays, also if a reference contains what it stands for.
		if n := c.reference(s[i:]); n > 0 {
			i += n
			continue
		}
		t := c.at(s, i)
		if t == nil {
			i++
			continue
		}
		out.WriteString(s[done:i] + t.written)
		i += len(t.resolved)
		done = i
	}
	if done == 0 {
		return s
	}
	return out.String() + s[done:]
}

// reference is how long the reference is that s begins with, 0 if it begins with none.
func (c *concealedTexts) reference(s string) (length int) {
	if !strings.HasPrefix(s, "${") {
		return 0
	}
	for _, written := range c.written {
		if strings.HasPrefix(s, written) {
			length = max(length, len(written))
		}
	}
	return length
}

// at is the text that begins at s[i], nil if none does.
func (c *concealedTexts) at(s string, i int) *concealed {
	for _, n := range c.lengths[s[i]] {
		if i+n > len(s) {
			continue
		}
		if t := c.resolved[s[i:i+n]]; t != nil && (n >= wordLength || alone(s, i, i+n)) {
			return t
		}
	}
	return nil
}

// alone reports whether s[from:to] is no part of a longer word or name. A dot or dash joins
// names; one that nothing follows ends a sentence.
func alone(s string, from, to int) bool {
	before, size := utf8.DecodeLastRuneInString(s[:from])
	outer, _ := utf8.DecodeLastRuneInString(s[:from-size])
	if (isWord(before) && outer != '\\') || (isJoint(before) && isWord(outer)) {
		return false
	}
	after, size := utf8.DecodeRuneInString(s[to:])
	outer, _ = utf8.DecodeRuneInString(s[to+size:])
	return !isWord(after) && !(isJoint(after) && isWord(outer))
}

func isWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func isJoint(r rune) bool { return r == '.' || r == '-' }

// Error is an error whose text is err's with the references in place. What err wraps can
// still be found in it.
func (c *Concealment) Error(err error) error {
	if err == nil {
		return nil
	}
	text := c.Text(err.Error())
	if text == err.Error() {
		return err
	}
	return &concealedError{text, err}
}

type concealedError struct {
	text string
	err  error
}

func (e *concealedError) Error() string { return e.text }

func (e *concealedError) Unwrap() error { return e.err }

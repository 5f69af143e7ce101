package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// jaasEntry is the one login module of a sasl.jaas.config value.
type jaasEntry struct {
	module  string
	options map[string]string
}

// knownJAASOptions may be named in errors. Any other word might be a piece of a password whose quotes
// were forgotten.
var knownJAASOptions = []string{
	"username", "password", "tokenauth", "clientId", "clientSecret", "scope",
	"keyTab", "principal", "serviceName", "ticketCache", "useKeyTab", "useTicketCache", "storeKey",
}

// parseJAAS reads `module flag name=value ... ;`, one entry only, by the rules of Java's
// StreamTokenizer: values are words that begin with a letter, '_' or '$' or are quoted; numbers are no
// words; a lone '/' begins a comment. Errors never show the text.
func parseJAAS(text string) (*jaasEntry, error) {
	t := &jaasTokenizer{rest: text}
	var entries []*jaasEntry
	for t.next() != jaasEnd {
		entry, err := parseJAASEntry(t)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	switch len(entries) {
	case 0:
		return nil, errors.New("no login module is given; write `module required name=\"value\";`")
	case 1:
		return entries[0], nil
	}
	return nil, fmt.Errorf("%d login modules are given; write exactly one", len(entries))
}

func parseJAASEntry(t *jaasTokenizer) (*jaasEntry, error) {
	module, named := t.word, t.kind == jaasWord
	if t.next() == jaasEnd {
		return nil, errors.New("the control flag is missing behind the login module; write `required`")
	}
	flags := []string{"required", "requisite", "sufficient", "optional"}
	if !named || t.kind != jaasWord || !slices.Contains(flags, strings.ToLower(t.word)) {
		return nil, errors.New("a login module must be followed by its control flag: required, requisite, sufficient or optional")
	}
	entry := &jaasEntry{module: module, options: map[string]string{}}
	for t.next() != jaasEnd && t.kind != ';' {
		name := "an option"
		if t.kind == jaasWord && slices.Contains(knownJAASOptions, t.word) {
			name = "option " + t.word
		}
		key, isWord := t.word, t.kind == jaasWord
		if t.next() != '=' || t.next() != jaasWord || !isWord {
			return nil, fmt.Errorf("the value of %s cannot be read; write name=\"value\" with quotes, and a backslash before quotes and backslashes in it", name)
		}
		entry.options[key] = t.word
	}
	if t.kind != ';' {
		return nil, errors.New("the entry must end with a semicolon")
	}
	return entry, nil
}

const (
	jaasEnd    = rune(-1)
	jaasNumber = rune(-2)
	jaasWord   = rune(-3)
)

// jaasTokenizer splits text as a java.io.StreamTokenizer with both comment styles and '-', '_', '$'
// as word characters does.
type jaasTokenizer struct {
	rest string
	// kind is jaasEnd, jaasNumber, jaasWord, or an ordinary character as itself.
	kind rune
	word string
}

func (t *jaasTokenizer) peek() rune {
	if t.rest == "" {
		return jaasEnd
	}
	r, _ := utf8.DecodeRuneInString(t.rest)
	return r
}

func (t *jaasTokenizer) read() rune {
	if t.rest == "" {
		return jaasEnd
	}
	r, size := utf8.DecodeRuneInString(t.rest)
	t.rest = t.rest[size:]
	return r
}

func isJAASDigit(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == '-' }

func isJAASLetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '$' || r >= 0xA0
}

// next moves to the next token and returns its kind.
func (t *jaasTokenizer) next() rune {
	t.skipBlanksAndComments()
	t.word = ""
	r := t.read()
	switch {
	case r == jaasEnd:
		t.kind = jaasEnd
	case isJAASDigit(r):
		t.kind = t.number(r)
	case isJAASLetter(r):
		start := string(r)
		end := strings.IndexFunc(t.rest, func(r rune) bool { return !isJAASLetter(r) && !isJAASDigit(r) })
		if end < 0 {
			end = len(t.rest)
		}
		t.kind, t.word, t.rest = jaasWord, start+t.rest[:end], t.rest[end:]
	case r == '"' || r == '\'':
		t.kind, t.word = jaasWord, t.quoted(r)
	default:
		t.kind = r
	}
	return t.kind
}

func (t *jaasTokenizer) skipBlanksAndComments() {
	for {
		t.rest = strings.TrimLeftFunc(t.rest, func(r rune) bool { return r <= ' ' })
		if !strings.HasPrefix(t.rest, "/") {
			return
		}
		if body, ok := strings.CutPrefix(t.rest, "/*"); ok {
			_, t.rest, _ = strings.Cut(body, "*/")
			continue
		}
		end := strings.IndexAny(t.rest, "\r\n")
		if end < 0 {
			end = len(t.rest)
		}
		t.rest = t.rest[end:]
	}
}

// number skips a number. A hyphen without digits is an ordinary character.
func (t *jaasTokenizer) number(first rune) rune {
	if r := t.peek(); first == '-' && r != '.' && (r < '0' || r > '9') {
		return '-'
	}
	dots := 0
	if first == '.' {
		dots++
	}
	for {
		r := t.peek()
		if r == '.' && dots == 0 {
			dots++
		} else if r < '0' || r > '9' {
			return jaasNumber
		}
		t.read()
	}
}

// quoted reads up to the closing quote. The end of the line ends it, too, as in Java.
func (t *jaasTokenizer) quoted(quote rune) string {
	var b strings.Builder
	for {
		r := t.peek()
		if r == jaasEnd || r == '\n' || r == '\r' {
			return b.String()
		}
		t.read()
		switch r {
		case quote:
			return b.String()
		case '\\':
			if r = t.unescape(); r != jaasEnd {
				b.WriteRune(r)
			}
		default:
			b.WriteRune(r)
		}
	}
}

// unescape reads what follows a backslash: C's letters, up to three octal digits, or the character.
func (t *jaasTokenizer) unescape() rune {
	r := t.read()
	if i := strings.IndexRune("abfnrtv", r); i >= 0 {
		return rune("\a\b\f\n\r\t\v"[i])
	}
	if r < '0' || r > '7' {
		return r
	}
	digits := 2
	if r <= '3' {
		digits = 3
	}
	value := r - '0'
	for n := 1; n < digits && t.peek() >= '0' && t.peek() <= '7'; n++ {
		value = value*8 + t.read() - '0'
	}
	return value
}

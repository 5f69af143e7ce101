package jregex

import (
	"fmt"
	"strings"

	"github.com/dlclark/regexp2/v2"
)

// Replacer rewrites a string that a pattern matches, as Java code does with matches() and then
// replaceFirst(): the whole must match, but what is replaced is the first place that does.
type Replacer struct {
	whole *Pattern
	first *regexp2.Regexp
	parts []part
}

// part is a piece of the replacement: a text, or the text of a group.
type part struct {
	text  string
	group int // -1 for a text
}

// CompileReplacer compiles a pattern and Java's replacement text, in which $1 and ${name} stand for
// groups and a backslash takes the next character as it is. A bad replacement is refused here; Java
// refuses it with the first string that matches.
func CompileReplacer(pattern, replacement string) (*Replacer, error) {
	whole, err := Compile(pattern)
	if err != nil {
		return nil, err
	}
	counted, err := parse(pattern, 0)
	if err != nil {
		return nil, err
	}
	parsed, err := parse(pattern, counted.groups)
	if err != nil {
		return nil, err
	}
	parts, err := parseReplacement(replacement, parsed.groups, parsed.names)
	if err != nil {
		return nil, fmt.Errorf("invalid replacement %q: %w", replacement, err)
	}
	first, err := regexp2.Compile(parsed.out.full, regexp2.OptionMaintainCaptureOrder())
	if err != nil {
		return nil, &SyntaxError{Pattern: pattern, Reason: "the engine cannot run it: " + err.Error()}
	}
	first.MatchTimeout = matchTimeout
	return &Replacer{whole: whole, first: first, parts: parts}, nil
}

// Replace returns the rewritten string; ok is false when the pattern does not match all of s. The
// error is as in Pattern.Match.
func (r *Replacer) Replace(s string) (out string, ok bool, err error) {
	if ok, err = r.whole.Match(s); !ok {
		return s, false, err
	}
	m, err := r.first.FindStringMatch(s)
	if err != nil || m == nil {
		return s, false, err
	}
	at, length := m.ByteRange()
	var b strings.Builder
	b.WriteString(s[:at])
	for _, p := range r.parts {
		if p.group < 0 {
			b.WriteString(p.text)
		} else if g := m.GroupByNumber(p.group); g != nil {
			b.WriteString(g.String())
		}
	}
	b.WriteString(s[at+length:])
	return b.String(), true, nil
}

func parseReplacement(text string, groups int, names map[string]int) ([]part, error) {
	var parts []part
	var literal strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i == len(text) {
				return nil, fmt.Errorf("character to be escaped is missing")
			}
			literal.WriteByte(text[i])
		case '$':
			group, length, err := groupReference(text[i+1:], groups, names)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{literal.String(), -1}, part{group: group})
			literal.Reset()
			i += length
		default:
			literal.WriteByte(text[i])
		}
	}
	return append(parts, part{literal.String(), -1}), nil
}

// groupReference reads what follows a dollar sign. Of digits it takes as many as make the number of
// a group that there is.
func groupReference(text string, groups int, names map[string]int) (group, length int, err error) {
	if name, ok := strings.CutPrefix(text, "{"); ok {
		name, _, closed := strings.Cut(name, "}")
		if !closed {
			return 0, 0, fmt.Errorf("named capturing group is missing trailing '}'")
		}
		group, ok := names[name]
		if !ok {
			return 0, 0, fmt.Errorf("No group with name {%s}", name)
		}
		return group, len(name) + 2, nil
	}
	for length < len(text) && text[length] >= '0' && text[length] <= '9' {
		next := 10*group + int(text[length]-'0')
		if length > 0 && next > groups {
			break
		}
		group = next
		length++
	}
	switch {
	case length == 0:
		return 0, 0, fmt.Errorf("Illegal group reference")
	case group > groups:
		return 0, 0, fmt.Errorf("No group %d", group)
	}
	return group, length, nil
}

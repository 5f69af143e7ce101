package jregex

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// matchTimeout bounds one match on the backtracking engine. Java has no limit: a pattern such as
// ^(a+)+$ can block its thread for hours.
const matchTimeout = time.Second

// Pattern is a compiled Java pattern. It is safe for use by several goroutines. A nil Pattern
// matches nothing.
type Pattern struct {
	source string
	// fast is the pattern for printable ASCII input, nil if it needs the backtracking engine.
	fast *regexp.Regexp
	full *regexp2.Regexp
}

// SyntaxError says why a pattern cannot be compiled.
type SyntaxError struct {
	Pattern string
	// Position is the index of the character (not byte) near which the error was found.
	Position int
	Reason   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid regular expression %q: %s near position %d", e.Pattern, e.Reason, e.Position)
}

// Compile compiles a java.util.regex pattern. The error is a *SyntaxError.
func Compile(pattern string) (*Pattern, error) {
	counted, err := parse(pattern, 0)
	if err != nil {
		return nil, err
	}
	// The second pass knows all groups, so it can tell a reference to a later group from one to none.
	parsed, err := parse(pattern, counted.groups)
	if err != nil {
		return nil, err
	}
	p := &Pattern{source: pattern}
	if parsed.regular {
		// The engine refuses repetitions over 1000, which the other one does.
		if fast, err := regexp.Compile(`\A(?:` + parsed.out.fast + `)\z`); err == nil {
			p.fast = fast
		}
	}
	p.full, err = regexp2.Compile(`\A(?:`+parsed.out.full+`)\z`, regexp2.OptionMaintainCaptureOrder())
	if err != nil {
		return nil, &SyntaxError{Pattern: pattern, Reason: "the engine cannot run it: " + err.Error()}
	}
	p.full.MatchTimeout = matchTimeout
	return p, nil
}

// CompileList compiles the alternatives as one pattern, joined by '|' as MirrorMaker's filters do,
// so a flag such as (?i) in one holds for those behind it. An empty list gives a nil Pattern, which
// matches nothing.
func CompileList(patterns []string) (*Pattern, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	return Compile(strings.Join(patterns, "|"))
}

// String returns the pattern as it was given to Compile.
func (p *Pattern) String() string {
	if p == nil {
		return ""
	}
	return p.source
}

// MatchString says whether the whole of s matches. A match that exceeds the limits of the
// backtracking engine counts as none; Match tells the two apart.
func (p *Pattern) MatchString(s string) bool {
	matched, err := p.Match(s)
	return matched && err == nil
}

// Match says whether the whole of s matches. The error tells that a match was given up after a
// second or for its memory, which only patterns with nested repetition and look-around, possessive
// parts or back-references can cause.
func (p *Pattern) Match(s string) (bool, error) {
	if p == nil {
		return false, nil
	}
	if p.fast != nil && printableASCII(s) {
		return p.fast.MatchString(s), nil
	}
	matched, err := p.full.MatchString(s)
	if err != nil {
		return false, fmt.Errorf("regular expression %q on %q: %w", p.source, s, err)
	}
	return matched, nil
}

// printableASCII limits the fast path to input without line terminators and non-ASCII word
// characters, where ^, $ and \b mean the same to all engines. Topic names are always such.
func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

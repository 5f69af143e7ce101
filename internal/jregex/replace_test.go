package jregex_test

import (
	"testing"

	"tributary/internal/jregex"
)

// The results are those of java.util.regex in Java 17.
func TestReplacerRewritesTheFirstMatchOfWhatMatchesWhole(t *testing.T) {
	for _, c := range []struct {
		pattern, replacement, in, want string
		matches                        bool
	}{
		{"(.*)-prod", "$1", "orders-prod", "orders", true},
		{"(.*)-prod", "$1", "orders-test", "orders-test", false},
		{"a|ab", "x", "ab", "xb", true},
		{"(?<env>[a-z]+)\\.(\\d+)", "${env}_$2$0", "dev.12", "dev_12dev.12", true},
		{"(a)(b)?", "[$2]$11", "a", "[]a1", true},
		{".*", "\\$1\\\\", "t", "$1\\", true},
		{"é(.)", "$1", "éü", "ü", true},
	} {
		r, err := jregex.CompileReplacer(c.pattern, c.replacement)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := r.Replace(c.in); got != c.want || ok != c.matches || err != nil {
			t.Errorf("%s -> %s on %s: got %q, %t, %v; want %q", c.pattern, c.replacement, c.in, got, ok, err, c.want)
		}
	}
	for pattern, replacement := range map[string]string{"(a)": "$2", "a": "$x", "b": "\\", "c": "${x}", "(?<d>d)": "${d", "[": ""} {
		if _, err := jregex.CompileReplacer(pattern, replacement); err == nil {
			t.Errorf("%s -> %s was accepted", pattern, replacement)
		}
	}
}

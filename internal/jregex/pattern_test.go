package jregex

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
	"go.uber.org/goleak"
)

// stoppingClock ends the time-out clock of the backtracking engine before leaks are looked for.
type stoppingClock struct{ m *testing.M }

func (s stoppingClock) Run() int {
	defer regexp2.StopTimeoutClock()
	return s.m.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(stoppingClock{m}) }

// refused holds patterns that Java compiles and this package does not, by intent.
var refused = map[string]string{
	`[abc&&]`:       "&& in a character class needs",
	`[a&&&b]`:       "&& in a character class needs",
	`\p{InGreek}+`:  "Unicode blocks",
	`\N{DIGIT ONE}`: "not supported",
	`\Ga`:           "not supported",
	`(?iu)é`:        "the flag u",
	`(?u)a`:         "the flag u",
	`(?U)\w+`:       "the flag U",
}

type javaCase struct {
	pattern string
	results string // "error", or a digit for each input
}

func readJava(t *testing.T) (cases []javaCase, inputs []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "java17.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	unquote := func(s string) string {
		text, err := strconv.Unquote(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return text
	}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		fields := strings.Split(scanner.Text(), "\t")
		switch {
		case strings.HasPrefix(fields[0], "# "):
		case fields[0] == "inputs":
			for _, field := range fields[1:] {
				inputs = append(inputs, unquote(field))
			}
		default:
			cases = append(cases, javaCase{unquote(fields[0]), fields[1]})
		}
	}
	if len(cases) < 250 || len(inputs) < 100 {
		t.Fatalf("read only %d patterns and %d inputs", len(cases), len(inputs))
	}
	return cases, inputs
}

// TestMatchesAsJava compares some 290 patterns on some 130 inputs with Matcher.matches() of Java 17.
func TestMatchesAsJava(t *testing.T) {
	cases, inputs := readJava(t)
	for _, c := range cases {
		p, err := Compile(c.pattern)
		if reason, ok := refused[c.pattern]; ok {
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("Compile(%q): %v, want an error with %q", c.pattern, err, reason)
			}
			continue
		}
		if c.results == "error" {
			if err == nil {
				t.Errorf("Compile(%q) succeeds, Java refuses the pattern", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("Compile: %v; Java accepts the pattern", err)
			continue
		}
		for i, input := range inputs {
			want := c.results[i] == '1'
			if got := p.MatchString(input); got != want {
				t.Errorf("%q on %q: matches = %v, Java says %v", c.pattern, input, got, want)
			}
			// Both engines must agree wherever the fast one may be asked.
			if slow, err := p.full.MatchString(input); err != nil || slow != want {
				t.Errorf("%q on %q: backtracking engine says %v, %v, Java says %v", c.pattern, input, slow, err, want)
			}
		}
	}
}

func TestFastPathServesPlainFiltersOnly(t *testing.T) {
	for pattern, fast := range map[string]bool{
		"mm2.*\\.internal|.*\\.replica|__.*": true,
		"^orders-[a-z&&[^x]]+$":              true,
		"(?!__).*":                           false,
		"a*+":                                false,
		"(a)\\1":                             false,
		"(?>a)":                              false,
	} {
		p, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.fast != nil; got != fast {
			t.Errorf("%q runs on the fast engine: %v, want %v", pattern, got, fast)
		}
	}
}

func TestEmptyListMatchesNothing(t *testing.T) {
	p, err := CompileList(nil)
	if err != nil || p != nil {
		t.Fatalf("CompileList(nil) = %v, %v, want nil, nil", p, err)
	}
	for _, s := range []string{"", "a"} {
		if p.MatchString(s) {
			t.Errorf("the nil pattern matches %q", s)
		}
	}
	if p.String() != "" {
		t.Errorf("String of the nil pattern is %q", p.String())
	}
}

func TestListIsJoinedAsMirrorMakerDoes(t *testing.T) {
	p, err := CompileList([]string{"a", "(?i)b", "c.*"})
	if err != nil {
		t.Fatal(err)
	}
	for input, want := range map[string]bool{"a": true, "A": false, "B": true, "CX": true, "ab": false} {
		if got := p.MatchString(input); got != want {
			t.Errorf("%q on %q: %v, want %v", p, input, got, want)
		}
	}
	if _, err := CompileList([]string{"a", "b("}); err == nil || !strings.Contains(err.Error(), `"a|b("`) {
		t.Errorf("error %v must name the joined pattern", err)
	}
}

func TestRunawayBacktrackingIsGivenUp(t *testing.T) {
	p, err := Compile("(?=x*)(a+)+b")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	matched, err := p.Match(strings.Repeat("a", 60))
	if matched || err == nil {
		t.Errorf("Match = %v, %v, want an error", matched, err)
	}
	if took := time.Since(start); took > 20*matchTimeout {
		t.Errorf("giving up took %v", took)
	}
	if p.MatchString(strings.Repeat("a", 60)) {
		t.Error("a match that was given up must count as none")
	}
}

// FuzzCompile checks that no pattern panics, and that the two engines agree where both may run.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"[a-z&&[^x]]+", `\Qa\E*+`, "(?i)(a)\\1", "[[:alpha:]]", "(?x)a # b", "a{2,3}?", `\x{1F600}`} {
		f.Add(seed, "abc")
	}
	f.Fuzz(func(t *testing.T, pattern, input string) {
		p, err := Compile(pattern)
		if err != nil || p.fast == nil || !printableASCII(input) || len(input) > 20 || len(pattern) > 60 {
			return
		}
		slow, err := p.full.MatchString(input)
		if fast := p.fast.MatchString(input); err == nil && fast != slow {
			t.Errorf("%q on %q: fast engine %v, backtracking engine %v", pattern, input, fast, slow)
		}
	})
}

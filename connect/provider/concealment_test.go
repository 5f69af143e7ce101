package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func concealing(pairs ...string) *Concealment {
	written, resolved := map[string]string{}, map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		key := fmt.Sprint(i)
		written[key], resolved[key] = pairs[i], pairs[i+1]
	}
	c := &Concealment{}
	c.Add(written, resolved)
	return c
}

func TestConcealmentPutsReferencesBack(t *testing.T) {
	var c Concealment
	if got := c.Text("plain"); got != "plain" || c.Error(nil) != nil || c.Error(io.EOF) != io.EOF {
		t.Errorf("one without references makes %q", got)
	}
	if got := (*Concealment)(nil).Text("plain"); got != "plain" {
		t.Errorf("none makes %q", got)
	}
	c.Add(map[string]string{"a": "${env:A}", "l": "x,${env:L}", "n": "7"}, map[string]string{"a": "alpha", "l": "x,alphabet,beta", "n": "7"})
	c.Add(map[string]string{"b": "${env:B}"}, map[string]string{"b": "gamma"})
	for text, want := range map[string]string{
		"alpha":                 "${env:A}",
		"alphabet and x":        "${env:L} and x",
		"x,alphabet,beta; beta": "x,${env:L}; ${env:L}",
		"7 gamma":               "7 ${env:B}",
	} {
		if got := c.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	err := c.Error(fmt.Errorf("alpha: %w", io.EOF))
	if err.Error() != "${env:A}: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	var both Concealment
	both.Include(&c)
	both.Include(nil)
	if got := both.Text("alpha"); got != "${env:A}" {
		t.Errorf("what another one conceals became %q", got)
	}
}

func TestASecretInsideOfAValueIsConcealedByItself(t *testing.T) {
	c := concealing(
		`Module required username="${f:user}" password="${f:pw}";`, `Module required username="ann-of-here" password="s3cret-s3cret";`,
		"${f:q}", "with\"quote", "${f:pem}", "-----BEGIN-----\nMIIEvQIBADANBg\n-----END-----\n", "${none:x}-${f:z}", "${none:x}-zzzzzzzz",
	)
	for text, want := range map[string]string{
		`Module required username="ann-of-here" password="s3cret-s3cret";`: `Module required username="${f:user}" password="${f:pw}";`,
		"near s3cret-s3cret of ann-of-here":                                "near ${f:pw} of ${f:user}",
		fmt.Sprintf("%q", "with\"quote"):                                   `"${f:q}"`,
		"line 2: MIIEvQIBADANBg is no base64":                              "line 2: ${f:pem} is no base64",
		"a file begins with -----BEGIN-----":                               "a file begins with -----BEGIN-----",
		"${none:x} zzzzzzzz":                                               "${none:x} ${f:z}",
	} {
		if got := c.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// What a worker's log conceals was concealed by a task's before.
func TestWhatIsConcealedAlreadyStays(t *testing.T) {
	c := concealing("${f:/run/hushhush:pw}", "hushhush", "a ${f:key}", "a key")
	const once = "no login with ${f:/run/hushhush:pw} and ${f:key}"
	if got := c.Text("no login with hushhush and key"); got != once {
		t.Errorf("got %q", got)
	}
	if got := c.Text(once); got != once {
		t.Errorf("the second time: %q", got)
	}
	log := c.Logger(slog.New(slog.DiscardHandler))
	if c.Logger(log) != log {
		t.Error("a log that conceals is made to conceal twice")
	}
}

// A number or a common word may be a reference's, too.
func TestAShortValueIsConcealedWhereItStandsAloneOnly(t *testing.T) {
	c := concealing("${f:n}", "1", "${f:w}", "us", "${f:pw}", "pw-1", "${f:empty}", "", "${f:blank}", "  ", "${f:comma}", ",", "${f:sep}", "://")
	for text, want := range map[string]string{
		"line 12 of 1":           "line 12 of ${f:n}",
		"Invalid value 1: 1.":    "Invalid value ${f:n}: ${f:n}.",
		"host-1:9092, 127.0.0.1": "host-1:9092, 127.0.0.1",
		"the bus, us.orders, us": "the bus, us.orders, ${f:w}",
		"us->eu, a_us":           "${f:w}->eu, a_us",
		`password="pw-1"`:        `password="${f:pw}"`,
		`split\npw-1\nhere`:      `split\n${f:pw}\nhere`,
		"ann:pw-1@host":          "ann:${f:pw}@host",
		"a , b://c":              "a , b://c",
		"":                       "",
	} {
		if got := c.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

type point struct{ At string }

func TestALoggerConcealsWhateverIsLogged(t *testing.T) {
	var out bytes.Buffer
	var c Concealment
	log := c.Logger(slog.New(slog.NewTextHandler(&out, nil)).With("connector", "planted-one"))
	c.Add(map[string]string{"a": "${f:a}"}, map[string]string{"a": "planted-one"})
	const s = "is planted-one"
	text := s
	log.With("with", s).WithGroup("g").Error(s, "text", s, "error", errors.New(s), "bytes", []byte(s), "of", point{s}, "number", 7, "nil", nil,
		"map", map[string]string{"k": s}, "pointers", map[string]*string{"k": &text, "n": nil}, "any", map[string]any{"k": s, "e": errors.New(s), "n": 1},
		slog.Group("inner", "k", s), "list", []string{s})
	got := out.String()
	if n := strings.Count(got, "planted"); n != 1 || !strings.Contains(got, "connector=planted-one") {
		t.Errorf("the connector's name alone may be shown: %s", got)
	}
	if n := strings.Count(got, "is ${f:a}"); n != 11 {
		t.Errorf("%d references, want one in each place: %s", n, got)
	}
	if !strings.Contains(got, "g.number=7 ") || text != s {
		t.Errorf("what is no secret was changed: %s, %s", got, text)
	}
	if l := slog.New(slog.DiscardHandler); (*Concealment)(nil).Logger(l) != l {
		t.Error("no concealment makes another logger")
	}
}

func TestAConcealmentMayBeAskedWhileItGrows(t *testing.T) {
	var c Concealment
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 100 {
				value := fmt.Sprintf("planted-%d-%d", n, i)
				c.Add(map[string]string{"k": "${f:k}"}, map[string]string{"k": value})
				if got := c.Text(value); got != "${f:k}" {
					t.Errorf("%s became %s", value, got)
				}
			}
		})
	}
	group.Wait()
}

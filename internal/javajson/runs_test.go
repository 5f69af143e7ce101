package javajson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tributary/internal/javajson"
)

// Every character that ends a run, at every place of a word, before and behind every other.
func TestRunsEndWhereTheyShould(t *testing.T) {
	specials := []string{`"`, `\`, "\x00", "\x1f", "\n", " ", "!", "#", "[", "]", "\x7f", "\u0080", "\u00a0", "é", "\u2028", "\U0001F600"}
	for before := range 18 {
		for _, first := range specials {
			for between := range 9 {
				for _, second := range specials {
					text := strings.Repeat("a", before) + first + strings.Repeat("b", between) + second + "c"
					written := javajson.AppendString(nil, text)
					if want := escapedOneByOne(text); string(written) != want {
						t.Fatalf("%q: got %s, want %s", text, written, want)
					}
					// Others' escapes are read, too.
					standard, err := json.Marshal(text)
					if err != nil {
						t.Fatal(err)
					}
					for _, in := range [][]byte{written, standard} {
						if got, err := javajson.Parse(in); err != nil || got != text {
							t.Fatalf("%s: got %q, %v, want %q", in, got, err, text)
						}
						name := fmt.Appendf(nil, `{%s:%s, "last": %s}`, in, in, in)
						got, err := javajson.Parse(name)
						if fields, _ := got.(map[string]any); err != nil || fields[text] != text || fields["last"] != text {
							t.Fatalf("%s: got %v, %v", name, got, err)
						}
					}
					if second < " " { // bare, behind an escape or not
						bare := `"` + strings.Repeat("a", before) + strings.Repeat("b", between) + second + `"`
						if got, err := javajson.Parse([]byte(bare)); err == nil {
							t.Fatalf("%q was read as %q", bare, got)
						}
						if got, err := javajson.Parse([]byte(`"\n` + bare[1:])); err == nil {
							t.Fatalf("%q behind an escape was read as %q", bare, got)
						}
					}
				}
			}
		}
	}
}

// escapedOneByOne is AppendString without runs, by the rules of its first test.
func escapedOneByOne(s string) string {
	out := `"`
	for _, r := range s {
		out += strings.Trim(string(javajson.AppendString(nil, string(r))), `"`)
		if r == '"' {
			out += `"`
		}
	}
	return out + `"`
}

func TestAParserThatIsUsedAgainRemembersNothing(t *testing.T) {
	p, err := javajson.NewParser([]byte(`{"a":"\u00e9\n"`))
	if err != nil {
		t.Fatal(err)
	}
	first, err := p.Tree()
	if err == nil {
		t.Fatalf("half an object was read as %v", first)
	}
	for _, want := range []string{"\n", strings.Repeat("\t", 2<<20), "x\ny"} {
		in, _ := json.Marshal(want)
		if err := p.Reset(in); err != nil {
			t.Fatal(err)
		}
		got, err := p.String()
		if err != nil || got != want || !p.AtEnd() {
			t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(want))
		}
	}
	if err := p.Reset([]byte("\"\xff\"")); err == nil || !p.AtEnd() {
		t.Errorf("what is no UTF-8 was taken: %v", err)
	}
}

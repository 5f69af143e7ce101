package kafka

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readTSV returns the lines of a file in testdata, split at tabs, without its comments.
func readTSV(t *testing.T, name string) [][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# ") {
			lines = append(lines, strings.Split(line, "\t"))
		}
	}
	return lines
}

func unquote(t *testing.T, s string) string {
	t.Helper()
	text, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return text
}

// javaNullKey is read by Java into a nameless option that nothing can ask for. Here it is refused.
const javaNullKey = "a.B required 12=x;"

func TestJAASIsReadAsJavaReadsIt(t *testing.T) {
	lines := readTSV(t, "jaas_java17.tsv")
	if len(lines) < 90 {
		t.Fatalf("only %d cases", len(lines))
	}
	for _, fields := range lines {
		text := unquote(t, fields[0])
		got, err := parseJAAS(text)
		if fields[1] == "error" || text == javaNullKey {
			if err == nil {
				t.Errorf("%q is read as %v, Java refuses it", text, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v, Java reads it", text, err)
			continue
		}
		want := map[string]string{}
		for i := 4; i+1 < len(fields); i += 2 {
			want[unquote(t, fields[i])] = unquote(t, fields[i+1])
		}
		if module := unquote(t, fields[2]); got.module != module {
			t.Errorf("%q: module %q, want %q", text, got.module, module)
		}
		if diff := cmp.Diff(want, got.options); diff != "" {
			t.Errorf("%q: options differ (-java +go):\n%s", text, diff)
		}
	}
}

func TestJAASErrorsShowNoPartOfAPassword(t *testing.T) {
	for _, text := range []string{
		`m required username="u" password="hunter"two";`,
		`m required password=hunter@two;`,
		`m required password="hunter two`,
		`m hunter;`,
		`m required hunter two;`,
	} {
		_, err := parseJAAS(text)
		if err == nil {
			t.Errorf("%q is read", text)
			continue
		}
		for _, word := range []string{"hunter", "two"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("error %q shows %q", err, word)
			}
		}
	}
	_, err := parseJAAS(`m required password=1234;`)
	if err == nil || !strings.Contains(err.Error(), "option password") || !strings.Contains(err.Error(), "quotes") {
		t.Errorf("error %v must name the option and say that it needs quotes", err)
	}
}

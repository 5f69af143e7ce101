package properties

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestParseReadsWhatJavaReads compares with java.util.Properties of Java 17 on about 590 inputs.
func TestParseReadsWhatJavaReads(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "java17.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "#") {
			continue
		}
		cases++
		inHex, result, ok := strings.Cut(scanner.Text(), "\t")
		if !ok {
			t.Fatalf("no tab in %q", scanner.Text())
		}
		input := unhex(t, inHex)
		got, err := Parse(strings.NewReader(input))
		if result == "error" {
			if err == nil {
				t.Errorf("Parse(%q) = %q, Java refuses it", input, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v, Java reads it", input, err)
			continue
		}
		want := map[string]string{}
		for _, pair := range strings.Fields(result)[1:] {
			key, value, _ := strings.Cut(pair, "=")
			want[unhex(t, key)] = unhex(t, value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) differs from Java (-java +go):\n%s", input, diff)
		}
	}
	if cases < 500 {
		t.Fatalf("only %d cases read", cases)
	}
}

func TestLoadNamesFileAndLineOfAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mm2.properties")
	content := "# comment\r\nclusters = A, B\r\npassword = secret\\\r\n  more\\u12\r\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("Load: %v, want a SyntaxError", err)
	}
	if syntax.File != path || syntax.Line != 4 {
		t.Errorf("error names %s:%d, want %s:4", syntax.File, syntax.Line, path)
	}
	if !strings.HasPrefix(err.Error(), path+":4: ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error text %q must begin with file and line and hold no value", err)
	}
}

func TestLoadReadsAFileAndKeepsPlaceholders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "${HOME}.properties")
	if err := os.WriteFile(path, []byte("a=${file:/x:y}\nb=caf\xe9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "${file:/x:y}", "b": "café"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadNamesAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.properties")
	_, err := Load(path)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Load of a missing file: %v, want ErrNotExist with the path", err)
	}
}

// FuzzParse checks that no input panics and that what the pre-pass lets through, the lexer accepts:
// an error of the lexer would leak its goroutine.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a=b\\\r\n c", "\\", "=v", "a=\\uD83D\\uDE00", "a=\\u12", "\\\n#c\n\\\n", "a\\ b\x00=\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		_, err := Parse(bytes.NewReader(input))
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1) {
			t.Fatalf("Parse(%q): %v is not a SyntaxError with a line", input, err)
		}
	})
}

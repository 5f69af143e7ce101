package provider

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// javaAnswers is testdata/java17.json: what Kafka's ConfigTransformer and its three providers answer.
type javaAnswers struct {
	Env   map[string]string
	Links map[string]string
	Files map[string]fileText
	Cases []struct {
		Name          string
		Props, Config map[string]string
		// Error is "new" or "resolve", empty if Want holds the answer.
		Error string
		Want  map[string]string
	}
	// Grammar holds values and what became of them (nil for an error), with the providers env
	// (variables) and e (directories).
	Grammar [][2]*string
	// Properties holds the texts of files and all that FileConfigProvider finds in them.
	Properties []struct {
		fileText
		Error bool
		Want  map[string]string
	}
}

// fileText is a file's text, or its bytes if they are not UTF-8.
type fileText struct {
	Text   string
	Base64 []byte
}

func (f fileText) bytes() []byte {
	if f.Base64 != nil {
		return f.Base64
	}
	return []byte(f.Text)
}

func readJavaAnswers(t *testing.T) javaAnswers {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "java17.json"))
	if err != nil {
		t.Fatal(err)
	}
	var answers javaAnswers
	if err := json.Unmarshal(data, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

// lay makes the files, links and variables of the answers and returns the directory.
func (a javaAnswers) lay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range a.Files {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), text.bytes())
	}
	for name, target := range a.Links {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range a.Env {
		t.Setenv(name, value)
	}
	return dir
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func replaceAll(m map[string]string, from, to string) map[string]string {
	out := make(map[string]string, len(m))
	for key, value := range m {
		out[key] = strings.ReplaceAll(value, from, to)
	}
	return out
}

func TestResolveAnswersAsJavaDoes(t *testing.T) {
	answers := readJavaAnswers(t)
	dir := answers.lay(t)
	if len(answers.Cases) < 90 {
		t.Fatalf("only %d cases read", len(answers.Cases))
	}
	for _, c := range answers.Cases {
		t.Run(c.Name, func(t *testing.T) {
			providers, err := New(replaceAll(c.Props, "@DIR@", dir))
			if (err != nil) != (c.Error == "new") {
				t.Fatalf("New: %v; Java's error: %q", err, c.Error)
			}
			if err != nil {
				return
			}
			got, err := providers.Resolve(replaceAll(c.Config, "@DIR@", dir))
			if (err != nil) != (c.Error == "resolve") {
				t.Fatalf("Resolve: %v; Java's error: %q", err, c.Error)
			}
			if diff := cmp.Diff(c.Want, replaceAll(got, dir, "@DIR@")); err == nil && diff != "" {
				t.Errorf("differs from Java (-java +go):\n%s", diff)
			}
		})
	}
}

func TestResolveFindsTheReferencesThatJavaFinds(t *testing.T) {
	answers := readJavaAnswers(t)
	answers.lay(t)
	if len(answers.Grammar) < 400 {
		t.Fatalf("only %d cases read", len(answers.Grammar))
	}
	providers := mustNew(t, map[string]string{
		"config.providers":           "env,e",
		"config.providers.env.class": javaPackage + "EnvVarConfigProvider",
		"config.providers.e.class":   javaPackage + "DirectoryConfigProvider",
	})
	for _, c := range answers.Grammar {
		value, want := *c[0], c[1]
		got, err := providers.Resolve(map[string]string{"k": value})
		switch {
		case (err != nil) != (want == nil):
			t.Errorf("Resolve(%q): %v; Java refuses it: %v", value, err, want == nil)
		case err == nil && got["k"] != *want:
			t.Errorf("Resolve(%q) = %q, in Java %q", value, got["k"], *want)
		}
	}
}

func TestFileReadsPropertiesInUTF8AsJavaDoes(t *testing.T) {
	answers := readJavaAnswers(t)
	if len(answers.Properties) < 400 {
		t.Fatalf("only %d cases read", len(answers.Properties))
	}
	for _, c := range answers.Properties {
		got, err := parseUTF8Properties(c.bytes())
		if (err != nil) != c.Error {
			t.Errorf("parse %q: %v; Java refuses it: %v", c.bytes(), err, c.Error)
			continue
		}
		if diff := cmp.Diff(c.Want, got); err == nil && diff != "" {
			t.Errorf("parse %q differs from Java (-java +go):\n%s", c.bytes(), diff)
		}
	}
}

func mustNew(t *testing.T, props map[string]string) *Providers {
	t.Helper()
	p, err := New(props)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

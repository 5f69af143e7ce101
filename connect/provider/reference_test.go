package provider

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// javaReference is Kafka's own expression for a reference.
var javaReference = regexp.MustCompile(`\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`)

// FuzzReferences compares the scanner with Kafka's expression.
func FuzzReferences(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "${env:A}", "${file:/a/b.properties:k}", "${a:b:c:d}", "${::}", "${:}", "${}", "${a}",
		"${a${b:c}", "${a}${b:c}", "${a:b}}${c:d}", "$${a:b}", "${a:${b:c}}", "${a\n:b\nc}", "${a:b", "}${", "\xff${\xfe:\xfd}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var want []reference
		for _, m := range javaReference.FindAllStringSubmatchIndex(value, -1) {
			ref := reference{start: m[0], end: m[1], provider: value[m[2]:m[3]], key: value[m[8]:m[9]]}
			if m[6] >= 0 {
				ref.path = value[m[6]:m[7]]
			}
			want = append(want, ref)
		}
		if got := slices.Collect(references(value)); !slices.Equal(got, want) {
			t.Errorf("references(%q) = %+v, Kafka's expression finds %+v", value, got, want)
		}
	})
}

// FuzzResolveChangesReferencesAlone checks that text outside of references and references to unknown
// providers survive byte by byte.
func FuzzResolveChangesReferencesAlone(f *testing.F) {
	f.Add("a${known:x}b${other:y}c")
	f.Add("${known:${known:x}}")
	p := &Providers{sources: map[string]source{"known": echo{}}}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := p.Resolve(map[string]string{"k": value})
		if err != nil {
			t.Fatal(err)
		}
		want := javaReference.ReplaceAllStringFunc(value, func(text string) string {
			m := javaReference.FindStringSubmatch(text)
			if m[1] != "known" {
				return text
			}
			return "<" + m[3] + "|" + m[4] + ">"
		})
		if got["k"] != want {
			t.Errorf("Resolve(%q) = %q, want %q", value, got["k"], want)
		}
	})
}

// FuzzCleanStaysBelowTheAllowedPath checks that no text of a path leads out of it.
func FuzzCleanStaysBelowTheAllowedPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "/a/b/../c", "/a/bc", "/a/b/./x//y", "../a/b", "/a/b/..\x00", "/../a/b/x/"} {
		f.Add(seed)
	}
	allowed := allowedPaths{limited: true, roots: []string{"/a/b"}}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok, err := allowed.clean(path)
		if err != nil || !ok {
			if got != "" {
				t.Errorf("clean(%q) refuses and answers %q", path, got)
			}
			return
		}
		if got != "/a/b" && !strings.HasPrefix(got, "/a/b/") || slices.Contains(strings.Split(got, "/"), "..") {
			t.Errorf("clean(%q) = %q, which is outside /a/b", path, got)
		}
	})
}

// echo answers every key with the path and the key.
type echo struct{}

func (echo) lookup(path string, keys []string) (map[string]string, Reason, error) {
	values := map[string]string{}
	for _, key := range keys {
		values[key] = "<" + path + "|" + key + ">"
	}
	return values, MissingKey, nil
}

package provider

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"
)

// allThree describes file, dir and env.
func allThree() map[string]string {
	return map[string]string{
		"config.providers":            "file,dir,env",
		"config.providers.file.class": "FileConfigProvider",
		"config.providers.dir.class":  "DirectoryConfigProvider",
		"config.providers.env.class":  "EnvVarConfigProvider",
	}
}

func TestWithoutProvidersTheConfigurationIsCopied(t *testing.T) {
	for _, list := range []string{"", "  "} {
		p := mustNew(t, map[string]string{"config.providers": list, "group.id": "g"})
		config := map[string]string{"a": "${env:HOME}", "b": "", "config.providers": "x"}
		got, err := p.Transform(t.Context(), "c", config)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(config, got); diff != "" {
			t.Errorf("config (-want +got):\n%s", diff)
		}
		got["a"] = "changed"
		if config["a"] != "${env:HOME}" {
			t.Error("the result shares its map with the argument")
		}
	}
}

func TestDefinitionsOfProvidersAreNotResolved(t *testing.T) {
	t.Setenv("TRIBUTARY_ONE", "1")
	config := allThree()
	config["config.providers.file.param.note"] = "${env:TRIBUTARY_ONE}"
	config["config.providers.dir.param.note"] = "${env:a path:is an error}"
	config["config.providerspath"] = "${env:TRIBUTARY_ONE}"
	p := mustNew(t, config).Reporting(func(string, []Unresolved) { t.Error("a definition is reported") })
	want := maps.Clone(config)
	want["config.providerspath"] = "1"
	got, err := p.Resolve(config)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestUnresolvedReferencesAreReportedInOrder(t *testing.T) {
	t.Setenv("TRIBUTARY_ONE", "1")
	dir := t.TempDir()
	path := filepath.Join(dir, "in", "s.properties")
	writeFile(t, path, []byte("user=alice\n"))
	writeFile(t, filepath.Join(dir, "out.properties"), []byte("user=mallory\n"))
	props := allThree()
	props["config.providers.file.param.allowed.paths"] = filepath.Join(dir, "in")

	type report struct {
		Connector string
		Left      []Unresolved
	}
	var got []report
	p := mustNew(t, props).Reporting(func(connector string, left []Unresolved) { got = append(got, report{connector, left}) })
	config := map[string]string{
		"b.all":      "${file:" + path + ":user}${env:TRIBUTARY_ONE}",
		"a.missing":  "${env:TRIBUTARY_NONE} ${file:" + path + ":none}",
		"c.path":     "${file:" + filepath.Join(dir, "in", "..", "out.properties") + ":user}${file:" + dir + "/in/../out.properties:user}${dir:" + path + ":user}${dir:user}",
		"d.unknown":  "${vault:secret/db:password}",
		"e.password": "pa$${w0rd! it is:secret:really}",
	}
	if _, err := p.Transform(t.Context(), "mirror", config); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve(map[string]string{"k": "${env:TRIBUTARY_NONE}"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve(map[string]string{"k": "${env:TRIBUTARY_ONE}"}); err != nil {
		t.Fatal(err)
	}
	want := []report{
		{"mirror", []Unresolved{
			{"a.missing", "env", "", "TRIBUTARY_NONE", MissingKey},
			{"a.missing", "file", path, "none", MissingKey},
			{"c.path", "file", filepath.Join(dir, "out.properties"), "user", NotAllowed},
			{"c.path", "file", dir + "/in/../out.properties", "user", NotAllowed},
			{"c.path", "dir", path, "user", NotADirectory},
			{"c.path", "dir", "", "user", NoPath},
			{Config: "d.unknown", Provider: "vault", Reason: UnknownProvider},
			{Config: "e.password", Reason: UnknownProvider},
		}},
		{"", []Unresolved{{"k", "env", "", "TRIBUTARY_NONE", MissingKey}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestErrorsNameProviderPathAndKeysAndNoValue(t *testing.T) {
	const secret = "hunter2"
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, at("escape.properties"), []byte("a="+secret+"\nb="+secret+"\\u00"+secret+"\n"))
	writeFile(t, at("latin1.properties"), []byte("a="+secret+"\xe9\n"))
	writeFile(t, at("token"), []byte(secret+"\xff"))
	p := mustNew(t, allThree())
	_, err := p.Resolve(map[string]string{
		"1": secret + "${file:" + at("escape.properties") + ":b}${file:" + at("escape.properties") + ":a}",
		"2": "${file:" + at("latin1.properties") + ":a}" + secret,
		"3": "${file:" + at("none") + ":a}",
		"4": "${dir:" + dir + ":token}",
		"5": "${env:prod:TOKEN}",
		"6": "${file:" + at("escape.properties") + ":a}",
	})
	all, ok := errors.AsType[*multierror.Error](err)
	if !ok {
		t.Fatalf("Resolve: %v (%T), want a multierror", err, err)
	}
	var got []string
	for _, e := range all.Errors {
		got = append(got, strings.ReplaceAll(e.Error(), dir, "DIR"))
	}
	want := []string{
		`config provider dir cannot look up "token" at path "DIR": file "token": the text is not valid UTF-8`,
		`config provider env cannot look up "TOKEN" at path "prod": environment variables have no path; write ${provider:NAME}`,
		`config provider file cannot look up "a", "b" at path "DIR/escape.properties": line 2: malformed \uXXXX escape: write four hexadecimal digits after \u, or \\u for a backslash and a u`,
		`config provider file cannot look up "a" at path "DIR/latin1.properties": the text is not valid UTF-8`,
		`config provider file cannot look up "a" at path "DIR/none": no such file or directory`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error holds a value: %v", err)
	}
	if lookup, ok := errors.AsType[*LookupError](err); !ok || lookup.Provider != "dir" || lookup.Path != dir {
		t.Errorf("first LookupError is %+v", lookup)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause of a missing file is lost")
	}
}

func TestEachResolveReadsAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.properties")
	p := mustNew(t, allThree())
	for _, value := range []string{"old", "new"} {
		writeFile(t, path, []byte("k="+value+"\n"))
		writeFile(t, filepath.Join(dir, "token"), []byte(value))
		t.Setenv("TRIBUTARY_ONE", value)
		got, err := p.Resolve(map[string]string{"k": "${file:" + path + ":k} ${dir:" + dir + ":token} ${env:TRIBUTARY_ONE}"})
		if err != nil {
			t.Fatal(err)
		}
		if want := value + " " + value + " " + value; got["k"] != want {
			t.Errorf("got %q, want %q", got["k"], want)
		}
	}
}

func TestTransformHeedsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := mustNew(t, allThree())
	if got, err := p.Transform(ctx, "c", map[string]string{"k": "${env:HOME}"}); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("Transform = %v, %v; want context.Canceled", got, err)
	}
}

func TestProvidersServeSeveralGoroutines(t *testing.T) {
	t.Setenv("TRIBUTARY_ONE", "1")
	path := filepath.Join(t.TempDir(), "s.properties")
	writeFile(t, path, []byte("k=v\n"))
	props := allThree()
	props["config.providers.env.param.allowlist.pattern"] = "TRIBUTARY_.*"
	p := mustNew(t, props)
	config := map[string]string{"k": "${file:" + path + ":k}${env:TRIBUTARY_ONE}${env:HOME}"}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				got, err := p.Transform(t.Context(), "c", config)
				if err != nil || got["k"] != "v1${env:HOME}" {
					t.Errorf("Transform = %v, %v", got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

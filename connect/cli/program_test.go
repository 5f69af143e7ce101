package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"

	"tributary/internal/buildinfo"
	"tributary/internal/logging"
)

func TestArgumentsDecideWhetherTheProgramRuns(t *testing.T) {
	for _, test := range []struct {
		args           string
		code           int
		done           bool
		stdout, stderr string
	}{
		{"worker.properties", ExitOK, false, "", ""},
		{"--version", ExitOK, true, "tool " + buildinfo.Version + " (commit " + buildinfo.Commit + ")\n", ""},
		{"--version worker.properties", ExitOK, true, "tool " + buildinfo.Version + " (commit " + buildinfo.Commit + ")\n", ""},
		{"", ExitUsage, true, "", "tool: expected \"<file>\"\nTry tool --help.\n"},
		{"a b", ExitUsage, true, "", "tool: unexpected argument b\nTry tool --help.\n"},
		{"--nonsense a", ExitUsage, true, "", "tool: unknown flag --nonsense\nTry tool --help.\n"},
	} {
		var stdout, stderr bytes.Buffer
		var grammar struct {
			Version Version `help:"Print the version and exit."`
			File    string  `arg:""`
		}
		code, done := NewProgram(WithOutput(&stdout, &stderr)).Parse("tool", "Does it.", &grammar, strings.Fields(test.args))
		got := fmt.Sprint(code, done, stdout.String(), stderr.String())
		if want := fmt.Sprint(test.code, test.done, test.stdout, test.stderr); got != want {
			t.Errorf("%q: got %q, want %q", test.args, got, want)
		}
	}
}

func TestTheExitCodeTellsWhatWentWrong(t *testing.T) {
	several := multierror.Append(nil, errors.New("a is wrong"), fmt.Errorf("flow x: %w", errors.New("b is wrong")))
	for _, test := range []struct {
		err   error
		code  int
		lines []string
	}{
		{nil, ExitOK, nil},
		{&ConfigError{errors.New("a is wrong")}, ExitConfig, []string{"ERROR a is wrong"}},
		{&ConfigError{several}, ExitConfig, []string{"ERROR a is wrong", "ERROR flow x: b is wrong"}},
		{fmt.Errorf("start: %w", &ConfigError{errors.New("a is wrong")}), ExitConfig, []string{"ERROR start: a is wrong"}},
		{errors.New("one line\nand another"), ExitFailed, []string{"ERROR one line", "ERROR and another"}},
	} {
		var out bytes.Buffer
		p := NewProgram(WithOutput(&out, &out))
		log, _ := logging.New(&out, logging.Options{})
		code := p.Main(log, func(context.Context) error { return test.err })
		var lines []string
		for line := range strings.Lines(out.String()) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), "] ")
			lines = append(lines, text)
		}
		if diff := cmp.Diff(test.lines, lines); diff != "" || code != test.code {
			t.Errorf("%v: code %d, want %d; lines: %s", test.err, code, test.code, diff)
		}
	}
}

func TestTheRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	p := NewProgram(WithContext(ctx), WithOutput(&out, &out))
	code := p.Main(p.Logger(), func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return nil
	})
	if code != ExitOK || out.Len() > 0 {
		t.Errorf("code %d, output %q", code, out.String())
	}
}

func TestAFileThatCannotBeReadIsExplained(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("a=1\nb=\\u00"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for path, want := range map[string]string{
		missing: "the properties file " + missing + " does not exist",
		dir:     "the properties file " + dir + " cannot be read: is a directory",
		bad:     bad + ":2: malformed",
	} {
		props, err := LoadProperties(path)
		if err == nil || !strings.HasPrefix(err.Error(), want) || props != nil {
			t.Errorf("%s: %v, %v; want %q", path, props, err, want)
		}
	}
}

func TestListsAreSplitAsKafkaDoes(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "b c", "d"}, List(" a, b c ,,d,")); diff != "" {
		t.Error(diff)
	}
	if got := List(" , "); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestKeysThatMeanNothingAreNamedWithTheReason(t *testing.T) {
	var out bytes.Buffer
	log, _ := logging.New(&out, logging.Options{})
	reportUnread(map[string]string{
		"bootstrap.servers": "a:1", "group.id": "g", "offset.storage.topic": "o", "offset.storage.segment.bytes": "1", "config.providers.x.class": "y",
		"producer.linger.ms": "5", "consumer.fetch.min.bytes": "1", "admin.request.timeout.ms": "1", "key.converter.schemas.enable": "false",
		"producer.lnger.ms": "5", "group.ld": "g", "plugin.path": "/plugins", "metrics.num.samples": "2", "metrics.recording.level": "DEBUG",
		"config.storage.partitions": "3", "internal.key.converter": "JsonConverter",
	}, WorkerKey, log)
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "] ")
		lines = append(lines, text)
	}
	want := []string{
		"WARN group.ld is not read by anything",
		"WARN internal.key.converter is not read by anything",
		"WARN producer.lnger.ms is not read by anything",
		"WARN config.storage.partitions has no effect: the config topic always has one partition",
		"WARN metrics.recording.level has no effect: metrics are served at /metrics",
		"WARN plugin.path has no effect: plugins are built in",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

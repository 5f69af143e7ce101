package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written is what log writes, with its time set to a fixed one.
func written(t *testing.T, opts Options, log func(l *slog.Logger)) string {
	t.Helper()
	var b bytes.Buffer
	l, _ := New(&b, opts)
	log(slog.New(fixedTime{l.Handler()}))
	return b.String()
}

type fixedTime struct{ slog.Handler }

func (f fixedTime) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Date(2026, 1, 31, 12, 0, 0, 7_000_000, time.UTC)
	return f.Handler.Handle(ctx, r)
}
func (f fixedTime) WithAttrs(a []slog.Attr) slog.Handler { return fixedTime{f.Handler.WithAttrs(a)} }
func (f fixedTime) WithGroup(n string) slog.Handler      { return fixedTime{f.Handler.WithGroup(n)} }

func TestLinesReadLikeJavas(t *testing.T) {
	const at = "[2026-01-31 12:00:00,007] "
	for want, log := range map[string]func(l *slog.Logger){
		"INFO Herder started": func(l *slog.Logger) { l.Info("Herder started") },
		"WARN [mirror] Slow ms=12 (worker)": func(l *slog.Logger) {
			Named(l, "worker").With("connector", "mirror").Warn("Slow", "ms", 12)
		},
		"ERROR [mirror|task-3] Failed error=\"it broke\" empty=\"\"": func(l *slog.Logger) {
			l.With("connector", "mirror", "task", 3).Error("Failed", "error", errors.New("it broke"), "empty", "")
		},
		"FATAL Stop": func(l *slog.Logger) { l.Log(context.Background(), Fatal, "Stop") },
		"TRACE All":  func(l *slog.Logger) { l.Log(context.Background(), Trace, "All") },
		"DEBUG g.a=1": func(l *slog.Logger) {
			l.Log(context.Background(), slog.LevelDebug, "g.a=1")
		},
		"INFO m x=1 g.y=2 g.connector=c g.h.z=\"a=b\" g.in.w=\"tab\\t\"": func(l *slog.Logger) {
			l.With("x", 1).WithGroup("g").With("y", 2, "connector", "c").Info("m", slog.Group("h", "z", "a=b"), slog.Group("in", slog.String("w", "tab\t")))
		},
		`INFO two\nlines v="two\nlines" (n\nn)`: func(l *slog.Logger) { Named(l, "n\nn").Info("two\nlines", "v", "two\nlines") },
		"INFO m when=2026-01-01T00:00:00Z took=1.5s level=ERROR list=\"[1 2]\"": func(l *slog.Logger) {
			l.Info("m", "when", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "took", 1500*time.Millisecond, "level", slog.LevelError, "list", []int{1, 2})
		},
	} {
		if got := written(t, Options{Level: All}, log); got != at+want+"\n" {
			t.Errorf("got  %swant %s%s", got, at, want)
		}
	}
}

func TestJSONHasTheSameLevelsAndSecrets(t *testing.T) {
	got := written(t, Options{Level: All, JSON: true}, func(l *slog.Logger) {
		Named(l, "n").With("connector", "c").Log(context.Background(), Trace, "m", "sasl.password", "p", slog.Group("g", "token", "p"), "config", map[string]string{"ssl.key.password": "p", "a": "b"})
	})
	want := `{"time":"2026-01-31T12:00:00.007Z","level":"TRACE","msg":"m","logger":"n","connector":"c","sasl.password":"[hidden]","g":{"token":"[hidden]"},"config":{"a":"b","ssl.key.password":"[hidden]"}}` + "\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheHandlersKeepSlogsContract(t *testing.T) {
	var b bytes.Buffer
	l, _ := New(&b, Options{JSON: true})
	err := slogtest.TestHandler(l.Handler(), func() []map[string]any {
		var all []map[string]any
		for line := range strings.Lines(b.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

type login struct{ user, password string }

func (l login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", l.user), slog.String("password", l.password))
}

func TestSecretsAreNeverWritten(t *testing.T) {
	const p = "pa55word"
	value := p
	for _, asJSON := range []bool{false, true} {
		got := written(t, Options{Level: All, JSON: asJSON}, func(l *slog.Logger) {
			l = l.With("Authorization", "Basic "+p).With("login", login{"u", p})
			l.WithGroup("ssl").Info("m", "keystore.password", p, "keystore.key", p)
			l.Info("m", "sasl.jaas.config", p, "aws_secret_access_key", p, "private.key", p, "session-key", p, "oauth_token", p,
				"config", map[string]string{"producer.override.sasl.jaas.config": p, "shown": "yes"},
				"raw", map[string]*string{"password": &value, "null": nil},
				"any", map[string]any{"client.secret": p}, slog.Group("g", slog.Group("h", "api-key", p)))
		})
		if strings.Contains(got, p) {
			t.Errorf("a secret in %s", got)
		}
		if strings.Count(got, "[hidden]") != 15 || !strings.Contains(got, "yes") {
			t.Errorf("%d hidden in %s", strings.Count(got, "[hidden]"), got)
		}
	}
	for _, key := range []string{"key", "topic", "generation", "key.converter", "offset", "tokens.max", "partition", "ssl.key.type"} {
		if IsSecret(key) {
			t.Errorf("%s is taken for a secret", key)
		}
	}
	if got := written(t, Options{Secret: func(k string) bool { return k == "x" }}, func(l *slog.Logger) { l.Info("m", "x", 1, "password", 2) }); !strings.HasSuffix(got, "m x=[hidden] password=2\n") {
		t.Error(got)
	}
}

func TestTheLongestNamespaceDecides(t *testing.T) {
	var b bytes.Buffer
	root, levels := New(&b, Options{Level: slog.LevelInfo})
	levels.Set("a.b", slog.LevelError)
	levels.Set("a.b.c", slog.LevelDebug)
	for name, want := range map[string]slog.Level{
		"": slog.LevelInfo, "a": slog.LevelInfo, "a.b": slog.LevelError, "a.bx": slog.LevelInfo, "a.b/x": slog.LevelError,
		"a.b.c": slog.LevelDebug, "a.b.c.d": slog.LevelDebug, "a.b.cd": slog.LevelError,
	} {
		l := root
		if name != "" {
			l = Named(root, name)
		}
		for _, level := range []slog.Level{Trace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, Fatal} {
			if got := l.With("x", 1).WithGroup("g").With(NameKey, "no name").Enabled(context.Background(), level); got != (level >= want) {
				t.Errorf("%s at %s: %v", name, LevelName(level), got)
			}
		}
	}
}

func TestSetChangesLoggersThatExistAndSaysWhich(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		root, levels := New(&b, Options{})
		ab, c := Named(root, "a.b"), Named(root, "c")
		expect := func(got, want []string) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		expect(levels.Set("a", slog.LevelDebug), []string{"a", "a.b"})
		began := time.Now()
		time.Sleep(time.Second)
		expect(levels.Set("a.b", slog.LevelDebug), []string{})
		expect(levels.Set("new", Off), []string{"new"})
		want := map[string]LoggerLevel{Root: {slog.LevelInfo, time.Time{}}, "a": {slog.LevelDebug, began}, "a.b": {slog.LevelDebug, began},
			"c": {slog.LevelInfo, time.Time{}}, "new": {Off, time.Now()}}
		if d := cmp.Diff(want, levels.All()); d != "" {
			t.Error(d)
		}
		expect(levels.Set(Root, slog.LevelDebug), []string{"c", "new", "root"})
		if got := slices.Collect(maps.Keys(levels.set)); !slices.Equal(got, []string{Root}) {
			t.Errorf("still set: %v", got)
		}
		ab.Debug("one")
		c.Debug("two")
		root.Debug("three")
		if n := strings.Count(b.String(), "\n"); n != 3 {
			t.Errorf("%d lines: %s", n, b.String())
		}
		if _, ok := levels.Get("nobody"); ok {
			t.Error("a logger that does not exist has a level")
		}
		if got, ok := levels.Get("a.b"); !ok || got != (LoggerLevel{slog.LevelDebug, began}) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestLevelNames(t *testing.T) {
	for _, name := range []string{"OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"} {
		level, err := ParseLevel(strings.ToLower(name))
		if err != nil || LevelName(level) != name {
			t.Errorf("%s: %v, %v", name, level, err)
		}
	}
	if got := LevelName(slog.LevelInfo + 1); got != "INFO" {
		t.Error(got)
	}
	if _, err := ParseLevel("LOUD"); err == nil || !strings.HasPrefix(err.Error(), "invalid log level 'LOUD'") {
		t.Error(err)
	}
}

// whole fails for a write that is not one line.
type whole struct {
	t     *testing.T
	lines int
}

func (w *whole) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) != 1 || !bytes.HasSuffix(p, []byte("\n")) {
		w.t.Errorf("wrote %q", p)
	}
	w.lines++
	return len(p), nil
}

func TestConcurrentRecordsAreWholeLines(t *testing.T) {
	w := &whole{t: t}
	root, levels := New(w, Options{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			l := Named(root, "n").With("a", 1)
			for range 100 {
				l.Info("m", "b", 2)
				levels.Set("other", slog.LevelDebug)
			}
		})
	}
	all.Wait()
	if w.lines != 800 {
		t.Errorf("%d lines", w.lines)
	}
}

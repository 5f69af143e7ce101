package provider

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watching is Watched with a file of secrets and what it asked to be restarted.
type watching struct {
	*Watched
	file string
	log  bytes.Buffer

	mu        sync.Mutex
	restarted []string
	gone      bool
}

func newWatching(t *testing.T, props map[string]string) *watching {
	t.Helper()
	w := &watching{file: filepath.Join(t.TempDir(), "secrets.properties")}
	all := allThree()
	for k, v := range props {
		all[k] = v
	}
	w.Watched = mustNew(t, all).Watched(slog.New(slog.NewTextHandler(&w.log, nil)))
	w.Notify(func(string) bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.gone },
		func(connector string) { w.mu.Lock(); defer w.mu.Unlock(); w.restarted = append(w.restarted, connector) })
	return w
}

func (w *watching) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *watching) transform(t *testing.T, config map[string]string) map[string]string {
	t.Helper()
	return w.transformFor(t.Context(), t, config)
}

// transformFor is transform for the instance that lives as long as ctx.
func (w *watching) transformFor(ctx context.Context, t *testing.T, config map[string]string) map[string]string {
	t.Helper()
	got, err := w.Transform(ctx, "c", config)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// after lets time pass, and returns what was restarted until then.
func (w *watching) after(d time.Duration) string {
	time.Sleep(d) // of the bubble
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.restarted, ",")
	w.restarted = nil
	return out
}

func TestAConnectorIsRestartedWhenWhatItWasGivenChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "60000"})
		w.write(t, "password=s3cret\nother=1\n")
		config := map[string]string{"connector.class": "X", "password": "${file:" + w.file + ":password}", "plain": "p"}
		if got := w.transform(t, config)["password"]; got != "s3cret" {
			t.Fatalf("got %s", got)
		}
		if got := w.after(3 * time.Minute); got != "" {
			t.Errorf("%s was restarted, though nothing has changed", got)
		}
		w.write(t, "password=s3cret\nother=2\n")
		if got := w.after(time.Minute); got != "" {
			t.Errorf("%s was restarted for a key that it does not have", got)
		}
		w.write(t, "password=n3w\nother=2\n")
		if got := w.after(time.Minute); got != "c" {
			t.Errorf("restarted was %q, want c", got)
		}
		// The restart looks it up again, which begins anew; until then there is no second one.
		if got := w.after(time.Hour); got != "" {
			t.Errorf("%s was restarted twice", got)
		}
		if got := w.transform(t, config)["password"]; got != "n3w" {
			t.Errorf("got %s", got)
		}
		w.write(t, "other=2\n") // the key is gone
		if got := w.after(time.Minute + time.Second); got != "c" {
			t.Errorf("restarted was %q, want c", got)
		}
		for _, secret := range []string{"s3cret", "n3w"} {
			if strings.Contains(w.log.String(), secret) || strings.Contains(fmt.Sprintf("%+v %+v", w.watches, w.Watched), secret) {
				t.Errorf("%s is shown or kept", secret)
			}
		}
	})
}

func TestWhoIsNotToBeRestartedIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "1000"})
		reference := "${file:" + w.file + ":k}"
		changes := func() string {
			w.write(t, fmt.Sprintf("k=%d\n", time.Now().UnixNano()))
			return w.after(2 * time.Second)
		}
		w.write(t, "k=1\n")
		w.transform(t, map[string]string{"connector.class": "X", "config.action.reload": "None", "a": reference})
		w.transform(t, map[string]string{"task.class": "T", "a": reference}) // a task's has not the connector's keys
		if got := changes(); got != "" {
			t.Errorf("%s was restarted in spite of config.action.reload=none", got)
		}
		w.transform(t, map[string]string{"connector.class": "X", "config.action.reload": "restart", "a": "1"})
		w.transform(t, map[string]string{"task.class": "T", "a": reference})
		if got := changes(); got != "c" {
			t.Errorf("restarted was %q, want c for its task's reference", got)
		}
		w.transform(t, map[string]string{"connector.class": "X", "a": reference})
		w.mu.Lock()
		w.gone = true
		w.mu.Unlock()
		if got := changes(); got != "" {
			t.Errorf("%s was restarted, though it is another worker's", got)
		}
		if len(w.watches) != 0 {
			t.Errorf("what left this worker is still watched: %v", w.watches)
		}
		// Environment variables have no ttl here, so nobody looks.
		t.Setenv("WATCHED", "1")
		w.gone = false
		w.transform(t, map[string]string{"connector.class": "X", "a": "${env:WATCHED}"})
		if len(w.watches) != 0 {
			t.Errorf("a provider without ttl.ms is watched: %v", w.watches)
		}
	})
}

func TestAReferenceThatIsNoLongerUsedIsNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "1000"})
		w.write(t, "old=1\nnew=1\ntask=1\n")
		reference := func(key string) string { return "${file:" + w.file + ":" + key + "}" }
		former, end := context.WithCancel(t.Context())
		w.transformFor(former, t, map[string]string{"connector.class": "X", "a": reference("old")})
		w.transformFor(former, t, map[string]string{"task.class": "T", "b": reference("task")})
		now, endNow := context.WithCancel(t.Context())
		defer endNow()
		w.transformFor(now, t, map[string]string{"connector.class": "X", "a": reference("new")})
		w.write(t, "old=2\nnew=1\ntask=1\n")
		end()
		if got := w.after(2 * time.Second); got != "" {
			t.Errorf("%s was restarted for what only a former instance was given", got)
		}
		w.transformFor(now, t, map[string]string{"connector.class": "X", "a": "1"})
		w.write(t, "old=2\nnew=2\ntask=2\n")
		if got := w.after(2 * time.Second); got != "" {
			t.Errorf("%s was restarted for what its configuration does not have any more", got)
		}
		if len(w.watches) != 0 {
			t.Errorf("watched without references: %v", w.watches)
		}
	})
}

func TestATaskThatStartsAgainDoesNotHideAChangeFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "60000"})
		w.write(t, "k=1\n")
		config := map[string]string{"connector.class": "X", "a": "${file:" + w.file + ":k}"}
		w.transform(t, config) // what runs on
		w.write(t, "k=2\n")
		again := func() {
			ctx, end := context.WithCancel(t.Context())
			w.transformFor(ctx, t, config)
			end()
		}
		for range 2 { // nor does one that starts more often than anybody looks put the look off
			again()
			if got := w.after(25 * time.Second); got != "" {
				t.Errorf("%s was restarted early", got)
			}
		}
		again()
		if got := w.after(25 * time.Second); got != "c" {
			t.Errorf("restarted was %q, want c", got)
		}
	})
}

func TestATaskThatHasFailedWaitsForAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "1000"})
		w.write(t, "k=1\n")
		ctx, end := context.WithCancel(t.Context())
		w.transformFor(ctx, t, map[string]string{"connector.class": "X", "a": "${file:" + w.file + ":k}"})
		end()
		if got := w.after(5 * time.Second); got != "" {
			t.Errorf("%s was restarted, though nothing has changed", got)
		}
		w.write(t, "k=2\n")
		if got := w.after(time.Second); got != "c" {
			t.Errorf("restarted was %q, want c", got)
		}
	})
}

func TestAFileThatCannotBeReadForAWhileChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatching(t, map[string]string{"config.providers.file.param.ttl.ms": "1000"})
		w.write(t, "k=1\n")
		w.transform(t, map[string]string{"connector.class": "X", "a": "${file:" + w.file + ":k}"})
		if err := os.Rename(w.file, w.file+".gone"); err != nil {
			t.Fatal(err)
		}
		if got := w.after(2500 * time.Millisecond); got != "" {
			t.Errorf("%s was restarted", got)
		}
		if n := strings.Count(w.log.String(), "cannot be read again; the connector goes on with what it has"); n != 2 {
			t.Errorf("said %d times, want once a look: %s", n, w.log.String())
		}
		w.write(t, "k=2\n")
		if got := w.after(time.Second); got != "c" {
			t.Errorf("restarted was %q, want c", got)
		}
	})
}

func TestAWrongTTLIsNamed(t *testing.T) {
	for _, wrong := range []string{"0", "-1", "1h", "", "9223372036854775807"} {
		props := allThree()
		props["config.providers.dir.param.ttl.ms"] = wrong
		_, err := New(props)
		want := fmt.Sprintf("config.providers.dir.param.ttl.ms: %q must be a number of milliseconds, at least 1", wrong)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

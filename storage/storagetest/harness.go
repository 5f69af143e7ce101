package storagetest

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tributary/storage"
)

// patience bounds every wait. Nothing takes that long unless it is broken.
const patience = 30 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
	}
}

// listener writes down the events it is told, and notices when two are told at once.
type listener struct {
	busy   atomic.Bool
	mu     sync.Mutex
	events []string
}

func (l *listener) hear(format string, args ...any) {
	if !l.busy.CompareAndSwap(false, true) {
		format, args = "TWO CALLS AT ONCE", nil
	}
	l.mu.Lock()
	l.events = append(l.events, fmt.Sprintf(format, args...))
	l.mu.Unlock()
	runtime.Gosched() // room for another call
	l.busy.Store(false)
}

func (l *listener) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *listener) ConnectorConfigUpdated(connector string)  { l.hear("config %s", connector) }
func (l *listener) ConnectorConfigRemoved(connector string)  { l.hear("removed %s", connector) }
func (l *listener) TaskConfigsUpdated(connector string)      { l.hear("tasks %s", connector) }
func (l *listener) TargetStateChanged(connector string)      { l.hear("target %s", connector) }
func (l *listener) SessionKeyUpdated(key storage.SessionKey) { l.hear("key %x", key.Key) }
func (l *listener) RestartRequested(r storage.RestartRequest) {
	l.hear("restart %s %t %t", r.Connector, r.IncludeTasks, r.OnlyFailed)
}
func (l *listener) LoggerLevelChanged(namespace, level string) {
	l.hear("level %s %s", namespace, level)
}

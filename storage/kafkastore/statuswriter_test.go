package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

var errAway = &kafka.ConnectionError{Addr: "broker:9092", Reason: "refuses connections"}

// broker is where a statusWriter sends to: it answers each try with the next of its
// answers, the last one for ever, and writes down what it acknowledged.
type broker struct {
	mu      sync.Mutex
	gate    chan struct{} // nil, or open while it is busy
	answers []error
	tries   int
	log     []string
}

func (b *broker) send(_ context.Context, record *kafka.Record, done func(kafka.Metadata, error)) error {
	b.mu.Lock()
	gate := b.gate
	b.mu.Unlock()
	if gate != nil {
		<-gate
	}
	b.mu.Lock()
	err := b.answers[min(b.tries, len(b.answers)-1)]
	b.tries++
	if err == nil {
		b.log = append(b.log, fmt.Sprintf("%s=%s", record.Key, record.Value))
	}
	b.mu.Unlock()
	done(kafka.Metadata{}, err)
	return nil
}

// busy holds up the next tries until the function it returns is called.
func (b *broker) busy() (free func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = make(chan struct{})
	return func() { close(b.gate) }
}

func (b *broker) becomes(answers ...error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers, b.tries = answers, 0
}

func (b *broker) wrote() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.log, " ")
}

func withWriter(t *testing.T, test func(t *testing.T, w *statusWriter, b *broker, put func(key, value string, with statusWrite))) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{answers: []error{nil}}
		w := newStatusWriter(slog.New(slog.DiscardHandler), b.send, func(n int) time.Duration { return time.Duration(min(100<<n, 1000)) * time.Millisecond })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.run(ctx) }()
		defer func() { cancel(); <-ended; w.stop() }()
		test(t, w, b, func(key, value string, with statusWrite) {
			with.record = &kafka.Record{Key: []byte(key), Value: []byte(value)}
			w.put(&with)
		})
	})
}

func TestAStatusIsRetriedUntilTheBrokerTakesIt(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errAway, errAway, errAway, nil)
		put("k", "1", statusWrite{})
		if err := w.flush(t.Context()); err != nil || b.wrote() != "k=1" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

func TestARetryNeverOvertakesANewerWrite(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errAway)
		put("k", "old", statusWrite{})
		put("other", "1", statusWrite{})
		synctest.Wait()
		put("k", "new", statusWrite{})
		synctest.Wait()
		b.becomes(nil)
		if err := w.flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := b.wrote(); got != "other=1 k=new" && got != "k=new other=1" {
			t.Errorf("wrote %q", got)
		}
	})
}

func TestRetriesEndWithWhatTheyTell(t *testing.T) {
	for name, end := range map[string]func(w *statusWriter, safe *atomic.Bool){
		"another generation":           func(w *statusWriter, _ *atomic.Bool) { w.setGeneration(8) },
		"its tombstone":                func(w *statusWriter, _ *atomic.Bool) { w.tombstoneRead("status-task-c-0") },
		"its connector's tombstone":    func(w *statusWriter, _ *atomic.Bool) { w.tombstoneRead("status-connector-c") },
		"another worker took the task": func(_ *statusWriter, safe *atomic.Bool) { safe.Store(false) },
	} {
		t.Run(name, func(t *testing.T) {
			withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
				b.becomes(errAway)
				var safe atomic.Bool
				safe.Store(true)
				put("status-task-c-0", "1", statusWrite{connector: "c", generation: 7, safe: safe.Load})
				synctest.Wait()
				end(w, &safe)
				b.becomes(nil)
				if err := w.flush(t.Context()); err != nil || b.wrote() != "" {
					t.Errorf("flush %v, wrote %q", err, b.wrote())
				}
			})
		})
	}
}

func TestWhatIsQueuedIsGivenUpWithItsGeneration(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		free := b.busy()
		put("first", "7", statusWrite{generation: 7}) // under way
		synctest.Wait()
		put("status", "7", statusWrite{generation: 7})
		put("topic", "1", statusWrite{timeless: true})
		put("unsafe", "8", statusWrite{generation: 8, safe: func() bool { return false }})
		put("status", "8", statusWrite{generation: 8})
		w.setGeneration(8)
		free()
		if err := w.flush(t.Context()); err != nil || b.wrote() != "first=7 topic=1 status=8" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

func TestTopicsOutliveGenerations(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errAway)
		put("topic", "1", statusWrite{timeless: true})
		synctest.Wait()
		w.setGeneration(8)
		b.becomes(nil)
		if err := w.flush(t.Context()); err != nil || b.wrote() != "topic=1" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

func TestAnErrorThatStaysIsNotRetried(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errors.New("too large"), nil)
		put("k", "1", statusWrite{})
		if err := w.flush(t.Context()); err != nil || b.wrote() != "" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errAway)
		put("k", "1", statusWrite{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := w.flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v", err)
		}
		b.becomes(nil)
		if err := w.flush(t.Context()); err != nil || b.wrote() != "k=1" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

func TestStopGivesUpWhatWaits(t *testing.T) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, put func(string, string, statusWrite)) {
		b.becomes(errAway)
		put("k", "1", statusWrite{})
		synctest.Wait()
		w.stop()
		b.becomes(nil)
		put("k", "2", statusWrite{})
		if err := w.flush(t.Context()); err != nil || b.wrote() != "" {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

// The keys that tombstoneRead compares are those that records have.
func TestTombstonesMatchTheirKeys(t *testing.T) {
	if key := string(storage.ConnectorStatusRecord("c", nil).Key); key != "status-connector-c" {
		t.Errorf("connector key %q", key)
	}
	if key := string(storage.TaskStatusRecord(connect.TaskID{Connector: "c"}, nil).Key); key != "status-task-c-0" {
		t.Errorf("task key %q", key)
	}
}

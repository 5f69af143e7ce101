package kafkastore

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tributary/internal/kafka"
)

// statusWriter writes statuses in the background: each is sent in its turn, and one that
// failed is sent again only while it is still true. It has one goroutine, run.
//
// A retry is given up when (a) a newer write of the same key was made, (b) the key's
// tombstone was read since, (c) the worker is in another generation by now, or (d) it was
// safe and is so no more. What has not been sent at all is given up by (c) and (d): whoever
// still has the work writes its status again once the round is settled.
type statusWriter struct {
	logger  *slog.Logger
	send    func(ctx context.Context, record *kafka.Record, done func(kafka.Metadata, error)) error
	backoff func(attempt int) time.Duration

	wake chan struct{} // capacity 1

	mu         sync.Mutex
	queue      []*statusWrite          // in the order of their turns
	retries    []*statusWrite          // waiting until their time comes
	latest     map[string]*statusWrite // by key, until it is settled
	unsettled  int
	idle       []chan struct{} // closed when nothing is unsettled
	generation int
	failing    bool
	stopped    bool
}

// statusWrite is one record on its way.
type statusWrite struct {
	record     *kafka.Record
	connector  string      // whose status it is, "" for topics
	generation int         // of the status, or in which it is removed
	timeless   bool        // without a generation: topics and repetitions
	safe       func() bool // nil: written whatever there is
	obsolete   bool        // (b)
	attempts   int
	due        time.Time
}

func newStatusWriter(logger *slog.Logger, send func(context.Context, *kafka.Record, func(kafka.Metadata, error)) error, backoff func(int) time.Duration) *statusWriter {
	return &statusWriter{logger: logger, send: send, backoff: backoff, wake: make(chan struct{}, 1), latest: make(map[string]*statusWrite)}
}

// put queues a write and returns at once. After stop it does nothing.
func (w *statusWriter) put(write *statusWrite) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	switch {
	case write.timeless:
	case write.record.Value == nil:
		write.generation = w.generation
	default:
		w.generation = write.generation
	}
	w.latest[string(write.record.Key)] = write
	w.queue = append(w.queue, write)
	w.unsettled++
	w.signal()
}

func (w *statusWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *statusWriter) setGeneration(generation int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generation = generation
	w.queue = slices.DeleteFunc(w.queue, func(write *statusWrite) bool {
		ended := !write.timeless && write.generation != generation
		if ended {
			w.settle(write)
		}
		return ended
	})
}

// tombstoneRead marks what was overtaken by the removal of its key or of its connector.
func (w *statusWriter) tombstoneRead(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, write := range w.latest {
		if k == key || write.connector != "" && connectorKey(write.connector) == key {
			write.obsolete = true
		}
	}
}

// run sends until ctx ends.
func (w *statusWriter) run(ctx context.Context) {
	for {
		write, wait := w.next(time.Now())
		if write != nil {
			if err := w.send(ctx, write.record, func(_ kafka.Metadata, err error) { w.done(write, err) }); err != nil {
				w.done(write, err)
			}
			continue
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer:
		}
	}
}

// next returns the write whose turn it is, or how long until the next retry; 0 is never.
func (w *statusWriter) next(now time.Time) (*statusWrite, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		write := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		if write.safe == nil || write.safe() {
			return write, 0
		}
		w.settle(write)
	}
	var wait time.Duration
	for i := 0; i < len(w.retries); {
		write := w.retries[i]
		if in := write.due.Sub(now); in > 0 {
			if wait == 0 || in < wait {
				wait = in
			}
			i++
			continue
		}
		w.retries = append(w.retries[:i], w.retries[i+1:]...)
		if w.wanted(write) {
			return write, 0
		}
		w.settle(write)
	}
	return nil, wait
}

// done takes the outcome of one try. It runs on the producer's goroutine.
func (w *statusWriter) done(write *statusWrite, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		if w.failing {
			w.failing = false
			w.logger.Info("Statuses are written again")
		}
		w.settle(write)
	case w.stopped:
		w.settle(write)
	case !kafka.IsRetriable(err):
		w.logger.Error("A status could not be written", "key", string(write.record.Key), "error", err)
		w.settle(write)
	case !w.wanted(write):
		w.settle(write)
	default:
		if !w.failing {
			w.failing = true
			w.logger.Warn("Statuses cannot be written, trying on", "reason", err.Error())
		}
		write.due = time.Now().Add(w.backoff(write.attempts))
		write.attempts++
		w.retries = append(w.retries, write)
		w.signal()
	}
}

// wanted says whether a write that failed is to be tried again.
func (w *statusWriter) wanted(write *statusWrite) bool {
	return w.latest[string(write.record.Key)] == write && !write.obsolete &&
		(write.timeless || write.generation == w.generation) &&
		(write.safe == nil || write.safe())
}

func (w *statusWriter) settle(write *statusWrite) {
	if key := string(write.record.Key); w.latest[key] == write {
		delete(w.latest, key)
	}
	w.unsettled--
	if w.unsettled == 0 {
		for _, waiter := range w.idle {
			close(waiter)
		}
		w.idle = nil
	}
}

// flush waits until every write is acknowledged or given up.
func (w *statusWriter) flush(ctx context.Context) error {
	w.mu.Lock()
	if w.unsettled == 0 {
		w.mu.Unlock()
		return nil
	}
	waiter := make(chan struct{})
	w.idle = append(w.idle, waiter)
	w.mu.Unlock()
	select {
	case <-waiter:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends retries: what fails from now on is given up, as is what has not been sent.
func (w *statusWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	for _, write := range append(w.queue, w.retries...) {
		w.settle(write)
	}
	w.queue, w.retries = nil, nil
}

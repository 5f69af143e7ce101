package distributed

import (
	"context"
	"sync"
)

// mailbox is an unbounded queue of closures for one consumer. Senders never block, so
// the callbacks of stores, group and worker may use it under their own locks.
type mailbox struct {
	mu    sync.Mutex
	queue []func()
	wake  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) post(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue
	m.queue = nil
	return q
}

// run executes closures until ctx ends. What is queued then is dropped.
func (m *mailbox) run(ctx context.Context) {
	for {
		for _, f := range m.take() {
			if ctx.Err() != nil {
				return
			}
			f()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
	}
}

// call runs f on the loop and waits for it, or for ctx, or for the herder's end.
func (h *Herder) call(ctx context.Context, f func()) error {
	done := make(chan struct{})
	h.loop.post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

package distributed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tributary/connect/herder"
	"tributary/storage"
)

var (
	errStopping  = errors.New("the worker is stopping")
	errNoContact = errors.New("the group cannot be reached")
)

// writer executes writes to the config topic one after another on its own goroutine.
type writer struct{ jobs chan *job }

type job struct {
	ctx  context.Context
	what string
	work func(ctx context.Context) error
	done chan error
}

func newWriter() *writer { return &writer{jobs: make(chan *job)} }

// writeLimit is how long a write that has begun may take, as in Java.
const writeLimit = 30 * time.Second

// run executes jobs until ctx ends, which also ends the job in progress. A job that has
// begun is not cut off when its caller gives up: its records may be on their way.
func (w *writer) run(ctx context.Context, stages *herder.Stages) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			if err := j.ctx.Err(); err != nil {
				j.done <- err
				continue
			}
			jobCtx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), writeLimit)
			stop := context.AfterFunc(ctx, cancel)
			leave := func() {}
			if j.what != "" {
				leave = stages.Enter(j.what)
			}
			j.done <- j.work(jobCtx)
			leave()
			stop()
			cancel()
		}
	}
}

// write has the writer do what it takes after all that was queued before, once the group
// can be reached. what names the work for those who wait; "" is nothing to tell of. A
// caller whose ctx ends stops waiting, while work that has begun goes on: it must not
// touch what the caller returns unless write was successful.
func (h *Herder) write(ctx context.Context, what string, work func(ctx context.Context) error) error {
	for {
		if err := h.awaitContact(ctx); err != nil {
			return err
		}
		err := h.enqueue(ctx, what, func(ctx context.Context) error {
			// The group may have gone while the write was queued.
			if lost, _ := h.opts.Group.Contact(); !lost.IsZero() {
				return errNoContact
			}
			return work(ctx)
		})
		if !errors.Is(err, errNoContact) {
			return err
		}
	}
}

func (h *Herder) enqueue(ctx context.Context, what string, work func(ctx context.Context) error) error {
	j := &job{ctx: ctx, what: what, work: work, done: make(chan error, 1)}
	select {
	case h.writer.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

// writeAsLeader is write for what only the leader may write. A leader that was fenced from
// the config topic, by another one that took itself for it, claims it again for the next
// write; whose turn it really is shows with the next round.
func (h *Herder) writeAsLeader(ctx context.Context, what string, work func(ctx context.Context) error) error {
	return h.write(ctx, what, func(ctx context.Context) error {
		if err := h.requireLeader(); err != nil {
			return err
		}
		err := h.opts.Configs.ClaimWritePrivileges(ctx) // which costs nothing while they are held
		if err == nil {
			err = work(ctx)
		}
		if errors.Is(err, storage.ErrNotPrivileged) {
			return fmt.Errorf("Failed to write to config topic; this may be due to a transient error and the request can be safely retried: %w", err)
		}
		return err
	})
}

package distributed

import (
	"context"
	"errors"
)

var errStopping = errors.New("the worker is stopping")

// writer executes writes to the config topic one after another on its own goroutine.
type writer struct{ jobs chan *job }

type job struct {
	ctx  context.Context
	what string
	work func(ctx context.Context) error
	done chan error
}

func newWriter() *writer { return &writer{jobs: make(chan *job)} }

// run executes jobs until ctx ends, which also ends the job in progress.
func (w *writer) run(ctx context.Context, stages *stages) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			if err := j.ctx.Err(); err != nil {
				j.done <- err
				continue
			}
			jobCtx, cancel := context.WithCancel(j.ctx)
			stop := context.AfterFunc(ctx, cancel)
			leave := stages.enter(j.what)
			j.done <- j.work(jobCtx)
			leave()
			stop()
			cancel()
		}
	}
}

// write has the writer do what it takes after all that was queued before. what names
// the work for those who wait. A caller whose ctx ends stops waiting; work that had
// begun sees the end of its context.
func (h *Herder) write(ctx context.Context, what string, work func(ctx context.Context) error) error {
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

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
	work func(ctx context.Context) error
	done chan error
}

func newWriter() *writer { return &writer{jobs: make(chan *job)} }

// run executes jobs until ctx ends, which also ends the job in progress.
func (w *writer) run(ctx context.Context) {
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
			j.done <- j.work(jobCtx)
			stop()
			cancel()
		}
	}
}

// do executes work after all that was queued before it. A caller whose ctx ends
// stops waiting; work that had begun sees the end of its context.
func (w *writer) do(ctx context.Context, ended <-chan struct{}, work func(ctx context.Context) error) error {
	j := &job{ctx: ctx, work: work, done: make(chan error, 1)}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return errStopping
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return errStopping
	}
}

package worker

import (
	"context"
	"errors"
)

// errStopping is the cause of the end of an instance that was asked to stop.
var errStopping = errors.New("the instance is stopping")

// life is the span of one instance's goroutine.
type life struct {
	// ctx ends when the instance is to stop, with errStopping or a failure as cause.
	ctx context.Context
	end context.CancelCauseFunc
	// hard ends when the instance is cut off.
	hard  context.Context
	sever context.CancelFunc
	// ended is closed when the goroutine is gone.
	ended   chan struct{}
	reports reporter
}

func newLife() *life {
	l := &life{ended: make(chan struct{})}
	l.hard, l.sever = context.WithCancel(context.Background())
	l.ctx, l.end = context.WithCancelCause(l.hard)
	return l
}

func (l *life) stop() { l.end(errStopping) }

func (l *life) over() <-chan struct{} { return l.ended }

// stoppable is an instance that stopAll can stop.
type stoppable interface {
	stop()
	over() <-chan struct{}
	cutOff()
}

// stopAll stops all instances at once and returns the keys of those that it had to
// cut off.
func stopAll[K comparable, I stoppable](ctx context.Context, config Config, runs map[K]I) (cutOff []K) {
	for _, r := range runs {
		r.stop()
	}
	ctx, cancel := context.WithTimeout(ctx, config.GracefulTimeout)
	defer cancel()
	for key, r := range runs {
		select {
		case <-r.over():
			continue
		case <-ctx.Done():
		}
		select {
		case <-r.over(): // it was in time, only this loop was not
		default:
			r.cutOff()
			cutOff = append(cutOff, key)
		}
	}
	return cutOff
}

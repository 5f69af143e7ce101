package herder

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// StageReporter is a Herder that can say what its loop is doing, in Java's words: "The
// worker is currently …, which began at ….". Requests that time out and health checks
// show it. "" is nothing to say.
type StageReporter interface {
	Stage() string
}

// StageInitializing is what a worker does until its herder's loop runs.
const StageInitializing = "initializing and reading to the end of internal topics"

// Stages remembers the last thing that somebody did for which others may have to wait.
// Safe for concurrent use; the zero value has done nothing.
type Stages struct{ last atomic.Pointer[stage] }

type stage struct {
	what         string
	began, ended time.Time
}

// Enter begins a stage; the returned function ends it.
func (s *Stages) Enter(what string) func() {
	began := &stage{what: what, began: time.Now()}
	s.last.Store(began)
	return func() {
		ended := *began
		ended.ended = time.Now()
		s.last.CompareAndSwap(began, &ended)
	}
}

// String is the sentence for the last stage, "" if there was none.
func (s *Stages) String() string {
	last := s.last.Load()
	switch {
	case last == nil:
		return ""
	case last.ended.IsZero():
		return CurrentStage(last.what, last.began)
	}
	return fmt.Sprintf("The last operation the worker completed was %s, which began at %s and completed at %s.", last.what, instant(last.began), instant(last.ended))
}

// Current is the sentence for a stage that has not ended, "" if there is none.
func (s *Stages) Current() string {
	if last := s.last.Load(); last != nil && last.ended.IsZero() {
		return CurrentStage(last.what, last.began)
	}
	return ""
}

// CurrentStage is the sentence for a stage that has not ended.
func CurrentStage(what string, began time.Time) string {
	return fmt.Sprintf("The worker is currently %s, which began at %s.", what, instant(began))
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type stagesKey struct{}

// WithStages makes EnterStage note in s what is done for a request.
func WithStages(ctx context.Context, s *Stages) context.Context {
	return context.WithValue(ctx, stagesKey{}, s)
}

// EnterStage begins a stage of the request that ctx belongs to; the returned function
// ends it. Who gives up because ctx has ended leaves the stage as it is: it is what the
// request waited for. Without WithStages nobody wants to know.
func EnterStage(ctx context.Context, what string) func() {
	if s, ok := ctx.Value(stagesKey{}).(*Stages); ok {
		return s.Enter(what)
	}
	return func() {}
}

package herder

import (
	"context"
	"fmt"
	"slices"
	"sync"
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

// StageJoining is what a worker does that is no member of its group, or has lost it.
const StageJoining = "ensuring membership in the cluster"

// Stages remembers what is being done for which others may have to wait, and what was
// done last. Safe for concurrent use; the zero value has done nothing.
type Stages struct {
	mu   sync.Mutex
	open []*stage // in the order in which they began
	last *stage   // of those that ended, the one that began last
}

type stage struct {
	what         string
	began, ended time.Time
}

// Enter begins a stage; the returned function ends it.
func (s *Stages) Enter(what string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	entered := &stage{what: what, began: time.Now()}
	s.open = append(s.open, entered)
	return func() { s.leave(entered) }
}

func (s *Stages) leave(ended *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ended.ended.IsZero() {
		return
	}
	ended.ended = time.Now()
	s.open = slices.DeleteFunc(s.open, func(o *stage) bool { return o == ended })
	if s.last == nil || !ended.began.Before(s.last.began) {
		s.last = ended
	}
}

// String is the sentence for the stage that began last of those that have not ended, else
// for the last one; "" if there was none.
func (s *Stages) String() string {
	if current := s.Current(); current != "" {
		return current
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return ""
	}
	return fmt.Sprintf("The last operation the worker completed was %s, which began at %s and completed at %s.", s.last.what, instant(s.last.began), instant(s.last.ended))
}

// Current is the sentence for the stage that began last of those that have not ended, ""
// if there is none.
func (s *Stages) Current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 {
		return ""
	}
	current := s.open[len(s.open)-1]
	return CurrentStage(current.what, current.began)
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

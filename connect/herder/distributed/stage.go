package distributed

import (
	"fmt"
	"sync/atomic"
	"time"

	"tributary/connect/herder"
)

// stage is what the worker is doing that requests may have to wait for.
type stage struct {
	what         string
	began, ended time.Time
}

// stages remembers the last stage. Safe for concurrent use.
type stages struct{ last atomic.Pointer[stage] }

// enter begins a stage; the returned function ends it.
func (s *stages) enter(what string) func() {
	began := &stage{what: what, began: time.Now()}
	s.last.Store(began)
	return func() {
		ended := *began
		ended.ended = time.Now()
		s.last.CompareAndSwap(began, &ended)
	}
}

var _ herder.StageReporter = (*Herder)(nil)

// Stage implements herder.StageReporter.
func (h *Herder) Stage() string {
	last := h.stages.last.Load()
	switch {
	case last == nil:
		return ""
	case last.ended.IsZero():
		return herder.CurrentStage(last.what, last.began)
	default:
		return fmt.Sprintf("The last operation the worker completed was %s, which began at %s and completed at %s.", last.what, herder.StageInstant(last.began), herder.StageInstant(last.ended))
	}
}

package worker

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"tributary/storage"
)

// reporter tells the listener what becomes of one instance, in order, until the
// instance is cut off.
type reporter struct {
	report  func(state storage.State, trace string)
	metrics *instanceMetrics // nil measures nothing

	mu    sync.Mutex
	state storage.State
	cut   bool
	// started says that the instance was RUNNING once.
	started bool
}

func (r *reporter) is(state storage.State, trace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		return
	}
	r.state = state
	r.started = r.started || state == storage.StateRunning
	if r.metrics != nil {
		r.metrics.is(state)
	}
	r.report(state, trace)
}

// cutOff ends the reports; a last state, if there is one, is told before.
func (r *reporter) cutOff(last storage.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		return
	}
	if last != "" {
		r.state = last
		r.report(last, "")
	}
	r.cut = true
}

// unlessCut calls f if the instance was not cut off, and keeps it from being cut off
// meanwhile.
func (r *reporter) unlessCut(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut {
		f()
	}
}

func (r *reporter) current() storage.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// panicError is a plugin's panic, with the stack that led to it.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard calls a plugin: its panic becomes an error, so that a plugin's bug costs its
// own instance alone.
func guard(call func() error) (err error) {
	defer recoverTo(func(p error) { err = p })
	return call()
}

// recoverTo is deferred: it hands a panic to report.
func recoverTo(report func(error)) {
	if p := recover(); p != nil {
		report(&panicError{value: p, stack: debug.Stack()})
	}
}

// trace is the text of a failure for the status topic.
func trace(err error) string {
	if p, ok := errors.AsType[*panicError](err); ok {
		return err.Error() + "\n" + string(p.stack)
	}
	return err.Error()
}

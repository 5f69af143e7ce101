package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"sync"

	"tributary/test/cluster/kafkatest"
)

// scope is a part of the benchmark that the harness takes for a test: what it starts ends with it, and it may end
// itself at any point. Fatalf and Skipf must be called from the scope's own goroutine.
type scope struct {
	name     string
	progress *log.Logger
	outer    context.Context // ends when the benchmark is interrupted
	ctx      context.Context // of the scope's goroutine; cancelled before the cleanups
	cancel   context.CancelFunc

	mu       sync.Mutex
	failure  error
	cleanups []func()
}

var _ kafkatest.TB = (*scope)(nil)

// inScope calls do in a goroutine of its own, waits for it and for all cleanups, last one first, and gives the
// first failure.
func inScope(ctx context.Context, name string, progress *log.Logger, do func(*scope)) error {
	s := &scope{name: name, progress: progress, outer: ctx}
	s.ctx, s.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.cleanUp()
		defer s.cancel()
		do(s)
	}()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// cleanUp calls the rest even if one cleanup ends the goroutine.
func (s *scope) cleanUp() {
	s.mu.Lock()
	last := len(s.cleanups) - 1
	if last < 0 {
		s.mu.Unlock()
		return
	}
	clean := s.cleanups[last]
	s.cleanups = s.cleanups[:last]
	s.mu.Unlock()
	defer s.cleanUp()
	clean()
}

// within runs a part of the scope as a scope of its own, and ends this one if it fails.
func (s *scope) within(name string, do func(*scope)) {
	if err := inScope(s.ctx, s.name+"/"+name, s.progress, do); err != nil {
		s.fail(err)
		runtime.Goexit()
	}
}

// attempt is within for a part whose failure is noted, and does not end the scope unless it was interrupted.
func (s *scope) attempt(name string, do func(*scope)) {
	if err := inScope(s.ctx, s.name+"/"+name, s.progress, do); err != nil {
		s.fail(err)
	}
	if s.ctx.Err() != nil {
		runtime.Goexit()
	}
}

func (s *scope) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
}

func (s *scope) Helper()                  {}
func (s *scope) Name() string             { return s.name }
func (s *scope) Context() context.Context { return s.ctx }

// Failed makes the harness show and keep logs. Who interrupts the benchmark does not want them.
func (s *scope) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != nil && s.outer.Err() == nil
}

func (s *scope) Logf(format string, args ...any) {
	s.progress.Printf("%s: %s", s.name, fmt.Sprintf(format, args...))
}

func (s *scope) Errorf(format string, args ...any) {
	err := fmt.Errorf("%s: %s", s.name, fmt.Sprintf(format, args...))
	s.progress.Print(err)
	s.fail(err)
}

func (s *scope) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf ends the scope as a failure: a benchmark that measured nothing did not succeed.
func (s *scope) Skipf(format string, args ...any) { s.Fatalf(format, args...) }

func (s *scope) Cleanup(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, do)
}

func (s *scope) TempDir() string {
	dir, err := os.MkdirTemp("", "tributary-bench-")
	if err != nil {
		s.Fatalf("make a temporary folder: %v", err)
	}
	s.Cleanup(func() {
		// A broker deletes files until the moment it ends.
		if err := os.RemoveAll(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.Logf("remove the temporary folder: %v", err)
		}
	})
	return dir
}

package mirror

import (
	"log/slog"
	"sync"
)

// troubles says a problem once when it begins, again when its cause changes, and once
// when it is over. Safe for concurrent use.
type troubles struct {
	logger *slog.Logger

	mu   sync.Mutex
	open map[string]string // problems with their causes
	said map[string]bool   // remarks
}

func newTroubles(logger *slog.Logger) *troubles {
	return &troubles{logger: logger, open: map[string]string{}, said: map[string]bool{}}
}

// report takes the latest outcome of something, nil for success. What it is about is
// told by id, which is unique, and for people by message, a sentence for failure.
func (t *troubles) report(id string, err error, message string, args ...any) {
	t.mu.Lock()
	before, had := t.open[id]
	if err == nil {
		delete(t.open, id)
	} else {
		t.open[id] = err.Error()
	}
	t.mu.Unlock()
	switch {
	case err != nil && (!had || before != err.Error()):
		t.logger.Warn(message, append(args, "error", err)...)
	case err == nil && had:
		t.logger.Info("A problem is over", append(args, "problem", message)...)
	}
}

// once makes a remark, which is no problem, the first time that id is reported, until forget.
func (t *troubles) once(id, message string, args ...any) {
	t.mu.Lock()
	had := t.said[id]
	t.said[id] = true
	t.mu.Unlock()
	if !had {
		t.logger.Warn(message, args...)
	}
}

// forget ends what once or report began, without a word.
func (t *troubles) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
	delete(t.said, id)
}

// count is how many problems there are.
func (t *troubles) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

package cluster

import (
	"strings"
	"sync"
	"time"

	"tributary/test/cluster/kafkatest"
)

// Log is what a program wrote, line by line. Safe for concurrent use.
type Log struct {
	tb TB

	mu    sync.Mutex
	lines []string
	rest  string // an unfinished line
}

// Write takes output of the program.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.rest + string(p)
	for {
		line, rest, complete := strings.Cut(text, "\n")
		if !complete {
			l.rest = text
			return len(p), nil
		}
		l.lines = append(l.lines, line)
		text = rest
	}
}

// Lines gives the lines that contain every one of the parts, all without parts.
func (l *Log) Lines(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if containsAll(line, parts) {
			found = append(found, line)
		}
	}
	return found
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// Await waits until a line contains every one of the parts and returns the first.
func (l *Log) Await(parts ...string) string {
	l.tb.Helper()
	return l.AwaitCount(1, parts...)[0]
}

// AwaitCount waits until at least count lines contain every one of the parts, and returns them.
func (l *Log) AwaitCount(count int, parts ...string) []string {
	l.tb.Helper()
	var found []string
	kafkatest.Await(l.tb, Patience, "log lines with "+strings.Join(parts, " … "), func() (bool, string) {
		found = l.Lines(parts...)
		return len(found) >= count, l.tail(5)
	})
	return found
}

// tail is the end of the log.
func (l *Log) tail(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(len(l.lines)-lines, 0):], "\n")
}

// tailLines is how much of a log a failed test shows.
const tailLines = 80

// showIfFailed puts the end of the log into the output of a test that failed.
func (l *Log) showIfFailed(name string) {
	if l.tb.Failed() {
		l.tb.Logf("the last lines of %s at %s:\n%s", name, time.Now().Format(time.TimeOnly), l.tail(tailLines))
	}
}

// Package logging is what the binaries log with: lines that read like those of Java's
// worker, or JSON, with a level for every named logger that can be changed while the
// worker runs (KIP-495, KIP-976).
//
// A logger gets its name by an attribute with the key [NameKey]; the name decides
// which level applies: that of the longest namespace set. Values whose key says that
// they are secret are never written.
package logging

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Levels that slog does not have. Off and All are for loggers, not for records.
const (
	Trace = slog.Level(-8)
	Fatal = slog.Level(12)
	All   = slog.Level(-1 << 20)
	Off   = slog.Level(1 << 20)
)

// Root is the name under which the level of everything is set.
const Root = "root"

var levelNames = []struct {
	level slog.Level
	name  string
}{
	{Off, "OFF"}, {Fatal, "FATAL"}, {slog.LevelError, "ERROR"}, {slog.LevelWarn, "WARN"},
	{slog.LevelInfo, "INFO"}, {slog.LevelDebug, "DEBUG"}, {Trace, "TRACE"}, {All, "ALL"},
}

// ParseLevel reads a level's name, in any case.
func ParseLevel(text string) (slog.Level, error) {
	for _, l := range levelNames {
		if strings.EqualFold(l.name, text) {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("invalid log level '%s'; it must be one of OFF, FATAL, ERROR, WARN, INFO, DEBUG, TRACE, ALL", text)
}

// LevelName is Java's name for a level; one in between has the name of the next lower.
func LevelName(level slog.Level) string {
	for _, l := range levelNames {
		if level >= l.level {
			return l.name
		}
	}
	return "ALL"
}

// LoggerLevel is the level of one logger. Modified is zero until it was changed.
type LoggerLevel struct {
	Level    slog.Level
	Modified time.Time
}

// Levels are the levels of all loggers by name. Safe for concurrent use; a logger asks
// for its own without a lock.
type Levels struct {
	mu sync.Mutex
	// set holds the levels that were set, by namespace; it always has Root.
	set     map[string]slog.Level
	loggers map[string]*logger
}

// logger is a name that somebody logs under.
type logger struct {
	level    atomic.Int64
	modified time.Time // guarded by Levels.mu
}

func (l *logger) enabled(level slog.Level) bool { return int64(level) >= l.level.Load() }

func newLevels(root slog.Level) *Levels {
	l := &Levels{set: map[string]slog.Level{Root: root}, loggers: map[string]*logger{}}
	l.logger(Root)
	return l
}

// logger returns the logger of that name, which it creates if it must.
func (l *Levels) logger(name string) *logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loggerLocked(name)
}

func (l *Levels) loggerLocked(name string) *logger {
	known := l.loggers[name]
	if known == nil {
		known = &logger{}
		known.level.Store(int64(l.levelFor(name)))
		l.loggers[name] = known
	}
	return known
}

// levelFor is the level of the longest namespace that the name is in.
func (l *Levels) levelFor(name string) slog.Level {
	level, length := l.set[Root], 0
	for namespace, set := range l.set {
		if within(name, namespace) && len(namespace) > length && namespace != Root {
			level, length = set, len(namespace)
		}
	}
	return level
}

// within says whether a name is the namespace or below it. Names have dots, like
// Java's, or slashes, like Go's.
func within(name, namespace string) bool {
	if namespace == Root {
		return true
	}
	rest, ok := strings.CutPrefix(name, namespace)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '/')
}

// Set gives a namespace, and all loggers in it, a level. It returns the sorted names of
// the loggers whose level it changed. A namespace that nobody logs under yet becomes a
// logger.
func (l *Levels) Set(namespace string, level slog.Level) (changed []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loggerLocked(namespace)
	maps.DeleteFunc(l.set, func(set string, _ slog.Level) bool { return within(set, namespace) })
	l.set[namespace] = level
	now := time.Now()
	changed = []string{}
	for _, name := range slices.Sorted(maps.Keys(l.loggers)) {
		known := l.loggers[name]
		if within(name, namespace) && slog.Level(known.level.Load()) != level {
			known.level.Store(int64(level))
			known.modified = now
			changed = append(changed, name)
		}
	}
	return changed
}

// Get returns the level of a logger that exists.
func (l *Levels) Get(name string) (LoggerLevel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.loggers[name]
	if !ok {
		return LoggerLevel{}, false
	}
	return LoggerLevel{slog.Level(known.level.Load()), known.modified}, true
}

// All returns the levels of all loggers that exist, by name.
func (l *Levels) All() map[string]LoggerLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]LoggerLevel, len(l.loggers))
	for name, known := range l.loggers {
		all[name] = LoggerLevel{slog.Level(known.level.Load()), known.modified}
	}
	return all
}

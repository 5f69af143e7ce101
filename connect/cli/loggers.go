package cli

import (
	"log/slog"

	"tributary/api"
	"tributary/internal/logging"
)

// loggers shows the levels of the process's loggers to the REST API.
type loggers struct{ levels *logging.Levels }

func loggerLevel(l logging.LoggerLevel) api.LoggerLevel {
	out := api.LoggerLevel{Level: logging.LevelName(l.Level)}
	if !l.Modified.IsZero() {
		ms := l.Modified.UnixMilli()
		out.LastModified = &ms
	}
	return out
}

// All implements rest.Loggers.
func (l loggers) All() map[string]api.LoggerLevel {
	all := map[string]api.LoggerLevel{}
	for name, level := range l.levels.All() {
		all[name] = loggerLevel(level)
	}
	return all
}

// Level implements rest.Loggers.
func (l loggers) Level(logger string) (api.LoggerLevel, bool) {
	level, ok := l.levels.Get(logger)
	return loggerLevel(level), ok
}

// Valid implements rest.Loggers.
func (l loggers) Valid(level string) bool {
	_, err := logging.ParseLevel(level)
	return err == nil
}

// Set implements rest.Loggers. A level that there is not changes nothing.
func (l loggers) Set(namespace, level string) []string {
	parsed, err := logging.ParseLevel(level)
	if err != nil {
		return []string{}
	}
	return l.levels.Set(namespace, parsed)
}

// The names of the process's loggers. A level for "tributary" is one for all of them.
const (
	logREST   = "tributary.rest"
	logHerder = "tributary.connect.herder"
	logWorker = "tributary.connect.worker"
)

func named(log *slog.Logger, name string) *slog.Logger { return logging.Named(log, name) }

package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"tributary/api"
	"tributary/connect/herder"
)

// Loggers are the loggers of the process and their levels (KIP-495). Safe for concurrent
// use.
type Loggers interface {
	// All returns the levels of all loggers by name, Level that of one that exists.
	All() map[string]api.LoggerLevel
	Level(logger string) (api.LoggerLevel, bool)
	// Valid reports whether a level has that name, in any case.
	Valid(level string) bool
	// Set gives all loggers in a namespace a level, and returns the sorted names of those
	// whose level that changed.
	Set(namespace, level string) []string
}

// loggerRoutes lays out /admin/loggers.
func (s *Server) loggerRoutes(r chi.Router) {
	if s.opts.Loggers == nil {
		return
	}
	r.Get("/admin/loggers", s.serveBy(s.adminCall, allLoggers, false))
	r.Get("/admin/loggers/{logger}", s.serveBy(s.adminCall, loggerLevel, false))
	r.Put("/admin/loggers/{logger}", s.serveBy(s.adminCall, setLoggerLevel, false))
}

// adminCall is for requests that need a herder only now and then.
func (s *Server) adminCall(r *http.Request) (*call, error) {
	c, err := s.anyCall(r)
	if err != nil {
		return &call{server: s, request: r, log: s.log}, nil
	}
	return c, nil
}

func allLoggers(_ context.Context, c *call) (answer, error) {
	all := c.server.opts.Loggers.All()
	for name, level := range all {
		if level.Level == "OFF" {
			delete(all, name)
		}
	}
	return answer{status: http.StatusOK, body: all}, nil
}

func loggerLevel(_ context.Context, c *call) (answer, error) {
	name, err := c.param("logger")
	if err != nil {
		return answer{}, err
	}
	level, ok := c.server.opts.Loggers.Level(name)
	if !ok {
		return answer{}, &herder.NotFoundError{Message: "Logger " + name + " not found."}
	}
	return answer{status: http.StatusOK, body: level}, nil
}

func setLoggerLevel(ctx context.Context, c *call) (answer, error) {
	name, err := c.param("logger")
	if err != nil {
		return answer{}, err
	}
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	values, err := decodeConfig(body)
	if err != nil {
		return answer{}, err
	}
	level := values["level"]
	if level == nil {
		return answer{}, &herder.BadRequestError{Message: "Desired 'level' parameter was not specified in request."}
	}
	if !c.server.opts.Loggers.Valid(*level) {
		return answer{}, &herder.NotFoundError{Message: "invalid log level '" + *level + "'."}
	}
	switch scope := c.request.URL.Query().Get("scope"); strings.ToLower(scope) {
	case "cluster":
		if c.herder == nil {
			return answer{}, &herder.NotReadyError{Message: messageStarting}
		}
		return answer{status: http.StatusNoContent}, c.herder.SetClusterLoggerLevel(ctx, name, *level)
	case "", "worker":
	default:
		c.log.Warn("A log level was asked for with an unknown scope; it is set on this worker", "scope", scope, "namespace", name)
	}
	return answer{status: http.StatusOK, body: c.server.opts.Loggers.Set(name, *level)}, nil
}

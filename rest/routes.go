package rest

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"tributary/connect/herder"
)

// routes lays out all paths. They match in escaped form, so that names may hold any
// character.
func (s *Server) routes() chi.Router {
	root := s.newRouter(s.decorate...)
	r := root.With(s.authenticate)
	r.Get("/", s.serverInfo)
	r.Get("/health", s.health)
	r.Get("/openapi.json", s.openapi)
	r.Get("/connector-plugins", s.plugins)
	r.Get("/connector-plugins/{plugin}/config", s.serveBy(s.anyCall, pluginConfig, false))
	r.Put("/connector-plugins/{plugin}/config/validate", s.serveBy(s.anyCall, validateConfig, false))
	if s.opts.Metrics != nil {
		r.Method(http.MethodGet, "/metrics", s.opts.Metrics)
	}
	if s.opts.AdminListeners == nil {
		s.loggerRoutes(r)
	}
	for _, flow := range flowBases {
		s.connectorRoutes(r, flow+"/connectors")
		s.internalRoutes(root, flow)
	}
	return root
}

// flowBases are where the resources of a worker and of a flow are.
var flowBases = []string{"", "/{source}/{target}"}

// peerRoutes are the paths of the listeners for other workers alone: their internal
// requests, and those of clients that they have signed and sent on.
func (s *Server) peerRoutes() chi.Router {
	r := s.newRouter()
	for _, flow := range flowBases {
		s.connectorRoutes(r.With(s.onlyForwarded), flow+"/connectors")
		s.internalRoutes(r, flow)
	}
	return r
}

// adminRoutes are the paths of the listeners for administration alone.
func (s *Server) adminRoutes() chi.Router {
	r := s.newRouter()
	s.loggerRoutes(r.With(s.authenticate))
	return r
}

// newRouter returns a router that has no paths yet and knows how to refuse.
func (s *Server) newRouter(decorate ...func(http.Handler) http.Handler) chi.Router {
	r := chi.NewRouter()
	r.Use(s.observe, s.withoutForgery)
	r.Use(decorate...)
	r.Use(escapedPath, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, refuse(http.StatusNotFound, messageNotFound))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, request *http.Request) { s.methodNotAllowed(r, w, request) })
	return r
}

func (s *Server) connectorRoutes(r chi.Router, base string) {
	add := func(method, path string, handle handler) {
		r.MethodFunc(method, base+path, s.serve(handle, false))
	}
	add(http.MethodGet, "", listConnectors)
	add(http.MethodPost, "", createConnector)
	add(http.MethodGet, "/{connector}", read(herder.Herder.ConnectorInfo))
	add(http.MethodDelete, "/{connector}", of(deleteConnector))
	add(http.MethodGet, "/{connector}/config", read(herder.Herder.ConnectorConfig))
	add(http.MethodPut, "/{connector}/config", of(putConfig))
	add(http.MethodPatch, "/{connector}/config", of(patchConfig))
	add(http.MethodGet, "/{connector}/status", read(herder.Herder.ConnectorStatus))
	add(http.MethodGet, "/{connector}/tasks", read(herder.Herder.TaskInfos))
	add(http.MethodGet, "/{connector}/tasks/{task}/status", of(taskStatus))
	add(http.MethodPost, "/{connector}/tasks/{task}/restart", of(restartTask))
	add(http.MethodGet, "/{connector}/topics", of(activeTopics))
	add(http.MethodPut, "/{connector}/topics/reset", accepted(herder.Herder.ResetActiveTopics))
	add(http.MethodPut, "/{connector}/pause", accepted(herder.Herder.PauseConnector))
	add(http.MethodPut, "/{connector}/resume", accepted(herder.Herder.ResumeConnector))
	add(http.MethodPut, "/{connector}/stop", of(stopConnector))
	add(http.MethodGet, "/{connector}/offsets", read(herder.Herder.ConnectorOffsets))
	add(http.MethodPatch, "/{connector}/offsets", of(alterOffsets))
	add(http.MethodDelete, "/{connector}/offsets", of(resetOffsets))
	add(http.MethodPost, "/{connector}/restart", of(restartConnector))
	add(http.MethodGet, "/{connector}/replication", read(herder.Herder.Replication))
}

// internalRoutes are the requests between workers, signed by the sender.
func (s *Server) internalRoutes(r chi.Router, flow string) {
	add := func(method, path string, handle handler) {
		r.MethodFunc(method, flow+path, s.serve(handle, true))
	}
	add(http.MethodPost, "/connectors/{connector}/tasks", of(putTaskConfigs))
	add(http.MethodPut, "/connectors/{connector}/fence", of(fenceZombies))
	add(http.MethodPost, "/connectors/{connector}/replication", of(localReplication))
	add(http.MethodPost, "/internal/departures", memberDeparted)
}

// escapedPath makes the routes see the path as it was sent, without a slash at its end.
func escapedPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if len(path) > 1 {
			path = strings.TrimSuffix(path, "/")
		}
		chi.RouteContext(r.Context()).RoutePath = path
		next.ServeHTTP(w, r)
	})
}

// methodNotAllowed refuses a method, or says in answer to OPTIONS which there are.
func (s *Server) methodNotAllowed(routes chi.Routes, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), method, chi.RouteContext(r.Context()).RoutePath) {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	allowed = append(allowed, http.MethodOptions)
	w.Header().Set("Allow", strings.Join(allowed, ","))
	if r.Method == http.MethodOptions {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprint(w, strings.Join(allowed, ", "))
		return
	}
	s.fail(w, r, refuse(http.StatusMethodNotAllowed, messageMethod))
}

// observe writes the access log and answers for handlers that panic.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				s.log.Error("A request handler panicked", "method", r.Method, "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
				if seen.Status() == 0 {
					s.fail(seen, r, refuse(http.StatusInternalServerError, fmt.Sprint("Internal error: ", cause)))
				}
			}
			log := s.log.Info
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				log = s.log.Debug // scrapes, probes and polls
			}
			log("Request", "method", r.Method, "path", r.URL.Path, "status", seen.Status(), "bytes", seen.BytesWritten(),
				"remote", r.RemoteAddr, "ms", time.Since(began).Milliseconds())
		}()
		next.ServeHTTP(seen, r)
	})
}

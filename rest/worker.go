package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"tributary/api"
	"tributary/connect/herder"
)

// serverInfo answers GET /.
func (s *Server) serverInfo(w http.ResponseWriter, r *http.Request) {
	if err := checkMediaTypes(r); err != nil {
		s.fail(w, r, err)
		return
	}
	info := api.ServerInfo{Version: s.opts.Version, Commit: s.opts.Commit}
	for _, h := range s.mounts.Load().order {
		if info.KafkaClusterID = h.ClusterID(); info.KafkaClusterID != "" {
			break
		}
	}
	s.reply(w, r, answer{status: http.StatusOK, body: info})
}

// health answers GET /health (KIP-1017). A worker with several herders is as well as
// the worst of them.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if err := checkMediaTypes(r); err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.limited(s.opts.HealthTimeout))
	defer cancel()
	m := s.mounts.Load()
	herders := m.order
	if len(herders) == 0 || len(m.expected) > 0 {
		s.reply(w, r, unwell(http.StatusServiceUnavailable, "starting", messageStarting, herder.CurrentStage(herder.StageInitializing, s.made)))
		return
	}
	for _, h := range herders {
		err := h.Health(ctx)
		var starting *herder.NotReadyError
		switch {
		case err == nil:
			continue
		case errors.As(err, &starting):
			detail := starting.Message
			if detail == messageStarting {
				detail = stageOf(h)
			}
			s.reply(w, r, unwell(http.StatusServiceUnavailable, "starting", messageStarting, detail))
		case errors.Is(err, context.DeadlineExceeded):
			s.reply(w, r, unwell(http.StatusInternalServerError, "unhealthy", messageUnhealthy, stageOf(h)))
		default:
			s.fail(w, r, err)
		}
		return
	}
	s.reply(w, r, answer{status: http.StatusOK, body: api.WorkerHealth{Status: "healthy", Message: messageHealthy}})
}

func unwell(status int, word, message, stage string) answer {
	// Herders may put the whole sentence into their error.
	if stage = strings.TrimSpace(strings.TrimPrefix(stage, message)); stage != "" {
		message += " " + stage
	}
	return answer{status: status, body: api.WorkerHealth{Status: word, Message: message}}
}

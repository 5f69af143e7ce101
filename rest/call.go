package rest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// call is one request to an endpoint.
type call struct {
	server *Server
	herder herder.Herder
	// prefix stands before /connectors in requests to the herder's other workers, and
	// mount where this request found them; both are escaped.
	prefix, mount string
	request       *http.Request
	log           *slog.Logger
	// received is what signed returns, once it was asked.
	received *protocol.SignedRequest
}

// answer is what an endpoint says when it succeeds. A nil body is none.
type answer struct {
	status   int
	body     any
	location string
}

// forwarded turns another worker's answer into this one's, with the status that this
// worker would have given.
func forwarded(in incoming, status int) answer {
	if len(in.body) == 0 {
		return answer{status: status}
	}
	return answer{status: status, body: rawJSON(in.body)}
}

// rawJSON is a body that is encoded already.
type rawJSON []byte

type handler func(ctx context.Context, c *call) (answer, error)

// serve makes an http.HandlerFunc of an endpoint. internal is for requests between
// workers, which Java takes whatever their media type.
func (s *Server) serve(handle handler, internal bool) http.HandlerFunc {
	return s.serveBy(s.newCall, handle, internal)
}

// serveBy is serve for requests whose herder is found by other means.
func (s *Server) serveBy(find func(r *http.Request) (*call, error), handle handler, internal bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit := s.opts.MaxBody
		if internal {
			limit *= internalBodyFactor
		}
		defer s.bodies.limited(w, r, limit)()
		c, err := find(r)
		if err == nil && !internal {
			err = checkMediaTypes(r)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		// What was begun is finished, also when the client has gone; not so reads.
		ctx := r.Context()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			ctx = context.WithoutCancel(ctx)
		}
		ctx, cancel := context.WithTimeout(ctx, s.limited(s.opts.RequestTimeout))
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		stages := &herder.Stages{}
		a, err := handle(herder.WithStages(ctx, stages), c)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = timedOut(c.herder, stages)
			}
			s.fail(w, r, err)
			return
		}
		s.reply(w, r, a)
	}
}

// internalBodyFactor is how many times larger the bodies between workers may be: they
// hold the configurations of all tasks.
const internalBodyFactor = 16

// timedOut says what the request waited for, or what the herder was doing meanwhile.
func timedOut(h herder.Herder, request *herder.Stages) error {
	if stage := cmp.Or(request.Current(), stageOf(h)); stage != "" {
		return refuse(http.StatusInternalServerError, messageTimedOut+". "+stage)
	}
	return refuse(http.StatusInternalServerError, messageTimedOut)
}

func stageOf(h herder.Herder) string {
	if r, ok := h.(herder.StageReporter); ok {
		return r.Stage()
	}
	return ""
}

// anyCall is for requests that every herder of the worker answers alike.
func (s *Server) anyCall(r *http.Request) (*call, error) {
	m := s.mounts.Load()
	if len(m.order) == 0 {
		return nil, refuse(http.StatusServiceUnavailable, messageStarting)
	}
	return &call{server: s, request: r, log: s.log, herder: m.order[0]}, nil
}

// newCall finds the herder that a request is for.
func (s *Server) newCall(r *http.Request) (*call, error) {
	c := &call{server: s, request: r, log: s.log}
	m := s.mounts.Load()
	if chi.URLParam(r, "source") == "" {
		if m.root == nil {
			if len(m.flows) > 0 && !m.expectedRoot {
				return nil, refuse(http.StatusNotFound, messageNotFound)
			}
			return nil, refuse(http.StatusServiceUnavailable, messageStarting)
		}
		c.herder, c.prefix = m.root.herder, m.root.prefix
		return c, nil
	}
	source, err := c.param("source")
	if err != nil {
		return nil, err
	}
	target, err := c.param("target")
	if err != nil {
		return nil, err
	}
	flow, ok := m.flows[flowName{source, target}]
	if !ok {
		if m.expected[flowName{source, target}] {
			return nil, refuse(http.StatusServiceUnavailable, messageStarting)
		}
		if len(m.flows) == 0 {
			return nil, refuse(http.StatusNotFound, messageNotFound)
		}
		return nil, refuse(http.StatusNotFound, "No replication flow found for source '"+source+"' and target '"+target+"'")
	}
	c.herder, c.prefix, c.mount = flow.herder, flow.prefix, flow.prefix
	return c, nil
}

// param is a part of the path, unescaped.
func (c *call) param(name string) (string, error) {
	value, err := url.PathUnescape(chi.URLParam(c.request, name))
	if err != nil {
		return "", refuse(http.StatusNotFound, messageNotFound)
	}
	return value, nil
}

// task is the task number of the path; what is no number has no resource.
func (c *call) task() (int, error) {
	text, err := c.param("task")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, refuse(http.StatusNotFound, messageNotFound)
	}
	return int(n), nil
}

// flag is a query parameter that is true or false; as in Java all but true is false.
func (c *call) flag(name string) bool {
	return strings.EqualFold(c.request.URL.Query().Get(name), "true")
}

// body reads the request's body.
func (c *call) body() ([]byte, error) { return io.ReadAll(c.request.Body) }

// located is the URL of a connector as the client sees this worker.
func (c *call) located(connector string) string {
	scheme := "http"
	if c.request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.request.Host + c.mount + "/connectors/" + url.PathEscape(connector)
}

// orForward runs an operation, or has it done by the worker that must: then the second
// result is that worker's answer. An operation that meets a rebalance, or does not know
// where to go, is tried again for a while: it has changed nothing yet.
func (c *call) orForward(ctx context.Context, out outgoing, operation func(ctx context.Context) error) (*incoming, error) {
	giveUp := time.Now().Add(c.server.opts.RebalanceWait)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := operation(ctx)
		var refusal error
		if target, elsewhere := targetOf(err); elsewhere {
			forward, hop := c.hop()
			switch {
			case target != "" && forward:
				return c.forward(ctx, target, hop, out)
			case target != "":
				c.log.Warn("A request was not answered within two hops between workers", "method", out.method, "path", out.path)
				return nil, rebalancing(messageTwoHops)
			case forward:
				refusal = rebalancing(messageNoLeader)
			default:
				refusal = rebalancing(messageTwoHops)
			}
		} else if is[*herder.RebalanceError](err) {
			refusal = rebalancing(messageStale)
		} else {
			return nil, err
		}
		if time.Until(giveUp) < pause {
			return nil, refusal
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// The pauses between attempts during a rebalance.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
)

// targetOf says whether an error means that another worker must answer, and its URL.
func targetOf(err error) (target string, elsewhere bool) {
	var leader *herder.NotLeaderError
	var owner *herder.NotAssignedError
	switch {
	case errors.As(err, &leader):
		return leader.LeaderURL, true
	case errors.As(err, &owner):
		return owner.OwnerURL, true
	}
	return "", false
}

// hop says whether the request may be forwarded, and the forward parameter that it
// then has: a client's goes over two hops at most.
func (c *call) hop() (may bool, next string) {
	query := c.request.URL.Query()
	switch {
	case !query.Has("forward"):
		return true, "true"
	case strings.EqualFold(query.Get("forward"), "true"):
		return true, "false"
	}
	return false, ""
}

func (c *call) forward(ctx context.Context, target, hop string, out outgoing) (*incoming, error) {
	query := "forward=" + hop
	if out.query != "" {
		query += "&" + out.query
	}
	out.query, out.path = query, c.prefix+out.path
	header := http.Header{}
	for name, values := range out.header {
		header[name] = values
	}
	if authorization := c.request.Header.Values("Authorization"); len(authorization) > 0 {
		header["Authorization"] = authorization[:1]
	}
	out.header = header
	c.log.Debug("Forwarding a request", "method", out.method, "path", out.path, "url", target)
	in, err := c.server.opts.Forward.send(ctx, target, out, c.signForwarded)
	if err != nil {
		c.log.Warn("Forwarding a request failed", "method", out.method, "path", out.path, "url", target, "error", err)
		return nil, err
	}
	return &in, nil
}

// checkMediaTypes holds a request to application/json in both directions.
func checkMediaTypes(r *http.Request) error {
	if given := r.Header.Get("Content-Type"); given != "" {
		if t, _, err := mime.ParseMediaType(given); err != nil || t != "application/json" {
			return refuse(http.StatusUnsupportedMediaType, messageMediaType)
		}
	} else if r.ContentLength != 0 {
		return refuse(http.StatusUnsupportedMediaType, messageMediaType)
	}
	if !accepts(r.Header.Values("Accept")) {
		return refuse(http.StatusNotAcceptable, messageAccept)
	}
	return nil
}

func accepts(accept []string) bool {
	given := false
	for _, line := range accept {
		for one := range strings.SplitSeq(line, ",") {
			given = true
			switch t, _, _ := strings.Cut(one, ";"); strings.ToLower(strings.TrimSpace(t)) {
			case "application/json", "application/*", "*/*", "":
				return true
			}
		}
	}
	return !given
}

// reply writes an answer.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, a answer) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	body, encoded := a.body.(rawJSON)
	if !encoded {
		b, err := api.Marshal(a.body)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		body = b
	}
	writeJSON(w, a.status, body)
}

// fail writes the answer to a request that failed.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, message := describe(err)
	// What failed may quote a client of the worker. A refusal quotes the request: whoever
	// guesses a secret must not be told by it.
	if status >= 500 {
		message = s.opts.Concealment.Text(message)
	}
	var own *statusError
	if errors.As(err, &own) && own.retryAfter != "" {
		w.Header().Set("Retry-After", own.retryAfter)
	}
	if status >= 500 && status != http.StatusServiceUnavailable {
		s.log.Error("A request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", message)
	}
	body, encodeErr := api.Marshal(api.ErrorMessage{ErrorCode: status, Message: message})
	if encodeErr != nil { // a struct of a number and a text always encodes
		s.log.Error("An error message was not encoded", "error", encodeErr)
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(body)) // a client that has gone needs no answer
}

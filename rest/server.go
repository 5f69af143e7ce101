package rest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/hashicorp/go-multierror"
	"golang.org/x/net/netutil"

	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
)

// Options are what a Server is made of. Zero values of the limits are Java's, or as
// said.
type Options struct {
	// Listeners are the entries of the property listeners: nil is http://:8083, none serves
	// nobody.
	Listeners  []string
	Advertised Advertised
	// AdminListeners are the entries of admin.listeners: nil has /admin/loggers at the
	// other listeners, none has it nowhere, others at these alone.
	AdminListeners []string
	// PeerListeners are listeners, in the form of Listeners, that serve the signed requests
	// of other workers and nothing else. With any, they are what is advertised.
	PeerListeners []string
	// AllowedOrigins are patterns of the origins whose pages may use the API
	// (access.control.allow.origin), and AllowedMethods what they may do; none is GET, POST
	// and HEAD.
	AllowedOrigins, AllowedMethods []string
	// ResponseHeaders is response.http.headers.config: headers for every answer.
	ResponseHeaders string
	// TLS is the identity of the https listeners, AdminTLS that of those in AdminListeners.
	// Without one they are refused.
	TLS, AdminTLS *tls.Config
	// Users may use the API, each by the role; nil lets everybody do everything.
	Users Users
	// Forward sends requests to other workers; nil is one with the system's trust. The
	// server closes it.
	Forward *Forwarder
	// Version and Commit are shown by GET /.
	Version, Commit string
	// Plugins are shown by GET /connector-plugins; nil is none.
	Plugins *plugin.Registry
	// Metrics answers GET /metrics; nil is 404.
	Metrics http.Handler
	// Loggers are shown and changed at /admin/loggers; nil is 404.
	Loggers Loggers
	// Concealment is what the references in the worker's own configuration stand for; nil if
	// there are none. Logger conceals it already.
	Concealment *provider.Concealment
	// Logger may be nil for silence.
	Logger *slog.Logger

	// RequestTimeout bounds a request, HealthTimeout a health check: 90 s and 10 s.
	RequestTimeout, HealthTimeout time.Duration
	// Limit, if set, is asked at every request and shortens both where it is positive:
	// tests that wait for a time-out need not wait for Java's.
	Limit func() time.Duration
	// RebalanceWait is how long a write waits for a rebalance to pass before it is
	// refused: 8 s. Negative is not at all.
	RebalanceWait time.Duration
	// MaxBody is the largest request body, in bytes: 4 MiB. Requests between workers may
	// be 16 times as large.
	MaxBody int64
}

// Server is the worker's REST interface. Safe for concurrent use.
type Server struct {
	opts Options
	log  *slog.Logger
	// decorate are the handlers around all that is not for administration alone.
	decorate []func(http.Handler) http.Handler
	// origins are those whose pages may use the API; nil is none.
	origins *crossOrigin
	// main serves everything; admin and peers serve what is at listeners of its own. They
	// have none, as a rule.
	main, admin, peers endpoint
	router             chi.Router
	mounts             atomic.Pointer[mounts]
	mounting           sync.Mutex
	// made is when the worker began to start.
	made time.Time
	// bodies are those of the requests under way.
	bodies bodies

	// ctx ends when a shutdown stops waiting for requests.
	ctx     context.Context
	cancel  context.CancelFunc
	serving sync.WaitGroup
}

// endpoint is a set of listeners that serve the same paths.
type endpoint struct {
	listeners []Listener
	tls       *tls.Config
	http      *http.Server
}

type flowName struct{ source, target string }

type mount struct {
	herder herder.Herder
	prefix string
}

// mounts are the herders that there are. It is replaced as a whole.
type mounts struct {
	root  *mount
	flows map[flowName]mount
	// order is that in which they were added.
	order []herder.Herder
	// expected are flows whose herders are still to come, root whether /connectors waits for
	// one of them.
	expected     map[flowName]bool
	expectedRoot bool
}

// New returns a server that does nothing yet. It fails for listeners that cannot be.
func New(opts Options) (*Server, error) {
	if opts.Listeners == nil {
		opts.Listeners = []string{"http://:8083"}
	}
	opts.RequestTimeout = cmp.Or(opts.RequestTimeout, 90*time.Second)
	opts.HealthTimeout = cmp.Or(opts.HealthTimeout, 10*time.Second)
	opts.RebalanceWait = cmp.Or(opts.RebalanceWait, 8*time.Second)
	opts.MaxBody = cmp.Or(opts.MaxBody, 4<<20)
	if opts.Forward == nil {
		opts.Forward = NewForwarder(nil)
	}
	if opts.Plugins == nil {
		opts.Plugins = &plugin.Registry{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, log: opts.Logger, made: time.Now()}
	origins, err := parseCrossOrigin(opts.AllowedOrigins, opts.AllowedMethods)
	if err != nil {
		return nil, err
	}
	if s.origins = origins; origins != nil {
		s.decorate = append(s.decorate, origins.wrap)
	}
	rules, err := parseHeaderRules(opts.ResponseHeaders)
	if err != nil {
		return nil, err
	}
	if len(rules) > 0 {
		s.decorate = append(s.decorate, withHeaders(rules))
	}
	s.router = s.routes()
	if s.main, err = s.newEndpoint(opts.Listeners, opts.TLS, s.router); err != nil {
		return nil, err
	}
	if s.admin, err = s.newEndpoint(opts.AdminListeners, opts.AdminTLS, s.adminRoutes()); err != nil {
		return nil, err
	}
	if s.peers, err = s.newEndpoint(opts.PeerListeners, opts.TLS, s.peerRoutes()); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mounts.Store(&mounts{})
	return s, nil
}

// limited is a time limit, or what Options.Limit makes of it now.
func (s *Server) limited(limit time.Duration) time.Duration {
	if s.opts.Limit != nil {
		if now := s.opts.Limit(); now > 0 {
			return min(limit, now)
		}
	}
	return limit
}

// newEndpoint reads listeners and puts a handler behind them.
func (s *Server) newEndpoint(listeners []string, identity *tls.Config, handler http.Handler) (e endpoint, err error) {
	e.tls = identity
	for _, text := range listeners {
		l, err := ParseListener(text)
		if err != nil {
			return e, err
		}
		if l.Scheme == "https" && identity == nil {
			return e, fmt.Errorf("listener %s needs TLS settings, and there are none", l)
		}
		e.listeners = append(e.listeners, l)
	}
	e.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		// Long enough for the answer that a request took too long.
		WriteTimeout: s.opts.RequestTimeout + 60*time.Second,
		IdleTimeout:  90 * time.Second,
		// Java's default for the request line and all headers is 8 KiB.
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return e, nil
}

// Start binds every listener and serves until Shutdown. When one cannot be bound none
// is.
func (s *Server) Start() error {
	parts := []struct {
		endpoint *endpoint
		texts    []string // what the user called the listeners
		message  string
		bound    []net.Listener
	}{
		{&s.main, s.opts.Listeners, "REST server listening", nil},
		{&s.admin, s.opts.AdminListeners, "REST server listening for administration", nil},
		{&s.peers, s.opts.PeerListeners, "REST server listening for other workers", nil},
	}
	for i := range parts {
		var err error
		if parts[i].bound, err = parts[i].endpoint.bind(); err != nil {
			for _, p := range parts[:i] {
				for _, b := range p.bound {
					_ = b.Close()
				}
			}
			return err
		}
	}
	for _, p := range parts {
		s.listen(p.endpoint, p.bound, p.texts, p.message)
	}
	s.log.Info("REST server advertises", "url", s.AdvertisedURL())
	return nil
}

// bind opens the listeners and learns their ports; all or none.
func (e *endpoint) bind() ([]net.Listener, error) {
	var bound []net.Listener
	for i := range e.listeners {
		l := &e.listeners[i]
		b, err := net.Listen("tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
		if err != nil {
			for _, b := range bound {
				_ = b.Close()
			}
			return nil, fmt.Errorf("listen at %s: %w", l, bindError(err))
		}
		l.Port = b.Addr().(*net.TCPAddr).Port
		b = netutil.LimitListener(b, maxConnections)
		if l.Scheme == "https" {
			b = tls.NewListener(b, e.tls)
		}
		bound = append(bound, b)
	}
	return bound, nil
}

// maxConnections bounds the connections of a listener; further ones wait to be accepted.
// Who opens many and says nothing loses them to the time limits for requests.
const maxConnections = 1024

// listen serves an endpoint at its open listeners. texts are what the user called them.
func (s *Server) listen(e *endpoint, bound []net.Listener, texts []string, message string) {
	for i, b := range bound {
		s.log.Info(message, "listener", texts[i], "address", b.Addr().String())
		s.serving.Go(func() {
			if err := e.http.Serve(b); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("REST listener ended", "address", b.Addr().String(), "error", err)
			}
		})
	}
}

// bindError drops what net says twice.
func bindError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// AdvertisedURL is the worker's address in the group's metadata, such as
// http://10.0.0.5:8083/. It is known once Start has returned.
func (s *Server) AdvertisedURL() string {
	return s.advertisedURL().String()
}

func (s *Server) advertisedURL() *url.URL {
	if len(s.peers.listeners) > 0 {
		return s.opts.Advertised.URL(s.peers.listeners, LocalHost)
	}
	return s.opts.Advertised.URL(s.main.listeners, LocalHost)
}

// WorkerID is the host and port of the AdvertisedURL.
func (s *Server) WorkerID() string { return s.advertisedURL().Host }

// PeerClient sends this worker's own requests to other workers, with the TLS settings of
// those that are forwarded.
func (s *Server) PeerClient() *http.Client { return s.opts.Forward.Client() }

// URLs are the addresses of the listeners, in their order, on this machine.
func (s *Server) URLs() []string { return s.main.urls() }

// AdminURLs are those of the listeners for administration alone.
func (s *Server) AdminURLs() []string { return s.admin.urls() }

// PeerURLs are those of the listeners for other workers alone.
func (s *Server) PeerURLs() []string { return s.peers.urls() }

func (e *endpoint) urls() []string {
	urls := make([]string, len(e.listeners))
	for i, l := range e.listeners {
		if ip := net.ParseIP(l.Host); l.Host == "" || ip != nil && ip.IsUnspecified() {
			l.Host = "localhost"
		}
		urls[i] = l.String()
	}
	return urls
}

// Handler serves requests without a listener.
func (s *Server) Handler() http.Handler { return s.router }

// SetHerder puts a herder at /connectors.
func (s *Server) SetHerder(h herder.Herder) { s.mount(h, flowName{}, true, false) }

// AddFlow puts the herder of a replication flow at /source/target/connectors, and also
// at /connectors if it is the worker's only one. Its requests to other workers go to
// the former. A flow that is added again replaces what it had.
func (s *Server) AddFlow(source, target string, h herder.Herder, only bool) {
	s.mount(h, flowName{source, target}, only, true)
}

// ExpectFlow says that AddFlow will follow: until then requests to the flow, and a health
// check, are answered as those to a worker that is starting.
func (s *Server) ExpectFlow(source, target string, only bool) {
	s.mounting.Lock()
	defer s.mounting.Unlock()
	m := *s.mounts.Load()
	m.expected = maps.Clone(m.expected)
	if m.expected == nil {
		m.expected = map[flowName]bool{}
	}
	m.expected[flowName{source, target}] = true
	m.expectedRoot = m.expectedRoot || only
	s.mounts.Store(&m)
}

func (s *Server) mount(h herder.Herder, flow flowName, root, flows bool) {
	s.mounting.Lock()
	defer s.mounting.Unlock()
	old := s.mounts.Load()
	m := &mounts{root: old.root, flows: map[flowName]mount{}, expected: maps.Clone(old.expected), expectedRoot: old.expectedRoot}
	delete(m.expected, flow)
	for k, v := range old.flows {
		m.flows[k] = v
	}
	for _, other := range old.order {
		if before, again := old.flows[flow]; !flows || !again || other != before.herder {
			m.order = append(m.order, other)
		}
	}
	m.order = append(m.order, h)
	added := mount{herder: h}
	if flows {
		added.prefix = FlowPath(flow.source, flow.target)
		m.flows[flow] = added
	}
	if root {
		m.root = &added
	}
	s.mounts.Store(m)
}

// Shutdown stops accepting requests and waits for the running ones as long as ctx
// allows; then it cuts them off. All the server's goroutines have ended when it
// returns. It may be called without Start.
func (s *Server) Shutdown(ctx context.Context) error {
	var failures *multierror.Error
	for _, e := range []*endpoint{&s.main, &s.admin, &s.peers} {
		if err := e.http.Shutdown(ctx); err != nil {
			failures = multierror.Append(failures, fmt.Errorf("REST requests were cut off: %w", err))
			s.cancel()
			if err := e.http.Close(); err != nil {
				failures = multierror.Append(failures, err)
			}
		}
	}
	s.cancel()
	s.serving.Wait()
	s.opts.Forward.Close()
	return failures.ErrorOrNil()
}

package cli

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/internal/buildinfo"
	"tributary/internal/metrics"
	"tributary/rest"
)

// shutdownLimit is how long REST requests under way may take when the process stops.
const shutdownLimit = time.Second

// Distributed is connect-distributed: it runs a worker of a group until a signal comes,
// and returns the process's exit code.
func Distributed(args []string, options ...Option) int {
	p := NewProgram(options...)
	var grammar struct {
		Version Version `help:"Print the version and exit."`
		File    string  `arg:"" name:"worker.properties" help:"The worker's properties."`
	}
	if code, done := p.Parse("connect-distributed", "Runs a Kafka Connect worker that shares its work with the others of its group.", &grammar, args); done {
		return code
	}
	log := p.Logger()
	return p.Main(log, func(ctx context.Context) error {
		props, err := LoadProperties(grammar.File)
		if err != nil {
			return &ConfigError{err}
		}
		return p.RunDistributed(ctx, props, log)
	})
}

// RunDistributed runs one worker with the given properties until ctx ends.
func (p *Program) RunDistributed(ctx context.Context, props map[string]string, log *slog.Logger) error {
	log = p.concealment.Logger(log)
	r, err := p.read(props, distributedDef, WorkerKey, log)
	if err != nil {
		return err
	}
	process := r.process
	if err := process.Server.Start(); err != nil {
		return err
	}
	w, err := NewWorker(WorkerOptions{
		Properties: r.props, Plugins: r.plugins, WorkerID: process.Server.WorkerID(), URL: process.Server.AdvertisedURL(),
		OnHerder: process.Server.SetHerder, Metrics: process.Metrics, SetLoggerLevel: p.SetLoggerLevel(), HTTP: process.Server.PeerClient(), Concealment: &p.concealment, Logger: log,
	})
	if err != nil {
		process.Stop()
		return err
	}
	log.Info("Tributary worker starting", "version", buildinfo.Version, "commit", buildinfo.Commit, "group", r.values.String("group.id"))
	return process.serve(ctx, w.Run)
}

// reading is what a worker's properties say of the process, whatever kind of worker it is.
type reading struct {
	plugins *plugin.Registry
	props   map[string]string // references resolved
	values  connect.Values
	process *Process // not listening yet
}

// read reads a worker's properties by the definition of its kind. known reports the keys
// that the worker reads.
func (p *Program) read(props map[string]string, def *connect.ConfigDef, known func(key string) bool, log *slog.Logger) (r reading, err error) {
	if r.plugins, err = plugin.NewRegistry(p.Plugins...); err != nil {
		return r, err
	}
	if r.props, err = resolveReferences(props, log); err != nil {
		return r, err
	}
	p.concealment.Add(props, r.props)
	if r.values, err = def.ParseValues(r.props); err != nil {
		return r, &ConfigError{err}
	}
	reportUnread(r.props, known, log)
	secured, err := RESTSecurity(r.props, log)
	if err != nil {
		return r, &ConfigError{err}
	}
	if r.process, err = NewProcess(r.plugins, r.values.List("listeners"), advertised(r.values), log, p.serving(r.values), secured); err != nil {
		return r, &ConfigError{err}
	}
	return r, nil
}

func advertised(v connect.Values) rest.Advertised {
	return rest.Advertised{Host: v.String("rest.advertised.host.name"), Port: int(v.Int("rest.advertised.port")), Listener: v.String("rest.advertised.listener")}
}

// Serving checks what properties say of the REST API, and returns what that means for
// the server, beside where it listens. Other keys are not looked at.
func (p *Program) Serving(props map[string]string) (func(*rest.Options), error) {
	values, err := connect.NewConfigDef(servingKeys...).ParseValues(props)
	if err != nil {
		return nil, &ConfigError{err}
	}
	return p.serving(values), nil
}

// serving reads what the worker's properties say of the REST API, beside where it
// listens.
func (p *Program) serving(v connect.Values) func(*rest.Options) {
	return func(o *rest.Options) {
		o.AdminListeners = v.List("admin.listeners")
		o.AllowedOrigins, o.AllowedMethods = List(v.String("access.control.allow.origin")), List(v.String("access.control.allow.methods"))
		o.Limit, o.Concealment = p.RESTLimit, &p.concealment
		o.ResponseHeaders = v.String("response.http.headers.config")
		if p.levels != nil {
			o.Loggers = loggers{p.levels}
		}
	}
}

// SetLoggerLevel sets a level that the group was given, or is nil when the program's log
// is not its own.
func (p *Program) SetLoggerLevel() func(namespace, level string) {
	if p.levels == nil {
		return nil
	}
	return func(namespace, level string) { loggers{p.levels}.Set(namespace, level) }
}

// Process is what the workers of one process share: the REST server and the metrics.
type Process struct {
	Server  *rest.Server
	Metrics *metrics.Registry
	log     *slog.Logger
}

// NewProcess makes the shared parts; the server listens only after its Start. options
// change how it serves.
func NewProcess(plugins *plugin.Registry, listeners []string, advertised rest.Advertised, log *slog.Logger, options ...func(*rest.Options)) (*Process, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register the process's metrics: %w", err)
		}
	}
	o := rest.Options{
		Listeners: listeners, Advertised: advertised, Version: buildinfo.Version, Commit: buildinfo.Commit,
		Plugins: plugins, Metrics: metrics.Handler(registry), Logger: named(log, logREST),
	}
	for _, change := range options {
		change(&o)
	}
	server, err := rest.New(o)
	if err != nil {
		return nil, err
	}
	return &Process{Server: server, Metrics: metrics.New(registry, log), log: log}, nil
}

// serve runs a worker. The REST server ends with ctx or with the worker, whichever is
// first.
func (p *Process) serve(ctx context.Context, run func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var stopping sync.WaitGroup
	stopping.Go(func() {
		<-ctx.Done()
		p.Stop()
	})
	err := run(ctx)
	cancel()
	stopping.Wait()
	return err
}

// Stop ends the REST server; requests under way have a moment to finish.
func (p *Process) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if err := p.Server.Shutdown(ctx); err != nil {
		p.log.Debug("REST requests were cut off", "error", err)
	}
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tributary/api"
	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/herder/distributed"
	"tributary/connect/worker"
	"tributary/internal/buildinfo"
	"tributary/internal/kafka"
	"tributary/storage"
	"tributary/storage/filestore"
	"tributary/storage/memstore"
)

// Standalone is connect-standalone: it runs a worker without a group, and the connectors
// of the files given, until a signal comes, and returns the process's exit code.
func Standalone(args []string, options ...Option) int {
	p := NewProgram(options...)
	var grammar struct {
		Version    Version  `help:"Print the version and exit."`
		File       string   `arg:"" name:"worker.properties" help:"The worker's properties."`
		Connectors []string `arg:"" optional:"" name:"connector" help:"Connectors to create: properties, a flat JSON object, or the JSON body of POST /connectors."`
	}
	if code, done := p.Parse("connect-standalone", "Runs a Kafka Connect worker of its own, without a group.", &grammar, args); done {
		return code
	}
	log := p.Logger()
	return p.Main(log, func(ctx context.Context) error {
		props, err := LoadProperties(grammar.File)
		if err != nil {
			return &ConfigError{err}
		}
		return p.RunStandalone(ctx, props, grammar.Connectors, log)
	})
}

// RunStandalone runs one worker without a group, with the connectors of the given files,
// until ctx ends. A connector that cannot be created or started ends it with an error.
func (p *Program) RunStandalone(ctx context.Context, props map[string]string, connectorFiles []string, log *slog.Logger) error {
	log = p.concealment.Logger(log)
	r, err := p.read(props, standaloneDef, standaloneKey, log)
	if err != nil {
		return err
	}
	process := r.process
	e, err := newEngine(r.props, r.values, cmp.Or(r.props["client.id"], "standalone-shared-admin"), r.plugins, process.Metrics, log)
	if err != nil {
		return &ConfigError{err}
	}
	e.concealment = &p.concealment
	s := &standalone{engine: e, setLoggerLevel: p.SetLoggerLevel(), created: make(chan struct{})}
	// All are read before anything starts: a mistake in the last does not leave the others
	// running for a moment.
	for _, path := range connectorFiles {
		file, err := readConnectorFile(path)
		if err != nil {
			return err
		}
		s.files = append(s.files, file)
	}
	if err := process.Server.Start(); err != nil {
		return err
	}
	if s.Herder, err = s.newHerder(process.Server.WorkerID(), process.Server.AdvertisedURL()); err != nil {
		process.Stop()
		return err
	}
	process.Server.SetHerder(s)
	log.Info("Tributary standalone worker starting", "version", buildinfo.Version, "commit", buildinfo.Commit)
	return process.serve(ctx, s.run)
}

// standalone is a worker without a group. As a herder it is that of a group of one: what
// such a worker lacks is replaced here.
type standalone struct {
	engine
	*distributed.Herder
	files  []connectorFile
	starts startWatch
	// setLoggerLevel is Program.SetLoggerLevel.
	setLoggerLevel func(namespace, level string)
	clusterID      atomic.Value // string
	// created is closed when the connectors of all files run.
	created chan struct{}
}

var _ herder.Herder = (*standalone)(nil)

func (s *standalone) newHerder(workerID, url string) (*distributed.Herder, error) {
	options := s.herderOptions(workerID, stores{
		configs:  memstore.NewConfigStore(nil, false, s.log),
		statuses: memstore.NewStatusStore(nil, s.log),
		offsets:  filestore.New(s.values.String(filestore.Key), s.log),
	})
	options.ClusterID = func() string { id, _ := s.clusterID.Load().(string); return id }
	options.Group = group.NewSolo(url, s.log)
	options.SetLoggerLevel = s.setLoggerLevel
	newRunner := options.NewRunner
	options.NewRunner = func(l worker.Listener) (distributed.Runner, error) {
		s.starts.Listener = l
		return newRunner(&s.starts)
	}
	h, err := distributed.New(options)
	if err == nil {
		s.reload(h)
	}
	return h, err
}

// run works until ctx ends or a connector cannot be created.
func (s *standalone) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var background sync.WaitGroup
	background.Go(func() { s.askClusterID(ctx) })
	background.Go(func() {
		if err := s.createAll(ctx); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	err := s.Run(ctx)
	cancel(context.Canceled)
	background.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// askClusterID waits for the cluster; nothing else of the worker does. Tasks wait for it
// themselves.
func (s *standalone) askClusterID(ctx context.Context) {
	client, err := kafka.NewClient(s.admin, s.log)
	if err != nil {
		s.log.Warn("The Kafka cluster cannot be asked for its id", "error", err)
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		err := client.Await(ctx)
		if err == nil {
			var id string
			if id, err = client.ClusterID(ctx); err == nil {
				s.clusterID.Store(id)
				return
			}
		}
		if !kafka.IsRetriable(err) {
			if ctx.Err() == nil {
				s.log.Warn("The Kafka cluster does not tell its id", "error", err)
			}
			return
		}
	}
}

// createAll creates the connectors of the files, one after the other: the next when the
// last has started.
func (s *standalone) createAll(ctx context.Context) error {
	for _, f := range s.files {
		if err := s.create(ctx, f); err != nil {
			return fmt.Errorf("connector %s of %s cannot be created: %s", f.name, f.path, oneLine(err))
		}
		s.log.Info("Created connector "+f.name, "connector", f.name, "file", f.path)
	}
	close(s.created)
	return nil
}

func (s *standalone) create(ctx context.Context, f connectorFile) error {
	_, _, err := s.PutConnectorConfig(ctx, f.name, f.config, f.initial, false)
	return err
}

// PutConnectorConfig implements herder.Herder. As in Java it waits until the connector has started and has divided its
// work, and fails if it cannot start: it is there all the same.
func (s *standalone) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState, allowReplace bool) (created bool, info api.ConnectorInfo, err error) {
	info, err = s.started(ctx, connector, func() (info api.ConnectorInfo, err error) {
		created, info, err = s.Herder.PutConnectorConfig(ctx, connector, config, initial, allowReplace)
		return info, err
	})
	return created, info, err
}

// PatchConnectorConfig implements herder.Herder, see PutConnectorConfig.
func (s *standalone) PatchConnectorConfig(ctx context.Context, connector string, patch storage.ConnectorConfig) (api.ConnectorInfo, error) {
	return s.started(ctx, connector, func() (api.ConnectorInfo, error) { return s.Herder.PatchConnectorConfig(ctx, connector, patch) })
}

// started runs what has a connector start, and waits until it has.
func (s *standalone) started(ctx context.Context, connector string, put func() (api.ConnectorInfo, error)) (api.ConnectorInfo, error) {
	outcome, forget := s.starts.expect(connector)
	defer forget()
	info, err := put()
	if err != nil {
		return info, err
	}
	select {
	case err := <-outcome:
		if err != nil {
			return info, err
		}
	case <-ctx.Done():
		return info, ctx.Err()
	}
	if err := s.AwaitTaskConfigs(ctx, connector); err != nil {
		return info, err
	}
	return s.ConnectorInfo(ctx, connector)
}

// oneLine leaves out the hint to ask an endpoint of a worker that is about to end.
func oneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "/config/validate`") {
			lines = append(lines, line)
		}
	}
	if len(lines) < 2 {
		return strings.Join(lines, "")
	}
	return lines[0] + " " + strings.Join(lines[1:], "; ")
}

// Health is that of the herder, once the connectors of the command line were created.
func (s *standalone) Health(ctx context.Context) error {
	select {
	case <-s.created:
		return s.Herder.Health(ctx)
	default:
		return &herder.NotReadyError{Message: "Worker is still starting up."}
	}
}

// PutTaskConfigs implements herder.Herder. There are no other workers to take it from.
func (s *standalone) PutTaskConfigs(context.Context, string, []map[string]string, protocol.SignedRequest) error {
	return errors.New("a standalone worker takes no task configurations from others")
}

// FenceZombies implements herder.Herder.
func (s *standalone) FenceZombies(context.Context, string, protocol.SignedRequest) error {
	return errors.New("a standalone worker has no exactly-once source connectors")
}

// MemberDeparted implements herder.Herder.
func (s *standalone) MemberDeparted(context.Context, string, protocol.SignedRequest) error {
	return errors.New("a standalone worker has no group that others could leave")
}

// startWatch is the listener of a worker that also tells how a connector's start ended.
type startWatch struct {
	worker.Listener
	mu      sync.Mutex
	waiting map[string][]chan error
}

// expect returns where the outcome of a connector's next start will be. Who does not wait for it any more says so by
// forget.
func (w *startWatch) expect(connector string) (outcome <-chan error, forget func()) {
	own := make(chan error, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[string][]chan error{}
	}
	w.waiting[connector] = append(w.waiting[connector], own)
	return own, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting[connector] = slices.DeleteFunc(w.waiting[connector], func(c chan error) bool { return c == own })
	}
}

func (w *startWatch) tell(connector string, outcome error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.waiting[connector] {
		c <- outcome
	}
	delete(w.waiting, connector)
}

// ConnectorState implements worker.Listener. One that is RUNNING has not divided its work yet.
func (w *startWatch) ConnectorState(connector string, state storage.State, trace, version string) {
	w.Listener.ConnectorState(connector, state, trace, version)
	switch state {
	case storage.StatePaused, storage.StateStopped:
		w.tell(connector, nil)
	case storage.StateFailed:
		first, _, _ := strings.Cut(trace, "\n")
		w.tell(connector, errors.New(first))
	}
}

// TaskConfigsRequested implements worker.Listener. It follows RUNNING.
func (w *startWatch) TaskConfigsRequested(connector string) {
	w.Listener.TaskConfigsRequested(connector)
	w.tell(connector, nil)
}

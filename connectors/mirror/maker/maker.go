package maker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect/cli"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/connectors/mirror"
	"tributary/internal/buildinfo"
	"tributary/rest"
)

// Main is connect-mirror-maker: it runs the flows of a file until a signal comes, and
// returns the process's exit code.
func Main(args []string, options ...cli.Option) int {
	p := cli.NewProgram(options...)
	var grammar struct {
		Version  cli.Version `help:"Print the version and exit."`
		Clusters []string    `help:"Run only the flows into these clusters." placeholder:"ALIAS"`
		Check    bool        `help:"Say what the file would do and what stands against it, change nothing, and exit."`
		File     string      `arg:"" name:"mm2.properties" help:"The clusters and the flows between them."`
	}
	if code, done := p.Parse("connect-mirror-maker", "Mirrors Kafka clusters into each other.", &grammar, spreadClusters(args)); done {
		return code
	}
	log := p.Logger()
	return p.Main(log, func(ctx context.Context) error {
		props, err := cli.LoadProperties(grammar.File)
		if err != nil {
			return &cli.ConfigError{Err: err}
		}
		if grammar.Check {
			return Check(ctx, p, props, grammar.Clusters, log)
		}
		return Run(ctx, p, props, grammar.Clusters, log)
	})
}

// spreadClusters turns "--clusters a b" into "--clusters=a --clusters=b": Java's option
// takes all arguments that follow it.
func spreadClusters(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] != "--clusters" {
			out = append(out, args[i])
			continue
		}
		for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			out = append(out, "--clusters="+args[i])
		}
	}
	return out
}

// Run mirrors as props says until ctx ends. With targets given, only flows into these
// clusters run here.
func Run(ctx context.Context, p *cli.Program, props map[string]string, targets []string, log *slog.Logger) error {
	m, err := newMirrorMaker(p, props, targets, log)
	if err != nil {
		return err
	}
	if err := m.start(); err != nil {
		return err
	}
	defer m.process.Stop()
	return m.run(ctx)
}

// newMirrorMaker reads a file. Nothing runs yet.
func newMirrorMaker(p *cli.Program, props map[string]string, targets []string, log *slog.Logger) (*mirrorMaker, error) {
	providers, err := provider.New(props)
	if err != nil {
		return nil, &cli.ConfigError{Err: err}
	}
	log = p.Concealment().Logger(log)
	resolve := func(written map[string]string) (map[string]string, error) {
		resolved, err := providers.Resolve(written)
		p.Concealment().Add(written, resolved)
		return resolved, err
	}
	config, err := Parse(props, resolve)
	if err != nil {
		return nil, &cli.ConfigError{Err: err}
	}
	flows, err := config.Flows(targets)
	if err != nil {
		return nil, &cli.ConfigError{Err: err}
	}
	if len(flows) == 0 {
		return nil, &cli.ConfigError{Err: fmt.Errorf("no flow leads into --clusters %s", strings.Join(targets, " "))}
	}
	registry, err := plugin.NewRegistry(p.Plugins...)
	if err != nil {
		return nil, err
	}
	return &mirrorMaker{program: p, config: config, flows: flows, resolve: resolve, plugins: registry, log: log}, nil
}

// mirrorMaker is one dedicated process: a worker a flow and one REST server.
type mirrorMaker struct {
	program *cli.Program
	config  *Config
	flows   []Flow
	resolve Resolver
	plugins *plugin.Registry
	log     *slog.Logger
	process *cli.Process
	runs    []*flowRun
}

// flowRun is one flow and the worker that carries it.
type flowRun struct {
	Flow
	worker *cli.Worker
	log    *slog.Logger
	// herder is set once the target cluster has answered, and again each time the worker
	// is run anew.
	herder atomic.Pointer[herder.Herder]
	// begun is set once this process has begun the flow's batch.
	begun atomic.Bool
}

// start checks everything and begins to serve REST requests.
func (m *mirrorMaker) start() error {
	m.say()
	if err := m.listen(); err != nil {
		return err
	}
	enabled := 0
	for _, f := range m.flows {
		if m.config.Enabled(f) {
			enabled++
		}
	}
	var errs *multierror.Error
	for _, f := range m.flows {
		only := enabled == 1 && m.config.Enabled(f)
		m.process.Server.ExpectFlow(f.Source, f.Target, only)
		run, err := m.newRun(f, only)
		if err != nil {
			for _, e := range cli.Errors(err) {
				errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, e))
			}
			continue
		}
		m.runs = append(m.runs, run)
		for _, e := range m.checkConnectors(f, run.worker) {
			errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, e))
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		m.process.Stop()
		return &cli.ConfigError{Err: err}
	}
	return nil
}

// newRun makes the worker of a flow. only says that the flow is the one that the API's
// /connectors speaks of.
func (m *mirrorMaker) newRun(f Flow, only bool) (*flowRun, error) {
	run := &flowRun{Flow: f, log: m.log.With("flow", f.String())}
	w, err := cli.NewWorker(cli.WorkerOptions{
		Properties: m.config.WorkerProps(f), Plugins: m.plugins,
		WorkerID: m.process.Server.WorkerID() + "/" + f.String(), URL: m.process.Server.AdvertisedURL(),
		LeaderPath: rest.FlowPath(f.Source, f.Target),
		OnHerder: func(h herder.Herder) {
			m.process.Server.AddFlow(f.Source, f.Target, h, only)
			run.herder.Store(&h)
		},
		OnLeader: func(ctx context.Context, h herder.Herder) {
			m.post(ctx, f, h, run.log)
			m.beginBatch(ctx, run, h)
		},
		SetLoggerLevel: m.program.SetLoggerLevel(),
		HTTP:           m.process.Server.PeerClient(),
		Metrics:        m.process.Metrics.With(map[string]string{"flow": f.String()}), Concealment: m.program.Concealment(), Logger: run.log,
	})
	run.worker = w
	return run, err
}

// checkConnectors validates what will be posted for a flow, so that a mistake ends the
// process at once: nobody reads the log of one that seems to run.
func (m *mirrorMaker) checkConnectors(f Flow, w *cli.Worker) []error {
	var errs []error
	said := map[string]bool{}
	for _, props := range m.connectors(f) {
		err := w.CheckConnector(context.Background(), props)
		if err == nil {
			continue
		}
		for _, e := range cli.Errors(err) {
			if !said[e.Error()] { // keys that the connectors share are wrong for each of them
				said[e.Error()] = true
				errs = append(errs, e)
			}
		}
	}
	return errs
}

// say tells what the file means, and which of its keys mean nothing.
func (m *mirrorMaker) say() {
	var mirrors, heartbeats []string
	for _, f := range m.flows {
		if m.config.Enabled(f) {
			mirrors = append(mirrors, f.String())
		} else {
			heartbeats = append(heartbeats, f.String())
		}
	}
	m.log.Info("Tributary MirrorMaker starting", "version", buildinfo.Version, "commit", buildinfo.Commit,
		"flows", strings.Join(mirrors, ","), "heartbeats_only", strings.Join(heartbeats, ","))
	if m.config.Implied {
		m.log.Info("The file has no clusters line: mirroring the cluster source into the cluster target")
	}
	for _, f := range m.flows {
		off := checkpointsOff(m.config.ConnectorProps(f, checkpointConnector, m.known().Connector))
		if m.config.Enabled(f) && off != "" {
			m.log.Info("The flow has no checkpoints: offsets of consumer groups are not translated", "flow", f.String(), "because", off)
		}
	}
	for _, warning := range append(m.config.UnreadKeys(m.known()), m.config.Circles(m.known())...) {
		m.log.Warn(warning)
	}
}

// known says which keys are read by whom.
func (m *mirrorMaker) known() Known {
	framework := worker.ConnectorDef(plugin.Source)
	names := mirror.ConfigNames()
	return Known{
		Connector: func(key string) bool {
			// Those of source connectors alone count for a flow, as in Java.
			_, ok := framework.Key(key)
			return ok && !slices.Contains(flowKeys, key) || names[key]
		},
		Worker: cli.WorkerKey,
		Client: cli.ClientKey,
	}
}

// run runs all workers until ctx ends, or until all flows are batches that are done. One
// that fails ends the others, unless its flow only carries heartbeats.
func (m *mirrorMaker) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs *multierror.Error
	fail := func(f Flow, err error) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range cli.Errors(err) {
			errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, e))
		}
	}
	for _, run := range m.runs {
		wg.Go(func() { m.compareFiles(ctx, run) })
		wg.Go(func() {
			if !m.config.Enabled(run.Flow) {
				m.runHeartbeats(ctx, run)
				return
			}
			if err := run.worker.Run(ctx); err != nil {
				fail(run.Flow, err)
				cancel()
			}
		})
	}
	if m.allBatches() {
		wg.Go(func() {
			m.awaitBatches(ctx, fail)
			cancel()
		})
	}
	wg.Wait()
	m.log.Info("Tributary MirrorMaker stopped")
	return errs.ErrorOrNil()
}

// heartbeatRetry is the pause before a flow of heartbeats is tried again that failed.
const heartbeatRetry = time.Minute

// runHeartbeats runs a flow that mirrors nothing. A cluster that refuses its topics, as
// the source of a mirror may well do, costs the heartbeats and nothing else; that is
// said once.
func (m *mirrorMaker) runHeartbeats(ctx context.Context, run *flowRun) {
	said := ""
	for {
		err := run.worker.Run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said {
			said = text
			run.log.Warn("No heartbeats are written into cluster "+run.Target+"; mirroring goes on without them", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(heartbeatRetry):
		}
	}
}

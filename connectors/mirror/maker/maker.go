package maker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
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
	"tributary/storage"
)

// defaultListener is where the REST API is when the file has no listeners: reachable
// from this machine only, since MirrorMaker users do not expect it at all.
const defaultListener = "http://127.0.0.1:8083"

// Main is connect-mirror-maker: it runs the flows of a file until a signal comes, and
// returns the process's exit code.
func Main(args []string, options ...cli.Option) int {
	p := cli.NewProgram(options...)
	var grammar struct {
		Version  cli.Version `help:"Print the version and exit."`
		Clusters []string    `help:"Run only the flows into these clusters." placeholder:"ALIAS"`
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
		return Run(ctx, props, grammar.Clusters, p.Plugins, log)
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
func Run(ctx context.Context, props map[string]string, targets []string, plugins []plugin.Plugin, log *slog.Logger) error {
	providers, err := provider.New(props)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	config, err := Parse(props, providers.Resolve)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	flows, err := config.Flows(targets)
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	if len(flows) == 0 {
		return &cli.ConfigError{Err: fmt.Errorf("no flow leads into --clusters %s", strings.Join(targets, " "))}
	}
	registry, err := plugin.NewRegistry(plugins...)
	if err != nil {
		return err
	}
	m := &mirrorMaker{config: config, flows: flows, plugins: registry, log: log}
	if err := m.start(); err != nil {
		return err
	}
	defer m.process.Stop()
	return m.run(ctx)
}

// mirrorMaker is one dedicated process: a worker a flow and one REST server.
type mirrorMaker struct {
	config  *Config
	flows   []Flow
	plugins *plugin.Registry
	log     *slog.Logger
	process *cli.Process
	workers []*cli.Worker
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
		log := m.log.With("flow", f.String())
		w, err := cli.NewWorker(cli.WorkerOptions{
			Properties: m.config.WorkerProps(f), Plugins: m.plugins,
			WorkerID: m.process.Server.WorkerID() + "/" + f.String(), URL: m.process.Server.AdvertisedURL(),
			LeaderPath: rest.FlowPath(f.Source, f.Target),
			OnHerder: func(h herder.Herder) {
				m.process.Server.AddFlow(f.Source, f.Target, h, enabled == 1 && m.config.Enabled(f))
			},
			OnLeader: func(ctx context.Context, h herder.Herder) { m.post(ctx, f, h, log) },
			HTTP:     m.process.Server.PeerClient(), Metrics: m.process.Metrics, Logger: log,
		})
		if err != nil {
			for _, e := range cli.Errors(err) {
				errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, e))
			}
			continue
		}
		m.workers = append(m.workers, w)
		for _, e := range m.checkConnectors(f, w) {
			errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, e))
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		m.process.Stop()
		return &cli.ConfigError{Err: err}
	}
	return nil
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
	for _, unread := range m.config.UnreadKeys(m.known()) {
		m.log.Warn(unread)
	}
}

// known says which keys are read by whom.
func (m *mirrorMaker) known() Known {
	framework := worker.ConnectorDef(plugin.Source)
	names := mirror.ConfigNames()
	return Known{
		Connector: func(key string) bool {
			_, ok := framework.Key(key)
			return ok || names[key]
		},
		Worker: cli.WorkerKey,
		Client: cli.ClientKey,
	}
}

// listen starts the REST server. Where the user named no listener, a port that is
// taken costs the API only.
func (m *mirrorMaker) listen() error {
	listeners, named := m.config.TopLevel("listeners")
	if !named {
		listeners = defaultListener
	}
	advertised, err := m.advertised()
	if err != nil {
		return &cli.ConfigError{Err: err}
	}
	open := func(listeners []string) error {
		if m.process, err = cli.NewProcess(m.plugins, listeners, advertised, m.log); err != nil {
			return &cli.ConfigError{Err: err}
		}
		return m.process.Server.Start()
	}
	err = open(cli.List(listeners))
	if err == nil || named || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	m.process.Stop()
	m.log.Warn("The REST API's port is taken by another process; going on with any free port. Set listeners to choose one", "listener", defaultListener)
	return open([]string{"http://127.0.0.1:0"})
}

func (m *mirrorMaker) advertised() (rest.Advertised, error) {
	get := func(key string) string { v, _ := m.config.TopLevel(key); return v }
	a := rest.Advertised{Host: get("rest.advertised.host.name"), Listener: get("rest.advertised.listener")}
	if port := get("rest.advertised.port"); port != "" {
		if _, err := fmt.Sscan(port, &a.Port); err != nil || a.Port < 1 || a.Port > 65535 {
			return a, fmt.Errorf("rest.advertised.port is %q: it must be a port between 1 and 65535", port)
		}
	}
	return a, nil
}

// run runs all workers until ctx ends. One that fails ends the others, unless its flow
// only carries heartbeats.
func (m *mirrorMaker) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs *multierror.Error
	for i, w := range m.workers {
		wg.Go(func() {
			if !m.config.Enabled(m.flows[i]) {
				m.runHeartbeats(ctx, m.flows[i], w)
				return
			}
			if err := w.Run(ctx); err != nil {
				mu.Lock()
				for _, e := range cli.Errors(err) {
					errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", m.flows[i], e))
				}
				mu.Unlock()
				cancel()
			}
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
func (m *mirrorMaker) runHeartbeats(ctx context.Context, f Flow, w *cli.Worker) {
	said := ""
	for {
		err := w.Run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said {
			said = text
			m.log.Warn("No heartbeats are written into cluster "+f.Target+"; mirroring goes on without them", "flow", f.String(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(heartbeatRetry):
		}
	}
}

const checkpointConnector = "org.apache.kafka.connect.mirror.MirrorCheckpointConnector"

// connectorClasses are posted in this order.
var connectorClasses = []string{
	"org.apache.kafka.connect.mirror.MirrorSourceConnector",
	"org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
	checkpointConnector,
}

// connectors returns the configurations of a flow's connectors, in the order in which they are posted. Without
// checkpoints, or the offset syncs that they are made of, a flow has no MirrorCheckpointConnector: it refuses to run,
// and in Java, too, the others run without it.
func (m *mirrorMaker) connectors(f Flow) []map[string]string {
	var out []map[string]string
	known := m.known().Connector
	for _, class := range connectorClasses {
		props := m.config.ConnectorProps(f, class, known)
		if class != checkpointConnector || checkpointsOff(props) == "" {
			out = append(out, props)
		}
	}
	return out
}

// checkpointsOff returns the setting by which a flow has no checkpoints, or "".
func checkpointsOff(props map[string]string) string {
	for _, key := range []string{"emit.checkpoints.enabled", "emit.offset-syncs.enabled"} {
		if strings.EqualFold(strings.TrimSpace(props[key]), "false") {
			return key + "=false"
		}
	}
	return ""
}

// postRetry is the pause before a connector is posted again that could not be.
const postRetry = 2 * time.Second

// post writes the connectors of a flow to its config topic where they are not there
// yet or the file says otherwise. The worker that becomes leader does it.
func (m *mirrorMaker) post(ctx context.Context, f Flow, h herder.Herder, log *slog.Logger) {
	for _, want := range m.connectors(f) {
		name := want["name"]
		for {
			err := putIfChanged(ctx, h, name, want)
			if err == nil || ctx.Err() != nil {
				break
			}
			var wrong *herder.BadRequestError
			var other *herder.NotLeaderError
			if errors.As(err, &wrong) || errors.As(err, &other) {
				log.Error("The connector was not configured", "connector", name, "error", err)
				break
			}
			log.Warn("Could not configure the connector; trying again", "connector", name, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(postRetry):
			}
		}
	}
}

func putIfChanged(ctx context.Context, h herder.Herder, name string, want map[string]string) error {
	config := storage.ConnectorConfig{}
	for k, v := range want {
		config[k] = &v
	}
	current, err := h.ConnectorConfig(ctx, name)
	var missing *herder.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	if err == nil && equal(current, want) {
		return nil
	}
	_, _, err = h.PutConnectorConfig(ctx, name, config, nil, true)
	return err
}

func equal(current storage.ConnectorConfig, want map[string]string) bool {
	if len(current) != len(want) {
		return false
	}
	for k, v := range want {
		if c := current[k]; c == nil || *c != v {
			return false
		}
	}
	return true
}

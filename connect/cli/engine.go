package cli

import (
	"log/slog"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/herder/distributed"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/internal/kafka"
	"tributary/storage"
)

// engine is what runs connectors, whether a worker shares them with a group or is alone.
type engine struct {
	plugins   *plugin.Registry
	metrics   worker.Metrics
	log       *slog.Logger
	values    connect.Values
	runtime   worker.Config
	providers *provider.Providers
	// watched are the providers for what runs: they have it restarted when values change.
	watched   *provider.Watched
	producers *producerFactory
	// clients work with connectors' own settings; nil where there is no group.
	clients     *connectorClients
	taskClients *clientFactory
	overrides   herder.OverridePolicy
	// concealment is what the references in the worker's own properties stand for.
	concealment *provider.Concealment
	// props are the worker's properties for clients of its own, admin those of the
	// client that asks the cluster about itself.
	props kafka.Props
	admin *kafka.Config
}

// newEngine reads the properties. The error holds everything that is wrong; the engine is
// then good for further checks alone.
func newEngine(properties map[string]string, values connect.Values, adminID string, plugins *plugin.Registry, metrics worker.Metrics, log *slog.Logger) (engine, error) {
	e := engine{plugins: plugins, metrics: metrics, log: log, values: values, props: clientProps(properties)}
	var errs *multierror.Error
	var err error
	if e.runtime, err = worker.ParseConfig(properties); err != nil {
		errs = multierror.Append(errs, err)
	}
	if _, set := properties["offset.flush.interval.ms"]; !set {
		e.runtime.FlushInterval = DefaultFlushInterval
	}
	if e.providers, err = provider.New(properties); err != nil {
		errs = multierror.Append(errs, err)
	} else {
		e.providers = e.providers.Reporting(reportUnresolved(log))
		e.watched = e.providers.Watched(named(log, logWorker))
	}
	if err := worker.CheckConverters(plugins, properties); err != nil {
		errs = multierror.Append(errs, err)
	}
	e.producers = &producerFactory{props: properties, log: log}
	e.taskClients = &clientFactory{props: properties, log: log}
	if _, err = e.producers.config(worker.ProducerSpec{ClientID: "connector-producer"}); err != nil {
		errs = multierror.Append(errs, err)
	}
	if e.overrides, err = herder.ParseOverridePolicy(values.String("connector.client.config.override.policy"), values.List("connector.client.config.override.allowlist")); err != nil {
		errs = multierror.Append(errs, err)
	}
	if e.admin, err = kafka.ParseConfig(kafka.RoleAdmin, with(e.props, "client.id", adminID)); err != nil {
		errs = multierror.Append(errs, err)
	} else {
		for _, warning := range e.admin.Warnings() {
			log.Warn(warning)
		}
	}
	return e, errs.ErrorOrNil()
}

// resolveReferences replaces the references to configuration providers in a worker's own
// properties, as Java does. The definitions of the providers stay, for connectors; wrong
// ones are left to newEngine, which names them beside everything else that is wrong.
func resolveReferences(props map[string]string, log *slog.Logger) (map[string]string, error) {
	providers, err := provider.New(props)
	if err != nil {
		return props, nil
	}
	if props, err = providers.Reporting(reportUnresolved(log)).Resolve(props); err != nil {
		return nil, &ConfigError{err}
	}
	return props, nil
}

// reportUnresolved says which references to configuration providers stay as they are. The
// worker's own have no connector.
func reportUnresolved(log *slog.Logger) func(connector string, left []provider.Unresolved) {
	return func(connector string, left []provider.Unresolved) {
		for _, u := range left {
			log.Warn("A reference to a configuration provider is left as it is", "connector", connector,
				"key", u.Config, "provider", u.Provider, "path", u.Path, "name", u.Key, "reason", u.Reason)
		}
	}
}

func (e *engine) connectorValidator() *herder.Validator {
	return &herder.Validator{Plugins: e.plugins, Resolve: e.providers.Transform, Worker: e.runtime.Properties, Overrides: e.overrides}
}

// clusterAway reports whether the worker's cluster is known to be out of reach.
func (e *engine) clusterAway() bool { return kafka.Away(e.admin.BootstrapServers) }

// syncTimeout is worker.sync.timeout.ms where there is no such key.
const syncTimeout = 3 * time.Second

// herderOptions are those that do not depend on the group.
func (e *engine) herderOptions(workerID string, s stores) distributed.Options {
	return distributed.Options{
		SinkGroups: e.taskClients.sinkGroup,
		WorkerID:   workerID, Configs: s.configs, Statuses: s.statuses, Offsets: s.offsets, Plugins: e.plugins,
		NewRunner: func(l worker.Listener) (distributed.Runner, error) {
			options := worker.Options{
				ID: workerID, Config: e.runtime, Plugins: e.plugins, Offsets: s.offsets, Listener: l,
				Producers: e.producers.open, Consumers: e.taskClients.consumer, Admins: e.taskClients.admin, Transformer: e.watched, Concealment: e.concealment, ClusterAway: e.clusterAway, Logger: named(e.log, logWorker), Metrics: e.metrics,
			}
			if e.clients != nil {
				options.OffsetStores, options.Fence = e.clients, e.clients.fence
			}
			return worker.New(options), nil
		},
		Validator: e.connectorValidator(),
		Restarts:  e.restartPolicy(), Metrics: e.metrics, Windows: e.runtime.Metrics, Concealment: e.concealment,
		// What a group chooses; a worker of its own has its configurations in memory.
		SyncTimeout: syncTimeout, SyncBackoff: syncTimeout,
		TopicTracking: e.runtime.TopicTracking, TopicTrackingReset: e.values.Bool("topic.tracking.allow.reset"),
		Logger: named(e.log, logHerder),
	}
}

// reload lets a herder restart connectors when what configuration providers say changes.
func (e *engine) reload(h *distributed.Herder) {
	e.watched.Notify(h.RunsHere, func(connector string) {
		h.RestartRequested(storage.RestartRequest{Connector: connector, IncludeTasks: true})
	})
}

// restartPolicy reads the keys task.auto.restart….
func (e *engine) restartPolicy() distributed.RestartPolicy {
	if !e.values.Bool("task.auto.restart") {
		return distributed.RestartPolicy{}
	}
	return distributed.RestartPolicy{First: millis(e.values, "task.auto.restart.backoff.ms"), Longest: millis(e.values, "task.auto.restart.backoff.max.ms")}
}

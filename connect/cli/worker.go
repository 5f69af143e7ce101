package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/herder/distributed"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/internal/kafka"
	"tributary/storage"
	"tributary/storage/kafkastore"
)

// DefaultFlushInterval is the time between two commits of offsets where the user sets
// no offset.flush.interval.ms. Java's minute costs a minute of duplicates after a crash;
// a commit costs next to nothing.
const DefaultFlushInterval = 5 * time.Second

// WorkerOptions are what a distributed worker is put together from.
type WorkerOptions struct {
	// Properties are the worker's, as in a worker.properties file.
	Properties map[string]string
	Plugins    *plugin.Registry
	// WorkerID and URL are how others know the worker: host:port, and its REST address.
	WorkerID, URL string
	// LeaderPath stands before /connectors in requests between workers.
	LeaderPath string
	// OnHerder is called once the cluster answers and the herder is about to run.
	OnHerder func(h herder.Herder)
	// OnLeader is distributed.Options.OnLeader.
	OnLeader func(ctx context.Context, h herder.Herder)
	// SetLoggerLevel is distributed.Options.SetLoggerLevel.
	SetLoggerLevel func(namespace, level string)
	// HTTP sends requests to the group's other workers; nil is a client with the system's
	// trust.
	HTTP    *http.Client
	Metrics worker.Metrics
	// Concealment is what the references that Properties were written with stand for; nil if
	// there were none. Logger conceals it already.
	Concealment *provider.Concealment
	Logger      *slog.Logger
}

// Worker is a distributed worker whose properties were checked. Run makes it work.
type Worker struct {
	engine
	opts      WorkerOptions
	keys      protocol.KeyPolicy
	group     *kafka.Config
	protocols []protocol.Subprotocol
	topics    topics
}

// topics are the internal topics of a worker.
type topics struct{ config, offset, status kafkastore.Topic }

// NewWorker checks the properties of a worker. It does not touch the network. The error
// is a *ConfigError that holds everything that is wrong.
func NewWorker(o WorkerOptions) (*Worker, error) {
	values, err := distributedDef.ParseValues(o.Properties)
	if err != nil {
		return nil, &ConfigError{err}
	}
	w := &Worker{opts: o}
	if err := w.check(values); err != nil {
		return nil, &ConfigError{err}
	}
	return w, nil
}

// clientProps are the worker's properties without those for other clients and those that
// describe configuration providers, which have done their work.
func clientProps(props map[string]string) kafka.Props {
	out := kafka.Props{}
	for k, v := range props {
		if !strings.HasPrefix(k, "config.providers") && !strings.HasPrefix(k, "producer.") && !strings.HasPrefix(k, "consumer.") && !strings.HasPrefix(k, "admin.") {
			out[k] = v
		}
	}
	return out
}

// check reads the properties of every part.
func (w *Worker) check(v connect.Values) error {
	var errs *multierror.Error
	keep := func(err error) {
		if err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	o := w.opts
	var err error
	w.engine, err = newEngine(o.Properties, v, clientIDBase(v)+"shared-admin", o.Plugins, o.Metrics, o.Logger)
	keep(err)
	w.concealment = o.Concealment
	w.keys = protocol.KeyPolicy{Algorithm: v.String("inter.worker.key.generation.algorithm"), Bits: int(v.Int("inter.worker.key.size")), TTL: millis(v, "inter.worker.key.ttl.ms")}
	keep(w.keys.Validate())
	w.protocols, err = protocol.Preferences(v.String("connect.protocol"))
	keep(err)
	if h, s := millis(v, "heartbeat.interval.ms"), millis(v, "session.timeout.ms"); h >= s {
		keep(fmt.Errorf("heartbeat.interval.ms is %d: it must be less than session.timeout.ms, which is %d", h.Milliseconds(), s.Milliseconds()))
	}
	w.group, err = kafka.ParseConfig(kafka.RoleGroup, with(w.props, "client.id", cmp.Or(v.String("client.id"), "connect-"+o.WorkerID)))
	keep(err)
	w.topics = topics{
		config: w.topic("config", 1),
		offset: w.topic("offset", v.Int("offset.storage.partitions")),
		status: w.topic("status", v.Int("status.storage.partitions")),
	}
	// Made here for the sake of their checks; Run makes those that work.
	_, err = w.stores()
	keep(err)
	return errs.ErrorOrNil()
}

func (w *Worker) newHerder(clusterID string) (*distributed.Herder, error) {
	o, v := w.opts, w.values
	stores, err := w.stores()
	if err != nil {
		return nil, err
	}
	member, err := w.member()
	if err != nil {
		return nil, err
	}
	w.clients = &connectorClients{props: o.Properties, exactlyOnce: w.exactlyOnce(), shared: stores.offsets, topic: w.topics.offset, log: named(o.Logger, logWorker)}
	options := w.herderOptions(o.WorkerID, stores)
	options.ExactlyOnce = w.exactlyOnce()
	options.ClusterID = func() string { return clusterID }
	options.Group = member
	options.SyncTimeout, options.SyncBackoff = millis(v, "worker.sync.timeout.ms"), syncBackoff(v)
	options.Keys, options.SignatureAlgorithm, options.VerificationAlgorithms = w.keys, v.String("inter.worker.signature.algorithm"), v.List("inter.worker.verification.algorithms")
	options.LeaderPath, options.SetLoggerLevel, options.HTTP = o.LeaderPath, o.SetLoggerLevel, o.HTTP
	options.Validator = w.validator()
	var h *distributed.Herder
	if o.OnLeader != nil {
		options.OnLeader = func(ctx context.Context) { o.OnLeader(ctx, h) }
	}
	if h, err = distributed.New(options); err != nil {
		return nil, err
	}
	w.reload(h)
	return h, nil
}

// syncBackoff is the pause of a worker that could not read the config topic. Java's
// default of five minutes is for the eager protocol; the incremental one waits a
// fraction of the longest rebalance delay, and at most this long.
func syncBackoff(v connect.Values) time.Duration {
	return min(millis(v, "worker.unsync.backoff.ms"), max(millis(v, "scheduled.rebalance.max.delay.ms")/50, time.Second))
}

// clientIDBase is what the ids of a worker's clients begin with, as in Java.
func clientIDBase(v connect.Values) string {
	base := v.String("group.id") + "-"
	if id := v.String("client.id"); id != "" {
		base += id + "-"
	}
	return base
}

func with(props kafka.Props, pairs ...string) kafka.Props {
	out := maps.Clone(props)
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// topic reads the settings of one internal topic: config, offset or status.
func (w *Worker) topic(kind string, partitions int64) kafkastore.Topic {
	prefix := kind + ".storage."
	t := kafkastore.Topic{
		Name: w.values.String(prefix + "topic"), Key: prefix + "topic",
		Partitions: int32(partitions), ReplicationFactor: int16(w.values.Int(prefix + "replication.factor")), Configs: map[string]string{},
	}
	for k, value := range w.opts.Properties {
		setting, ok := strings.CutPrefix(k, prefix)
		if ok && setting != "topic" && setting != "partitions" && setting != "replication.factor" && setting != "file.filename" {
			t.Configs[setting] = value
		}
	}
	return t
}

// fit lowers default replication factors to what the cluster has.
func (w *Worker) fit(ctx context.Context, admin *kafka.Admin) error {
	var flexible []*kafkastore.Topic
	for kind, t := range map[string]*kafkastore.Topic{"config": &w.topics.config, "offset": &w.topics.offset, "status": &w.topics.status} {
		if _, set := w.opts.Properties[kind+".storage.replication.factor"]; !set {
			flexible = append(flexible, t)
		}
	}
	return kafkastore.FitReplication(ctx, admin, flexible...)
}

// exactlyOnce: source tasks write in transactions. A worker that is only preparing for
// it has a leader that does.
func (w *Worker) exactlyOnce() bool {
	return strings.EqualFold(w.values.String("exactly.once.source.support"), "enabled")
}

type stores struct {
	configs  storage.ConfigStore
	statuses storage.StatusStore
	offsets  storage.OffsetStore
}

func (w *Worker) stores() (stores, error) {
	options := func(t kafkastore.Topic, committed bool) kafkastore.Options {
		return kafkastore.Options{Props: w.props, ClientIDBase: clientIDBase(w.values), Topic: t, ReadCommitted: committed, Logger: w.opts.Logger}
	}
	configOptions := kafkastore.ConfigOptions{Options: options(w.topics.config, w.exactlyOnce())}
	if !strings.EqualFold(w.values.String("exactly.once.source.support"), "disabled") {
		configOptions.TransactionalID = "connect-cluster-" + w.values.String("group.id")
	}
	var errs *multierror.Error
	configs, err := kafkastore.NewConfigStore(configOptions)
	errs = multierror.Append(errs, err)
	statuses, err := kafkastore.NewStatusStore(options(w.topics.status, false))
	errs = multierror.Append(errs, err)
	offsets, err := kafkastore.NewOffsetStore(options(w.topics.offset, w.exactlyOnce()))
	errs = multierror.Append(errs, err)
	return stores{configs, statuses, offsets}, errs.ErrorOrNil()
}

func (w *Worker) member() (*group.Member, error) {
	v := w.values
	coordinator, err := kafka.NewGroupConn(w.group, v.String("group.id"), w.opts.Logger)
	if err != nil {
		return nil, err
	}
	return group.New(group.Options{
		Coordinator: coordinator, GroupID: v.String("group.id"), URL: w.opts.URL, Protocols: w.protocols,
		SessionTimeout: millis(v, "session.timeout.ms"), HeartbeatInterval: millis(v, "heartbeat.interval.ms"),
		RebalanceTimeout: millis(v, "rebalance.timeout.ms"), MaxDelay: w.rebalanceDelay(),
		RetryBackoff: w.group.RetryBackoff, ClusterAway: w.clusterAway, Logger: w.opts.Logger,
	}), nil
}

// defaultRebalanceDelay is how long a lost worker's work waits for its return where the
// user does not say. Java's five minutes of standstill after a crash is what its users
// complain about first.
const defaultRebalanceDelay = 10 * time.Second

func (w *Worker) rebalanceDelay() time.Duration {
	if _, set := w.opts.Properties["scheduled.rebalance.max.delay.ms"]; !set {
		return defaultRebalanceDelay
	}
	return millis(w.values, "scheduled.rebalance.max.delay.ms")
}

func (w *Worker) validator() *herder.Validator {
	v := w.connectorValidator()
	v.GroupID = w.values.String("group.id")
	v.ExactlyOnce = w.exactlyOnce()
	return v
}

// CheckConnector says what is wrong with the configuration of a connector that is to run
// on this worker, as the worker would when the connector is posted.
func (w *Worker) CheckConnector(ctx context.Context, config map[string]string) error {
	raw := make(map[string]*string, len(config))
	for k, v := range config {
		raw[k] = &v
	}
	infos, err := w.validator().Validate(ctx, raw)
	if err != nil {
		return err
	}
	var errs *multierror.Error
	for _, c := range infos.Configs {
		for _, e := range c.Value.Errors {
			errs = multierror.Append(errs, errors.New(e))
		}
	}
	return errs.ErrorOrNil()
}

// Run waits for the cluster, joins the group and works until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	client, err := kafka.NewClient(w.admin, w.opts.Logger)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kafka.NewAdmin(client, w.admin, w.opts.Logger)
	h, err := w.prepare(ctx, client, admin)
	for kafka.IsRetriable(err) && ctx.Err() == nil {
		// The cluster went away again; Await says so and waits.
		h, err = w.prepare(ctx, client, admin)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if w.opts.OnHerder != nil {
		w.opts.OnHerder(h)
	}
	var warming sync.WaitGroup
	defer warming.Wait()
	warming.Go(func() { w.warmUp(ctx) })
	return h.Run(ctx)
}

// prepare does what needs the cluster before the herder can run.
func (w *Worker) prepare(ctx context.Context, client *kafka.Client, admin *kafka.Admin) (*distributed.Herder, error) {
	if err := client.Await(ctx); err != nil {
		return nil, err
	}
	id, err := client.ClusterID(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.fit(ctx, admin); err != nil {
		return nil, err
	}
	return w.newHerder(id)
}

// warmUp asks for the group's coordinator once, while the internal topics are made and
// read: on a new cluster the brokers first have to create a topic of their own for it.
func (w *Worker) warmUp(ctx context.Context) {
	coordinator, err := kafka.NewGroupConn(w.group, w.values.String("group.id"), w.opts.Logger)
	if err != nil {
		return // the member will say so
	}
	defer coordinator.Close()
	_ = coordinator.FindCoordinator(ctx)
}

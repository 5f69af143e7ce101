package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/storage"
)

// phase is where a connector instance stands.
type phase int

const (
	initial phase = iota // built, never started
	started
	paused
	stopped
	failed
)

// connectorRun runs one connector. Its goroutine, run, calls the plugin's methods;
// others leave it messages.
type connectorRun struct {
	*life
	worker *Worker
	name   string
	raw    map[string]string
	logger *slog.Logger
	scope  *scope
	// replicates is set once the plugin is built.
	replicates replicates
	offsets    *offsetAccess
	// concealment is for all that the connector says: it may quote its configuration.
	concealment *provider.Concealment

	mu          sync.Mutex
	target      *storage.TargetState // the newest that was not acted on
	raised      error                // by the plugin, the first
	calls       []configsCall
	closed      bool
	cancelStart context.CancelFunc // ends the context of Start
	wake        chan struct{}

	// run's own:
	instance connect.Connector
	plugin   plugin.Plugin
	config   map[string]string // references resolved
	values   connect.Values
	phase    phase
	running  bool            // Start returned nil and Stop was not called since
	startCtx context.Context // Start's, the last one
	version  string
}

type configsCall struct {
	ctx   context.Context // the caller's: the plugin's TaskConfigs runs under it
	reply chan configsReply
}

type configsReply struct {
	configs []map[string]string
	err     error
}

func newConnectorRun(w *Worker, name string, raw map[string]string) *connectorRun {
	c := &connectorRun{
		life: newLife(), worker: w, name: name, raw: raw,
		scope: connectorScope(&w.options, name),
		wake:  make(chan struct{}, 1), offsets: newOffsetAccess(&w.options), concealment: w.newConcealment(),
	}
	c.logger = c.concealment.Logger(w.logger.With("connector", name))
	c.replicates.concealment = c.concealment
	c.reports.metrics = newInstanceMetrics(c.scope, "connector_metrics", w.metrics.connectors)
	c.reports.report = func(state storage.State, trace string) {
		version := ""
		if state != storage.StateUnassigned { // which cutOff reports, too, from elsewhere
			version = c.version
		}
		w.options.Listener.ConnectorState(name, state, trace, version)
	}
	return c
}

func (c *connectorRun) run() {
	defer close(c.ended)
	defer c.scope.close()
	defer c.offsets.close()
	if err := guard(c.build); err != nil {
		c.fail(err)
	}
	for {
		select {
		case <-c.ctx.Done():
			c.shutdown()
			return
		case <-c.wake:
		}
		target, calls, raised := c.messages()
		if raised != nil {
			c.fail(raised)
		}
		if target != nil && c.ctx.Err() == nil {
			c.transition(*target)
		}
		for _, call := range calls {
			configs, err := c.makeTaskConfigs(call.ctx)
			call.reply <- configsReply{configs, c.concealment.Error(err)}
		}
	}
}

func (c *connectorRun) messages() (*storage.TargetState, []configsCall, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	target, raised, calls := c.target, c.raised, c.calls
	c.target, c.raised, c.calls = nil, nil, nil
	return target, calls, raised
}

func (c *connectorRun) post(message func()) {
	c.mu.Lock()
	message()
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// setTarget leaves the wish for a state. One other than STARTED ends the context of Start
// at once, lest a start still going on holds it up; a connector that is wanted again before
// its goroutine saw that wish has to be started anew.
func (c *connectorRun) setTarget(target storage.TargetState) {
	c.post(func() {
		c.target = &target
		if target != storage.Started && c.cancelStart != nil {
			c.cancelStart()
		}
	})
}

func (c *connectorRun) cutOff() {
	c.reports.cutOff(storage.StateUnassigned)
	c.sever()
	c.scope.close() // now, lest it takes away the metrics of a successor
	c.logger.Log(context.Background(), c.worker.options.unlessAway(slog.LevelError), "The connector did not stop in time and was cut off")
}

func (c *connectorRun) build() error {
	config, err := c.worker.options.Transformer.Transform(c.ctx, c.name, c.raw)
	if err != nil {
		return fmt.Errorf("the configuration of connector %s cannot be resolved: %w", c.name, err)
	}
	c.concealment.Add(c.raw, config)
	instance, p, err := c.worker.newConnector(config["connector.class"])
	if err != nil {
		return err
	}
	values, err := ConnectorDef(p.Kind).ParseValues(config)
	if err != nil {
		return err
	}
	if p.Kind == plugin.Source && c.worker.options.Config.TopicCreation {
		if _, err := parseTopicGroups(config, values.List("topic.creation.groups")); err != nil {
			return err
		}
	}
	c.instance, c.plugin, c.config, c.values = instance, p, config, values
	c.version = versionOf(instance, p)
	c.scope.pluginTexts("connector_metrics", "connector", p.Class, c.version)
	c.scope.text("connector_metrics", "connector_type", "1 for the kind of the connector.", string(p.Kind))
	c.offsets.describe(OffsetStoreSpec{Connector: c.name, ClientID: c.name, Config: config, Concealment: c.concealment})
	c.replicates.set(instance)
	return nil
}

// newConnector makes an instance of a class. That the class is missing shows in the status
// of a connector that another worker of the group has accepted.
func (w *Worker) newConnector(class string) (connect.Connector, plugin.Plugin, error) {
	instance, p, err := w.options.Plugins.NewConnector(class)
	var missing *plugin.NotFoundError
	if errors.As(err, &missing) {
		err = fmt.Errorf("%w. Any worker of a group may be given any connector, so all must have its class: Java and Tributary workers share connectors that both have", err)
	}
	return instance, p, err
}

// versionOf is the version an instance says it has, or the one it is listed with.
func versionOf(instance any, p plugin.Plugin) string {
	if v, ok := instance.(connect.Versioned); ok {
		return v.Version()
	}
	return p.Version
}

// transition acts on a wish, by the table of the connector life cycle.
func (c *connectorRun) transition(target storage.TargetState) {
	switch {
	case c.phase == failed && target != storage.Stopped:
		c.logger.Error("The connector has failed; it has to be restarted before its state can change", "target_state", target)
	case target == storage.Started:
		c.start()
	case target == storage.Paused:
		c.suspend(paused, storage.StatePaused)
	case target == storage.Stopped:
		c.suspend(stopped, storage.StateStopped)
	}
}

func (c *connectorRun) start() {
	if c.phase == started {
		if c.startCtx.Err() == nil {
			return
		}
		// A wish that was taken back has ended what the plugin runs beside its methods.
		if err := c.stopPlugin(); err != nil {
			c.fail(err)
			return
		}
		c.phase = initial
	}
	if c.instance == nil { // it failed before there was one, and was stopped
		if err := guard(c.build); err != nil {
			c.fail(err)
			return
		}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.startCtx = ctx
	c.mu.Lock()
	c.cancelStart = cancel
	superseded := c.target != nil && *c.target != storage.Started
	c.mu.Unlock()
	if superseded {
		cancel()
		return
	}
	err := guard(func() error { return c.instance.Start(ctx, (*connectorContext)(c), maps.Clone(c.config)) })
	switch {
	case err == nil:
		c.running, c.phase = true, started
		c.reports.is(storage.StateRunning, "")
		c.reports.unlessCut(func() { c.worker.options.Listener.TaskConfigsRequested(c.name) })
	case ctx.Err() != nil: // asked to: to stop, or by a newer wish
		c.logger.Info("The connector's start was broken off", "error", err)
	default:
		cancel()
		c.fail(err)
	}
}

// suspend stops the plugin if it runs. Failing to stop makes a connector that was to
// be paused FAILED; one that was to be stopped is STOPPED all the same.
func (c *connectorRun) suspend(to phase, state storage.State) {
	if c.phase == to {
		return
	}
	if err := c.stopPlugin(); err != nil {
		if to == paused {
			c.fail(err)
			return
		}
		c.logger.Error("The connector failed to stop; it is shown as STOPPED all the same", "error", err)
	}
	c.phase = to
	c.reports.is(state, "")
}

func (c *connectorRun) stopPlugin() error {
	c.mu.Lock()
	cancel := c.cancelStart
	c.cancelStart = nil
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if !c.running {
		return nil
	}
	c.running = false
	return guard(func() error { return c.instance.Stop(c.hard) })
}

// fail makes the connector FAILED; only the first failure is reported. The plugin is
// stopped when the connector is: what it still does may explain the failure.
func (c *connectorRun) fail(err error) {
	err = c.concealment.Error(err)
	if c.phase == failed {
		c.logger.Error("The connector failed again", "error", err)
		return
	}
	c.phase = failed
	c.logger.Error("The connector failed", "error", err)
	c.reports.is(storage.StateFailed, trace(err))
}

func (c *connectorRun) shutdown() {
	c.mu.Lock()
	c.closed = true
	calls := c.calls
	c.calls = nil
	c.mu.Unlock()
	for _, call := range calls {
		call.reply <- configsReply{err: &NotRunningError{Connector: c.name}}
	}
	if err := c.stopPlugin(); err != nil {
		c.logger.Error("The connector failed to stop", "error", err)
		c.reports.is(storage.StateFailed, trace(c.concealment.Error(err)))
		return
	}
	c.reports.is(storage.StateUnassigned, "")
}

func (c *connectorRun) taskConfigs(ctx context.Context) ([]map[string]string, error) {
	call := configsCall{ctx: ctx, reply: make(chan configsReply, 1)}
	closed := false
	c.post(func() {
		if closed = c.closed; !closed {
			c.calls = append(c.calls, call)
		}
	})
	if closed {
		return nil, &NotRunningError{Connector: c.name}
	}
	select {
	case r := <-call.reply:
		return r.configs, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("task configurations of connector %s: %w", c.name, context.Cause(ctx))
	}
}

func (c *connectorRun) makeTaskConfigs(ctx context.Context) ([]map[string]string, error) {
	if c.phase != started {
		return nil, &NotRunningError{Connector: c.name}
	}
	// The caller's patience or the connector's end, whichever comes first.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	limit := int(c.values.Int("tasks.max"))
	var configs []map[string]string
	err := guard(func() (err error) {
		configs, err = c.instance.TaskConfigs(ctx, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(configs) > limit {
		err := &TooManyTasksError{Connector: c.name, Tasks: len(configs), Max: limit}
		if c.values.Bool("tasks.max.enforce") {
			c.fail(err)
			return nil, err
		}
		c.logger.Warn("The connector has more tasks than tasks.max allows; they run because tasks.max.enforce is off", "tasks", len(configs), "max", limit)
	}
	out := make([]map[string]string, len(configs))
	for i, config := range configs {
		out[i] = map[string]string{}
		maps.Copy(out[i], config)
		out[i]["task.class"] = c.plugin.TaskClass
		for _, key := range []string{"topics", "topics.regex"} {
			if topics, has := c.config[key]; has {
				out[i][key] = topics
			}
		}
	}
	restoreReferences(c.raw, out)
	return out, nil
}

// connectorContext is the connect.ConnectorContext of a connectorRun.
type connectorContext connectorRun

func (c *connectorContext) Name() string { return c.name }

func (c *connectorContext) Logger() *slog.Logger { return c.logger }

func (c *connectorContext) RequestTaskReconfiguration() {
	if c.ctx.Err() == nil {
		c.reports.unlessCut(func() { c.worker.options.Listener.TaskConfigsRequested(c.name) })
	}
}

// RequestStop implements connect.Stopper.
func (c *connectorContext) RequestStop(reason string) {
	if c.ctx.Err() == nil {
		c.reports.unlessCut(func() { c.worker.options.Listener.StopRequested(c.name, c.concealment.Text(reason)) })
	}
}

func (c *connectorContext) RaiseError(err error) {
	if err == nil {
		err = errors.New("the connector raised an error without saying which")
	}
	(*connectorRun)(c).post(func() {
		if c.raised == nil {
			c.raised = err
		}
	})
}

func (c *connectorContext) Offsets() connect.OffsetReader {
	return offsetReader{connector: c.name, access: c.offsets}
}

func (c *connectorContext) Metrics() connect.Metrics { return c.scope }

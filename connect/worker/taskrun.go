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

// taskRun runs one task. Its goroutine, run, calls the plugin. What is said of a lane and an
// outlet is for source tasks; a sink task has a sinkLane instead.
type taskRun struct {
	*life
	worker       *Worker
	id           connect.TaskID
	rawConnector map[string]string
	rawTask      map[string]string
	taskCount    int
	exactlyOnce  *ExactlyOnce // nil: at least once
	logger       *slog.Logger
	scope        *scope
	offsets      *offsetAccess
	live         *liveKeys
	// replicates is set once the plugin is built.
	replicates replicates
	// concealment is for all that the task and its plugins say: they may quote the configuration.
	concealment *provider.Concealment

	mu         sync.Mutex
	target     storage.TargetState
	changed    chan struct{} // closed and replaced when target changes
	wake       func()        // called after target changed; may be nil
	pollCtx    context.Context
	cancelPoll context.CancelFunc

	// run's own:
	task            connect.SourceTask
	config          map[string]string // the task's, references resolved
	connectorConfig map[string]string // likewise
	version         string
	pipeline        *pipeline
	lane            lane // of a source task
	metrics         taskMetrics
	tolerance       *tolerance
	boundary        boundary // of transactions, if there are any
	outlet          outlet   // nil until the task is about to start
	started         bool     // Start was called
	free            []*entry
	creation        *topicCreation // nil leaves topics to the brokers
	sink            *sinkLane      // nil for a source task
}

func newTaskRun(w *Worker, id connect.TaskID, rawConnector, rawTask map[string]string, taskCount int) *taskRun {
	t := &taskRun{
		life: newLife(), worker: w, id: id,
		rawConnector: rawConnector, rawTask: rawTask, taskCount: taskCount,
		scope:   taskScope(&w.options, id),
		offsets: newOffsetAccess(&w.options),
		changed: make(chan struct{}), concealment: w.newConcealment(),
	}
	t.logger = t.concealment.Logger(w.logger.With("connector", id.Connector, "task", id.Task))
	t.replicates.concealment = t.concealment
	t.live = &liveKeys{t: t, config: rawConnector, tasks: taskCount}
	t.reports.metrics = newInstanceMetrics(t.scope, "connector_task_metrics", w.metrics.tasks)
	t.reports.metrics.showRatios()
	t.reports.report = func(state storage.State, trace string) {
		version := t.version
		if state == storage.StateUnassigned {
			version = ""
		}
		w.options.Listener.TaskState(id, state, trace, version)
	}
	return t
}

// setTarget leaves the wish for a state. A task has no stopped state: it is stopped.
func (t *taskRun) setTarget(target storage.TargetState) {
	if target == storage.Stopped {
		t.stop()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.target == target {
		return
	}
	t.target = target
	close(t.changed)
	t.changed = make(chan struct{})
	if target == storage.Paused && t.cancelPoll != nil {
		t.cancelPoll()
	}
	if t.wake != nil {
		t.wake()
	}
}

// onTarget calls wake after each change of the target from now on. It must not block.
func (t *taskRun) onTarget(wake func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wake = wake
}

func (t *taskRun) cutOff() {
	t.reports.cutOff("")
	t.sever()
	t.scope.close() // now, lest it takes away the metrics of a successor
	t.logger.Log(context.Background(), t.worker.options.unlessAway(slog.LevelError),
		"The task did not stop in time and was cut off; offsets it has not committed are lost and its last records will be written again")
}

func (t *taskRun) run() {
	defer close(t.ended)
	defer t.scope.close()
	defer t.offsets.close()
	defer t.live.end()
	err := t.concealment.Error(guard(t.build))
	t.reports.unlessCut(func() { t.worker.options.Listener.TaskMade(t.id, err) })
	if err != nil {
		t.fail(err)
		return
	}
	if t.isPaused() {
		t.reports.is(storage.StatePaused, "")
		t.awaitResumption()
	}
	if t.ctx.Err() != nil {
		t.closePipeline()
		t.reports.is(storage.StateUnassigned, "")
		return
	}
	failed := t.judge(t.work())
	t.stop() // a failed task's context ends, too
	t.finish(failed)
	if !failed {
		t.reports.is(storage.StateUnassigned, "")
	}
}

// work runs the task until it is to stop or fails.
func (t *taskRun) work() error {
	begin, loop := t.begin, t.loop
	if t.sink != nil {
		begin, loop = t.sink.begin, t.sink.loop
	}
	if err := begin(); err != nil {
		return err
	}
	t.reports.is(storage.StateRunning, "")
	return loop()
}

// begin opens what a source task writes to and starts it.
func (t *taskRun) begin() error {
	store, err := t.offsets.store(t.ctx)
	if err != nil {
		return fmt.Errorf("the connector's offsets cannot be read: %w", err)
	}
	t.outlet = t.buildOutlet(store)
	if err := t.outlet.open(t.ctx, t.hard); err != nil {
		return err
	}
	t.started = true
	return guard(func() error { return t.task.Start(t.ctx, (*taskContext)(t), maps.Clone(t.config)) })
}

// judge reports why the task ended, if it was not asked to.
func (t *taskRun) judge(err error) (failed bool) {
	cause := context.Cause(t.ctx)
	switch {
	case errors.Is(cause, errStopping) || t.hard.Err() != nil:
		if err != nil && !errors.Is(err, errStopping) && !errors.Is(err, context.Canceled) {
			t.logger.Error("The task failed while it was stopping", "error", err)
		}
		return false
	case cause != nil: // the delivery ended it
		err = cause
	}
	t.fail(err)
	return true
}

func (t *taskRun) fail(err error) {
	err = t.concealment.Error(err)
	t.logger.Error("The task failed; it has to be restarted", "error", err)
	t.reports.is(storage.StateFailed, trace(err))
}

// finish settles what the task leaves behind, then closes the plugin and the producer.
func (t *taskRun) finish(failed bool) {
	defer t.closePipeline()
	if t.sink != nil {
		t.sink.finish()
		return
	}
	if t.outlet == nil {
		return
	}
	t.outlet.finish(failed)
	if t.started {
		if err := guard(func() error { return t.task.Stop(t.hard) }); err != nil {
			t.logger.Error("The task failed to stop cleanly", "error", err)
		}
	}
	t.creation.close()
	if err := t.outlet.close(t.hard); err != nil {
		t.logger.Warn("The task's producer failed to close cleanly", "error", err)
	}
}

func (t *taskRun) closePipeline() {
	if err := guard(t.pipeline.close); err != nil {
		t.logger.Warn("A transformation or predicate failed to close cleanly", "error", err)
	}
}

// build makes everything of the task that needs no network.
func (t *taskRun) build() error {
	o := &t.worker.options
	config, err := o.Transformer.Transform(t.ctx, t.id.Connector, t.rawConnector)
	if err != nil {
		return fmt.Errorf("the configuration of connector %s cannot be resolved: %w", t.id.Connector, err)
	}
	t.concealment.Add(t.rawConnector, config)
	if t.config, err = o.Transformer.Transform(t.ctx, t.id.Connector, t.rawTask); err != nil {
		return fmt.Errorf("the configuration of task %s-%d cannot be resolved: %w", t.id.Connector, t.id.Task, err)
	}
	t.concealment.Add(t.rawTask, t.config)
	instance, p, err := t.worker.newConnector(config["connector.class"])
	if err != nil {
		return err
	}
	values, err := ConnectorDef(p.Kind).ParseValues(config)
	if err != nil {
		return err
	}
	if limit := int(values.Int("tasks.max")); t.taskCount > limit {
		err := &TooManyTasksError{Connector: t.id.Connector, Tasks: t.taskCount, Max: limit}
		if values.Bool("tasks.max.enforce") {
			return err
		}
		t.logger.Warn("The connector has more tasks than tasks.max allows; they run because tasks.max.enforce is off", "tasks", t.taskCount, "max", limit)
	}
	t.connectorConfig = config
	switch connector := instance.(type) {
	case connect.SourceConnector:
		return t.buildSource(connector, p, values)
	case connect.SinkConnector:
		return t.buildSink(connector, p, values)
	}
	return fmt.Errorf("%s is neither a source nor a sink connector", p.Class)
}

func (t *taskRun) buildPipeline(values connect.Values, metrics *errorMetrics) (err error) {
	o := &t.worker.options
	t.tolerance = newTolerance(values, t.id, t.logger, metrics)
	if t.pipeline, err = buildPipeline(o.Plugins, o.Config.Properties, t.connectorConfig, values, t.tolerance); err == nil {
		t.showPlugins(values)
	}
	return err
}

func (t *taskRun) buildSink(connector connect.SinkConnector, p plugin.Plugin, values connect.Values) error {
	metrics := newSinkMetrics(t.scope)
	if err := t.buildPipeline(values, &metrics.errorMetrics); err != nil {
		return err
	}
	task := connector.NewTask()
	t.version = versionOf(task, p)
	t.sink = newSinkLane(t, task, newSinkErrors(t, values), metrics)
	return nil
}

func (t *taskRun) buildSource(connector connect.SourceConnector, p plugin.Plugin, values connect.Values) error {
	o := &t.worker.options
	config := t.connectorConfig
	t.metrics = newTaskMetrics(t.scope)
	var err error
	if t.creation, err = t.newTopicCreation(values); err != nil {
		return err
	}
	if err := t.buildPipeline(values, &t.metrics.errorMetrics); err != nil {
		return err
	}
	t.task = connector.NewTask()
	t.version = versionOf(t.task, p)
	t.replicates.set(t.task)
	if err := t.live.begin(t.task, connector.ConfigDef()); err != nil {
		return err
	}
	t.chooseLane(values)
	t.boundary = newBoundary(config, values, connector, o.Config.FlushInterval)
	t.offsets.describe(OffsetStoreSpec{Connector: t.id.Connector, ClientID: fmt.Sprintf("%s-%d", t.id.Connector, t.id.Task), Config: config, Concealment: t.concealment})
	return nil
}

// buildOutlet makes what takes the lane's records, for a task whose offsets are in store.
func (t *taskRun) buildOutlet(store storage.OffsetStore) outlet {
	o := &t.worker.options
	spec := ProducerSpec{
		Task:      t.id,
		ClientID:  fmt.Sprintf("connector-producer-%s-%d", t.id.Connector, t.id.Task),
		Overrides: withPrefix(t.connectorConfig, "producer.override."),
		Batches:   t.lane == rawLane, Concealment: t.concealment,
	}
	fail := func(err error) { t.end(err) }
	if t.exactlyOnce != nil {
		spec.TransactionalID = TransactionalID(o.Config.Properties["group.id"], t.id)
		x := newExactlyOnce(spec, o.Producers, *t.exactlyOnce, t.boundary)
		x.store, x.idle = store, o.Config.FlushInterval
		x.commitRec, _ = t.task.(connect.RecordCommitter)
		x.task, _ = t.task.(connect.Committer)
		x.metrics, x.size, x.logger = &t.metrics, newTransactionSize(t.scope), t.logger
		x.fail, x.topics = fail, t.usedTopics()
		return x
	}
	d := newDelivery(spec, o.Producers)
	d.commit, _ = t.task.(connect.RecordCommitter)
	d.judge, _ = t.task.(connect.RecordFailureHandler)
	d.tolerance, d.metrics, d.logger = t.tolerance, &t.metrics, t.logger
	d.fail, d.topics = fail, t.usedTopics()

	c := newCommitter()
	c.connector = t.id.Connector
	c.source = d.committable
	c.encoder, c.writer = store, store
	c.task, _ = t.task.(connect.Committer)
	c.interval, c.timeout = o.Config.FlushInterval, o.Config.FlushTimeout
	c.metrics, c.logger = &t.metrics, t.logger
	c.level = func() slog.Level { return o.unlessAway(slog.LevelError) }
	return &atLeastOnce{delivery: d, committer: c, level: func() slog.Level { return o.unlessAway(slog.LevelWarn) }}
}

func (t *taskRun) isPaused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.target == storage.Paused
}

// awaitResumption waits until the task is not to be paused, or is to stop.
func (t *taskRun) awaitResumption() {
	for {
		t.mu.Lock()
		paused, changed := t.target == storage.Paused, t.changed
		t.mu.Unlock()
		if !paused {
			return
		}
		select {
		case <-changed:
		case <-t.ctx.Done():
			return
		}
	}
}

// pollContext returns the context for the next Poll: it ends with the task's, and
// when the task is to pause. If it is to pause already, there is none.
func (t *taskRun) pollContext() (ctx context.Context, pause bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.target == storage.Paused {
		return nil, true
	}
	if t.pollCtx == nil || t.pollCtx.Err() != nil {
		t.pollCtx, t.cancelPoll = context.WithCancel(t.ctx)
	}
	return t.pollCtx, false
}

// taskContext is the connect.TaskContext of a taskRun.
type taskContext taskRun

func (t *taskContext) ID() connect.TaskID { return t.id }

func (t *taskContext) Logger() *slog.Logger { return t.logger }

func (t *taskContext) Offsets() connect.OffsetReader {
	return offsetReader{connector: t.id.Connector, access: t.offsets}
}

func (t *taskContext) Metrics() connect.Metrics { return t.scope }

// TransactionContext implements connect.TransactionalTaskContext.
func (t *taskContext) InTransactions() bool { return t.exactlyOnce != nil }

func (t *taskContext) TransactionContext() connect.TransactionContext {
	if c, ok := t.boundary.(*transactionContext); ok && t.exactlyOnce != nil {
		return c
	}
	return nil
}

// RequestCommit implements connect.CommitRequester.
func (t *taskContext) RequestCommit() { t.outlet.requestCommit() }

// Unwritable implements connect.TargetTeller.
func (t *taskContext) Unwritable() map[connect.TopicPartition]error {
	known := t.outlet.unwritable()
	if len(known) == 0 {
		return nil
	}
	told := make(map[connect.TopicPartition]error, len(known))
	for tp, err := range known {
		told[connect.TopicPartition(tp)] = err
	}
	return told
}

package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/storage"
)

// Options are what a Worker is made of. Metrics, Transformer and OffsetStores may be nil;
// all else is required.
type Options struct {
	// ID is the worker's advertised host:port, for log lines.
	ID      string
	Config  Config
	Plugins *plugin.Registry
	// Offsets is the worker's offset store, started. OffsetStores opens those of
	// connectors; nil: all use the worker's.
	Offsets      storage.OffsetStore
	OffsetStores OffsetStores
	Listener     Listener
	// Producers makes the producer of a task when the task starts.
	Producers ProducerFactory
	// Consumers makes the consumer of a sink task, Admins the client that creates topics
	// for a task.
	Consumers ConsumerFactory
	Admins    AdminFactory
	// Fence is what FenceTasks is done with; required for exactly-once delivery alone.
	Fence       Fencer
	Transformer ConfigTransformer
	// Concealment is what the references in the worker's own configuration stand for; nil if
	// there are none.
	Concealment *provider.Concealment
	// ClusterAway reports whether it is known, and was said, that the worker's cluster
	// cannot be used; nil is never. What follows from an outage is not told again.
	ClusterAway func() bool
	Logger      *slog.Logger
	Metrics     Metrics
}

// newConcealment is one for an instance, whose own references are to be added.
func (w *Worker) newConcealment() *provider.Concealment {
	c := &provider.Concealment{}
	c.Include(w.options.Concealment)
	return c
}

// unlessAway is the level for a message about what may be the consequence of an outage.
func (o *Options) unlessAway(level slog.Level) slog.Level {
	if o.ClusterAway() {
		return slog.LevelDebug
	}
	return level
}

// Worker runs connectors and tasks. Safe for concurrent use. Its methods never call a
// plugin and never wait for the network, except those that take a context: they wait
// for instances, as long as it lasts.
type Worker struct {
	options Options
	logger  *slog.Logger

	metrics *workerMetrics

	mu         sync.Mutex
	connectors map[string]*connectorRun
	tasks      map[connect.TaskID]*taskRun
	stopped    bool
}

// errStopped refuses work after Stop.
var errStopped = errors.New("the worker has stopped")

// New returns a worker that runs nothing yet.
func New(options Options) *Worker {
	if options.Transformer == nil {
		options.Transformer = identity{}
	}
	if options.ClusterAway == nil {
		options.ClusterAway = func() bool { return false }
	}
	w := &Worker{
		options:    options,
		logger:     options.Logger,
		connectors: map[string]*connectorRun{},
		tasks:      map[connect.TaskID]*taskRun{},
	}
	w.metrics = newWorkerMetrics(w)
	return w
}

// StartConnector begins to run a connector and returns at once; what becomes of it is
// told to the listener. config is raw: its references are resolved when the connector
// starts. The error is that the worker runs a connector of that name, or has stopped.
func (w *Worker) StartConnector(name string, config map[string]string, target storage.TargetState) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return errStopped
	}
	if _, has := w.connectors[name]; has {
		return fmt.Errorf("connector %s already runs on this worker", name)
	}
	c := newConnectorRun(w, name, maps.Clone(config))
	w.connectors[name] = c
	c.setTarget(target)
	go c.run()
	return nil
}

// StartTask begins to run a task and returns at once; what becomes of it is told to
// the listener. Both configurations are raw. taskCount is how many tasks the connector
// has: more than tasks.max fail; 0 is unknown and not checked.
func (w *Worker) StartTask(id connect.TaskID, connectorConfig, taskConfig map[string]string, target storage.TargetState, taskCount int) error {
	return w.startTask(id, connectorConfig, taskConfig, target, taskCount, nil)
}

// StartExactlyOnceTask is StartTask for a source task that writes records and offsets in
// transactions.
func (w *Worker) StartExactlyOnceTask(id connect.TaskID, connectorConfig, taskConfig map[string]string, target storage.TargetState, taskCount int, exactlyOnce ExactlyOnce) error {
	return w.startTask(id, connectorConfig, taskConfig, target, taskCount, &exactlyOnce)
}

func (w *Worker) startTask(id connect.TaskID, connectorConfig, taskConfig map[string]string, target storage.TargetState, taskCount int, exactlyOnce *ExactlyOnce) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return errStopped
	}
	if _, has := w.tasks[id]; has {
		return fmt.Errorf("task %s-%d already runs on this worker", id.Connector, id.Task)
	}
	t := newTaskRun(w, id, maps.Clone(connectorConfig), maps.Clone(taskConfig), taskCount)
	t.exactlyOnce = exactlyOnce
	w.tasks[id] = t
	w.metrics.taskCame(w, id.Connector)
	t.setTarget(target)
	go t.run()
	return nil
}

// SetTargetState tells a connector and its tasks, as far as they run here, what is
// wanted of them. Of several states not yet acted on, only the last one counts.
func (w *Worker) SetTargetState(connector string, target storage.TargetState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.connectors[connector]; c != nil {
		c.setTarget(target)
	}
	for id, t := range w.tasks {
		if id.Connector == connector {
			t.setTarget(target)
		}
	}
}

// SetConnectorConfig tells the tasks of a connector that run here about a change of its
// configuration, raw, or of the number of its tasks: those that follow Live keys get them,
// in the background.
func (w *Worker) SetConnectorConfig(connector string, config map[string]string, taskCount int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, t := range w.tasks {
		if id.Connector == connector {
			t.live.change(maps.Clone(config), taskCount)
		}
	}
}

// StopConnectors stops the named connectors, all at once, and forgets them. They share
// task.shutdown.graceful.timeout.ms, or less if ctx ends first; those that need longer
// are cut off and returned. Names that do not run here are ignored.
func (w *Worker) StopConnectors(ctx context.Context, names ...string) (cutOff []string) {
	w.mu.Lock()
	runs := map[string]*connectorRun{}
	for _, name := range names {
		if c := w.connectors[name]; c != nil {
			runs[name] = c
		}
	}
	w.mu.Unlock()
	cutOff = stopAll(ctx, w.options.Config, runs)
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, c := range runs {
		if w.connectors[name] == c {
			delete(w.connectors, name)
		}
	}
	slices.Sort(cutOff)
	return cutOff
}

// StopTasks is StopConnectors for tasks.
func (w *Worker) StopTasks(ctx context.Context, ids ...connect.TaskID) (cutOff []connect.TaskID) {
	w.mu.Lock()
	runs := map[connect.TaskID]*taskRun{}
	for _, id := range ids {
		if t := w.tasks[id]; t != nil {
			runs[id] = t
		}
	}
	w.mu.Unlock()
	cutOff = stopAll(ctx, w.options.Config, runs)
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, t := range runs {
		if w.tasks[id] == t {
			delete(w.tasks, id)
			w.metrics.taskLeft(id.Connector)
		}
	}
	slices.SortFunc(cutOff, compareTasks)
	return cutOff
}

// Stop stops everything that runs here and refuses what comes later. The error names
// what was cut off.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	var connectors []string
	var both sync.WaitGroup
	both.Go(func() { connectors = w.StopConnectors(ctx, w.Connectors()...) })
	tasks := w.StopTasks(ctx, w.Tasks()...)
	both.Wait()
	w.metrics.scope.close()
	var result *multierror.Error
	for _, name := range connectors {
		result = multierror.Append(result, fmt.Errorf("connector %s did not stop in time", name))
	}
	for _, id := range tasks {
		result = multierror.Append(result, fmt.Errorf("task %s-%d did not stop in time", id.Connector, id.Task))
	}
	return result.ErrorOrNil()
}

// Connectors returns the names of the connectors that run here, failed ones included,
// sorted.
func (w *Worker) Connectors() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.connectors))
}

// Tasks is Connectors for tasks.
func (w *Worker) Tasks() []connect.TaskID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Keys(w.tasks), compareTasks)
}

// ConnectorState returns the state last reported of a connector that runs here, ""
// while there is none yet.
func (w *Worker) ConnectorState(name string) (state storage.State, here bool) {
	w.mu.Lock()
	c := w.connectors[name]
	w.mu.Unlock()
	if c == nil {
		return "", false
	}
	return c.reports.current(), true
}

// countTasks counts the connector's tasks on this worker that are in one of the states,
// all if none is given.
func (w *Worker) countTasks(connector string, states ...storage.State) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for id, t := range w.tasks {
		if id.Connector == connector && (len(states) == 0 || slices.Contains(states, t.reports.current())) {
			n++
		}
	}
	return n
}

// TaskState is ConnectorState for a task.
func (w *Worker) TaskState(id connect.TaskID) (state storage.State, here bool) {
	w.mu.Lock()
	t := w.tasks[id]
	w.mu.Unlock()
	if t == nil {
		return "", false
	}
	return t.reports.current(), true
}

// IsRunning reports whether the connector runs here and is RUNNING.
func (w *Worker) IsRunning(connector string) bool {
	state, _ := w.ConnectorState(connector)
	return state == storage.StateRunning
}

// TaskConfigs asks a RUNNING connector for its task configurations, on the connector's
// goroutine, and waits for them. They are ready to be published: task.class, topics
// and topics.regex added, references to configuration providers put back. More than
// tasks.max are a *TooManyTasksError and make the connector FAILED, unless
// tasks.max.enforce is off. A connector that is not RUNNING is a *NotRunningError.
func (w *Worker) TaskConfigs(ctx context.Context, connector string) ([]map[string]string, error) {
	w.mu.Lock()
	c := w.connectors[connector]
	w.mu.Unlock()
	if c == nil {
		return nil, &NotRunningError{Connector: connector}
	}
	return c.taskConfigs(ctx)
}

// NotRunningError says that a connector is not RUNNING on this worker.
type NotRunningError struct{ Connector string }

func (e *NotRunningError) Error() string {
	return fmt.Sprintf("connector %s is not running on this worker", e.Connector)
}

// TooManyTasksError says that a connector has more tasks than it may have.
type TooManyTasksError struct {
	Connector  string
	Tasks, Max int
}

func (e *TooManyTasksError) Error() string {
	return fmt.Sprintf("The connector %s has generated %d tasks, which is greater than %d, the maximum number of tasks it is configured to create. "+
		"Raise tasks.max, or set tasks.max.enforce=false to allow it for now",
		e.Connector, e.Tasks, e.Max)
}

func compareTasks(a, b connect.TaskID) int {
	return cmp.Or(strings.Compare(a.Connector, b.Connector), cmp.Compare(a.Task, b.Task))
}

package worker

import (
	"maps"
	"sync"

	"tributary/connect"
)

// liveKeys hands changes of a connector's Live keys to a running task.
type liveKeys struct {
	t *taskRun
	// using is held during the calls of the task, which come one at a time. It is taken
	// before mu.
	using sync.Mutex
	told  map[string]string
	count int

	mu      sync.Mutex
	task    connect.LiveTask // nil until the task is built, and for tasks of other kinds
	def     *connect.ConfigDef
	config  map[string]string // raw, the newest
	tasks   int
	closed  bool
	workers sync.WaitGroup
}

// begin tells the task what its Live keys are before it starts.
func (l *liveKeys) begin(task connect.SourceTask, def *connect.ConfigDef) error {
	live, ok := task.(connect.LiveTask)
	if !ok {
		return nil
	}
	l.mu.Lock()
	l.task, l.def = live, def
	l.mu.Unlock()
	return l.tell()
}

// change takes a new configuration of the connector.
func (l *liveKeys) change(config map[string]string, tasks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config, l.tasks = config, tasks
	if l.task == nil || l.closed {
		return
	}
	l.workers.Go(func() {
		if err := guard(l.tell); err != nil {
			l.t.logger.Error("The task could not be told of the connector's new configuration; it goes on with the old one", "error", err)
		}
	})
}

// tell calls the task if the newest configuration brings something new.
func (l *liveKeys) tell() error {
	l.using.Lock()
	defer l.using.Unlock()
	l.mu.Lock()
	task, config, tasks := l.task, l.def.Live(l.config), l.tasks
	l.mu.Unlock()
	values, err := l.t.worker.options.Transformer.Transform(l.t.ctx, l.t.id.Connector, config)
	if err != nil {
		return err
	}
	l.t.concealment.Add(config, values)
	if l.told != nil && l.count == tasks && maps.Equal(l.told, values) {
		return nil
	}
	l.told, l.count = maps.Clone(values), tasks
	task.UseLive(values, tasks)
	return nil
}

// end awaits calls that are under way; none follow.
func (l *liveKeys) end() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.workers.Wait()
}

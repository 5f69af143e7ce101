package distributed

import (
	"context"
	"maps"
	"slices"

	"tributary/connect"
	"tributary/connect/group/assign"
	"tributary/connect/plugin"
	"tributary/storage"
)

// connectorInstance is the Task of the id that stands for a connector's own instance.
const connectorInstance = -1

func connectorID(name string) connect.TaskID {
	return connect.TaskID{Connector: name, Task: connectorInstance}
}

// instance is a connector or task that this worker runs, or is stopping. FAILED ones
// count as running: they hold their place until they are stopped.
type instance struct {
	stopping bool
	// stale asks for a stop: its configuration changed, or a restart was requested.
	stale bool
	// restart makes the status RESTARTING between the stop and the next start.
	restart bool
	// failed says that it is FAILED.
	failed bool
	// connector and task are the configurations that a task was started with.
	connector, task map[string]string
}

// quietWaiter waits until none of its instances is left on this worker.
type quietWaiter struct {
	instances map[connect.TaskID]*instance
	done      chan struct{}
}

// reconcile starts and stops what it takes for this worker to run what it should. The
// loop calls it after every change.
func (h *Herder) reconcile() {
	if h.halted {
		return
	}
	state := h.snapshot()
	var stopTasks []connect.TaskID
	var stopConnectors []string
	for id, inst := range h.instances {
		if inst.stopping || (!inst.stale && h.assigned[id] && exists(state, id)) {
			continue
		}
		inst.stopping = true
		if id.Task == connectorInstance {
			stopConnectors = append(stopConnectors, id.Connector)
			if r := h.reconfigs[id.Connector]; r != nil {
				r.cancel()
			}
		} else {
			stopTasks = append(stopTasks, id)
		}
	}
	h.stop(stopConnectors, stopTasks)
	if h.settled {
		h.startMissing(state)
	}
	h.wakeQuiet()
}

// runsOn reports whether a task may go on over a new division of its connector's work:
// nothing of what it was started with has changed, so its share of the work is the same.
// A failed task is started anew, as in Java. With exactly-once support the leader fences
// the producers of all tasks, so all have to start anew.
func (h *Herder) runsOn(id connect.TaskID, inst *instance, state *storage.ClusterState) bool {
	connector, _ := state.RawConnectorConfig(id.Connector)
	task, known := state.RawTaskConfig(id)
	return known && !inst.failed && !h.opts.ExactlyOnce &&
		h.equalButForLive(inst.connector, withoutNulls(connector)) && maps.Equal(inst.task, withoutNulls(task))
}

// exists reports whether the config topic has the connector or task.
func exists(state *storage.ClusterState, id connect.TaskID) bool {
	if !state.Contains(id.Connector) {
		return false
	}
	return id.Task == connectorInstance || (id.Task < state.TaskCount(id.Connector) && !state.IsInconsistent(id.Connector))
}

func (h *Herder) startMissing(state *storage.ClusterState) {
	// Connectors first, and in a fixed order, so that logs are easy to compare.
	ids := slices.SortedFunc(maps.Keys(h.assigned), func(a, b connect.TaskID) int {
		switch {
		case a.Task == connectorInstance && b.Task != connectorInstance:
			return -1
		case b.Task == connectorInstance && a.Task != connectorInstance:
			return 1
		case a.Connector != b.Connector:
			if a.Connector < b.Connector {
				return -1
			}
			return 1
		}
		return a.Task - b.Task
	})
	for _, id := range ids {
		if h.instances[id] != nil || !exists(state, id) {
			continue
		}
		raw, _ := state.RawConnectorConfig(id.Connector)
		config := withoutNulls(raw)
		target, _ := state.TargetState(id.Connector)
		if id.Task == connectorInstance {
			h.instances[id] = &instance{}
			h.log.Info("Starting connector", "connector", id.Connector)
			if err := h.runner.StartConnector(id.Connector, config, target); err != nil {
				h.log.Error("Could not start connector", "connector", id.Connector, "error", err)
			}
			continue
		}
		if h.blocked[id.Connector] {
			continue
		}
		rawTask, _ := state.RawTaskConfig(id)
		task := withoutNulls(rawTask)
		h.instances[id] = &instance{connector: config, task: task}
		h.log.Info("Starting task", "connector", id.Connector, "task", id.Task)
		var err error
		if h.opts.ExactlyOnce && h.kind(raw) == string(plugin.Source) {
			err = h.runner.StartExactlyOnceTask(id, config, task, target, state.TaskCount(id.Connector), h.exactlyOnce(id, state))
		} else {
			err = h.runner.StartTask(id, config, task, target, state.TaskCount(id.Connector))
		}
		if err != nil {
			h.log.Error("Could not start task", "connector", id.Connector, "task", id.Task, "error", err)
			h.answerStart(id, errStartFailed)
		}
	}
}

// stop stops instances in the background; the loop hears of it when all have stopped.
func (h *Herder) stop(connectors []string, tasks []connect.TaskID) {
	if len(tasks) > 0 {
		h.goBackground(func(ctx context.Context) {
			h.runner.StopTasks(ctx, tasks...) // which says what it had to cut off
			h.loop.post(func() { h.gone(tasks) })
		})
	}
	if len(connectors) > 0 {
		h.goBackground(func(ctx context.Context) {
			h.runner.StopConnectors(ctx, connectors...)
			ids := make([]connect.TaskID, len(connectors))
			for i, name := range connectors {
				ids[i] = connectorID(name)
			}
			h.loop.post(func() { h.gone(ids) })
		})
	}
}

// gone forgets stopped instances, and starts those again that should run.
func (h *Herder) gone(ids []connect.TaskID) {
	for _, id := range ids {
		inst := h.instances[id]
		delete(h.instances, id)
		h.forgetReport(id)
		if inst != nil && inst.restart && h.assigned[id] {
			h.report(id, storage.StateRestarting, "", "")
		}
	}
	h.wakeQuiet()
	h.reconcile()
}

// awaitQuiet closes done once none of the instances that have these ids now is on this
// worker. One that follows, while others still stop, is not waited for.
func (h *Herder) awaitQuiet(ids []connect.TaskID, done chan struct{}) {
	instances := map[connect.TaskID]*instance{}
	for _, id := range ids {
		if inst := h.instances[id]; inst != nil {
			instances[id] = inst
		}
	}
	h.quiet = append(h.quiet, quietWaiter{instances, done})
	h.wakeQuiet()
}

func (h *Herder) wakeQuiet() {
	h.quiet = slices.DeleteFunc(h.quiet, func(w quietWaiter) bool {
		for id, inst := range w.instances {
			if h.instances[id] == inst {
				return false
			}
		}
		close(w.done)
		return true
	})
}

// answerStart tells those who asked for a restart how it ended.
func (h *Herder) answerStart(id connect.TaskID, err error) {
	for _, c := range h.starts[id] {
		c <- err
	}
	delete(h.starts, id)
}

func withoutNulls(config storage.ConnectorConfig) map[string]string {
	out := make(map[string]string, len(config))
	for k, v := range config {
		if v != nil {
			out[k] = *v
		}
	}
	return out
}

// ids lists connectors and tasks of an assignment in the herder's terms.
func ids(w assign.Work) []connect.TaskID {
	out := make([]connect.TaskID, 0, len(w.Connectors)+len(w.Tasks))
	for _, c := range w.Connectors {
		out = append(out, connectorID(c))
	}
	for _, t := range w.Tasks {
		out = append(out, connect.TaskID(t))
	}
	return out
}

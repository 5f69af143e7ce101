package distributed

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/worker"
)

// RestartPolicy says whether connectors and tasks that failed are restarted by
// themselves. The pause before the first attempt is First; it doubles with each further
// one up to Longest. Who has run for Longest without a failure begins anew. The zero
// value restarts nothing.
type RestartPolicy struct{ First, Longest time.Duration }

// pause is how long to wait before an attempt, counted from 1.
func (p RestartPolicy) pause(attempt int) time.Duration {
	pause := p.First
	for range attempt - 1 {
		if pause >= p.Longest/2 {
			return p.Longest
		}
		pause *= 2
	}
	return min(pause, p.Longest)
}

// autoRestarts is the history of the instances of this worker that failed. The loop
// changes it, requests read it.
type autoRestarts struct {
	policy  RestartPolicy
	metrics worker.Metrics // nil measures nothing

	mu    sync.Mutex
	books map[connect.TaskID]*restartBook
}

// restartBook is the history of one instance, over its restarts.
type restartBook struct {
	count, attempt int
	// runningSince is zero while the instance does not run.
	runningSince time.Time
	// next is when it will be restarted, zero when it is not waiting for that.
	next  time.Time
	timer *time.Timer
}

const restartsName = "tributary_auto_restarts_total"

func restartLabels(id connect.TaskID) map[string]string {
	labels := map[string]string{"connector": id.Connector, "task": ""}
	if id.Task != connectorInstance {
		labels["task"] = strconv.Itoa(id.Task)
	}
	return labels
}

// running notes that an instance has reached a state in which nothing is wrong.
func (a *autoRestarts) running(id connect.TaskID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.books[id]; b != nil {
		b.settle()
		b.runningSince = time.Now()
	}
}

// settle forgets the restart that the instance was waiting for.
func (b *restartBook) settle() {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.next = time.Time{}
}

// failed notes a failure and has restart called when the pause is over.
func (a *autoRestarts) failed(id connect.TaskID, restart func()) (attempt int, pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.books[id]
	if b == nil {
		b = &restartBook{}
		a.books[id] = b
	}
	b.settle()
	if !b.runningSince.IsZero() && time.Since(b.runningSince) >= a.policy.Longest {
		b.attempt = 0
	}
	b.runningSince = time.Time{}
	b.attempt++
	pause = a.policy.pause(b.attempt)
	b.next = time.Now().Add(pause)
	b.timer = time.AfterFunc(pause, restart)
	return b.attempt, pause
}

// counted notes that an instance is being restarted.
func (a *autoRestarts) counted(id connect.TaskID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.books[id]
	if b == nil {
		return
	}
	b.count++
	b.next = time.Time{}
	if a.metrics != nil {
		a.metrics.Counter(restartsName, "Restarts of a connector (without a task) or task that this worker made by itself after a failure.", restartLabels(id)).Add(1)
	}
}

// keep forgets what has left this worker.
func (a *autoRestarts) keep(here func(connect.TaskID) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, b := range a.books {
		if here(id) {
			continue
		}
		b.settle()
		delete(a.books, id)
		if b.count > 0 && a.metrics != nil {
			a.metrics.Remove(restartsName, restartLabels(id))
		}
	}
}

// of is what the API shows of a connector, the connector itself first.
func (a *autoRestarts) of(connector, workerID string) []api.AutoRestarts {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []connect.TaskID
	for id := range a.books {
		if id.Connector == connector {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y connect.TaskID) int { return x.Task - y.Task })
	var out []api.AutoRestarts
	for _, id := range ids {
		b := a.books[id]
		shown := api.AutoRestarts{WorkerID: workerID, Count: b.count, Attempt: b.attempt, Next: moment(b.next)}
		if id.Task != connectorInstance {
			shown.Task = &id.Task
		}
		out = append(out, shown)
	}
	return out
}

// noteFailed plans the restart of an instance that has failed.
func (h *Herder) noteFailed(id connect.TaskID, trace string) {
	inst := h.instances[id]
	if inst == nil || inst.stopping || h.halted {
		return
	}
	inst.failed = true
	if h.restarts.policy.First == 0 {
		return
	}
	attempt, pause := h.restarts.failed(id, func() { h.loop.post(func() { h.restartFailed(id, inst) }) })
	reason, _, _ := strings.Cut(trace, "\n")
	h.log.Warn("What failed will be restarted by itself", "connector", id.Connector, "task", taskLabel(id), "attempt", attempt, "after", pause, "reason", reason)
}

// taskLabel is the task's number in log lines, nothing for a connector.
func taskLabel(id connect.TaskID) string { return restartLabels(id)["task"] }

// restartFailed restarts an instance that has failed, unless somebody else has.
func (h *Herder) restartFailed(id connect.TaskID, failed *instance) {
	if h.halted || h.instances[id] != failed || failed.stopping || !failed.failed {
		return
	}
	h.restarts.counted(id)
	failed.stale, failed.restart = true, true
	h.reconcile()
}

// noteState follows what becomes of an instance, for the sake of its restarts.
func (h *Herder) noteState(id connect.TaskID, running bool) {
	inst := h.instances[id]
	if inst == nil || inst.stopping {
		return
	}
	inst.failed = false
	if running {
		h.restarts.running(id)
	}
}

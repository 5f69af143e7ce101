package worker

import (
	"strings"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/internal/metrics"
	"tributary/storage"
)

// startups counts how starts of connectors or tasks end.
type startups struct {
	attempts, successes, failures connect.Counter
	outcome                       *metrics.Window // 1 and 0
}

func newStartups(s *scope, kind string) *startups {
	const group = "connect_worker_metrics_"
	u := &startups{
		attempts:  s.Counter(prefix+group+kind+"_startup_attempts_total", "Starts of a "+kind+" that this worker has tried.", nil),
		successes: s.Counter(prefix+group+kind+"_startup_success_total", "Starts of a "+kind+" that succeeded.", nil),
		failures:  s.Counter(prefix+group+kind+"_startup_failure_total", "Starts of a "+kind+" that failed.", nil),
		outcome:   s.newWindow(),
	}
	s.gauge(group+kind+"_startup_success_percentage", "Part of the starts that succeeded lately, from 0 to 1.", u.outcome.Share)
	s.gauge(group+kind+"_startup_failure_percentage", "Part of the starts that failed lately, from 0 to 1.", u.outcome.ShareOfZeros)
	return u
}

func (u *startups) ended(well bool) {
	u.attempts.Add(1)
	if well {
		u.successes.Add(1)
		u.outcome.Record(1)
		return
	}
	u.failures.Add(1)
	u.outcome.Record(0)
}

// instanceMetrics follow the states of one connector or task.
type instanceMetrics struct {
	scope    *scope
	group    string
	startups *startups
	settled  bool // whether the start succeeded is known

	mu      sync.Mutex
	state   storage.State
	since   time.Time
	created time.Time
	spent   map[storage.State]time.Duration
}

func newInstanceMetrics(s *scope, group string, u *startups) *instanceMetrics {
	now := time.Now()
	return &instanceMetrics{scope: s, group: group, startups: u, since: now, created: now, spent: map[storage.State]time.Duration{}}
}

// is notes a state. Calls come one at a time.
func (m *instanceMetrics) is(state storage.State) {
	m.mu.Lock()
	now, old := time.Now(), m.state
	m.spent[old] += now.Sub(m.since)
	m.state, m.since = state, now
	m.mu.Unlock()
	if old != state {
		if old != "" {
			m.scope.forgetText(m.group, "status", strings.ToLower(string(old)))
		}
		m.scope.text(m.group, "status", "1 for the state that the instance is in.", strings.ToLower(string(state)))
	}
	if well := state == storage.StateRunning; !m.settled && (well || state == storage.StateFailed) {
		m.settled = true
		m.startups.ended(well)
	}
}

// ratio is the part of the instance's life that it has spent in a state.
func (m *instanceMetrics) ratio(state storage.State) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	spent := m.spent[state]
	if m.state == state {
		spent += now.Sub(m.since)
	}
	if all := now.Sub(m.created); all > 0 {
		return float64(spent) / float64(all)
	}
	return 0
}

// showRatios is for tasks.
func (m *instanceMetrics) showRatios() {
	m.scope.gauge(m.group+"_running_ratio", "Part of its life that the task has been running, from 0 to 1.", func() float64 { return m.ratio(storage.StateRunning) })
	m.scope.gauge(m.group+"_pause_ratio", "Part of its life that the task has been paused, from 0 to 1.", func() float64 { return m.ratio(storage.StatePaused) })
}

// pluginTexts shows the class and version of a plugin of the instance.
func (s *scope) pluginTexts(group, role, class, version string) {
	s.aliasTexts(group, role, "", class, version)
}

// aliasTexts is pluginTexts for a plugin that the configuration gives a name.
func (s *scope) aliasTexts(group, role, alias, class, version string) {
	for attribute, text := range map[string]struct{ help, value string }{
		role + "_class":   {"1 for the class that the instance uses.", class},
		role + "_version": {"1 for the version of that class.", version},
	} {
		labels := map[string]string{attribute: text.value}
		if alias != "" {
			labels[role] = alias
		}
		s.Gauge(prefix+group+"_"+attribute, text.help, labels).Set(1)
	}
}

// showPlugins shows what the task is made of, once its pipeline is built.
func (t *taskRun) showPlugins(values connect.Values) {
	const group = "connector_task_metrics"
	registry := t.worker.options.Plugins
	if p, err := registry.Connector(t.connectorConfig["connector.class"]); err == nil {
		t.scope.pluginTexts(group, "connector", p.Class, p.Version)
		t.scope.text(group, "connector_type", "1 for the kind of the connector.", string(p.Kind))
		t.scope.pluginTexts(group, "task", p.TaskClass, p.Version)
	}
	for _, converter := range []struct {
		role, class string
		kind        plugin.Kind
	}{
		{"key_converter", t.pipeline.key.class, plugin.Converter},
		{"value_converter", t.pipeline.value.class, plugin.Converter},
		{"header_converter", t.pipeline.header.class, plugin.HeaderConverter},
	} {
		if p, err := registry.Find(converter.class, converter.kind); err == nil {
			t.scope.pluginTexts(group, converter.role, p.Class, p.Version)
		}
	}
	predicates := map[string]bool{} // several transformations may share one
	for _, alias := range values.List("transforms") {
		if p, err := registry.Find(t.connectorConfig["transforms."+alias+".type"], plugin.Transformation); err == nil {
			t.scope.aliasTexts("connector_transform_metrics", "transform", t.concealment.Text(alias), p.Class, p.Version)
		}
		predicate := t.connectorConfig["transforms."+alias+".predicate"]
		if p, err := registry.Find(t.connectorConfig["predicates."+predicate+".type"], plugin.Predicate); err == nil && !predicates[predicate] {
			predicates[predicate] = true
			t.scope.aliasTexts("connector_predicate_metrics", "predicate", t.concealment.Text(predicate), p.Class, p.Version)
		}
	}
}

// workerMetrics are those of the worker as a whole.
type workerMetrics struct {
	scope             *scope
	connectors, tasks *startups

	mu sync.Mutex
	// counts are the task counts of each connector that has tasks here.
	counts map[string]*taskCounts
}

type taskCounts struct {
	scope *scope
	tasks int
}

func newWorkerMetrics(w *Worker) *workerMetrics {
	s := &scope{metrics: w.options.Metrics, windows: w.options.Config.Metrics}
	s.gauge("connect_worker_metrics_connector_count", "Connectors on this worker.", func() float64 { return float64(len(w.Connectors())) })
	s.gauge("connect_worker_metrics_task_count", "Tasks on this worker.", func() float64 { return float64(len(w.Tasks())) })
	return &workerMetrics{scope: s, connectors: newStartups(s, "connector"), tasks: newStartups(s, "task"), counts: map[string]*taskCounts{}}
}

// taskCame shows the counts of a connector's tasks with its first one.
func (m *workerMetrics) taskCame(w *Worker, connector string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[connector]
	if c == nil {
		c = &taskCounts{scope: connectorScope(&w.options, connector)}
		m.counts[connector] = c
		show := func(name, help string, states ...storage.State) {
			c.scope.gauge("connect_worker_metrics_connector_"+name+"_task_count", help, func() float64 { return float64(w.countTasks(connector, states...)) })
		}
		show("total", "Tasks of the connector on this worker.")
		show("running", "Tasks of the connector on this worker that run.", storage.StateRunning)
		show("paused", "Tasks of the connector on this worker that are paused.", storage.StatePaused)
		show("failed", "Tasks of the connector on this worker that have failed.", storage.StateFailed)
		show("unassigned", "Tasks of the connector on this worker that start or have stopped.", storage.StateUnassigned, "")
		show("restarting", "Tasks of the connector on this worker that are being restarted.", storage.StateRestarting)
		show("destroyed", "Always 0: tasks that are removed are not on a worker.", "DESTROYED")
	}
	c.tasks++
}

// taskLeft takes the counts away with the connector's last task.
func (m *workerMetrics) taskLeft(connector string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[connector]
	if c.tasks--; c.tasks == 0 {
		c.scope.close()
		delete(m.counts, connector)
	}
}

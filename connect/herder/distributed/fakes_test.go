package distributed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/storage"
	"tributary/storage/memstore"
)

// hub is a broker's group coordinator in miniature: when a member asks for a round, all
// members join, the first leads and assigns, and everyone hears the outcome.
type hub struct {
	mu         sync.Mutex
	members    []*hubMember
	generation int
	state      assign.State
	// maxDelay is how long lost work waits for its worker, and departed who said goodbye.
	maxDelay time.Duration
	departed map[string]bool
	wake     chan struct{}
}

type hubMember struct {
	hub      *hub
	id, url  string
	handler  group.Handler
	snapshot *protocol.Assignment
	wants    bool
	away     bool
	lost     time.Time
	back     chan struct{}
}

func newHub() *hub { return &hub{departed: map[string]bool{}, wake: make(chan struct{}, 1)} }

func (h *hub) member(id, url string) *hubMember { return &hubMember{hub: h, id: id, url: url} }

func (h *hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run carries out rounds until ctx ends.
func (h *hub) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		for h.round(ctx) {
		}
	}
}

func (h *hub) round(ctx context.Context) bool {
	h.mu.Lock()
	wanted := false
	var members []*hubMember
	for _, m := range h.members {
		wanted = wanted || m.wants
		if !m.away {
			members = append(members, m)
		}
		m.wants = false
	}
	h.mu.Unlock()
	if !wanted || len(members) == 0 || ctx.Err() != nil {
		return false
	}
	r := assign.Round{Leader: members[0].id, Members: map[string]assign.Member{}, Generation: int32(h.generation + 1), LastCompleted: int32(h.generation), Now: time.Now()}
	h.generation++
	for _, m := range members {
		m.handler.BeforeJoin(ctx)
	}
	for _, m := range members {
		held := assign.Work{}
		if m.snapshot != nil {
			held = m.snapshot.Assigned
		}
		r.Members[m.id] = assign.Member{URL: m.url, ConfigOffset: m.handler.Configured().Offset, Held: held}
	}
	gathering := group.Gathering{Generation: h.generation, Held: map[string]assign.Work{}}
	for _, m := range r.Members {
		gathering.Held[m.URL] = m.Held
	}
	members[0].handler.Gathered(ctx, gathering)
	r.Configured, r.Fresh = members[0].handler.Configured(), members[0].handler.Configured
	h.mu.Lock()
	r.Departed = maps.Clone(h.departed)
	h.mu.Unlock()
	plan, next := assign.Incremental(assign.Config{MaxDelay: h.maxDelay}, h.state, r)
	h.state = next
	if plan.Delay > 0 {
		time.AfterFunc(plan.Delay, func() { members[0].Rejoin("the scheduled rebalance is due") })
	}
	assignments := protocol.Assignments(protocol.Sessioned, plan)
	for _, m := range members {
		received := assignments[m.id]
		merged := protocol.Merge(protocol.Sessioned, m.snapshot, received)
		if !received.Revoked.Empty() {
			m.handler.Revoke(ctx, received.Revoked)
		}
		m.snapshot = &merged
		m.handler.Assigned(group.Round{Generation: h.generation, MemberID: m.id, Protocol: protocol.Sessioned, Snapshot: merged})
	}
	return true
}

func (m *hubMember) Start(_ context.Context, handler group.Handler) {
	m.hub.mu.Lock()
	m.handler, m.wants = handler, true
	m.hub.members = append(m.hub.members, m)
	m.hub.mu.Unlock()
	m.hub.poke()
}

func (m *hubMember) Stop(context.Context) {
	m.hub.mu.Lock()
	m.hub.members = slices.DeleteFunc(m.hub.members, func(o *hubMember) bool { return o == m })
	for _, o := range m.hub.members {
		o.wants = true
	}
	m.hub.mu.Unlock()
	m.hub.poke()
}

func (m *hubMember) Rejoin(string) {
	m.hub.mu.Lock()
	m.wants, m.away = true, false
	m.hub.mu.Unlock()
	m.hub.poke()
}

func (m *hubMember) Suspend(string) {
	m.hub.mu.Lock()
	m.away = true
	m.hub.mu.Unlock()
}

func (m *hubMember) Settled() {
	if m.snapshot != nil && !m.snapshot.Revoked.Empty() {
		m.snapshot.Revoked = assign.Work{}
		m.Rejoin("revoked")
	}
}

func (m *hubMember) Contact() (lost time.Time, back <-chan struct{}) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	return m.lost, m.back
}

// lose takes the coordinator away until the function it returns is called.
func (m *hubMember) lose() (found func()) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.lost, m.back = time.Now(), make(chan struct{})
	return func() {
		m.hub.mu.Lock()
		defer m.hub.mu.Unlock()
		close(m.back)
		m.lost = time.Time{}
	}
}

func (m *hubMember) MemberDeparted(memberID string) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.hub.departed[memberID] = true
}

// unheard takes the member out of the group as the end of its session does. It comes back
// with what it holds when it asks for a round.
func (m *hubMember) unheard() {
	m.hub.mu.Lock()
	m.away = true
	for _, o := range m.hub.members {
		o.wants = o != m
	}
	m.hub.mu.Unlock()
	m.hub.poke()
}

func (m *hubMember) OwnerURL(id connect.TaskID) string {
	for _, o := range m.hub.members {
		if slices.Contains(ids(o.snapshot.Assigned), id) {
			return o.url
		}
	}
	return ""
}

// ledger knows what all workers of a test run, and notices when two run the same.
type ledger struct {
	mu      sync.Mutex
	running map[connect.TaskID]string
	events  []string
	doubled []string
}

func (l *ledger) start(worker string, id connect.TaskID, detail string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, runs := l.running[id]; runs {
		l.doubled = append(l.doubled, fmt.Sprintf("%v started on %s while on %s", id, worker, other))
	}
	l.running[id] = worker
	l.events = append(l.events, fmt.Sprintf("%s start %s-%d %s", worker, id.Connector, id.Task, detail))
}

// note adds an event.
func (l *ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, fmt.Sprintf(format, args...))
}

func (l *ledger) stop(worker string, id connect.TaskID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, id)
	l.events = append(l.events, fmt.Sprintf("%s stop %s-%d", worker, id.Connector, id.Task))
}

func (l *ledger) owners() map[connect.TaskID]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[connect.TaskID]string{}
	for id, w := range l.running {
		out[id] = w
	}
	return out
}

// runner is a worker whose connectors split into as many tasks as their configuration
// says in "n", each knowing the value of "v".
type runner struct {
	name     string
	ledger   *ledger
	listener worker.Listener
	mu       sync.Mutex
	configs  map[string]map[string]string
	tasks    map[connect.TaskID]bool
	targets  map[string]storage.TargetState
	// stopDelay makes tasks slow to stop.
	stopDelay time.Duration
	// divide, unless nil, gives the tasks' configurations in place of "n" and "v".
	divide func() []map[string]string
	// silent is a connector of which nothing is heard once it was started.
	silent  string
	offsets storage.OffsetStore
	// committed is how often offsets were written in transactions.
	committed int
	// fenced is called by FenceTasks; nil succeeds.
	fenced func(ctx context.Context) error
	// preflights awaits the tasks that are about to start; ctx ends when the runner stops,
	// and they with it.
	preflights sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc
}

// StartExactlyOnceTask starts the task once the herder lets it.
func (r *runner) StartExactlyOnceTask(id connect.TaskID, connectorConfig, config map[string]string, target storage.TargetState, count int, herder worker.ExactlyOnce) error {
	r.preflights.Go(func() {
		err := herder.Fence(r.ctx)
		if err == nil {
			r.ledger.note("%s init %s-%d", r.name, id.Connector, id.Task)
			err = herder.Confirm(r.ctx)
		}
		if err != nil {
			r.ledger.note("%s fail %s-%d: %v", r.name, id.Connector, id.Task, err)
			r.listener.TaskState(id, storage.StateFailed, err.Error(), "1")
			return
		}
		_ = r.StartTask(id, connectorConfig, config, target, count)
	})
	return nil
}

func (r *runner) FenceTasks(ctx context.Context, connector string, _ map[string]string, count int) error {
	r.ledger.note("%s fence %s %d", r.name, connector, count)
	if r.fenced != nil {
		return r.fenced(ctx)
	}
	return nil
}

func (r *runner) OpenOffsets(context.Context, string, map[string]string, *provider.Concealment) (storage.OffsetStore, func(), error) {
	return r.offsets, func() {}, nil
}

func (r *runner) CommitOffsets(ctx context.Context, _ string, _ map[string]string, _ *provider.Concealment, store storage.OffsetStore, records []storage.OffsetRecord) error {
	r.mu.Lock()
	r.committed++
	r.mu.Unlock()
	return store.WriteOffsets(ctx, records)
}

func (r *runner) StartConnector(name string, config map[string]string, target storage.TargetState) error {
	r.mu.Lock()
	r.configs[name], r.targets[name] = config, target
	r.mu.Unlock()
	r.ledger.start(r.name, connectorID(name), "v="+config["v"]+" "+string(target))
	switch {
	case name == r.silent:
	case config["fail"] != "":
		r.listener.ConnectorState(name, storage.StateFailed, "told to fail", "1")
	case target == storage.Started:
		r.listener.ConnectorState(name, storage.StateRunning, "", "1")
		r.listener.TaskConfigsRequested(name)
	default:
		r.listener.ConnectorState(name, storage.State(target), "", "1")
	}
	return nil
}

func (r *runner) StartTask(id connect.TaskID, _, config map[string]string, target storage.TargetState, _ int) error {
	r.mu.Lock()
	r.tasks[id] = true
	r.mu.Unlock()
	r.ledger.start(r.name, id, "v="+config["v"])
	state := storage.StateRunning
	if target == storage.Paused {
		state = storage.StatePaused
	}
	if config["fail"] != "" {
		r.listener.TaskMade(id, errors.New("told to fail"))
		r.listener.TaskState(id, storage.StateFailed, "told to fail", "1")
		return nil
	}
	r.listener.TaskMade(id, nil)
	r.listener.TaskState(id, state, "", "1")
	return nil
}

func (r *runner) StopConnectors(_ context.Context, names ...string) []string {
	for _, n := range names {
		r.mu.Lock()
		delete(r.configs, n)
		r.mu.Unlock()
		r.ledger.stop(r.name, connectorID(n))
		r.listener.ConnectorState(n, storage.StateUnassigned, "", "")
	}
	return nil
}

func (r *runner) StopTasks(_ context.Context, stop ...connect.TaskID) []connect.TaskID {
	time.Sleep(r.stopDelay)
	for _, id := range stop {
		r.mu.Lock()
		delete(r.tasks, id)
		r.mu.Unlock()
		r.ledger.stop(r.name, id)
		r.listener.TaskState(id, storage.StateUnassigned, "", "")
	}
	return nil
}

func (r *runner) SetConnectorConfig(connector string, config map[string]string, taskCount int) {
	r.ledger.note("%s tell %s pace=%s of %d", r.name, connector, config["pace"], taskCount)
}

func (r *runner) SetTargetState(connector string, target storage.TargetState) {
	r.mu.Lock()
	_, here := r.configs[connector]
	var tasks []connect.TaskID
	for id := range r.tasks {
		if id.Connector == connector {
			tasks = append(tasks, id)
		}
	}
	changed := r.targets[connector] != target
	r.targets[connector] = target
	r.mu.Unlock()
	state := map[storage.TargetState]storage.State{storage.Started: storage.StateRunning, storage.Paused: storage.StatePaused, storage.Stopped: storage.StateStopped}[target]
	if here && changed { // a connector in that state takes no notice
		r.listener.ConnectorState(connector, state, "", "1")
		if target == storage.Started {
			r.listener.TaskConfigsRequested(connector)
		}
	}
	for _, id := range tasks {
		if target != storage.Stopped {
			r.listener.TaskState(id, state, "", "1")
		}
	}
}

func (r *runner) TaskConfigs(_ context.Context, connector string) ([]map[string]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	config, ok := r.configs[connector]
	if !ok || r.targets[connector] != storage.Started {
		return nil, &worker.NotRunningError{Connector: connector}
	}
	if r.divide != nil {
		return r.divide(), nil
	}
	var n int
	if _, err := fmt.Sscan(config["n"], &n); err != nil {
		return nil, err
	}
	out := make([]map[string]string, n)
	for i := range out {
		out[i] = map[string]string{"v": config["v"], "i": fmt.Sprint(i)}
	}
	return out, nil
}

// Replication reports a partition, named after the connector, for each task here.
func (r *runner) Replication(connector string) (out []worker.InstanceReplication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, here := r.configs[connector]; here {
		out = append(out, worker.InstanceReplication{Task: connectorInstance, Report: connect.Replication{
			Mode: "batch", Topics: []string{connector}, Troubles: []string{"slow"}, Batch: &connect.ReplicationBatch{Copied: 1, Left: 2}}})
	}
	for id := range r.tasks {
		if id.Connector == connector {
			out = append(out, worker.InstanceReplication{Task: id.Task, Report: connect.Replication{Partitions: []connect.ReplicatedPartition{{
				Topic: connector, Partition: int32(id.Task), SourceEnd: 9, MirroredUpTo: connect.UnknownOffset, LagRecords: connect.UnknownOffset, LagSeconds: connect.UnknownLag}}}})
		}
	}
	return out
}

func (r *runner) Stop(ctx context.Context) error {
	r.cancel()
	r.mu.Lock()
	var tasks []connect.TaskID
	var connectors []string
	for id := range r.tasks {
		tasks = append(tasks, id)
	}
	for c := range r.configs {
		connectors = append(connectors, c)
	}
	r.mu.Unlock()
	r.StopTasks(ctx, tasks...)
	r.StopConnectors(ctx, connectors...)
	return nil
}

// cluster is what the workers of a test share.
type cluster struct {
	t        *testing.T
	hub      *hub
	ledger   *ledger
	configs  *memstore.Topic
	statuses *memstore.Topic
	herders  map[string]*Herder
	stops    map[string]func()
	wg       sync.WaitGroup
}

// newCluster returns a group without members. Tests call it inside a synctest bubble.
func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, hub: newHub(), ledger: &ledger{running: map[connect.TaskID]string{}},
		configs: memstore.NewTopic(), statuses: memstore.NewTopic(),
		herders: map[string]*Herder{}, stops: map[string]func(){}}
	ctx, cancel := context.WithCancel(t.Context())
	c.wg.Go(func() { c.hub.run(ctx) })
	t.Cleanup(func() {
		for _, stop := range c.stops {
			stop()
		}
		cancel()
		c.wg.Wait()
		if len(c.ledger.doubled) > 0 {
			t.Errorf("work ran twice: %v", c.ledger.doubled)
		}
	})
	return c
}

// errUnreachable is what a request to a worker that there is not gets.
var errUnreachable = errors.New("nobody is there")

// RoundTrip carries the internal requests that workers send to each other's URL, which
// in these tests is http://<worker>/, to that worker's herder.
func (c *cluster) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	h := c.herders[req.URL.Host]
	if h == nil {
		return nil, errUnreachable
	}
	request := protocol.Received(req.Header, req.Method+" "+req.URL.EscapedPath(), body)
	var share any
	path := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch req.Method + " " + path[len(path)-1] {
	case "POST tasks":
		var configs []map[string]string
		if err := json.Unmarshal(body, &configs); err != nil {
			return nil, err
		}
		err = h.PutTaskConfigs(req.Context(), path[1], configs, request)
	case "PUT stop":
		err = h.StopConnector(req.Context(), path[1])
	case "PUT fence":
		err = h.FenceZombies(req.Context(), path[1], request)
	case "POST replication":
		share, err = h.LocalReplication(req.Context(), path[1], request)
	case "POST departures":
		var departure api.Departure
		if err := json.Unmarshal(body, &departure); err != nil {
			return nil, err
		}
		err = h.MemberDeparted(req.Context(), departure.Member, request)
	default:
		err = fmt.Errorf("%s %s is no internal request", req.Method, req.URL.Path)
	}
	answer := httptest.NewRecorder()
	var refused *protocol.SignatureError
	switch {
	case errors.As(err, &refused):
		http.Error(answer, err.Error(), refused.Status)
	case err != nil:
		http.Error(answer, err.Error(), http.StatusConflict)
	case share != nil:
		if err := json.NewEncoder(answer).Encode(share); err != nil {
			return nil, err
		}
	default:
		answer.WriteHeader(http.StatusNoContent)
	}
	return answer.Result(), nil
}

func (c *cluster) start(name string, change func(*Options, *runner)) *Herder {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	plugins, err := plugin.NewRegistry()
	if err != nil {
		c.t.Fatal(err)
	}
	r := &runner{name: name, ledger: c.ledger, configs: map[string]map[string]string{}, tasks: map[connect.TaskID]bool{}, targets: map[string]storage.TargetState{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	opts := Options{
		WorkerID: name, ClusterID: func() string { return "test" },
		Configs:  memstore.NewConfigStore(c.configs, false, log),
		Statuses: memstore.NewStatusStore(c.statuses, log),
		Offsets:  memstore.NewOffsetStore(nil, "offsets", log),
		Plugins:  plugins,
		Group:    c.hub.member(name, "http://"+name+"/"),
		NewRunner: func(l worker.Listener) (Runner, error) {
			r.listener = l
			return r, nil
		},
		SyncTimeout: 3 * time.Second, SyncBackoff: time.Second,
		SignatureAlgorithm: protocol.DefaultAlgorithm, VerificationAlgorithms: []string{protocol.DefaultAlgorithm},
		TopicTracking: true, TopicTrackingReset: true,
		HTTP: &http.Client{Transport: c}, Logger: log,
	}
	r.offsets = opts.Offsets
	if change != nil {
		change(&opts, r)
	}
	h, err := New(opts)
	if err != nil {
		c.t.Fatal(err)
	}
	c.herders[name] = h
	ctx, cancel := context.WithCancel(c.t.Context())
	c.wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			c.t.Errorf("worker %s: %v", name, err)
		}
	})
	c.stops[name] = func() { cancel(); <-h.ended }
	return h
}

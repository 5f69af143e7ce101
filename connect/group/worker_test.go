package group_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/connect/group"
	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kafkatest.LeftByKfake()) }

// Settings of all members in these tests.
const (
	sessionTimeout    = 10 * time.Second
	heartbeatInterval = 3 * time.Second
	rebalanceTimeout  = time.Minute
	maxDelay          = 5 * time.Minute
)

// cluster is a broker, what is configured, and the workers of one group.
type cluster struct {
	t      *testing.T
	broker *broker
	log    *lines

	mu         sync.Mutex
	configured assign.Configured
	// runs says which worker runs what. Work that two workers run at once fails the test.
	runs map[string]string
}

func newCluster(t *testing.T, connectors map[string]int) *cluster {
	return &cluster{
		t: t, broker: newBroker(), log: &lines{},
		configured: assign.Configured{Offset: 1, Connectors: connectors}, runs: map[string]string{},
	}
}

// configure changes the config topic.
func (c *cluster) configure(connectors map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.configured = assign.Configured{Offset: c.configured.Offset + 1, Connectors: connectors}
}

func (c *cluster) running() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.runs)
}

// load is how many connectors and tasks each worker runs.
func (c *cluster) load() map[string]int {
	load := map[string]int{}
	for _, worker := range c.running() {
		load[worker]++
	}
	return load
}

// worker is a group.Handler that runs its work as entries in the cluster's books.
type worker struct {
	cluster *cluster
	name    string
	line    *line
	member  interface {
		Settled()
		Rejoin(reason string)
		Stop(ctx context.Context)
	}

	mu sync.Mutex
	// events is what happened, in order: join, revoke …, round ….
	events []string
	last   group.Round
	// unread is how many changes of the config topic the worker has not read.
	unread int64
	// gathered is what the worker was told last as leader: who held what.
	gathered map[string]string
	// busy, if set, is called by the handler's methods that may block.
	busy func(ctx context.Context, doing string)
	// asleep stops the world for the member after its next round, as a suspended
	// process does.
	asleep time.Duration
	// unsettled keeps the worker from saying that a round is settled.
	unsettled bool
}

func (c *cluster) start(name string, change ...func(*group.Options)) (*worker, *group.Member) {
	return c.startWith(name, func(*worker) {}, change...)
}

// startWith prepares the worker before its member starts.
func (c *cluster) startWith(name string, prepare func(*worker), change ...func(*group.Options)) (*worker, *group.Member) {
	l := &line{broker: c.broker, replies: map[string]error{}, delays: map[string]time.Duration{}}
	o := group.Options{
		Coordinator: l, GroupID: "connect-cluster", URL: "http://" + name + ":8083/",
		Protocols:      []protocol.Subprotocol{protocol.Sessioned, protocol.Compatible, protocol.Default},
		SessionTimeout: sessionTimeout, HeartbeatInterval: heartbeatInterval, RebalanceTimeout: rebalanceTimeout,
		MaxDelay: maxDelay, RetryBackoff: 100 * time.Millisecond,
		ClusterAway: func() bool { return false },
		Logger:      slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("worker", name),
	}
	for _, f := range change {
		f(&o)
	}
	m := group.New(o)
	w := &worker{cluster: c, name: name, line: l, member: m}
	prepare(w)
	m.Start(c.t.Context(), w)
	c.t.Cleanup(func() { stop(m) })
	return w, m
}

func stop(m interface{ Stop(context.Context) }) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m.Stop(ctx)
}

// die ends a worker without a goodbye: its line is cut and its work is gone.
func (w *worker) die() {
	w.line.set(func(l *line) { l.cut = true })
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	maps.DeleteFunc(w.cluster.runs, func(_, worker string) bool { return worker == w.name })
}

func (w *worker) happened(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *worker) takeEvents() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

func (w *worker) round() group.Round {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// told is what the worker heard last, as leader, of who holds what.
func (w *worker) told() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gathered
}

// itemsOf lists what a worker runs as gathered does.
func itemsOf(running map[string]string, worker string) string {
	var own []string
	for item, runner := range running {
		if runner == worker {
			own = append(own, item)
		}
	}
	slices.Sort(own)
	return strings.Join(own, " ")
}

func (w *worker) maybeBusy(ctx context.Context, doing string) {
	w.mu.Lock()
	busy := w.busy
	w.mu.Unlock()
	if busy != nil {
		busy(ctx, doing)
	}
}

func (w *worker) set(change func(w *worker)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *worker) BeforeJoin(ctx context.Context) {
	w.happened("join")
	w.maybeBusy(ctx, "join")
}

func (w *worker) Configured() assign.Configured {
	w.mu.Lock()
	unread := w.unread
	w.mu.Unlock()
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	return assign.Configured{Offset: w.cluster.configured.Offset - unread, Connectors: maps.Clone(w.cluster.configured.Connectors)}
}

func (w *worker) Gathered(_ context.Context, g group.Gathering) {
	held := map[string]string{}
	for url, work := range g.Held {
		held[url] = strings.Join(items(work), " ")
	}
	w.set(func(w *worker) { w.gathered = held })
}

func (w *worker) Revoke(ctx context.Context, work assign.Work) {
	w.maybeBusy(ctx, "revoke")
	w.cluster.mu.Lock()
	for _, item := range items(work) {
		if w.cluster.runs[item] == w.name {
			delete(w.cluster.runs, item)
		}
	}
	w.cluster.mu.Unlock()
	w.happened("revoke " + strings.Join(items(work), " "))
}

func (w *worker) Assigned(round group.Round) {
	w.mu.Lock()
	w.last = round
	unsettled, asleep := w.unsettled, w.asleep
	w.asleep = 0
	w.mu.Unlock()
	if asleep > 0 {
		pass(asleep)
	}
	w.happened(fmt.Sprintf("round %d: %s", round.Generation, strings.Join(items(round.Snapshot.Assigned), " ")))
	if round.Snapshot.Failed() {
		w.set(func(w *worker) { w.unread = 0 }) // it reads the topic to its end
		w.member.Rejoin("the leader was behind")
		return
	}
	w.cluster.mu.Lock()
	for _, item := range items(round.Snapshot.Assigned) {
		if other, taken := w.cluster.runs[item]; taken && other != w.name {
			w.cluster.t.Errorf("%s starts %s in generation %d while %s runs it", w.name, item, round.Generation, other)
		}
		w.cluster.runs[item] = w.name
	}
	w.cluster.mu.Unlock()
	if !unsettled {
		w.member.Settled()
	}
}

// items lists work in a form that is easy to compare: a, a-0, a-1.
func items(work assign.Work) []string {
	all := slices.Clone(work.Connectors)
	for _, id := range work.Tasks {
		all = append(all, id.String())
	}
	slices.Sort(all)
	return all
}

// lines is a log that tests may read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// with returns the lines that contain all the given texts.
func (l *lines) with(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.buf.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			found = append(found, line)
		}
	}
	return found
}

// await lets the bubble's time pass until a condition holds.
func await(t *testing.T, what string, within time.Duration, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !cond(); {
		if !time.Now().Before(deadline) {
			t.Fatalf("waited %v in vain for: %s", within, what)
		}
		pass(10 * time.Millisecond)
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) {
	<-time.After(d)
}

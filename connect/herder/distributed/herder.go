package distributed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/internal/metrics"
	"tributary/storage"
)

// Runner is what the herder needs of a worker. Calls other than the Stop ones and
// TaskConfigs return at once; what happens is told to the worker.Listener.
type Runner interface {
	// A start fails only if the instance is here already or the worker has stopped.
	StartConnector(name string, config map[string]string, target storage.TargetState) error
	// taskCount is how many tasks the connector has, to be held against tasks.max.
	StartTask(id connect.TaskID, connectorConfig, taskConfig map[string]string, target storage.TargetState, taskCount int) error
	// StopConnectors and StopTasks return when all are stopped or were cut off, and name
	// the latter.
	StopConnectors(ctx context.Context, names ...string) []string
	StopTasks(ctx context.Context, ids ...connect.TaskID) []connect.TaskID
	// StartExactlyOnceTask is StartTask for a source task that writes in transactions.
	StartExactlyOnceTask(id connect.TaskID, connectorConfig, taskConfig map[string]string, target storage.TargetState, taskCount int, exactlyOnce worker.ExactlyOnce) error
	SetTargetState(connector string, target storage.TargetState)
	// SetConnectorConfig tells a connector's running tasks of its configuration and of how
	// many they are, for keys that need no restart.
	SetConnectorConfig(connector string, config map[string]string, taskCount int)
	// TaskConfigs asks the running connector to divide its work.
	TaskConfigs(ctx context.Context, connector string) ([]map[string]string, error)
	// Replication is what the instances of a connector that run here say of theirs.
	Replication(connector string) []worker.InstanceReplication
	// FenceTasks ends the producers of a connector's first count tasks, wherever they are.
	FenceTasks(ctx context.Context, connector string, config map[string]string, count int) error
	// OpenOffsets opens a source connector's offset store until release is called.
	// CommitOffsets writes to it in a transaction, as the connector's first task would.
	// config has its references resolved, concealment is for what their clients log.
	OpenOffsets(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment) (store storage.OffsetStore, release func(), err error)
	CommitOffsets(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment, store storage.OffsetStore, records []storage.OffsetRecord) error
	// Stop stops everything; the error names what was cut off.
	Stop(ctx context.Context) error
}

// Group is the worker's membership (see group.Handler for the other direction).
type Group interface {
	// Start joins, in the background, and keeps the membership until Stop.
	Start(ctx context.Context, handler group.Handler)
	// Stop leaves the group and awaits the member's goroutines.
	Stop(ctx context.Context)
	// Rejoin asks for another round. Asking twice is asking once.
	Rejoin(reason string)
	// Suspend leaves the group until Rejoin is called: the worker cannot do its part.
	Suspend(reason string)
	// Settled says that the work of the last round has been started: revocations that it
	// brought are forgotten, and if there were any, another round places that work.
	Settled()
	// MemberDeparted says that another worker has stopped for good, so that its work need
	// not wait for its return.
	MemberDeparted(memberID string)
	// Contact is the zero time while the group answers and knows this worker; else it is when
	// contact was lost, and back is closed when there is some again. Of a worker that was out
	// of the group that is after Assigned.
	Contact() (lost time.Time, back <-chan struct{})
	// OwnerURL is the worker that runs a connector (Task -1) or task, as far as the
	// leader knows; "" when it is unknown or this worker does not lead.
	OwnerURL(id connect.TaskID) string
}

// Options are what a Herder is made of.
type Options struct {
	// WorkerID is this worker in statuses: its advertised host:port.
	WorkerID string
	// ClusterID returns the id of the Kafka cluster, "" while it is unknown.
	ClusterID func() string
	Configs   storage.ConfigStore
	Statuses  storage.StatusStore
	Offsets   storage.OffsetStore
	Plugins   *plugin.Registry
	Group     Group
	// SinkGroups opens the consumer groups of sink connectors, for requests about their
	// offsets.
	SinkGroups SinkGroups
	// NewRunner makes the worker that reports to the given listener.
	NewRunner func(worker.Listener) (Runner, error)
	// Validator checks connector configurations before they are written, and for those who
	// ask. Nil accepts all.
	Validator *herder.Validator
	// ExactlyOnce: source tasks write in transactions (KIP-618).
	ExactlyOnce bool

	// SyncTimeout bounds reading the config topic after a round, and SyncBackoff is the
	// pause after it failed (worker.sync.timeout.ms, worker.unsync.backoff.ms).
	SyncTimeout, SyncBackoff time.Duration
	Keys                     protocol.KeyPolicy
	SignatureAlgorithm       string
	VerificationAlgorithms   []string
	// Restarts says whether what failed is restarted by itself.
	Restarts RestartPolicy
	// Metrics may be nil; Windows are those of averages and maxima.
	Metrics worker.Metrics
	Windows metrics.WindowConfig
	// TopicTracking and TopicTrackingReset are topic.tracking.enable and
	// topic.tracking.allow.reset.
	TopicTracking, TopicTrackingReset bool
	// LeaderPath stands before /connectors in requests to the leader: empty, or the
	// escaped /source/target of a dedicated MirrorMaker's flow.
	LeaderPath string
	HTTP       *http.Client
	// OnLeader, if set, is called on a goroutine of its own each time this worker settles
	// a round as leader that it did not lead before.
	OnLeader func(ctx context.Context)
	// SetLoggerLevel, if set, is called when a log level was set for the whole group. It
	// must return at once.
	SetLoggerLevel func(namespace, level string)
	// Concealment is what the references in the worker's own configuration stand for; nil if
	// there are none. Logger conceals it already.
	Concealment *provider.Concealment
	Logger      *slog.Logger
}

// Herder is a herder.Herder for one member of a Connect group.
type Herder struct {
	opts   Options
	log    *slog.Logger
	runner Runner
	loop   *mailbox
	stages herder.Stages
	writer *writer
	ended  chan struct{}
	// ready is closed when the first round was settled.
	ready     chan struct{}
	readyOnce sync.Once
	// background is awaited at the end: everything that the loop and requests started.
	background background
	runCtx     context.Context
	view       atomic.Pointer[view]
	reports    lastReports
	restarts   autoRestarts
	fencings   fencings
	seals      protocol.Seals
	keyTrouble trouble
	sealless   sealless

	rebalances *rebalanceMetrics
	// missing belongs to the group member's goroutine, see Gathered.
	missing map[connect.TaskID]storage.Status

	// What follows belongs to the loop.
	round    group.Round
	roundSeq int
	settled  bool // the round's work may run: this worker has read the config topic as far
	caughtUp bool // the config topic was read to its end since the round
	// unsettledRounds counts the rounds since the last one that settled; toldUnsettled says
	// that users know of them.
	unsettledRounds int
	toldUnsettled   bool
	wasLeader       bool
	halted          bool
	assigned        map[connect.TaskID]bool
	instances       map[connect.TaskID]*instance
	blocked         map[string]bool // connectors whose tasks wait for the next round
	known           map[string]bool // connectors that the group was told to place
	quiet           []quietWaiter
	starts          map[connect.TaskID][]chan error
	reconfigs       map[string]*reconfiguration
	keyTimer        *time.Timer
}

// view is the part of the loop's state that requests need, replaced as a whole.
type view struct {
	round          group.Round
	rebalanceAhead bool // the config topic asks for a round that has not come yet
	assigned       map[connect.TaskID]bool
}

var _ herder.Herder = (*Herder)(nil)
var _ herder.RequestSigner = (*Herder)(nil)
var _ worker.Listener = (*Herder)(nil)
var _ storage.ConfigEvents = (*Herder)(nil)
var _ group.Handler = (*Herder)(nil)

// New returns a herder that does nothing until Run.
func New(opts Options) (*Herder, error) {
	if opts.HTTP == nil {
		opts.HTTP = &http.Client{Timeout: 90 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	h := &Herder{
		opts: opts, log: opts.Logger,
		loop: newMailbox(), writer: newWriter(), ended: make(chan struct{}), ready: make(chan struct{}),
		missing:  map[connect.TaskID]storage.Status{},
		assigned: map[connect.TaskID]bool{}, instances: map[connect.TaskID]*instance{},
		blocked: map[string]bool{}, known: map[string]bool{},
		starts: map[connect.TaskID][]chan error{}, reconfigs: map[string]*reconfiguration{},
	}
	h.view.Store(&view{})
	h.restarts = autoRestarts{policy: opts.Restarts, metrics: opts.Metrics, books: map[connect.TaskID]*restartBook{}}
	h.rebalances = newRebalanceMetrics(opts.Metrics, opts.Windows)
	runner, err := opts.NewRunner(h)
	if err != nil {
		return nil, fmt.Errorf("create the worker: %w", err)
	}
	h.runner = runner
	return h, nil
}

// Run reads the internal topics, joins the group and works until ctx ends; then it
// stops all work, leaves the group and closes the stores. It returns an error when it
// could not start.
func (h *Herder) Run(ctx context.Context) error {
	defer close(h.ended)
	reading := h.stages.Enter(herder.StageInitializing)
	defer h.rebalances.remove()
	defer h.opts.Offsets.Stop()
	defer h.opts.Statuses.Stop()
	defer h.opts.Configs.Stop()
	if err := h.startStores(ctx); err != nil {
		return stopped(ctx, err)
	}
	reading()

	// The loop outlives ctx: stopping the work needs it.
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h.runCtx = runCtx
	var serving sync.WaitGroup
	serving.Go(func() { h.loop.run(runCtx) })
	serving.Go(func() { h.writer.run(runCtx, &h.stages) })
	h.opts.Group.Start(runCtx, h)
	joining := h.stages.Enter(herder.StageJoining)
	h.background.Go(func() {
		select {
		case <-h.ready:
		case <-runCtx.Done():
		}
		joining()
	})
	h.log.Info("Herder started")

	<-ctx.Done()
	h.log.Info("Herder stopping")
	halted := make(chan struct{})
	h.loop.post(func() { h.halt(); close(halted) })
	<-halted
	if err := h.runner.Stop(runCtx); err != nil {
		h.log.Warn("Not all work stopped in time", "error", err)
	}
	if err := h.flushStatuses(runCtx); err != nil {
		h.log.Warn("Not all statuses were written before the end", "error", err)
	}
	farewell, done := context.WithTimeout(runCtx, stopBudget)
	h.sayGoodbye(farewell)
	h.opts.Group.Stop(farewell)
	done()
	cancel()
	serving.Wait()
	h.background.end()
	h.log.Info("Herder stopped")
	return nil
}

// storeGrace is how long the other stores may go on starting after one has failed: what
// is wrong with one is often wrong with all, and should be said at once.
const storeGrace = time.Second

// startStores starts the three stores side by side: each creates a topic and reads one.
func (h *Herder) startStores(ctx context.Context) error {
	startCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	starts := []struct {
		name  string
		start func() error
	}{
		{"config", func() error { return h.opts.Configs.Start(startCtx, h) }},
		{"offset", func() error { return h.opts.Offsets.Start(startCtx) }},
		{"status", func() error { return h.opts.Statuses.Start(startCtx) }},
	}
	failures := make([]error, len(starts))
	var wg sync.WaitGroup
	for i, s := range starts {
		wg.Go(func() {
			if err := s.start(); err != nil {
				failures[i] = fmt.Errorf("start the %s store: %w", s.name, err)
				time.AfterFunc(storeGrace, cancel)
			}
		})
	}
	wg.Wait()
	var errs *multierror.Error
	for _, err := range failures {
		// Stores that only stopped because another one failed have nothing to say.
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
			errs = multierror.Append(errs, err)
		}
	}
	return errs.ErrorOrNil()
}

// stopBudget bounds the farewells to the group when the worker stops.
const stopBudget = 5 * time.Second

// stopped hides an error that is only the echo of the end of ctx.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// halt makes the loop start nothing more.
func (h *Herder) halt() {
	h.halted = true
	if h.keyTimer != nil {
		h.keyTimer.Stop()
	}
	for _, r := range h.reconfigs {
		r.cancel()
	}
	h.restarts.keep(func(connect.TaskID) bool { return false })
}

// goBackground runs f on a goroutine that the herder's end awaits. ctx ends with the
// herder. Once the herder has come to that, f does not run: what waits for f has to look
// at h.ended as well.
func (h *Herder) goBackground(f func(ctx context.Context)) {
	h.background.Go(func() { f(h.runCtx) })
}

// background is goroutines that are awaited once and for all. Requests begin some at any
// time, even while the herder ends, which a WaitGroup alone does not bear.
type background struct {
	mu    sync.Mutex
	ended bool
	group sync.WaitGroup
}

// Go runs f on a goroutine of its own, unless the end has begun.
func (b *background) Go(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.group.Go(f)
	}
}

// end lets nothing more begin, and returns when all that did is over.
func (b *background) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.group.Wait()
}

// snapshot is what the config topic says now.
func (h *Herder) snapshot() *storage.ClusterState { return h.opts.Configs.Snapshot() }

// publish makes the loop's state visible to requests. The round is published by the group
// member's goroutine. change may be called several times.
func (h *Herder) publish(change func(v *view)) {
	for {
		old := h.view.Load()
		v := *old
		change(&v)
		if h.view.CompareAndSwap(old, &v) {
			return
		}
	}
}

func (h *Herder) newSessionKey() (storage.SessionKey, error) {
	return protocol.NewSessionKey(rand.Reader, h.opts.Keys, time.Now())
}

package group

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
)

// Options are what a Member is made of. All fields are required.
type Options struct {
	// Coordinator belongs to the member from New on: Stop closes it.
	Coordinator Coordinator
	GroupID     string
	// URL is the worker's advertised REST address. Java's ends with a slash.
	URL string
	// Protocols are offered to the group, the preferred one first.
	Protocols []protocol.Subprotocol

	SessionTimeout    time.Duration // session.timeout.ms
	HeartbeatInterval time.Duration // heartbeat.interval.ms
	RebalanceTimeout  time.Duration // rebalance.timeout.ms
	MaxDelay          time.Duration // scheduled.rebalance.max.delay.ms
	RetryBackoff      time.Duration // retry.backoff.ms

	// ClusterAway reports whether it is known, and was said, that the whole cluster
	// cannot be used: that its coordinator cannot goes without saying then.
	ClusterAway func() bool

	Logger *slog.Logger
}

// Reasons that brokers see when a member leaves: those of the Java worker.
const (
	reasonStop        = "the consumer is being closed"
	reasonPollTimeout = "worker poll timeout has expired."
)

// farewellTimeout bounds leaving the group when the context of Start ends without Stop.
const farewellTimeout = time.Second

// Member keeps one worker's membership in a Connect group. Its methods may be called
// from any goroutine and return at once, Stop excepted.
type Member struct {
	opts    Options
	conn    Coordinator
	log     *slog.Logger
	handler Handler

	cancel   context.CancelFunc
	ended    chan struct{}
	farewell chan context.Context // what Stop allows for leaving
	wake     chan struct{}        // says that a wish has changed

	mu     sync.Mutex
	wishes wishes
	owners owners
	lost   time.Time     // when contact was lost; zero while there is some
	back   chan struct{} // closed when there is contact again

	// What follows belongs to the member's goroutine.

	memberID   string
	generation int32 // of the last JoinGroup that was answered; noGeneration when it ended
	found      bool  // the coordinator is known, and answered last
	admitted   bool  // a round was completed under this member id
	inForce    protocol.Subprotocol
	snapshot   *protocol.Assignment // the work held; nil if there was none or it was given up
	stopped    bool                 // the eager protocol has stopped the snapshot's work
	unfinished bool                 // a round is needed, or under way
	reason     string               // of the unfinished round
	rejoinAt   time.Time            // when the delayed round is due; zero for none

	// lead is what the assignor remembers, and lastCompleted the generation for which
	// this member last received an assignment.
	lead          assign.State
	lastCompleted int32

	session session
	retries retries
}

// wishes are what others have asked of the member and it has not yet seen to.
type wishes struct {
	rejoin, suspend, settled bool
	reason                   string // of the last Rejoin or Suspend
	departed                 map[string]bool
}

// owners says who runs what, for as long as this member leads a completed round.
type owners struct {
	assign.Ownership
	urls map[string]string // by member id
}

// noGeneration stands for no generation on the wire.
const noGeneration int32 = -1

// New returns a member that does nothing until Start.
func New(opts Options) *Member {
	return &Member{
		opts: opts, conn: opts.Coordinator,
		log:           opts.Logger.With("group", opts.GroupID),
		ended:         make(chan struct{}),
		farewell:      make(chan context.Context, 1),
		wake:          make(chan struct{}, 1),
		wishes:        wishes{departed: map[string]bool{}},
		generation:    noGeneration,
		lastCompleted: noGeneration,
		inForce:       opts.Protocols[0],
	}
}

// Start joins the group in the background and keeps the membership until Stop or the
// end of ctx. It is called once.
func (m *Member) Start(ctx context.Context, handler Handler) {
	ctx, m.cancel = context.WithCancel(ctx)
	m.handler = handler
	go m.run(ctx)
}

// Stop leaves the group and awaits the member's goroutines, but not longer than ctx
// lasts.
func (m *Member) Stop(ctx context.Context) {
	if m.cancel == nil {
		m.conn.Close()
		return
	}
	select {
	case m.farewell <- ctx:
	default: // stopped already
	}
	m.cancel()
	select {
	case <-m.ended:
	case <-ctx.Done():
		m.log.Warn("The group membership has not ended in time")
	}
}

// Rejoin asks for another round, and ends a suspension. Asking twice is asking once;
// asking while a round is under way causes one more after it, since the round may not
// know of the reason.
func (m *Member) Rejoin(reason string) {
	m.wish(func(w *wishes) { w.rejoin, w.suspend, w.reason = true, false, reason })
}

// Suspend leaves the group until Rejoin is called. The work goes on at first, as that
// of a Java worker does: the group waits for a missing worker. After half of
// scheduled.rebalance.max.delay.ms it is revoked, and at once if the group does not wait.
func (m *Member) Suspend(reason string) {
	m.wish(func(w *wishes) { w.rejoin, w.suspend, w.reason = false, true, reason })
}

// Settled says that the work of the last round has been started: revocations that it
// brought are forgotten, and if there were any, another round places that work.
func (m *Member) Settled() {
	m.wish(func(w *wishes) { w.settled = true })
}

// MemberDeparted says that another worker has stopped for good: when it is gone from
// the group its work is placed anew at once, without waiting for it to come back. It
// matters to the leader alone, and asks for no round.
func (m *Member) MemberDeparted(memberID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wishes.departed[memberID] = true
}

// Contact is the zero time while the coordinator answers and knows the member; else it is
// when that ended, and back is closed when it does so again: one that was out of the group
// is back with its next round.
func (m *Member) Contact() (lost time.Time, back <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost, m.back
}

// setContact notes whether the coordinator answers.
func (m *Member) setContact(answers bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case answers == m.lost.IsZero():
	case answers:
		close(m.back)
		m.lost, m.back = time.Time{}, nil
	default:
		m.lost, m.back = time.Now(), make(chan struct{})
	}
}

// OwnerURL is the worker that runs a connector (Task -1) or task, "" when it is
// unknown, or a round is under way, or this worker does not lead.
func (m *Member) OwnerURL(id connect.TaskID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id.Task < 0 {
		return m.owners.urls[m.owners.Connectors[id.Connector]]
	}
	return m.owners.urls[m.owners.Tasks[assign.ConnectorTaskID(id)]]
}

func (m *Member) wish(change func(w *wishes)) {
	m.mu.Lock()
	change(&m.wishes)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// takeRejoin reports whether Rejoin was called since it was last asked.
func (m *Member) takeRejoin() (reason string, asked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked, m.wishes.rejoin = m.wishes.rejoin, false
	return m.wishes.reason, asked
}

func (m *Member) takeSettled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	settled := m.wishes.settled
	m.wishes.settled = false
	return settled
}

func (m *Member) suspension() (reason string, suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wishes.reason, m.wishes.suspend
}

func (m *Member) setOwners(o owners) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owners = o
}

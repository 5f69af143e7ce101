package kafka

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Protocol types of groups: of Connect workers, and of consumers.
const (
	connectProtocolType  = "connect"
	consumerProtocolType = "consumer"
)

// MemberIDRequiredError is a coordinator's answer to a first join (KIP-394): join again with this id.
type MemberIDRequiredError struct{ MemberID string }

func (e *MemberIDRequiredError) Error() string {
	return "the coordinator asks to join again with the member id " + e.MemberID
}

// GroupProtocol is one protocol that a member can speak, with its metadata for it.
type GroupProtocol struct {
	Name     string
	Metadata []byte
}

// JoinRequest is what a member says when it joins.
type JoinRequest struct {
	MemberID         string // empty the first time
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	Protocols        []GroupProtocol // the best first
	Reason           string          // for the broker's log (KIP-800)
}

// JoinResult is a membership in one generation.
type JoinResult struct {
	Generation int32
	Protocol   string
	MemberID   string
	LeaderID   string
	Members    map[string][]byte // member id → metadata; only the leader gets them
	// InstanceIDs are the group.instance.id of static members by member id, for the leader.
	InstanceIDs map[string]string
}

// IsLeader says whether this member is to assign.
func (r JoinResult) IsLeader() bool { return r.MemberID == r.LeaderID }

// GroupConn is a membership in a group on the wire, a Connect worker's or a consumer's: single requests and their answers, no state
// machine and no goroutine of its own. Joining and syncing share one connection, on which the broker may
// hold an answer for the whole rebalance time-out; heartbeats and leaving share another, so that they
// never wait behind it; offsets have a third. Methods may be called from any goroutine and end with their context.
//
// Errors are *ServerError values for errors.Is: ErrCoordinatorNotAvailable, ErrCoordinatorLoading and
// ErrNotCoordinator (call FindCoordinator again), ErrRebalanceInProgress, ErrIllegalGeneration,
// ErrUnknownMemberID, ErrInconsistentProtocol and so on; *MemberIDRequiredError; *AuthorizationError;
// *ConnectionError, after which FindCoordinator is due as well.
type GroupConn struct {
	client *Client
	cfg    *Config
	group  string
	logger *slog.Logger

	mu          sync.Mutex
	coordinator string // host:port, empty while not known
	closed      bool
	rebalance   groupLine
	liveness    groupLine
	offsets     groupLine

	protocolType string
	instanceID   *string // of a static member (KIP-345)
}

// groupLine is one connection to the coordinator. Its lock keeps requests in turn.
type groupLine struct {
	turn        chan struct{} // holds a token while free
	conn        *connection   // guarded by turn
	readTimeout time.Duration // of conn; guarded by turn
	inUse       *connection   // conn while a request runs; guarded by the GroupConn's lock
}

// NewGroupConn returns a connection for a group. cfg must be of RoleGroup, or of RoleConsumer for a group
// of consumers; it does not touch the network.
func NewGroupConn(cfg *Config, groupID string, logger *slog.Logger) (*GroupConn, error) {
	client, err := NewClient(cfg, logger)
	if err != nil {
		return nil, err
	}
	g := &GroupConn{client: client, cfg: cfg, group: groupID, logger: client.logger, protocolType: connectProtocolType}
	if cfg.Role == RoleConsumer {
		g.protocolType = consumerProtocolType
		if id := cfg.Group.InstanceID; id != "" {
			g.instanceID = &id
		}
	}
	for _, l := range g.lines() {
		l.turn = make(chan struct{}, 1)
		l.turn <- struct{}{}
	}
	return g, nil
}

func (g *GroupConn) lines() []*groupLine {
	return []*groupLine{&g.rebalance, &g.liveness, &g.offsets}
}

// FindCoordinator asks once who coordinates the group.
func (g *GroupConn) FindCoordinator(ctx context.Context) error {
	id, addr, err := g.client.coordinator(ctx, sarama.CoordinatorGroup, g.group, OpJoin)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if addr != g.coordinator {
		g.logger.Debug("group coordinator found", "group", g.group, "broker", id, "addr", addr)
	}
	g.coordinator = addr
	return nil
}

// Join joins the group. It blocks until all members have joined, for the rebalance time-out at most.
func (g *GroupConn) Join(ctx context.Context, r JoinRequest) (JoinResult, error) {
	req := &sarama.JoinGroupRequest{
		Version: 8, GroupId: g.group, MemberId: r.MemberID, GroupInstanceId: g.instanceID, ProtocolType: g.protocolType,
		SessionTimeout: int32(r.SessionTimeout.Milliseconds()), RebalanceTimeout: int32(r.RebalanceTimeout.Milliseconds()),
	}
	if r.Reason != "" {
		req.Reason = &r.Reason
	}
	for _, p := range r.Protocols {
		req.OrderedGroupProtocols = append(req.OrderedGroupProtocols, &sarama.GroupProtocol{Name: p.Name, Metadata: p.Metadata})
	}
	var result JoinResult
	err := g.call(ctx, &g.rebalance, r.RebalanceTimeout+joinMargin, func(b *sarama.Broker) error {
		resp, err := b.JoinGroup(req)
		if err != nil {
			return err
		}
		if resp.Err == sarama.ErrMemberIdRequired {
			result.MemberID = resp.MemberId
		}
		if err := g.cfg.answerError(resp.Err, nil, OpJoin, g.group); err != nil {
			return err
		}
		result = JoinResult{
			Generation: resp.GenerationId, Protocol: resp.GroupProtocol, MemberID: resp.MemberId, LeaderID: resp.LeaderId,
			Members: make(map[string][]byte, len(resp.Members)), InstanceIDs: make(map[string]string),
		}
		for _, m := range resp.Members {
			result.Members[m.MemberId] = m.Metadata
			if m.GroupInstanceId != nil {
				result.InstanceIDs[m.MemberId] = *m.GroupInstanceId
			}
		}
		return nil
	})
	if codeOf(err) == sarama.ErrMemberIdRequired {
		return JoinResult{}, &MemberIDRequiredError{result.MemberID}
	}
	if err != nil {
		return JoinResult{}, err
	}
	return result, nil
}

// Sync hands in the assignments, if this member leads, and returns its own. It blocks until the leader
// has synced.
func (g *GroupConn) Sync(ctx context.Context, generation int32, memberID, protocol string, assignments map[string][]byte) ([]byte, error) {
	req := &sarama.SyncGroupRequest{
		Version: 5, GroupId: g.group, GenerationId: generation, MemberId: memberID, GroupInstanceId: g.instanceID,
		ProtocolType: &g.protocolType, ProtocolName: &protocol,
	}
	for _, id := range slices.Sorted(maps.Keys(assignments)) {
		req.GroupAssignments = append(req.GroupAssignments, sarama.SyncGroupRequestAssignment{MemberId: id, Assignment: assignments[id]})
	}
	var assignment []byte
	err := g.call(ctx, &g.rebalance, g.cfg.Group.RebalanceTimeout+joinMargin, func(b *sarama.Broker) error {
		resp, err := b.SyncGroup(req)
		if err != nil {
			return err
		}
		assignment = resp.MemberAssignment
		return g.cfg.answerError(resp.Err, nil, OpJoin, g.group)
	})
	return assignment, err
}

// Heartbeat tells the coordinator that the member lives. ErrRebalanceInProgress asks to join again.
func (g *GroupConn) Heartbeat(ctx context.Context, generation int32, memberID string) error {
	return g.call(ctx, &g.liveness, 0, func(b *sarama.Broker) error {
		resp, err := b.Heartbeat(&sarama.HeartbeatRequest{Version: 4, GroupId: g.group, GenerationId: generation, MemberId: memberID, GroupInstanceId: g.instanceID})
		if err != nil {
			return err
		}
		return g.cfg.answerError(resp.Err, nil, OpJoin, g.group)
	})
}

// Leave takes the member out of the group. reason goes to the broker's log.
func (g *GroupConn) Leave(ctx context.Context, memberID, reason string) error {
	return g.call(ctx, &g.liveness, 0, func(b *sarama.Broker) error {
		member := sarama.MemberIdentity{MemberId: memberID}
		if reason != "" {
			member.Reason = &reason
		}
		resp, err := b.LeaveGroup(&sarama.LeaveGroupRequest{Version: 5, GroupId: g.group, MemberId: memberID, Members: []sarama.MemberIdentity{member}})
		if err != nil {
			return err
		}
		code := resp.Err
		if code == sarama.ErrNoError && len(resp.Members) > 0 {
			code = resp.Members[0].Err
		}
		return g.cfg.answerError(code, nil, OpLeave, g.group)
	})
}

// Close cuts the connections; calls that run return with an error.
func (g *GroupConn) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	_ = g.client.Close()
	for _, l := range g.lines() {
		g.cut(l)
		<-l.turn
		if l.conn != nil {
			l.conn.close()
			l.conn = nil
		}
		l.turn <- struct{}{}
	}
}

// cut ends what runs on a line.
func (g *GroupConn) cut(l *groupLine) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.inUse != nil {
		l.inUse.dial.cut()
	}
}

// call runs one request on a line to the coordinator, opening it first where needed.
func (g *GroupConn) call(ctx context.Context, l *groupLine, readTimeout time.Duration, request func(*sarama.Broker) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	for {
		conn, err := g.line(l, readTimeout)
		if err != nil {
			return err
		}
		idled := conn.used
		err = conn.do(ctx, request)
		if !broken(err) {
			g.settle(l, conn, err)
			return err
		}
		conn.close()
		l.conn = nil
		if err = g.settle(l, conn, err); !idled || ctx.Err() != nil || isTimeout(err) || errors.Is(err, ErrClosed) {
			return err
		}
		// The broker may have closed a connection that was idle. These requests bear repeating.
		g.mu.Lock()
		g.coordinator = conn.addr
		g.mu.Unlock()
	}
}

// settle notes what an error says about the coordinator.
func (g *GroupConn) settle(l *groupLine, conn *connection, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.inUse = nil
	gone := broken(err) || errors.Is(err, ErrNotCoordinator) || errors.Is(err, ErrCoordinatorNotAvailable)
	if gone && g.coordinator == conn.addr {
		g.coordinator = ""
	}
	if g.closed && broken(err) {
		return ErrClosed
	}
	return err
}

// line returns a line's connection to the present coordinator. The line's turn is held.
func (g *GroupConn) line(l *groupLine, readTimeout time.Duration) (*connection, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	if g.coordinator == "" {
		return nil, ErrCoordinatorNotAvailable
	}
	if l.conn != nil && (l.conn.addr != g.coordinator || l.readTimeout < readTimeout) {
		l.conn.close()
		l.conn = nil
	}
	if l.conn == nil {
		conn, err := open(g.cfg, g.coordinator, 1, readTimeout)
		if err != nil {
			return nil, err
		}
		l.conn, l.readTimeout = conn, readTimeout
	}
	l.inUse = l.conn
	return l.conn, nil
}

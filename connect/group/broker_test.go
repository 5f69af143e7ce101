package group_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tributary/internal/kafka"
)

// broker is a group coordinator in memory, with the barriers, sessions and answers of
// Kafka's classic groups.
type broker struct {
	mu         sync.Mutex
	members    map[string]*seat
	pending    map[string]bool // ids handed out with MEMBER_ID_REQUIRED
	state      string          // empty, preparing, completing, stable
	generation int32
	leader     string
	protocol   string
	gathering  *time.Timer
	issued     int

	left     []string // member id and reason of each LeaveGroup
	ended    []string // member ids whose session ended
	requests []kafka.JoinRequest
}

// seat is a member as the broker sees it.
type seat struct {
	id         string
	request    kafka.JoinRequest
	session    *time.Timer
	joining    chan joinAnswer // set while JoinGroup waits
	syncing    chan syncAnswer // set while SyncGroup waits
	assignment []byte
}

type joinAnswer struct {
	result kafka.JoinResult
	err    error
}

type syncAnswer struct {
	assignment []byte
	err        error
}

func newBroker() *broker {
	return &broker{members: map[string]*seat{}, pending: map[string]bool{}, state: "empty"}
}

func (b *broker) ids() []string { return slices.Sorted(maps.Keys(b.members)) }

func (b *broker) goodbyes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.left)
}

func (b *broker) expired() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ended)
}

func (b *broker) joins() []kafka.JoinRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

func (b *broker) join(request kafka.JoinRequest) (chan joinAnswer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, request)
	if request.MemberID == "" {
		b.issued++
		id := fmt.Sprintf("member-%02d", b.issued)
		b.pending[id] = true
		return nil, &kafka.MemberIDRequiredError{MemberID: id}
	}
	s := b.members[request.MemberID]
	if s == nil {
		if !b.pending[request.MemberID] {
			return nil, kafka.ErrUnknownMemberID
		}
		delete(b.pending, request.MemberID)
		s = &seat{id: request.MemberID}
		if !b.fits(request) {
			return nil, kafka.ErrInconsistentProtocol
		}
		b.members[s.id] = s
	}
	s.request = request
	s.joining = make(chan joinAnswer, 1)
	if s.session != nil {
		s.session.Stop()
	}
	answer := s.joining
	b.prepare()
	return answer, nil
}

// fits reports whether a protocol is left that all members know.
func (b *broker) fits(request kafka.JoinRequest) bool {
	for _, p := range request.Protocols {
		if b.known(p.Name) {
			return true
		}
	}
	return false
}

func (b *broker) known(name string) bool {
	for _, s := range b.members {
		if !slices.ContainsFunc(s.request.Protocols, func(p kafka.GroupProtocol) bool { return p.Name == name }) {
			return false
		}
	}
	return true
}

// prepare starts a rebalance, or completes it if everybody has joined.
func (b *broker) prepare() {
	if b.state != "preparing" {
		b.state = "preparing"
		for _, s := range b.members {
			s.answerSync(nil, kafka.ErrRebalanceInProgress)
		}
		longest := time.Duration(0)
		for _, s := range b.members {
			longest = max(longest, s.request.RebalanceTimeout)
		}
		b.gathering = time.AfterFunc(longest, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			for id, s := range b.members {
				if s.joining == nil {
					s.session.Stop()
					delete(b.members, id)
				}
			}
			b.complete()
		})
	}
	for _, s := range b.members {
		if s.joining == nil {
			return
		}
	}
	b.complete()
}

func (b *broker) complete() {
	b.gathering.Stop()
	b.generation++
	if len(b.members) == 0 {
		b.state = "empty"
		return
	}
	b.state = "completing"
	if b.members[b.leader] == nil {
		b.leader = b.ids()[0]
	}
	for _, p := range b.members[b.leader].request.Protocols {
		if b.known(p.Name) {
			b.protocol = p.Name
			break
		}
	}
	all := map[string][]byte{}
	for id, s := range b.members {
		for _, p := range s.request.Protocols {
			if p.Name == b.protocol {
				all[id] = p.Metadata
			}
		}
	}
	for id, s := range b.members {
		result := kafka.JoinResult{Generation: b.generation, Protocol: b.protocol, MemberID: id, LeaderID: b.leader}
		if id == b.leader {
			result.Members = all
		}
		s.joining <- joinAnswer{result: result}
		s.joining, s.assignment = nil, nil
		b.keep(s)
	}
}

// keep starts a member's session anew.
func (b *broker) keep(s *seat) {
	if s.session != nil {
		s.session.Stop()
	}
	s.session = time.AfterFunc(s.request.SessionTimeout, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.members[s.id] != s || s.joining != nil || s.syncing != nil {
			return
		}
		b.ended = append(b.ended, s.id)
		b.remove(s)
	})
}

func (b *broker) remove(s *seat) {
	if s.session != nil {
		s.session.Stop()
	}
	delete(b.members, s.id)
	s.answerSync(nil, kafka.ErrUnknownMemberID)
	if s.joining != nil {
		s.joining <- joinAnswer{err: kafka.ErrUnknownMemberID}
	}
	if len(b.members) == 0 && b.state != "preparing" {
		b.state = "empty"
		b.generation++
		return
	}
	b.prepare()
}

func (s *seat) answerSync(assignment []byte, err error) {
	if s.syncing != nil {
		s.syncing <- syncAnswer{assignment, err}
		s.syncing = nil
	}
}

// check is what every request of a member in a generation is checked for.
func (b *broker) check(generation int32, memberID string) (*seat, error) {
	s := b.members[memberID]
	switch {
	case s == nil:
		return nil, kafka.ErrUnknownMemberID
	case generation != b.generation:
		return nil, kafka.ErrIllegalGeneration
	case b.state == "preparing":
		return s, kafka.ErrRebalanceInProgress
	}
	return s, nil
}

func (b *broker) sync(generation int32, memberID string, shares map[string][]byte) (chan syncAnswer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := b.check(generation, memberID)
	if err != nil {
		return nil, err
	}
	s.syncing = make(chan syncAnswer, 1)
	answer := s.syncing
	if memberID == b.leader && b.state == "completing" {
		b.state = "stable"
		for id, s := range b.members {
			s.assignment = shares[id]
			s.answerSync(s.assignment, nil)
			b.keep(s)
		}
	} else if b.state == "stable" {
		s.answerSync(s.assignment, nil)
	}
	return answer, nil
}

func (b *broker) heartbeat(generation int32, memberID string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := b.check(generation, memberID)
	if s != nil && s.joining == nil {
		b.keep(s)
	}
	return err
}

func (b *broker) leave(memberID, reason string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = append(b.left, memberID+": "+reason)
	s := b.members[memberID]
	if s == nil {
		return kafka.ErrUnknownMemberID
	}
	b.remove(s)
	return nil
}

// forget makes the group not know a member any more, without a word to it.
func (b *broker) forget(memberID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(b.members[memberID])
}

// line is one member's connection to the broker. It implements group.Coordinator.
type line struct {
	broker *broker

	mu      sync.Mutex
	cut     bool             // every request fails at once
	silent  bool             // nothing is ever answered
	replies map[string]error // what to answer to a kind of request instead
	delays  map[string]time.Duration
	calls   []string
	broken  chan struct{} // closed to fail a JoinGroup that waits
	lost    bool          // a request was given up: the coordinator has to be found again
	// afterReply, if set, is called once one of replies was given.
	afterReply func()
}

func (l *line) set(change func(l *line)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// begin notes a request and answers it if there is a fault to apply.
func (l *line) begin(ctx context.Context, kind string) error {
	l.mu.Lock()
	l.calls = append(l.calls, kind)
	if kind == "find" {
		l.lost = false
	}
	if l.lost {
		l.mu.Unlock()
		return kafka.ErrCoordinatorNotAvailable
	}
	cut, silent, reply, delay := l.cut, l.silent, l.replies[kind], l.delays[kind]
	l.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		return l.givenUp(ctx)
	case cut:
		return &kafka.ConnectionError{Addr: "broker:9092", Reason: "refuses connections"}
	case silent:
		<-ctx.Done()
		return l.givenUp(ctx)
	}
	if reply != nil {
		l.set(func(l *line) {
			if l.afterReply != nil {
				l.afterReply()
			}
		})
	}
	return reply
}

func (l *line) givenUp(ctx context.Context) error {
	l.set(func(l *line) { l.lost = true })
	return ctx.Err()
}

func (l *line) FindCoordinator(ctx context.Context) error { return l.begin(ctx, "find") }

func (l *line) Join(ctx context.Context, request kafka.JoinRequest) (kafka.JoinResult, error) {
	if err := l.begin(ctx, "join"); err != nil {
		return kafka.JoinResult{}, err
	}
	answer, err := l.broker.join(request)
	if err != nil {
		return kafka.JoinResult{}, err
	}
	l.mu.Lock()
	broken := l.broken
	l.mu.Unlock()
	select {
	case a := <-answer:
		return a.result, a.err
	case <-broken:
		return kafka.JoinResult{}, &kafka.ConnectionError{Addr: "broker:9092", Reason: "closed the connection"}
	case <-ctx.Done():
		return kafka.JoinResult{}, l.givenUp(ctx)
	}
}

func (l *line) Sync(ctx context.Context, generation int32, memberID, protocol string, shares map[string][]byte) ([]byte, error) {
	if err := l.begin(ctx, "sync"); err != nil {
		return nil, err
	}
	answer, err := l.broker.sync(generation, memberID, shares)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a.assignment, a.err
	case <-ctx.Done():
		return nil, l.givenUp(ctx)
	}
}

func (l *line) Heartbeat(ctx context.Context, generation int32, memberID string) error {
	if err := l.begin(ctx, "heartbeat"); err != nil {
		return err
	}
	return l.broker.heartbeat(generation, memberID)
}

func (l *line) Leave(ctx context.Context, memberID, reason string) error {
	if err := l.begin(ctx, "leave"); err != nil {
		return err
	}
	return l.broker.leave(memberID, reason)
}

func (l *line) Close() { l.set(func(l *line) { l.calls = append(l.calls, "close") }) }

// count is how many requests of a kind were sent.
func (l *line) count(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.calls {
		if c == kind {
			n++
		}
	}
	return n
}

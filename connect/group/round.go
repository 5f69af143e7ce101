package group

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
	"tributary/internal/kafka"
)

// round takes the member through one rebalance. If it fails the member needs one still.
func (m *Member) round(ctx context.Context) {
	if m.retries.told == well {
		m.log.Debug("Rebalance started", "reason", m.reason)
	}
	m.setOwners(owners{})
	if !m.prepare(ctx) {
		return
	}
	// What was asked until here is covered by this round: the metadata is made now.
	if reason, asked := m.takeRejoin(); asked {
		m.reason = reason
	}
	configured := m.handler.Configured()
	joined, err := m.join(ctx, configured.Offset)
	if err != nil {
		m.fail(ctx, err)
		return
	}
	received, led, err := m.sync(ctx, joined, configured)
	if err != nil {
		m.fail(ctx, err)
		return
	}
	m.keptAt(time.Now())
	m.recovered()
	m.complete(ctx, joined, received, led)
}

// prepare makes the worker ready to join, and reports whether the member still is.
func (m *Member) prepare(ctx context.Context) bool {
	eager, held := !m.inForce.Incremental(), m.held()
	m.call(ctx, "preparing to join", func(ctx context.Context) {
		if eager && !held.Empty() {
			m.handler.Revoke(ctx, held)
		}
		m.handler.BeforeJoin(ctx)
	})
	m.stopped = m.stopped || eager
	return ctx.Err() == nil && m.found && !m.sessionOver()
}

// join sends JoinGroup and returns when the group has gathered.
func (m *Member) join(ctx context.Context, configOffset int64) (kafka.JoinResult, error) {
	list, err := protocol.JoinProtocols(m.opts.Protocols, protocol.Metadata{URL: m.opts.URL, ConfigOffset: configOffset, Allocation: m.snapshot})
	if err != nil {
		return kafka.JoinResult{}, &permanentError{fmt.Errorf("describe this worker to the group: %w", err)}
	}
	request := kafka.JoinRequest{
		MemberID:       m.memberID,
		SessionTimeout: m.opts.SessionTimeout, RebalanceTimeout: m.opts.RebalanceTimeout,
		Reason: truncate(m.reason),
	}
	for _, p := range list {
		request.Protocols = append(request.Protocols, kafka.GroupProtocol(p))
	}
	var joined kafka.JoinResult
	send := func(ctx context.Context) (err error) {
		joined, err = m.conn.Join(ctx, request)
		return err
	}
	err = m.await(ctx, send)
	if required := (*kafka.MemberIDRequiredError)(nil); errors.As(err, &required) {
		m.memberID, m.generation = required.MemberID, noGeneration
		request.MemberID = required.MemberID
		err = m.await(ctx, send)
	}
	if err != nil {
		return kafka.JoinResult{}, err
	}
	m.memberID, m.generation = joined.MemberID, joined.Generation
	m.keptAt(time.Now())
	m.session.lastBeat = time.Now()
	return joined, nil
}

// maxReason is as long as a reason may be on the wire (KIP-800).
const maxReason = 255

func truncate(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	cut := maxReason
	for cut > 0 && !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut]
}

// sync exchanges assignments. led says who runs what, if this member leads.
func (m *Member) sync(ctx context.Context, joined kafka.JoinResult, configured assign.Configured) (received protocol.Assignment, led owners, err error) {
	inForce, err := protocol.SubprotocolByName(joined.Protocol)
	if err != nil {
		return received, led, &permanentError{err}
	}
	var shares map[string][]byte
	if joined.IsLeader() {
		if shares, led, err = m.assign(ctx, joined, inForce, configured); err != nil {
			return received, led, &permanentError{err}
		}
	}
	var share []byte
	err = m.await(ctx, func(ctx context.Context) (err error) {
		share, err = m.conn.Sync(ctx, joined.Generation, joined.MemberID, joined.Protocol, shares)
		return err
	})
	if err != nil {
		return received, led, err
	}
	received, err = protocol.DecodeAssignment(share)
	if err != nil {
		return received, led, &permanentError{fmt.Errorf("read what the leader %s assigned: %w", joined.LeaderID, err)}
	}
	return received, led, nil
}

// assign divides the work among the members, as their leader.
func (m *Member) assign(ctx context.Context, joined kafka.JoinResult, inForce protocol.Subprotocol, configured assign.Configured) (map[string][]byte, owners, error) {
	led := owners{urls: map[string]string{}}
	members := make(map[string]assign.Member, len(joined.Members))
	for id, data := range joined.Members {
		metadata, err := protocol.DecodeMetadata(data)
		if err != nil {
			return nil, led, fmt.Errorf("read what member %s says of itself: %w", id, err)
		}
		member := assign.Member{URL: metadata.URL, ConfigOffset: metadata.ConfigOffset}
		if metadata.Allocation != nil && inForce.Incremental() {
			member.Held = metadata.Allocation.Assigned
		}
		members[id], led.urls[id] = member, metadata.URL
	}
	if inForce.Incremental() {
		gathering := Gathering{Generation: int(joined.Generation), Held: map[string]assign.Work{}}
		for _, member := range members {
			gathering.Held[member.URL] = member.Held
		}
		m.handler.Gathered(ctx, gathering)
	}
	round := assign.Round{
		Leader: joined.MemberID, Members: members,
		Configured: configured, Fresh: m.handler.Configured,
		Generation: joined.Generation, LastCompleted: m.lastCompleted,
		Departed: m.takeDeparted(members), Now: time.Now(),
	}
	var plan assign.Plan
	if inForce.Incremental() {
		plan, m.lead = assign.Incremental(assign.Config{MaxDelay: m.opts.MaxDelay}, m.lead, round)
	} else {
		plan = assign.Eager(round)
	}
	led.Ownership = plan.Ownership
	shares := make(map[string][]byte, len(members))
	for id, assignment := range protocol.Assignments(inForce, plan) {
		data, err := protocol.EncodeAssignment(assignment)
		if err != nil {
			return nil, led, fmt.Errorf("write the assignment of member %s: %w", id, err)
		}
		shares[id] = data
	}
	m.log.Debug("Assigned the group's work", "generation", joined.Generation, "members", len(members),
		"connectors", len(plan.Ownership.Connectors), "tasks", len(plan.Ownership.Tasks), "delay", plan.Delay, "mismatch", plan.Mismatch)
	return shares, led, nil
}

// takeDeparted returns who has said goodbye. Those who are gone are not asked for
// again; those still present may leave later.
func (m *Member) takeDeparted(present map[string]assign.Member) map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	departed := make(map[string]bool, len(m.wishes.departed))
	for id := range m.wishes.departed {
		departed[id] = true
		if _, still := present[id]; !still {
			delete(m.wishes.departed, id)
		}
	}
	return departed
}

// complete takes over what was assigned, after what was revoked has stopped, and tells
// the handler.
func (m *Member) complete(ctx context.Context, joined kafka.JoinResult, received protocol.Assignment, led owners) {
	// sync has checked the name.
	inForce, _ := protocol.SubprotocolByName(joined.Protocol)
	m.unfinished = false
	revoked := received.Revoked
	if !inForce.Incremental() {
		// The group was just downgraded to the eager protocol: the work was not stopped
		// before the join, and what was not assigned again runs elsewhere now.
		revoked = beyond(m.held(), received.Assigned)
	}
	if !revoked.Empty() {
		m.call(ctx, "stopping revoked work", func(ctx context.Context) { m.handler.Revoke(ctx, revoked) })
	}
	if ctx.Err() != nil {
		return
	}
	snapshot := protocol.Merge(inForce, m.snapshot, received)
	m.snapshot, m.stopped, m.inForce = &snapshot, false, inForce
	m.lastCompleted = joined.Generation
	if received.Leader != joined.MemberID {
		// Somebody else has assigned, if need be instead of this member in the same generation.
		m.lead = assign.State{}
	}
	m.rejoinAt = time.Time{}
	if received.Delay > 0 {
		m.rejoinAt = time.Now().Add(received.Delay)
	}
	if m.generation != joined.Generation || m.memberID != joined.MemberID {
		// The generation ended while revoked work was stopping: the next round says what
		// to run.
		return
	}
	m.takeSettled() // it meant the round before
	m.setOwners(led)
	m.handler.Assigned(Round{
		Generation: int(joined.Generation), MemberID: joined.MemberID, Protocol: inForce,
		Snapshot: clone(snapshot),
	})
	m.admitted = true
	m.setContact(true)
}

// clone makes a snapshot for the handler, which the member's own changes do not touch.
func clone(a protocol.Assignment) protocol.Assignment {
	return protocol.Merge(protocol.Default, nil, a)
}

// beyond is the work that is not in the other list.
func beyond(work, other assign.Work) assign.Work {
	return assign.Work{
		Connectors: slices.DeleteFunc(slices.Clone(work.Connectors), func(name string) bool { return slices.Contains(other.Connectors, name) }),
		Tasks:      slices.DeleteFunc(slices.Clone(work.Tasks), func(id assign.ConnectorTaskID) bool { return slices.Contains(other.Tasks, id) }),
	}
}

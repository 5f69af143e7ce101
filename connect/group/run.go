package group

import (
	"context"
	"errors"
	"time"

	"tributary/connect/group/assign"
	"tributary/internal/beat"
	"tributary/internal/kafka"
)

// run is the member's goroutine.
func (m *Member) run(ctx context.Context) {
	defer close(m.ended)
	defer m.conn.Close()
	for ctx.Err() == nil {
		m.step(ctx)
	}
	select {
	case farewell := <-m.farewell:
		m.leave(farewell, reasonStop)
	default:
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
		defer cancel()
		m.leave(farewell, reasonStop)
	}
}

// step does the one thing that is most urgent, or waits.
func (m *Member) step(ctx context.Context) {
	if m.takeSettled() {
		m.forgetRevoked()
	}
	switch reason, suspended := m.suspension(); {
	case suspended:
		m.stayAway(ctx, reason)
	case m.sessionOver():
		m.giveUp(ctx)
	case !m.found:
		m.find(ctx)
	case m.roundNeeded():
		m.round(ctx)
	default:
		m.idle(ctx)
	}
}

// roundNeeded reports whether the member has to join, and notes why.
func (m *Member) roundNeeded() bool {
	if reason, asked := m.takeRejoin(); asked {
		m.needRound(reason)
	}
	if m.snapshot == nil {
		m.needRound("the worker holds no assignment")
	}
	if !m.rejoinAt.IsZero() && !time.Now().Before(m.rejoinAt) {
		m.needRound("the scheduled rebalance is due")
	}
	return m.unfinished
}

func (m *Member) needRound(reason string) {
	if !m.unfinished {
		m.unfinished, m.reason = true, reason
	}
}

// forgetRevoked empties the revoked lists, which stay in the snapshot until then
// because the metadata repeats them. What was revoked is placed by the round after it.
func (m *Member) forgetRevoked() {
	if m.snapshot == nil || m.snapshot.Revoked.Empty() {
		return
	}
	m.snapshot.Revoked = assign.Work{}
	m.needRound("revoked work can be placed")
}

// held is the work of the snapshot that may be running.
func (m *Member) held() assign.Work {
	if m.snapshot == nil || m.stopped {
		return assign.Work{}
	}
	return m.snapshot.Assigned
}

// find looks for the group's coordinator once.
func (m *Member) find(ctx context.Context) {
	bounded, cancel := m.withinSession(ctx)
	err := m.conn.FindCoordinator(bounded)
	cancel()
	if err != nil {
		m.fail(ctx, err)
		return
	}
	m.found = true
	m.session.lastBeat = time.Time{}
}

// idle keeps the session until there is something else to do.
func (m *Member) idle(ctx context.Context) {
	next := beat.Next(m.session.lastBeat, m.opts.HeartbeatInterval)
	if !time.Now().Before(next) {
		if err := m.beat(ctx); err != nil {
			m.fail(ctx, err)
		}
		return
	}
	if !m.rejoinAt.IsZero() && m.rejoinAt.Before(next) {
		next = m.rejoinAt
	}
	m.wait(ctx, time.Until(next))
}

// wait ends after d, or with ctx, or when somebody has a wish.
func (m *Member) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.wake:
	case <-ctx.Done():
	}
}

// stayAway leaves the group and returns when the suspension is over.
func (m *Member) stayAway(ctx context.Context, reason string) {
	m.setOwners(owners{})
	if m.grace() == 0 {
		// The others are given this worker's work as soon as it has left.
		m.giveBackAll(ctx)
	}
	m.log.Warn("Leaving the group until the worker can do its part", "reason", reason)
	m.leave(ctx, reason)
	for ctx.Err() == nil {
		if _, suspended := m.suspension(); !suspended {
			return
		}
		if m.sessionOver() {
			m.giveUp(ctx)
		}
		patience := time.Hour // only a wish matters
		if !m.held().Empty() {
			patience = time.Until(m.stopBy())
		}
		m.wait(ctx, patience)
	}
}

// giveBackAll has all held work stopped and forgets the snapshot.
func (m *Member) giveBackAll(ctx context.Context) {
	if work := m.held(); !work.Empty() {
		m.call(ctx, "stopping all work", func(ctx context.Context) { m.handler.Revoke(ctx, work) })
	}
	m.snapshot, m.stopped, m.rejoinAt = nil, false, time.Time{}
}

// leave says goodbye, if there is somebody to say it to, and ends the membership. The
// work held stays in the snapshot: it is reported with the next join.
func (m *Member) leave(ctx context.Context, reason string) {
	if m.memberID != "" && m.found {
		if err := m.sayGoodbye(ctx, reason); err != nil {
			m.log.Warn("Could not tell the group that the worker leaves; it is missed when its session ends", "error", err)
		} else {
			m.log.Info("Left the group", "reason", reason)
		}
	}
	m.forget()
	if m.session.left.IsZero() {
		m.session.left = time.Now()
	}
	m.needRound("the worker had left the group")
}

func (m *Member) sayGoodbye(ctx context.Context, reason string) error {
	bounded, cancel := m.withinSession(ctx)
	defer cancel()
	err := m.conn.Leave(bounded, m.memberID, reason)
	if !errors.Is(err, kafka.ErrCoordinatorNotAvailable) {
		return err
	}
	// A call that was given up, such as a join when the worker stops, costs the
	// connection its coordinator.
	if err := m.conn.FindCoordinator(bounded); err != nil {
		return err
	}
	return m.conn.Leave(bounded, m.memberID, reason)
}

// thrownOut is for a member that the group does not know any more.
func (m *Member) thrownOut() {
	m.forget()
	m.session.unknown = true
}

// forget ends the membership: the next join is that of a stranger. Another worker may lead
// by now, so there is no contact until a round says who does.
func (m *Member) forget() {
	m.memberID, m.generation, m.admitted = "", noGeneration, false
	m.setContact(false)
}

package group

import (
	"context"
	"errors"
	"sync"
	"time"

	"tributary/internal/beat"
	"tributary/internal/kafka"
)

// session is what the member knows of its session at the broker.
type session struct {
	lastBeat time.Time // when a heartbeat was last tried
	// kept is a moment at which the broker is known to have held the session.
	kept time.Time
	// left is when the member left the group of its own will, zero while it has not.
	left time.Time
	// unknown says that the group does not know the member any more. When it was thrown out
	// is known only to be after kept.
	unknown bool
}

// keptAt notes an answer that shows that the session lasts.
func (m *Member) keptAt(at time.Time) {
	m.session.kept, m.session.left, m.session.unknown = at, time.Time{}, false
	m.retries.attempts = 0
	if m.admitted {
		m.setContact(true)
	}
	if m.retries.told != refused {
		m.recovered()
	}
}

// grace is for how long the work of a missing member is safe: half of the delay that
// the group grants it. There is none under the eager protocol.
func (m *Member) grace() time.Duration {
	if !m.inForce.Incremental() {
		return 0
	}
	return m.opts.MaxDelay / 2
}

// stopBy is when held work has to stop unless the member is heard by then. That is
// shortly before the end of the session: until that end the broker tells nobody that
// this member is missing, so nobody else is given its work. (The Java worker stops its work when the
// coordinator was not found for heartbeat.interval.ms, which a mere restart of a
// broker can take.) A member that has left has the group's patience instead. One that was
// thrown out has no more than that, which may be less than a session.
func (m *Member) stopBy() time.Time {
	if !m.session.left.IsZero() {
		return m.session.left.Add(m.grace())
	}
	end := m.sessionEnd()
	if patience := m.session.kept.Add(m.grace()); m.session.unknown && patience.Before(end) {
		return patience
	}
	return end
}

// sessionEnd is when this member takes its session as ended: a twentieth of
// session.timeout.ms before the broker does, the time that stopping the work may take
// before another worker goes on with it.
func (m *Member) sessionEnd() time.Time {
	return m.session.kept.Add(m.opts.SessionTimeout - m.opts.SessionTimeout/20)
}

// sessionOver reports whether held work must stop now.
func (m *Member) sessionOver() bool {
	return !m.held().Empty() && !time.Now().Before(m.overAt())
}

// overAt is when held work must stop as things are. A worker that was merely asleep tries
// the coordinator first, as long as there is time: it keeps its work if it is let in again.
func (m *Member) overAt() time.Time {
	if m.retries.attempts > 0 || !m.session.left.IsZero() {
		return m.stopBy()
	}
	return m.stopBy().Add(m.grace())
}

// withinSession bounds a call by the end of the session, so that a coordinator that
// does not answer is noticed in time to stop the work.
func (m *Member) withinSession(ctx context.Context) (context.Context, context.CancelFunc) {
	end := m.sessionEnd()
	if now := time.Now(); !now.Before(end) {
		end = now.Add(m.opts.SessionTimeout)
	}
	return context.WithDeadline(ctx, end)
}

// giveUp stops everything: others may be given the work from now on.
func (m *Member) giveUp(ctx context.Context) {
	why := "The group's coordinator has not answered for session.timeout.ms"
	if !m.session.left.IsZero() || m.session.unknown {
		why = "The worker has been out of the group for too long"
	}
	m.log.Warn(why+": stopping all work, since the group may give it to other workers",
		"session.timeout.ms", m.opts.SessionTimeout.Milliseconds(), "connectors", len(m.snapshot.Assigned.Connectors), "tasks", len(m.snapshot.Assigned.Tasks))
	m.setOwners(owners{})
	m.giveBackAll(ctx)
	m.needRound("the worker was out of the group")
}

// beat sends one heartbeat. It sees to the answers that concern the membership and
// returns the errors that mean that the coordinator was not reached or refuses.
func (m *Member) beat(ctx context.Context) error {
	sent, err := m.heartbeat(ctx)
	switch {
	case err == nil:
		m.keptAt(sent)
	case errors.Is(err, kafka.ErrRebalanceInProgress):
		m.keptAt(sent)
		m.needRound("group is already rebalancing")
	case errors.Is(err, kafka.ErrIllegalGeneration):
		m.generation = noGeneration
		m.needRound("the group has moved on to another generation")
	case errors.Is(err, kafka.ErrUnknownMemberID):
		m.log.Info("The group does not know this member any more; joining anew")
		m.thrownOut()
		m.needRound("the group did not know the member any more")
	default:
		return err
	}
	return nil
}

func (m *Member) heartbeat(ctx context.Context) (sent time.Time, err error) {
	sent = time.Now()
	m.session.lastBeat = sent
	bounded, cancel := m.withinSession(ctx)
	defer cancel()
	return sent, m.conn.Heartbeat(bounded, m.generation, m.memberID)
}

// call makes a call to the handler that may block, for as long as rebalance.timeout.ms
// allows. Meanwhile the heartbeats go on. If the call takes longer the member leaves
// the group: it holds up the others, or could not answer them.
func (m *Member) call(ctx context.Context, doing string, f func(ctx context.Context)) {
	callCtx, cancel := context.WithTimeout(ctx, m.opts.RebalanceTimeout)
	defer cancel()
	returned := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { m.keepAlive(ctx, callCtx, doing, returned) })
	f(callCtx)
	close(returned)
	keeper.Wait()
}

// keepAlive beats until the handler's call has returned or its time is up. It owns the
// member's state while it runs.
func (m *Member) keepAlive(ctx, callCtx context.Context, doing string, returned <-chan struct{}) {
	beats := time.NewTicker(m.opts.HeartbeatInterval)
	defer beats.Stop()
	for waiting := true; waiting; {
		select {
		case <-beats.C:
			m.beatMeanwhile(callCtx)
		case <-returned:
			waiting = false
		case <-callCtx.Done():
			waiting = false
		}
	}
	if ctx.Err() == nil && callCtx.Err() != nil && m.memberID != "" {
		m.log.Warn("The worker was busy for longer than rebalance.timeout.ms and leaves the group; raise rebalance.timeout.ms if this happens often",
			"rebalance.timeout.ms", m.opts.RebalanceTimeout.Milliseconds(), "doing", doing)
		m.leave(ctx, reasonPollTimeout)
	}
}

// beatMeanwhile sends a heartbeat if there is a session to keep.
func (m *Member) beatMeanwhile(ctx context.Context) {
	if m.generation == noGeneration || m.memberID == "" {
		return
	}
	if !m.foundMeanwhile(ctx) {
		return
	}
	if err := m.beat(ctx); err != nil && ctx.Err() == nil {
		m.note(err)
	}
}

func (m *Member) foundMeanwhile(ctx context.Context) bool {
	if !m.found {
		bounded, cancel := m.withinSession(ctx)
		defer cancel()
		m.found = m.conn.FindCoordinator(bounded) == nil
	}
	return m.found
}

// await makes a request that the coordinator answers when other members have done their
// part, which may take rebalance.timeout.ms. Meanwhile the heartbeats go on: that they
// are answered tells a coordinator that waits from one that is gone. If the session ends
// without an answer the request is given up, so that held work can stop in time.
func (m *Member) await(ctx context.Context, request func(ctx context.Context) error) error {
	if m.held().Empty() {
		return request(ctx)
	}
	requestCtx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	returned := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() { m.keepWaiting(ctx, giveUp, returned) })
	err := request(requestCtx)
	close(returned)
	keeper.Wait()
	return err
}

// keepWaiting beats until the request has returned, or the session is over. It owns the
// member's state while it runs. A heartbeat under way is not cut off when the request
// returns: that would cost the connection its coordinator.
func (m *Member) keepWaiting(ctx context.Context, giveUp context.CancelFunc, returned <-chan struct{}) {
	for !m.sessionOver() {
		next := beat.Next(m.session.lastBeat, m.opts.HeartbeatInterval)
		wake := next
		if over := m.overAt(); over.Before(next) {
			wake = over
		}
		select {
		case <-time.After(time.Until(wake)):
		case <-returned:
			return
		}
		if !time.Now().Before(next) {
			m.beatWaiting(ctx)
		}
	}
	giveUp()
}

// beatWaiting sends a heartbeat while a request waits, in no generation if need be. What
// becomes of the membership is for the answer to that request to say.
func (m *Member) beatWaiting(ctx context.Context) {
	m.session.lastBeat = time.Now()
	if m.memberID == "" || !m.foundMeanwhile(ctx) {
		return
	}
	sent, err := m.heartbeat(ctx)
	switch {
	case err == nil, errors.Is(err, kafka.ErrRebalanceInProgress), errors.Is(err, kafka.ErrIllegalGeneration):
		// Brokers look for the member first: one of another generation is a member. The
		// group has just gathered, or had done so before and that answer was lost.
		m.keptAt(sent)
	case errors.Is(err, kafka.ErrUnknownMemberID): // nor will the request find a member
	case ctx.Err() == nil:
		m.note(err)
	}
}

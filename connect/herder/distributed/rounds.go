package distributed

import (
	"context"
	"time"

	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/assign"
	"tributary/storage"
)

// beforeJoinRead bounds the look at the config topic before a join: without it the
// worker joins with what it has read, and catches up after the round.
const beforeJoinRead = time.Second

// BeforeJoin implements group.Handler: it reads the config topic to its end and
// waits until the instances that this makes stale have stopped. So a task never
// starts anywhere while a former division of the connector's work still runs, as long
// as the workers can read the topic.
func (h *Herder) BeforeJoin(ctx context.Context) {
	readCtx, cancel := context.WithTimeout(ctx, beforeJoinRead)
	if err := h.opts.Configs.Refresh(readCtx); err != nil && ctx.Err() == nil {
		h.log.Debug("Could not read to the end of the config topic before joining", "error", err)
	}
	cancel()
	quiet := make(chan struct{})
	h.loop.post(func() {
		var stopping []connect.TaskID
		for id, inst := range h.instances {
			if inst.stopping && id.Task != connectorInstance {
				stopping = append(stopping, id)
			}
		}
		h.awaitQuiet(stopping, quiet)
	})
	select {
	case <-quiet:
	case <-ctx.Done():
	}
	if err := h.flushStatuses(ctx); err != nil && ctx.Err() == nil {
		h.log.Warn("Could not write all statuses before joining", "error", err)
	}
}

// Configured implements group.Handler.
func (h *Herder) Configured() assign.Configured {
	state := h.snapshot()
	c := assign.Configured{Offset: state.Offset(), Connectors: map[string]int{}}
	for _, name := range state.Connectors() {
		c.Connectors[name] = len(state.Tasks(name))
	}
	return c
}

// Revoke implements group.Handler.
func (h *Herder) Revoke(ctx context.Context, work assign.Work) {
	revoked := ids(work)
	if len(revoked) == 0 {
		return
	}
	quiet := make(chan struct{})
	h.loop.post(func() {
		for _, id := range revoked {
			delete(h.assigned, id)
		}
		h.publishAssigned()
		h.reconcile()
		h.awaitQuiet(revoked, quiet)
	})
	select {
	case <-quiet:
	case <-ctx.Done():
		h.log.Warn("Revoked work has not stopped in time")
	case <-h.ended:
		return
	}
	if err := h.flushStatuses(ctx); err != nil && ctx.Err() == nil {
		h.log.Warn("Could not write the statuses of revoked work", "error", err)
	}
}

// Assigned implements group.Handler.
func (h *Herder) Assigned(round group.Round) {
	// At once: a write that waits for the group must not take a former leader for the leader.
	h.publish(func(v *view) { v.round = round })
	h.opts.Statuses.SetGeneration(round.Generation)
	h.rebalances.assigned(round)
	h.loop.post(func() {
		h.round, h.settled, h.caughtUp = round, false, false
		h.unsettledRounds++
		h.roundSeq++
		h.assigned = map[connect.TaskID]bool{}
		for _, id := range ids(round.Snapshot.Assigned) {
			h.assigned[id] = true
		}
		h.publishAssigned()
		h.log.Info("Joined the group", "generation", round.Generation, "leader", round.Snapshot.LeaderURL,
			"leading", round.Leader(), "connectors", len(round.Snapshot.Assigned.Connectors), "tasks", len(round.Snapshot.Assigned.Tasks))
		h.settle()
	})
}

func (h *Herder) publishAssigned() {
	assigned := make(map[connect.TaskID]bool, len(h.assigned))
	for id := range h.assigned {
		assigned[id] = true
	}
	h.publish(func(v *view) { v.assigned = assigned })
	h.restarts.keep(func(id connect.TaskID) bool { return assigned[id] })
}

// settle makes the round's work run, or asks for another round: this worker must have
// read the config topic exactly as far as the leader had.
func (h *Herder) settle() {
	state := h.snapshot()
	own, want := state.Offset(), h.round.Snapshot.ConfigOffset
	switch {
	case h.round.Snapshot.Failed():
		if h.round.Leader() || own < want {
			h.catchUp(func() { h.rejoinUnsettled("a member had read further in the config topic than the leader") })
			return
		}
		h.rejoinUnsettled("a member had read further in the config topic than the leader")
	case own < want && h.caughtUp:
		h.rejoinUnsettled("the config topic ends before the place that the leader has read")
	case own < want:
		h.catchUp(func() { h.caughtUp = true; h.settle() })
	case own > want:
		h.rejoinUnsettled("the config topic has moved on since the assignment was made")
	default:
		h.settled, h.unsettledRounds, h.toldUnsettled = true, 0, false
		h.onSettled(state)
	}
}

// catchUp reads the config topic to its end and calls then on the loop, unless another
// round has come by then. A worker that cannot read leaves the group and comes back
// when it can.
func (h *Herder) catchUp(then func()) {
	seq := h.roundSeq
	h.goBackground(func(ctx context.Context) {
		suspended := false
		for {
			readCtx, cancel := context.WithTimeout(ctx, h.opts.SyncTimeout)
			err := h.opts.Configs.Refresh(readCtx)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				break
			}
			if !suspended {
				suspended = true
				h.log.Warn("Cannot read to the end of the config topic: leaving the group until it can be read", "error", err)
				h.opts.Group.Suspend("taking too long to read the log")
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(h.opts.SyncBackoff):
			}
		}
		h.loop.post(func() {
			switch {
			case suspended:
				h.log.Info("The config topic can be read again")
				h.rejoin("the config topic can be read again")
			case h.roundSeq == seq && !h.halted:
				then()
			}
		})
	})
}

// briskRounds is how many rounds in a row may fail to settle without a pause. What members
// have read differs for a moment now and then; if it still does after these rounds, they
// read different topics, and somebody has to act.
const briskRounds = 4

// rejoinUnsettled asks for another round because this one cannot settle: at once while that
// may help, else after a pause.
func (h *Herder) rejoinUnsettled(reason string) {
	if h.unsettledRounds <= briskRounds {
		h.rejoin(reason)
		return
	}
	if !h.toldUnsettled {
		h.toldUnsettled = true
		h.log.Error("The workers of the group do not read the same in the config topic, so no new work can be started. "+
			"If the topic was deleted or made anew, all workers have to be started again",
			"reason", reason, "offset", h.snapshot().Offset(), "leader_offset", h.round.Snapshot.ConfigOffset, "leader", h.round.Snapshot.LeaderURL)
	}
	seq := h.roundSeq
	h.goBackground(func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.opts.SyncTimeout):
		}
		h.loop.post(func() {
			if h.roundSeq == seq && !h.halted {
				h.rejoin(reason)
			}
		})
	})
}

func (h *Herder) rejoin(reason string) {
	h.log.Info("Asking for a rebalance", "reason", reason)
	h.opts.Group.Rejoin(reason)
}

// onSettled starts the round's work and does what a leader owes the group. state is what
// the round was made of: a connector that has come since was not placed by it.
func (h *Herder) onSettled(state *storage.ClusterState) {
	h.known = map[string]bool{}
	for _, c := range state.Connectors() {
		h.known[c] = true
	}
	h.blocked = map[string]bool{}
	h.publish(func(v *view) { v.rebalanceAhead = false })
	h.readyOnce.Do(func() { close(h.ready) })
	leading := h.round.Leader()
	if leading {
		h.forgetGoneStatuses(state)
		h.rotateSessionKey()
		if !h.wasLeader {
			h.becomeLeader()
		}
	}
	h.wasLeader = leading
	h.reconcile()
	h.repeatReports()
	h.rebalances.settled()
	h.opts.Group.Settled()
}

// rebalance asks for a round because of the config topic; requests that depend on who
// runs what wait for it.
func (h *Herder) rebalance(reason string) {
	h.publish(func(v *view) { v.rebalanceAhead = true })
	h.rejoin(reason)
}

// covered reports whether the last round already took a change of the config topic at
// this offset into account.
func (h *Herder) covered(offset int64) bool {
	return h.settled && offset <= h.round.Snapshot.ConfigOffset
}

// The storage.ConfigEvents below are called on the config store's goroutine.

// ConnectorConfigUpdated implements storage.ConfigEvents.
func (h *Herder) ConnectorConfigUpdated(connector string) {
	h.loop.post(func() {
		if !h.known[connector] {
			h.known[connector] = true
			h.rebalance("connector " + connector + " was created")
			return
		}
		h.tellTasks(connector)
		if inst := h.instances[connectorID(connector)]; inst != nil {
			inst.stale = true
			h.reconcile()
		}
	})
}

// tellTasks tells the running tasks of a connector how it is configured now.
func (h *Herder) tellTasks(connector string) {
	state := h.snapshot()
	if config, ok := state.RawConnectorConfig(connector); ok {
		h.runner.SetConnectorConfig(connector, withoutNulls(config), state.TaskCount(connector))
	}
}

// ConnectorConfigRemoved implements storage.ConfigEvents.
func (h *Herder) ConnectorConfigRemoved(connector string) {
	h.loop.post(func() {
		if h.known[connector] {
			delete(h.known, connector)
			h.rebalance("connector " + connector + " was deleted")
		}
		// A connector of that name may be there again by now: what runs is not of it.
		for id, inst := range h.instances {
			if id.Connector == connector {
				inst.stale = true
			}
		}
		h.forgetTopics(connector)
		h.reconcile()
	})
}

// TaskConfigsUpdated implements storage.ConfigEvents.
func (h *Herder) TaskConfigsUpdated(connector string) {
	offset := h.snapshot().Offset()
	h.loop.post(func() {
		h.tellTasks(connector)
		if h.covered(offset) {
			return
		}
		h.blocked[connector] = true
		state := h.snapshot()
		for id, inst := range h.instances {
			if id.Connector == connector && id.Task != connectorInstance && !h.runsOn(id, inst, state) {
				inst.stale = true
			}
		}
		h.reconcile()
		h.rebalance("connector " + connector + " has new task configurations")
	})
}

// TargetStateChanged implements storage.ConfigEvents.
func (h *Herder) TargetStateChanged(connector string) {
	h.loop.post(func() {
		target, _ := h.snapshot().TargetState(connector)
		for id := range h.instances {
			if id.Connector == connector {
				h.runner.SetTargetState(connector, target)
				break
			}
		}
		// Being stopped takes a connector's tasks away. One that is told to start before it
		// could stop does not ask for them by itself.
		if target == storage.Started {
			h.reconfigure(connector)
		}
	})
}

// SessionKeyUpdated implements storage.ConfigEvents.
func (h *Herder) SessionKeyUpdated(storage.SessionKey) {
	h.loop.post(func() {
		if h.settled && h.round.Leader() {
			h.rotateSessionKey()
		}
	})
}

// LoggerLevelChanged implements storage.ConfigEvents.
func (h *Herder) LoggerLevelChanged(namespace, level string) {
	h.log.Info("A log level was set for the group", "namespace", namespace, "level", level)
	if h.opts.SetLoggerLevel != nil {
		h.opts.SetLoggerLevel(namespace, level)
	}
}

package distributed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/worker"
	"tributary/storage"
)

// Zombie fencing (KIP-618): before tasks with a new division of a connector's work write
// anything, the leader ends the producers of the tasks before them, and notes in the
// config topic how many there are now.

// fenceTimeout bounds one round of fencing, as Java's requests are.
const fenceTimeout = 90 * time.Second

// fencings are the rounds under way, one a connector: all tasks of it ask at once.
type fencings struct {
	mu     sync.Mutex
	active map[string]*fencing
}

type fencing struct {
	done chan struct{}
	err  error // set before done is closed
}

// FenceZombies implements herder.Herder.
func (h *Herder) FenceZombies(ctx context.Context, connector string, request protocol.SignedRequest) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if err := h.verify(request); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	if err := h.admit(request); err != nil {
		return err
	}
	return h.fenceZombies(ctx, connector)
}

// fenceZombies makes sure, as the leader, that no producer of an earlier division of the
// connector's work can write, and that the config topic says so. It joins a round of
// fencing that is under way.
func (h *Herder) fenceZombies(ctx context.Context, connector string) error {
	if err := h.requireLeader(); err != nil {
		return err
	}
	h.fencings.mu.Lock()
	f := h.fencings.active[connector]
	if f == nil {
		f = &fencing{done: make(chan struct{})}
		if h.fencings.active == nil {
			h.fencings.active = map[string]*fencing{}
		}
		h.fencings.active[connector] = f
		h.goBackground(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
			defer cancel()
			f.err = h.runFencing(ctx, connector)
			h.fencings.mu.Lock()
			delete(h.fencings.active, connector)
			h.fencings.mu.Unlock()
			close(f.done)
		})
	}
	h.fencings.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

func (h *Herder) runFencing(ctx context.Context, connector string) error {
	leave := h.stages.Enter("performing a round of zombie fencing for connector " + connector)
	defer leave()
	if err := h.refresh(ctx); err != nil {
		return fmt.Errorf("Failed to read to end of config topic before performing zombie fencing: %w", err)
	}
	state := h.snapshot()
	config, known := state.RawConnectorConfig(connector)
	switch {
	case !known:
		return herder.ConnectorNotFound(connector)
	case h.kind(config) != string(plugin.Source):
		return &herder.BadRequestError{Message: "Connector " + connector + " is not a source connector"}
	case !state.PendingFencing(connector):
		return nil // nothing was divided anew since the last time
	}
	tasks := state.TaskCount(connector)
	generation, _ := state.TaskConfigGeneration(connector)
	// Without a record no task has had a transactional producer. And one task that follows
	// one task fences it by itself, since it has the same id.
	if before, recorded := state.TaskCountRecord(connector); recorded && (before != 1 || tasks != 1) {
		h.log.Info("Fencing the producers of the connector's former tasks", "connector", connector, "tasks", before)
		if err := h.runner.FenceTasks(ctx, connector, withoutNulls(config), before); err != nil {
			return fmt.Errorf("Failed to perform zombie fencing: %w", err)
		}
		if err := h.refresh(ctx); err != nil {
			return fmt.Errorf("Failed to read to end of config topic: %w", err)
		}
	}
	return h.writeAsLeader(ctx, "writing a task count record for connector "+connector+" to the config topic", func(ctx context.Context) error {
		if now, _ := h.snapshot().TaskConfigGeneration(connector); now != generation {
			return &herder.ConflictError{Message: "Fencing failed because new task configurations were generated for the connector"}
		}
		return h.opts.Configs.PutTaskCountRecord(ctx, connector, tasks)
	})
}

// refresh reads the config topic to its end, within worker.sync.timeout.ms.
func (h *Herder) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.opts.SyncTimeout)
	defer cancel()
	return h.opts.Configs.Refresh(ctx)
}

// exactlyOnce is what a task asks of the herder before it writes. state is what it is
// started by.
func (h *Herder) exactlyOnce(id connect.TaskID, state *storage.ClusterState) worker.ExactlyOnce {
	generation, _ := state.TaskConfigGeneration(id.Connector)
	return worker.ExactlyOnce{
		Fence:   func(ctx context.Context) error { return h.fenceFor(ctx, id) },
		Confirm: func(ctx context.Context) error { return h.confirm(ctx, id, generation) },
	}
}

// Pauses between attempts to have the leader fence, or to read the config topic.
const (
	preflightFirstPause = 250 * time.Millisecond
	preflightLastPause  = 5 * time.Second
)

// fenceFor has the leader fence for a task that is about to start here. What passes by
// itself, such as a leader that has just gone, is waited for.
func (h *Herder) fenceFor(ctx context.Context, id connect.TaskID) error {
	return h.untilPassed(ctx, id, "The leader cannot fence the connector's former tasks yet; trying again", func() error {
		round := h.view.Load().round
		if round.Leader() {
			return h.fenceZombies(ctx, id.Connector)
		}
		if round.Snapshot.LeaderURL == "" {
			return &herder.RebalanceError{Message: "no leader is known yet"}
		}
		if !h.canAsk(round.Snapshot.LeaderURL) {
			return errors.New("This worker is not able to communicate with the leader of the cluster, which is required for exactly-once source tasks. " +
				"If running MirrorMaker 2 in dedicated mode, consider enabling inter-worker communication via the 'dedicated.mode.enable.internal.rest' property.")
		}
		_, err := h.ask(ctx, round, round.Snapshot.LeaderURL, http.MethodPut, "/connectors/"+url.PathEscape(id.Connector)+"/fence", nil)
		return err
	})
}

// canAsk tells a URL from the placeholder of workers without a REST API.
func (h *Herder) canAsk(leader string) bool {
	u, err := url.Parse(leader)
	return err == nil && u.Host != ""
}

// confirm makes sure that a task that has just fenced others with its id is not itself
// replaced already.
func (h *Herder) confirm(ctx context.Context, id connect.TaskID, generation int) error {
	err := h.untilPassed(ctx, id, "The config topic cannot be read to its end before the task starts; trying again", func() error {
		if err := h.refresh(ctx); err != nil {
			return &herder.RebalanceError{Message: err.Error()}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if now, _ := h.snapshot().TaskConfigGeneration(id.Connector); now != generation {
		return fmt.Errorf("Cannot start source task %s-%d with exactly-once support as the connector has already generated a new set of task configs", id.Connector, id.Task)
	}
	if !h.view.Load().assigned[id] {
		return fmt.Errorf("Cannot start source task %s-%d as it has already been revoked from this worker", id.Connector, id.Task)
	}
	return nil
}

// untilPassed tries until there is success, or a failure that does not pass by itself.
func (h *Herder) untilPassed(ctx context.Context, id connect.TaskID, trouble string, try func() error) error {
	for pause := preflightFirstPause; ; pause = min(2*pause, preflightLastPause) {
		err := try()
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		log := h.log.Debug
		if pause >= patience {
			log = h.log.Warn
		}
		log(trouble, "connector", id.Connector, "task", id.Task, "after", pause, "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// passes says of a failed request to the leader whether it may succeed soon.
func passes(err error) bool {
	var rebalance *herder.RebalanceError
	var conflict *herder.ConflictError
	var moved *herder.NotLeaderError
	var early *herder.NotReadyError
	var unreachable *url.Error
	return errors.As(err, &rebalance) || errors.As(err, &conflict) || errors.As(err, &moved) || errors.As(err, &early) ||
		errors.As(err, &unreachable) || errors.Is(err, storage.ErrNotPrivileged)
}

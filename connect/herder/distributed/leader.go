package distributed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/storage"
)

// becomeLeader is what a worker does when it leads a round and did not lead the one
// before.
func (h *Herder) becomeLeader() {
	h.goBackground(func(ctx context.Context) {
		claimed := func(context.Context) error { return nil }
		err := h.writeAsLeader(ctx, "reading to the end of the config topic", claimed)
		// Who has led in the meantime must not be fenced.
		if err != nil && ctx.Err() == nil && !errors.As(err, new(*herder.NotLeaderError)) {
			h.log.Error("Could not fence the former leader's writes to the config topic", "error", err)
		}
		if h.opts.OnLeader != nil {
			h.opts.OnLeader(ctx)
		}
	})
}

// forgetGoneStatuses removes statuses of connectors and tasks that are not configured
// any more.
func (h *Herder) forgetGoneStatuses(state *storage.ClusterState) {
	for _, connector := range h.opts.Statuses.Connectors() {
		gone := !state.Contains(connector)
		for id := range h.opts.Statuses.Tasks(connector) {
			if gone || id.Task >= state.TaskCount(connector) {
				h.opts.Statuses.RemoveTask(id)
			}
		}
		if gone {
			h.opts.Statuses.RemoveConnector(connector)
		}
	}
}

// forgetTopics drops the record of the topics that a deleted connector has used.
func (h *Herder) forgetTopics(connector string) {
	if !h.opts.TopicTracking || h.snapshot().Contains(connector) {
		return
	}
	for _, t := range h.opts.Statuses.Topics(connector) {
		h.opts.Statuses.RemoveTopic(t.Topic, connector)
	}
}

// keyRetry is the pause before another attempt to write a session key.
const keyRetry = 5 * time.Second

// rotateSessionKey writes a new session key when one is due and comes back when the
// next will be.
func (h *Herder) rotateSessionKey() {
	if h.halted || !h.round.Protocol.Signed() {
		return
	}
	var current *storage.SessionKey
	if key, ok := h.snapshot().SessionKey(); ok {
		current = &key
	}
	again := func(after time.Duration) {
		if h.keyTimer != nil {
			h.keyTimer.Stop()
		}
		h.keyTimer = time.AfterFunc(after, func() {
			h.loop.post(func() {
				if h.round.Leader() {
					h.rotateSessionKey()
				}
			})
		})
	}
	if !h.opts.Keys.RotationDue(current, time.Now()) {
		if expiry := h.opts.Keys.Expiry(*current); !expiry.IsZero() {
			again(time.Until(expiry))
		}
		return
	}
	key, err := h.newSessionKey()
	if err != nil {
		h.log.Error("Could not generate a session key", "error", err)
		return
	}
	// Until the key was read back the timer, not every event, tries again.
	again(keyRetry)
	h.goBackground(func(ctx context.Context) {
		err := h.writeAsLeader(ctx, "writing a new session key to the config topic", func(ctx context.Context) error { return h.opts.Configs.PutSessionKey(ctx, key) })
		if err != nil && ctx.Err() == nil {
			h.keyTrouble.say(h.log, "Could not write a new session key; trying again", err)
		} else {
			h.keyTrouble.end()
		}
	})
}

// trouble is what keeps something from being done that is tried again and again. The zero value is none; it is safe for
// concurrent use.
type trouble struct {
	mu   sync.Mutex
	said string
}

// say logs a failure unless it was the last one, too.
func (t *trouble) say(log *slog.Logger, message string, err error) {
	t.mu.Lock()
	said := t.said == err.Error()
	t.said = err.Error()
	t.mu.Unlock()
	if !said {
		log.Warn(message, "error", err)
	}
}

func (t *trouble) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = ""
}

// The worker.Listener below is called on the worker's goroutines.

// ConnectorState implements worker.Listener.
func (h *Herder) ConnectorState(connector string, state storage.State, trace, version string) {
	id := connectorID(connector)
	h.report(id, state, trace, version)
	switch state {
	case storage.StateRunning, storage.StatePaused, storage.StateStopped:
		h.loop.post(func() { h.answerStart(id, nil) })
	case storage.StateFailed:
		h.loop.post(func() { h.answerStart(id, errStartFailed) })
	}
	h.followState(id, state, trace)
}

// followState has the loop plan the restart of what failed.
func (h *Herder) followState(id connect.TaskID, state storage.State, trace string) {
	switch state {
	case storage.StateRunning, storage.StatePaused, storage.StateStopped:
		h.loop.post(func() { h.noteState(id, state == storage.StateRunning) })
	case storage.StateFailed:
		h.loop.post(func() { h.noteFailed(id, trace) })
	}
}

// TaskState implements worker.Listener.
func (h *Herder) TaskState(task connect.TaskID, state storage.State, trace, version string) {
	h.report(task, state, trace, version)
	h.followState(task, state, trace)
}

// TaskMade implements worker.Listener.
func (h *Herder) TaskMade(task connect.TaskID, err error) {
	if err != nil {
		err = errStartFailed
	}
	h.loop.post(func() { h.answerStart(task, err) })
}

// TopicUsed implements worker.Listener.
func (h *Herder) TopicUsed(task connect.TaskID, topic string) {
	if !h.opts.TopicTracking || h.opts.Statuses.HasTopic(topic, task.Connector) {
		return
	}
	h.opts.Statuses.PutTopic(storage.TopicStatus{Topic: topic, Connector: task.Connector, Task: task.Task, Discovered: time.Now()})
}

// TopicResets implements worker.Listener.
func (h *Herder) TopicResets() int64 { return h.opts.Statuses.TopicResets() }

package distributed

import (
	"context"
	"time"

	"tributary/connect/herder"
)

var _ herder.StageReporter = (*Herder)(nil)

// Stage implements herder.StageReporter.
func (h *Herder) Stage() string {
	if current := h.stages.Current(); current != "" {
		return current
	}
	if lost, _ := h.opts.Group.Contact(); !lost.IsZero() {
		return herder.CurrentStage(herder.StageJoining, lost)
	}
	return h.stages.String()
}

// awaitContact returns when the group can be reached: until then this worker does not
// know whether it is still a member, or the leader.
func (h *Herder) awaitContact(ctx context.Context) error {
	for {
		lost, back := h.opts.Group.Contact()
		if lost.IsZero() {
			return nil
		}
		select {
		case <-back:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.ended:
			return errStopping
		}
	}
}

// flushBudget bounds the wait for the status topic. Statuses should be written before the group moves on, but a topic
// that takes nothing, for its leader may be away, must not hold it up for longer: the store tries on by itself.
const flushBudget = 3 * time.Second

// flushStatuses awaits the writes to the status topic.
func (h *Herder) flushStatuses(ctx context.Context) error {
	defer h.stages.Enter("flushing updates to the status topic")()
	ctx, cancel := context.WithTimeout(ctx, flushBudget)
	defer cancel()
	return h.opts.Statuses.Flush(ctx)
}

package distributed

import (
	"context"

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

// flushStatuses awaits the writes to the status topic.
func (h *Herder) flushStatuses(ctx context.Context) error {
	defer h.stages.Enter("flushing updates to the status topic")()
	return h.opts.Statuses.Flush(ctx)
}

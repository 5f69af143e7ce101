package distributed

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
)

// goodbyeBudget bounds telling the leader that this worker stops. Without the goodbye
// the group waits for scheduled.rebalance.max.delay.ms, so it is worth a moment.
const goodbyeBudget = 2 * time.Second

// sayGoodbye tells the leader that this worker, which has stopped its work, leaves for
// good. A Java leader does not know the request: it refuses it and waits as ever.
func (h *Herder) sayGoodbye(ctx context.Context) {
	round := h.view.Load().round
	if round.MemberID == "" || round.Leader() || round.Snapshot.LeaderURL == "" || !round.Protocol.Incremental() {
		return // nobody to tell, or nobody who waits
	}
	body, err := api.Marshal(api.Departure{Member: round.MemberID})
	if err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, goodbyeBudget)
		defer cancel()
		_, err = h.ask(ctx, round, round.Snapshot.LeaderURL, http.MethodPost, "/internal/departures", body)
	}
	if err != nil {
		h.log.Info("The leader does not take a goodbye; it may wait for this worker before it moves its work", "leader", round.Snapshot.LeaderURL, "error", err)
	}
}

// MemberDeparted implements herder.Herder.
func (h *Herder) MemberDeparted(ctx context.Context, memberID string, request protocol.SignedRequest) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if err := h.verifySealed(request); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	if err := h.admit(request); err != nil {
		return err
	}
	if memberID == "" {
		return &herder.BadRequestError{Message: "The field member must name the member of the group that stops"}
	}
	h.log.Info("A worker leaves the group for good", "member", memberID)
	h.opts.Group.MemberDeparted(memberID)
	return nil
}

// gatheredBudget bounds writing what became of missing workers' work: the group waits.
const gatheredBudget = time.Second

// Gathered implements group.Handler: it takes care that nothing is shown as running that
// runs nowhere, because its worker has gone without a word. The records are written
// before anybody is given the work, so the new owner's follow them.
//
// A worker that was merely unheard of may come back and report the work as held, and a
// Java worker does not write its status again then: what was overwritten is restored.
func (h *Herder) Gathered(ctx context.Context, g group.Gathering) {
	state := h.snapshot()
	holders := map[connect.TaskID]string{}
	for u, work := range g.Held {
		for _, id := range ids(work) {
			holders[id] = u
		}
	}
	wrote := false
	for _, connector := range state.Connectors() {
		for id, status := range h.statuses(connector) {
			holder, held := holders[id]
			old, overwritten := h.missing[id]
			switch {
			case !exists(state, id):
				continue
			case !held && shownAlive(status.State):
				h.missing[id] = status
				status = unassigned(id, status, g.Generation)
			case held && overwritten && status.State == storage.StateUnassigned && status.WorkerID == old.WorkerID && hostOf(holder) == old.WorkerID:
				delete(h.missing, id)
				status = old
				status.Generation = g.Generation
			default:
				if held {
					delete(h.missing, id)
				}
				continue
			}
			h.putStatus(id, status)
			wrote = true
		}
	}
	if !wrote {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, gatheredBudget)
	defer cancel()
	if err := h.opts.Statuses.Flush(ctx); err != nil {
		h.log.Warn("Could not write at once that work of missing workers is unassigned", "error", err)
	}
}

// unassigned is what to write over the status of work whose worker is gone, before a round
// of this generation places it anew.
//
// The record may arrive only after the next owner's (see gatheredBudget). Every reader knows
// then by the generation that a task's is stale. For connectors Java has no such rule, so
// theirs is of the generation before: retries end with it, the next owner's is above it,
// and Tributary's readers keep to that (storage.StaleStatusError).
func unassigned(id connect.TaskID, status storage.Status, generation int) storage.Status {
	status.State, status.Trace = storage.StateUnassigned, ""
	if id.Task == connectorInstance {
		status.Generation = max(status.Generation, generation-1)
	} else {
		status.Generation = generation
	}
	return status
}

// statuses are those of a connector and all its tasks.
func (h *Herder) statuses(connector string) map[connect.TaskID]storage.Status {
	all := h.opts.Statuses.Tasks(connector)
	if status, ok := h.opts.Statuses.Connector(connector); ok {
		all[connectorID(connector)] = status
	}
	return all
}

func (h *Herder) putStatus(id connect.TaskID, status storage.Status) {
	if id.Task == connectorInstance {
		h.opts.Statuses.PutConnector(id.Connector, status)
		return
	}
	h.opts.Statuses.PutTask(id, status)
}

// shownAlive says of a state that somebody must be there for it. FAILED stays: its trace
// is worth more than the news that the worker has gone as well.
func shownAlive(s storage.State) bool {
	return s != storage.StateUnassigned && s != storage.StateFailed
}

// hostOf is the host and port of a worker's URL, which is its id in statuses.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

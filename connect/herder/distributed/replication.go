package distributed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/worker"
	"tributary/storage"
)

// replicationPatience is how long another worker may take to tell its share.
const replicationPatience = 3 * time.Second

// replicationRequest is the body of the request for a worker's share. It says what it
// is for, lest its signature fits another request.
type replicationRequest struct {
	Replication string `json:"replication"`
}

// LocalReplication implements herder.Herder.
func (h *Herder) LocalReplication(ctx context.Context, connector string, request protocol.SignedRequest) (api.Replication, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.Replication{}, err
	}
	if err := h.verifySealed(request); err != nil {
		return api.Replication{}, err
	}
	if err := h.admit(request); err != nil {
		return api.Replication{}, err
	}
	var asked replicationRequest
	if err := json.Unmarshal(request.Body, &asked); err != nil || asked.Replication != connector {
		return api.Replication{}, &herder.BadRequestError{Message: "The request does not name the connector whose replication it asks for"}
	}
	return h.ownReplication(connector), nil
}

// Replication implements herder.Herder.
func (h *Herder) Replication(ctx context.Context, connector string) (api.Replication, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.Replication{}, err
	}
	if !h.snapshot().Contains(connector) {
		return api.Replication{}, herder.ConnectorNotFound(connector)
	}
	page := h.ownReplication(connector)
	others := h.workersOf(connector)
	shares := make([]api.Replication, len(others))
	failures := make([]error, len(others))
	var asking sync.WaitGroup
	for i, id := range others {
		asking.Go(func() { shares[i], failures[i] = h.askReplication(ctx, id, connector) })
	}
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return api.Replication{}, err
	}
	for i, id := range others {
		if failures[i] != nil {
			page.Unanswered = append(page.Unanswered, api.UnansweredWorker{WorkerID: id, Reason: reasonOf(failures[i])})
			continue
		}
		addShare(&page, shares[i])
	}
	sortReplication(&page)
	return page, nil
}

func reasonOf(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("it did not answer within %s", replicationPatience)
	}
	var sending *url.Error
	if errors.As(err, &sending) {
		return sending.Err.Error()
	}
	return err.Error()
}

// workersOf are the other workers that the statuses of a connector name, sorted.
// Unassigned instances are nowhere.
func (h *Herder) workersOf(connector string) []string {
	ids := map[string]bool{}
	note := func(s storage.Status) {
		if s.State != storage.StateUnassigned && s.WorkerID != "" && s.WorkerID != h.opts.WorkerID {
			ids[s.WorkerID] = true
		}
	}
	if status, ok := h.opts.Statuses.Connector(connector); ok {
		note(status)
	}
	for _, status := range h.opts.Statuses.Tasks(connector) {
		note(status)
	}
	return slices.Sorted(maps.Keys(ids))
}

// askReplication asks another worker for its share. A worker's id is its advertised
// host:port, with the flow behind a slash in a dedicated MirrorMaker; all workers of a
// group speak http, or all https.
func (h *Herder) askReplication(ctx context.Context, workerID, connector string) (share api.Replication, err error) {
	ctx, cancel := context.WithTimeout(ctx, replicationPatience)
	defer cancel()
	round := h.view.Load().round
	scheme, _, ok := strings.Cut(round.Snapshot.LeaderURL, "://")
	if !ok {
		return share, errors.New("this worker has not joined its group yet")
	}
	body, err := json.Marshal(replicationRequest{connector})
	if err != nil {
		return share, err
	}
	host, _, _ := strings.Cut(workerID, "/")
	answer, err := h.ask(ctx, round, scheme+"://"+host, http.MethodPost, "/connectors/"+url.PathEscape(connector)+"/replication", body)
	if err != nil {
		return share, err
	}
	if err := json.Unmarshal(answer, &share); err != nil {
		return share, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return share, nil
}

// ownReplication is what the instances on this worker say.
func (h *Herder) ownReplication(connector string) api.Replication {
	page := api.Replication{
		Name: connector, UnmovableGroups: []api.UnmovableGroup{}, Troubles: []string{},
		Partitions: []api.ReplicatedPartition{}, Restarts: []api.AutoRestarts{}, Unanswered: []api.UnansweredWorker{},
	}
	for _, instance := range h.runner.Replication(connector) {
		addShare(&page, h.shareOf(connector, instance))
	}
	page.Restarts = append(page.Restarts, h.restarts.of(connector, h.opts.WorkerID)...)
	sortReplication(&page)
	return page
}

// addShare puts what one worker or instance says to the rest.
func addShare(page *api.Replication, share api.Replication) {
	page.Mode = cmp.Or(page.Mode, share.Mode)
	page.Batch = cmp.Or(page.Batch, share.Batch)
	if page.Topics == nil {
		page.Topics = share.Topics
	}
	page.UnmovableGroups = append(page.UnmovableGroups, share.UnmovableGroups...)
	page.Troubles = append(page.Troubles, share.Troubles...)
	page.Partitions = append(page.Partitions, share.Partitions...)
	page.Restarts = append(page.Restarts, share.Restarts...)
}

func sortReplication(page *api.Replication) {
	slices.SortFunc(page.UnmovableGroups, func(a, b api.UnmovableGroup) int { return strings.Compare(a.Group, b.Group) })
	slices.SortFunc(page.Partitions, func(a, b api.ReplicatedPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Task, b.Task))
	})
	number := func(r api.AutoRestarts) int {
		if r.Task == nil {
			return connectorInstance
		}
		return *r.Task
	}
	slices.SortFunc(page.Restarts, func(a, b api.AutoRestarts) int { return cmp.Compare(number(a), number(b)) })
}

// shareOf is one instance's report in the API's terms.
func (h *Herder) shareOf(connector string, instance worker.InstanceReplication) api.Replication {
	report := instance.Report
	share := api.Replication{Name: connector, Mode: report.Mode, Topics: report.Topics, Troubles: report.Troubles}
	if b := report.Batch; b != nil && instance.Task == connectorInstance {
		share.Batch = &api.ReplicationBatch{Done: b.Done, Copied: b.Copied, Left: b.Left, StoppedPartitions: b.StoppedPartitions, Next: moment(b.Next)}
	}
	for _, g := range report.UnmovableGroups {
		share.UnmovableGroups = append(share.UnmovableGroups, api.UnmovableGroup(g))
	}
	for _, p := range report.Partitions {
		row := api.ReplicatedPartition{
			Topic: p.Topic, Partition: p.Partition, Task: instance.Task, WorkerID: h.opts.WorkerID,
			SourceEnd: offset(p.SourceEnd), MirroredUpTo: offset(p.MirroredUpTo), LagRecords: offset(p.LagRecords), LagSeconds: seconds(p.LagSeconds),
			Lane: p.Lane, LaneReason: p.LaneReason, Stopped: p.Stopped, LastError: p.LastError, LastErrorTime: moment(p.LastErrorTime),
			Gaps: []api.ReplicationGap{},
		}
		for _, g := range p.Gaps {
			row.Gaps = append(row.Gaps, api.ReplicationGap{From: g.From, To: g.To, Time: g.Time.UTC(), Kind: g.Kind})
		}
		share.Partitions = append(share.Partitions, row)
	}
	return share
}

// offset is nil for what is unknown.
func offset(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// seconds is nil for what is unknown, or no number.
func seconds(s float64) *float64 {
	if s < 0 || math.IsNaN(s) || math.IsInf(s, 0) {
		return nil
	}
	return &s
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

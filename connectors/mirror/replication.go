package mirror

import (
	"fmt"
	"slices"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

// Replication implements connect.ReplicationReporter: what concerns the whole mirror.
func (c *SourceConnector) Replication() connect.Replication {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := connect.Replication{Mode: c.mode, Topics: slices.Clone(c.matched), Troubles: slices.Clone(c.said)}
	if c.batch != nil {
		r.Batch = c.batch.report()
	}
	return r
}

// Replication implements connect.ReplicationReporter: a row for each partition.
func (t *SourceTask) Replication() connect.Replication {
	page := t.page.Load()
	if page == nil {
		return connect.Replication{}
	}
	r := connect.Replication{Partitions: make([]connect.ReplicatedPartition, 0, len(page.partitions))}
	// A task may wait for a transaction that does not end, and then does not look at this itself.
	unwritable := t.unwritable()
	for _, p := range page.partitions {
		p.noteProblem(unwritable[kafka.TopicPartition(p.tp)], time.Now())
		row, stalled := p.row()
		if stalled {
			r.Troubles = append(r.Troubles, fmt.Sprintf("%s: %v", p.tp, errStalled))
		}
		row.Lane, row.LaneReason = page.lane, page.laneReason
		r.Partitions = append(r.Partitions, row)
	}
	return r
}

// taskPage is what a task shows of itself. Its partitions look after their own locks.
type taskPage struct {
	partitions       []*sourcePartition
	lane, laneReason string
}

// row is what the partition shows of itself.
func (p *sourcePartition) row() (row connect.ReplicatedPartition, stalled bool) {
	g := &p.progress
	g.mu.Lock()
	defer g.mu.Unlock()
	row = connect.ReplicatedPartition{
		Topic: p.tp.Topic, Partition: p.tp.Partition,
		SourceEnd: g.seen.sourceEnd, MirroredUpTo: g.seen.mirrored,
		LagRecords: connect.UnknownLag, LagSeconds: connect.UnknownLag, Stopped: g.seen.stopped,
	}
	if g.seen.sourceEnd >= 0 && g.seen.mirrored >= 0 {
		row.LagRecords, row.LagSeconds = g.seen.lag(), g.seen.lagSeconds
	}
	if g.problem != nil {
		row.LastError, row.LastErrorTime = g.problem.Error(), g.problemAt
	}
	for _, gap := range g.gaps {
		row.Gaps = append(row.Gaps, connect.ReplicationGap{From: gap.from, To: gap.to, Time: gap.at, Kind: string(gap.kind)})
	}
	return row, g.seen.stalled
}

// note keeps the last thing that went wrong. The lock is held.
func (g *progress) note(err error, now time.Time) {
	if err != nil && (g.problem == nil || g.problem.Error() != err.Error()) {
		g.problem, g.problemAt = err, now
	}
}

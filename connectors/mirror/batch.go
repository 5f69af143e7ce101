package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

const (
	batchStallKey = "batch.stall.seconds"

	// batchLook is how often the offsets of a batch are looked at.
	batchLook = time.Second
)

// batchRun is one batch of a source connector: which partitions, up to where, and how
// far they have come. Tasks and connector may be on different workers, so all that the
// connector knows of its tasks is what they have stored as offsets. A task stores the
// end of each partition when it has read up to it, whether or not there was a record.
type batchRun struct {
	began time.Time
	parts map[replica.TopicPartition]*batchPart
	// unmirrored is how many partitions cannot be mirrored at all at present.
	unmirrored int
	done       bool
	next       time.Time // of the batch after this one; zero if there is none
}

type batchPart struct {
	source            *connect.SourcePartition
	begin, at, end    int64
	moved             time.Time // when at changed last
	stopped, complete bool
}

// note takes the stored offset of a partition, -1 for none.
func (p *batchPart) note(stored int64, now time.Time) {
	if stored+1 > p.at {
		p.at, p.moved = min(stored+1, p.end), now
	}
	p.complete = p.complete || stored+1 >= p.end || p.begin >= p.end
}

// open lists the partitions that have something left to copy, sorted.
func (b *batchRun) open() []replica.TopicPartition {
	var open []replica.TopicPartition
	for tp, p := range b.parts {
		if !p.complete {
			open = append(open, tp)
		}
	}
	slices.SortFunc(open, replica.TopicPartition.Compare)
	return open
}

// giveUp marks what has not moved for stall, or is not there any more. It reports
// whether nothing is left to wait for.
func (b *batchRun) giveUp(there func(replica.TopicPartition) bool, stall time.Duration, now time.Time) (over bool) {
	over = true
	for tp, p := range b.parts {
		p.stopped = !p.complete && (!there(tp) || stall > 0 && now.Sub(p.moved) >= stall)
		over = over && (p.complete || p.stopped)
	}
	return over
}

func (b *batchRun) report() *connect.ReplicationBatch {
	r := &connect.ReplicationBatch{Done: b.done, Next: b.next, StoppedPartitions: b.unmirrored}
	for _, p := range b.parts {
		at := min(max(p.at, p.begin), max(p.begin, p.end))
		if p.complete {
			at = max(p.begin, p.end)
		}
		r.Copied += at - p.begin
		r.Left += max(p.end-at, 0)
		if p.stopped {
			r.StoppedPartitions++
		}
	}
	return r
}

// batchChores are what a source connector does in the batch mode.
func (c *SourceConnector) batchChores() []chore {
	if c.settings.String(modeKey) != modeBatch {
		return nil
	}
	return []chore{{name: "see to the batch", every: batchLook, gentle: true, do: c.onceLooked(c.runBatch)}}
}

// runBatch begins a batch if none is going on and it is time for one, and otherwise
// looks how far it is.
func (c *SourceConnector) runBatch(ctx context.Context) error {
	c.mu.Lock()
	batch := c.batch
	c.mu.Unlock()
	now := time.Now()
	switch {
	case batch == nil || batch.done && !batch.next.IsZero() && !now.Before(batch.next):
		return c.beginBatch(ctx, now)
	case batch.done:
		return nil
	}
	return c.followBatch(ctx, batch, now)
}

// beginBatch fixes the ends.
func (c *SourceConnector) beginBatch(ctx context.Context, now time.Time) error {
	s := c.settings
	spec := kafka.Latest
	if text := s.String(batchUntilKey); text != "" {
		until, err := parseISOTime(text)
		if err != nil {
			return err
		}
		if now.Before(until) {
			return errNotYet
		}
		spec = max(until.UnixMilli(), 0)
	}
	c.mu.Lock()
	partitions := c.partitions
	c.mu.Unlock()
	ends, begins, err := c.batchBounds(ctx, partitions, spec)
	if err != nil {
		return err
	}
	batch := &batchRun{began: now, parts: make(map[replica.TopicPartition]*batchPart, len(partitions)), unmirrored: c.view.unmirrored()}
	for _, tp := range partitions {
		begin, end := begins[kafka.TopicPartition(tp)], ends[kafka.TopicPartition(tp)]
		batch.parts[tp] = &batchPart{
			source: connect.NewSourcePartition(replica.SourcePartitionMap(s.source, tp.Topic, tp.Partition)),
			begin:  begin, at: begin, end: end, moved: now,
		}
	}
	if err := c.noteOffsets(ctx, batch, now); err != nil {
		return err
	}
	for _, p := range batch.parts { // what was copied before is not this batch's
		p.begin = max(p.begin, min(p.at, p.end))
	}
	c.logger.Info("A batch begins", "partitions", len(batch.parts), "to_copy", batch.report().Left, "source", s.source, "target", s.target)
	c.mu.Lock()
	c.batch = batch
	c.mu.Unlock()
	c.context.RequestTaskReconfiguration()
	return nil
}

func (c *SourceConnector) batchBounds(ctx context.Context, partitions []replica.TopicPartition, spec int64) (ends, begins map[kafka.TopicPartition]int64, err error) {
	tps := make([]kafka.TopicPartition, len(partitions))
	for i, tp := range partitions {
		tps[i] = kafka.TopicPartition(tp)
	}
	level := kafka.ReadUncommitted
	if readsCommitted(c.settings.props) {
		level = kafka.ReadCommitted
	}
	ends, failed, err := c.source.admin.ListOffsets(ctx, tps, spec, level)
	if err == nil && len(failed) == 0 {
		begins, failed, err = c.source.admin.ListOffsets(ctx, tps, kafka.Earliest, level)
	}
	if err == nil && len(failed) > 0 {
		first := sortedPartitions(failed)[0]
		err = fmt.Errorf("%s-%d and %d others: %w", first.Topic, first.Partition, len(failed)-1, failed[first])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up where the batch ends on cluster %s: %w", c.settings.source, err)
	}
	return ends, begins, nil
}

// noteOffsets takes over what the tasks have stored.
func (c *SourceConnector) noteOffsets(ctx context.Context, batch *batchRun, now time.Time) error {
	open := batch.open()
	keys := make([]*connect.SourcePartition, len(open))
	for i, tp := range open {
		keys[i] = batch.parts[tp].source
	}
	offsets, err := c.context.Offsets().Offsets(ctx, keys)
	if err != nil {
		return fmt.Errorf("read the offsets mirrored so far: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, tp := range open {
		stored, err := replica.UnwrapOffset(offsets[i])
		if err != nil {
			return fmt.Errorf("offset mirrored so far of %s: %w", tp, err)
		}
		batch.parts[tp].note(stored, now)
	}
	return nil
}

// followBatch looks how far the batch is, and ends it.
func (c *SourceConnector) followBatch(ctx context.Context, batch *batchRun, now time.Time) error {
	if err := c.noteOffsets(ctx, batch, now); err != nil {
		return err
	}
	s := c.settings
	c.mu.Lock()
	there := make(map[replica.TopicPartition]bool, len(c.partitions))
	for _, tp := range c.partitions {
		there[tp] = true
	}
	over := batch.giveUp(func(tp replica.TopicPartition) bool { return there[tp] }, secondsOf(s.Int(batchStallKey)), now)
	if over {
		batch.done = true
		if every := s.Int(batchIntervalKey); every > 0 {
			batch.next = batch.began.Add(secondsOf(every))
		}
	}
	report := batch.report()
	c.mu.Unlock()
	if !over {
		return nil
	}
	outcome := fmt.Sprintf("the batch is done: %d offsets copied, %d left in %d partitions that were given up", report.Copied, report.Left, report.StoppedPartitions)
	if report.StoppedPartitions > 0 {
		c.logger.Warn("A batch ends incomplete", "copied", report.Copied, "left", report.Left, "stopped_partitions", report.StoppedPartitions, "partitions", batch.leftOver())
	} else {
		c.logger.Info("A batch is complete", "copied", report.Copied, "took", now.Sub(batch.began))
	}
	if stopper, ok := c.context.(connect.Stopper); ok && batch.next.IsZero() {
		stopper.RequestStop(outcome)
		return nil
	}
	c.context.RequestTaskReconfiguration()
	return nil
}

// leftOver names partitions that were given up, the first of them if they are many.
func (b *batchRun) leftOver() []string {
	var left []string
	for _, tp := range slices.SortedFunc(maps.Keys(b.parts), replica.TopicPartition.Compare) {
		if b.parts[tp].stopped && len(left) < 20 {
			left = append(left, tp.String())
		}
	}
	return left
}

// assignable are the partitions that tasks are to copy, and with a batch where each
// ends. It is false while the batch has not begun.
func (c *SourceConnector) assignable() (partitions []replica.TopicPartition, ends map[replica.TopicPartition]int64, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.looked {
		return nil, nil, false
	}
	if c.settings.String(modeKey) != modeBatch {
		return c.partitions, nil, true
	}
	if c.batch == nil {
		return nil, nil, false
	}
	if c.batch.done {
		return nil, nil, true
	}
	ends = map[replica.TopicPartition]int64{}
	for tp, p := range c.batch.parts {
		if p.begin < p.end {
			ends[tp] = p.end
			partitions = append(partitions, tp)
		}
	}
	slices.SortFunc(partitions, replica.TopicPartition.Compare)
	return partitions, ends, true
}

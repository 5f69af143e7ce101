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

	boundsTrouble = "bounds of the batch"
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
	source         *connect.SourcePartition
	begin, at, end int64
	// bounded says that begin and end are known. Until the source tells them nothing of the partition is copied, and it is
	// not complete.
	bounded           bool
	moved             time.Time // when at changed last
	stopped, complete bool
}

// note takes the stored offset of a partition whose bounds are known, -1 for none.
func (p *batchPart) note(stored int64, now time.Time) {
	if stored+1 > p.at {
		p.at, p.moved = min(stored+1, p.end), now
	}
	p.complete = p.complete || stored+1 >= p.end || p.begin >= p.end
}

// open lists the partitions that have something left to copy, sorted.
func (b *batchRun) open() []replica.TopicPartition {
	return b.those(func(p *batchPart) bool { return p.bounded && !p.complete })
}

// unbounded lists the partitions of which the source has not told the bounds, sorted.
func (b *batchRun) unbounded() []replica.TopicPartition {
	return b.those(func(p *batchPart) bool { return !p.bounded })
}

func (b *batchRun) those(are func(*batchPart) bool) []replica.TopicPartition {
	var those []replica.TopicPartition
	for tp, p := range b.parts {
		if are(p) {
			those = append(those, tp)
		}
	}
	slices.SortFunc(those, replica.TopicPartition.Compare)
	return those
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
	until, err := s.batchUntil()
	if err != nil {
		return err
	}
	if now.Before(until) {
		return errNotYet
	}
	c.mu.Lock()
	partitions := c.partitions
	c.mu.Unlock()
	batch := &batchRun{began: now, parts: make(map[replica.TopicPartition]*batchPart, len(partitions)), unmirrored: c.view.unmirrored()}
	for _, tp := range partitions {
		batch.parts[tp] = &batchPart{source: connect.NewSourcePartition(replica.SourcePartitionMap(s.source, tp.Topic, tp.Partition)), moved: now}
	}
	if _, err := c.boundBatch(ctx, batch, now); err != nil {
		return err
	}
	c.logger.Info("A batch begins", "partitions", len(batch.parts), "to_copy", batch.report().Left, "source", s.source, "target", s.target)
	c.mu.Lock()
	c.batch = batch
	c.mu.Unlock()
	c.context.RequestTaskReconfiguration()
	return nil
}

// boundBatch takes the bounds of partitions that have none yet, as far as the source tells them now, and reports whether there
// are new ones. One partition without a leader must not hold back the others.
func (c *SourceConnector) boundBatch(ctx context.Context, batch *batchRun, now time.Time) (more bool, err error) {
	open := batch.unbounded()
	if len(open) == 0 {
		return false, nil
	}
	ends, begins, failed, err := c.batchBounds(ctx, open)
	if err != nil {
		return false, err
	}
	bounded := &batchRun{parts: map[replica.TopicPartition]*batchPart{}}
	for _, tp := range open {
		if begin, known := begins[kafka.TopicPartition(tp)]; known {
			bounded.parts[tp] = &batchPart{source: batch.parts[tp].source, begin: begin, at: begin, end: ends[kafka.TopicPartition(tp)], bounded: true, moved: now}
		}
	}
	if err := c.noteOffsets(ctx, bounded, now); err != nil {
		return false, err
	}
	c.mu.Lock()
	for tp, p := range bounded.parts {
		p.begin = max(p.begin, min(p.at, p.end)) // what was copied before is not this batch's
		batch.parts[tp] = p
	}
	c.mu.Unlock()
	c.reportUnbounded(failed)
	return len(bounded.parts) > 0, nil
}

func (c *SourceConnector) reportUnbounded(failed map[kafka.TopicPartition]error) {
	var err error
	if len(failed) > 0 {
		first := sortedPartitions(failed)[0]
		err = fmt.Errorf("%s-%d and %d others: %w", first.Topic, first.Partition, len(failed)-1, failed[first])
	}
	c.troubles.report(boundsTrouble, err, "The source does not tell where the batch ends in some partitions: they are not mirrored until it does. It is asked again",
		"partitions", len(failed), "source", c.settings.source)
}

// batchBounds asks where partitions begin, and where the batch ends in them. Those in begins have both.
func (c *SourceConnector) batchBounds(ctx context.Context, partitions []replica.TopicPartition) (ends, begins map[kafka.TopicPartition]int64, failed map[kafka.TopicPartition]error, err error) {
	until, err := c.settings.batchUntil()
	if err != nil {
		return nil, nil, nil, err
	}
	spec := kafka.Latest
	if !until.IsZero() {
		spec = max(until.UnixMilli(), 0)
	}
	tps := make([]kafka.TopicPartition, len(partitions))
	for i, tp := range partitions {
		tps[i] = kafka.TopicPartition(tp)
	}
	level := kafka.ReadUncommitted
	if readsCommitted(c.settings.props) {
		level = kafka.ReadCommitted
	}
	ends, failed, err = c.source.admin.CurrentOffsets(ctx, tps, spec, level)
	if err == nil {
		var also map[kafka.TopicPartition]error
		begins, also, err = c.source.admin.CurrentOffsets(ctx, sortedPartitions(ends), kafka.Earliest, level)
		maps.Copy(failed, also)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("look up where the batch ends on cluster %s: %w", c.settings.source, err)
	}
	return ends, begins, failed, nil
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
	more, unbounded := c.boundBatch(ctx, batch, now)
	if more {
		c.context.RequestTaskReconfiguration()
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
		return unbounded
	}
	c.troubles.forget(boundsTrouble)
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

package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/beat"
	"tributary/internal/kafka"
)

const (
	// checkEvery is how often a task looks at how its partitions do.
	checkEvery = time.Second
	// batchCommit is how often the tasks of a batch have offsets committed: the connector
	// knows by them how far they are.
	batchCommit = 5 * time.Second
	// heldLook is how often it is looked whether a refused record has got through.
	heldLook = 50 * time.Millisecond
	// dueStep is how exactly the delayed mode keeps to the time: records that are due
	// within one step are handed out together.
	dueStep = 5 * time.Millisecond
	// soon is how long before it is due a record may be held in memory. What is not due
	// for longer is dropped, and read again wakeBefore it is due.
	soon       = time.Second
	wakeBefore = 500 * time.Millisecond
)

// startReading begins to fetch. What becomes of a position that does not exist is this
// task's to decide, not the fetcher's.
func (t *SourceTask) startReading(ctx context.Context, positions map[kafka.TopicPartition]int64, consumer *kafka.Config) {
	reading := *consumer
	reading.Consumer.OffsetReset = kafka.OffsetReset{Strategy: "none"}
	if room := t.traffic.room; room > 0 && !t.lane.batches && len(t.partitions) > 1 {
		// The producer of records blocks when it is full: one answer must not fill it.
		reading.Consumer.MaxPartitionFetchBytes = min(reading.Consumer.MaxPartitionFetchBytes, max(int(room/answersInRoom), leastPartitionBytes))
	}
	if t.settings.String(modeKey) == modeDelayed {
		reading.Consumer.IdleWait = reading.Consumer.FetchMaxWait // partitions rest and come back all the time
	}
	t.fetcher = t.newFetcher(&reading)
	for tp, at := range positions {
		p := t.partitions[tp]
		p.next = at
		p.from = at
		if p.atEnd() {
			t.finish(p)
			delete(positions, tp)
		}
	}
	t.fetcher.Assign(positions)
	t.watch = &sourceWatch{
		admin: kafka.NewAdmin(t.client, consumer, t.logger), level: isolationOf(consumer), reset: consumer.Consumer.OffsetReset,
		logger: t.logger, troubles: t.troubles, cluster: t.settings.source,
	}
	t.watch.start(ctx, sortedPartitions(t.partitions))
}

// Poll implements connect.SourceTask. A batch holds at most max.poll.records records.
// Partitions that cannot be read at present are the fetcher's to retry and to log; a
// task is failed only when none of its partitions can ever be read again.
func (t *SourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	t.check()
	t.takeRefusals(ctx, time.Now())
	t.curb(time.Now())
	if len(t.stopped) == len(t.partitions) {
		return nil, fmt.Errorf("none of the %d partitions of the task can be mirrored: %w", len(t.partitions), t.firstStop())
	}
	t.throttle.set(t.limit.Load())
	if !t.throttle.rest(ctx, max(t.settings.millis(pollTimeoutKey), time.Millisecond)) {
		return nil, nil
	}
	if now := time.Now(); len(t.portions) == 0 && len(t.waiting) > 0 && !now.Before(t.again) {
		t.releaseDue(now)
	}
	if len(t.portions) == 0 {
		pause := beat.Until(max(t.settings.millis(pollTimeoutKey), time.Millisecond))
		if len(t.waiting) > 0 {
			pause = min(pause, max(time.Until(t.again), time.Millisecond))
		}
		if len(t.held) > 0 {
			pause = min(pause, heldLook)
		}
		if len(t.traffic.curbed) > 0 {
			pause = min(pause, curbEvery)
		}
		waiting, cancel := context.WithTimeout(ctx, pause)
		fetched, err := t.fetcher.Poll(waiting)
		cancel()
		if err != nil && waiting.Err() == nil {
			return nil, fmt.Errorf("read from cluster %s: %w", t.settings.source, err)
		}
		if err := t.take(fetched, time.Now()); err != nil {
			return nil, err
		}
	}
	chosen := t.choose()
	if len(chosen) == 0 {
		return nil, nil
	}
	now := time.Now()
	t.throttle.took(t.traffic.sent(chosen, now), now)
	records := convert(chosen, now)
	t.address(chosen, records)
	return records, nil
}

// address sends what the target has refused to the topic for that.
func (t *SourceTask) address(chosen []portion, records []*connect.SourceRecord) {
	i := 0
	for _, p := range chosen {
		if p.letter != nil {
			r, at := records[i], records[i].SourceOffset.(*sourceOffset)
			at.dead = true
			r.Topic, r.Partition = t.settings.deadLetterTopic(), connect.PartitionUnset
			r.Headers = append(r.Headers, letterHeaders(t.id, p.partition.tp, at.offset, p.letter)...)
		}
		i += len(p.records)
		if p.placed {
			i++
		}
	}
}

// take sorts what was fetched into what may be handed out and what has to wait.
func (t *SourceTask) take(fetched []kafka.Fetched, now time.Time) error {
	for _, f := range fetched {
		p := t.partitions[f.TopicPartition]
		if p == nil || p.finished {
			f.Release()
			continue
		}
		switch {
		case errors.Is(f.Err, kafka.ErrOffsetOutOfRange):
			p.next, p.adrift = f.NextOffset, true
			t.watch.ask(f.TopicPartition, !p.settled)
			continue
		case f.Err != nil: // the fetcher's: it has logged it and goes on trying
			continue
		}
		if p.from < 0 {
			p.from = max(f.LogStartOffset, 0)
		}
		p.next, p.settled = f.NextOffset, false
		records := f.Records
		if t.lane.batches {
			var err error
			if records, err = p.wholes(f.Batches); err != nil {
				return err
			}
		} else if p.end >= 0 {
			n, _ := slices.BinarySearchFunc(records, p.end, func(r kafka.Record, end int64) int { return int(r.Offset - end) })
			records = records[:n]
		}
		switch {
		case len(records) == 0:
		case p.probing:
			t.sendProbe(p, records)
			continue
		case p.gate != nil:
			t.wait(p, records, max(f.HighWatermark, f.NextOffset), now)
		default:
			t.queue(p, records)
		}
		if p.atEnd() {
			t.finish(p)
		}
	}
	return nil
}

// queue lets records be handed out.
func (t *SourceTask) queue(p *sourcePartition, records []kafka.Record) {
	t.portions = append(t.portions, portion{partition: p, records: records})
	p.queued += len(records)
}

// finish ends the reading of a partition whose batch is complete. Its end is stored as
// what was mirrored, whether or not the last offsets held records.
func (t *SourceTask) finish(p *sourcePartition) {
	p.finished = true
	t.fetcher.Remove(kafka.TopicPartition(p.tp))
	if p.next > 0 {
		t.portions = append(t.portions, portion{partition: p, position: min(p.next, max(p.end, p.from)) - 1, placed: true})
	}
}

// wait keeps records of the delayed mode until they are due.
func (t *SourceTask) wait(p *sourcePartition, records []kafka.Record, end int64, now time.Time) {
	p.gate.saw(end, now)
	if len(p.pending) == 0 {
		p.pending = records
	} else {
		p.pending = append(slices.Clip(p.pending), records...)
	}
	if _, waits := t.waiting[p]; !waits {
		if len(t.waiting) == 0 {
			t.again = now.Add(time.Hour)
		}
		t.waiting[p] = struct{}{}
	}
	t.again = earlier(t.again, t.release(p, now))
}

// releaseDue hands out what has become due.
func (t *SourceTask) releaseDue(now time.Time) {
	t.again = now.Add(time.Hour)
	for p := range t.waiting {
		t.again = earlier(t.again, t.release(p, now))
	}
}

// release hands out what is due of one partition and returns when to look at it again.
// While records wait, the partition is fetched no further, unless the last of them is
// due soon: the next must be here in time.
func (t *SourceTask) release(p *sourcePartition, now time.Time) time.Time {
	tp := kafka.TopicPartition(p.tp)
	if !p.asleep.IsZero() {
		if now.Before(p.asleep) {
			return p.asleep
		}
		p.asleep = time.Time{}
		delete(t.waiting, p)
		t.fetcher.Resume(tp)
		return now.Add(time.Hour)
	}
	n, due := p.gate.release(p.pending, now)
	if n > 0 {
		t.queue(p, p.pending[:n])
		p.pending = p.pending[n:]
	}
	switch {
	case len(p.pending) == 0:
		p.pending = nil
		delete(t.waiting, p)
		t.fetcher.Resume(tp)
		return now.Add(time.Hour)
	case t.stopped[tp] != nil:
		// It is not read again: what is here is kept until it is due, however long that is.
	case due.Sub(now) > soon:
		p.next = p.pending[0].Offset
		drop(p.pending)
		p.pending, p.asleep = nil, due.Add(-wakeBefore)
		t.fetcher.Pause(tp)
		t.fetcher.Add(map[kafka.TopicPartition]int64{tp: p.next})
		return p.asleep
	case p.gate.due(&p.pending[len(p.pending)-1], now).Sub(now) > soon:
		t.fetcher.Pause(tp)
	default:
		t.fetcher.Resume(tp)
	}
	if step := now.Add(dueStep); due.Before(step) {
		return step
	}
	return due
}

// choose takes up to maxPoll records off the front of portions.
func (t *SourceTask) choose() []portion {
	left := t.throttle.affordable(t.portions, t.maxPoll)
	for i := range t.portions {
		p := &t.portions[i]
		if len(p.records) > left {
			chosen := slices.Clone(t.portions[:i])
			if left > 0 {
				chosen = append(chosen, portion{partition: p.partition, records: p.records[:left]})
				p.records = p.records[left:]
			}
			t.portions = t.portions[i:]
			return chosen
		}
		left -= len(p.records)
	}
	chosen := t.portions
	t.portions = nil
	return chosen
}

// check looks after everything but the records: what was found out about lost
// positions, and how far the partitions are.
func (t *SourceTask) check() {
	found, ends := t.watch.take()
	for tp, f := range found {
		if p := t.partitions[tp]; p != nil {
			t.settle(p, f)
		}
	}
	for tp, end := range ends {
		if p := t.partitions[tp]; p != nil {
			p.sourceEnd = end
		}
	}
	now := time.Now()
	if now.Sub(t.checked) < checkEvery {
		return
	}
	t.checked = now
	placeless := t.beginLate()
	stuck := t.fetcher.Problems()
	maps.Copy(stuck, placeless)
	stopped := len(t.stopped)
	for tp, err := range stuck {
		if isDamaged(err) && t.stopped[tp] == nil {
			stopped++
		}
	}
	for tp, err := range t.unwritable() {
		if stuck[tp] == nil {
			stuck[tp] = err
		}
	}
	maps.Copy(stuck, t.stopped)
	for p := range t.held {
		if p.refused != nil && t.stopped[kafka.TopicPartition(p.tp)] == nil {
			stuck[kafka.TopicPartition(p.tp)] = p.refused
			stopped++
		}
	}
	if t.reader != nil {
		t.metrics.rebuilt.Set(float64(t.reader.Rebuilt()))
	}
	t.metrics.stuck.Set(float64(len(stuck)))
	t.metrics.stopped.Set(float64(stopped))
	t.observe(stuck, now)
	if t.settings.String(modeKey) == modeBatch && (t.finished() || now.Sub(t.asked) >= batchCommit) {
		t.asked = now
		t.requestCommit()
	}
}

// unwritable are the partitions whose copies do not take what is sent to them. Any goroutine may ask, once the page is
// there.
func (t *SourceTask) unwritable() map[kafka.TopicPartition]error {
	if t.target == nil {
		return nil
	}
	refused := t.target.Unwritable()
	if len(refused) == 0 {
		return nil
	}
	unwritable := map[kafka.TopicPartition]error{}
	for tp, p := range t.partitions {
		remote := connect.TopicPartition{Topic: p.remote, Partition: p.tp.Partition}
		if err := refused[remote]; err != nil {
			unwritable[tp] = fmt.Errorf("%s-%d of cluster %s cannot be written to, trying on: %w", remote.Topic, remote.Partition, t.settings.target, err)
		}
	}
	return unwritable
}

// observe notes how far each partition is.
func (t *SourceTask) observe(stuck map[kafka.TopicPartition]error, now time.Time) {
	var unread []kafka.TopicPartition
	var stalled []replica.TopicPartition
	for tp, p := range t.partitions {
		halted := t.stopped[tp] != nil || p.refused != nil || isDamaged(stuck[tp])
		_, curbed := t.traffic.curbed[p]
		resting := !p.asleep.IsZero() || halted || curbed
		// What the fetcher knows of a partition that it does not ask for is old.
		if end, ok := t.fetcher.HighWatermark(tp); ok && (!resting || p.sourceEnd < end) {
			p.sourceEnd = end
		}
		if resting || p.finished {
			unread = append(unread, tp)
		}
		// Logs that end in markers or compacted records are at their end without a record.
		if at, ok := t.fetcher.Position(tp); ok && p.end >= 0 && !p.finished && !p.adrift && at >= p.end {
			p.next = at
			t.finish(p)
		}
		if p.observe(stuck[tp], halted, now).stalled {
			stalled = append(stalled, p.tp)
		}
	}
	t.watch.look(unread)
	t.tellStalled(stalled)
}

// isDamaged tells that a partition waits at a batch that the source's broker has damaged.
func isDamaged(err error) bool {
	_, damaged := errors.AsType[*kafka.DamagedBatchError](err)
	return damaged
}

var errStalled = fmt.Errorf("nothing has got through for %v although records wait", stallTime)

// tellStalled says once when there begin to be partitions that do not move, and once
// when there are none any more.
func (t *SourceTask) tellStalled(stalled []replica.TopicPartition) {
	t.metrics.stalled.Set(float64(len(stalled)))
	if len(stalled) == 0 {
		t.troubles.report("stalled", nil, stalledText)
		return
	}
	slices.SortFunc(stalled, replica.TopicPartition.Compare)
	t.troubles.report("stalled", errStalled, stalledText, "partitions", len(stalled), "first", stalled[0].String(), "source", t.settings.source, "target", t.settings.target)
}

const stalledText = "Partitions make no progress although there are records to mirror"

// finished reports whether the batch of the task is complete.
func (t *SourceTask) finished() bool {
	for _, p := range t.partitions {
		if !p.finished {
			return false
		}
	}
	return true
}

// settle decides how a partition goes on whose position is gone, or whose topic is a
// new one.
func (t *SourceTask) settle(p *sourcePartition, f finding) {
	tp := kafka.TopicPartition(p.tp)
	if t.stopped[tp] != nil || p.finished {
		return
	}
	p.sourceEnd = f.latest
	at := p.next
	if at < 0 {
		return // nothing of it was read: nothing is missing
	}
	v, lost := f.judge(at, t.settings.String(onDataLossKey), time.Now())
	if lost {
		t.recordGap(p, v.gap, v.resume)
	}
	switch {
	case lost && v.stop:
		t.fetcher.Remove(tp)
		t.stop(tp, v.gap)
		t.endTries(p)
	case !lost && !p.adrift || lost && v.resume == at && !p.adrift:
	default:
		if lost {
			at = v.resume
			if p.gate != nil {
				p.gate = &delayGate{delay: p.gate.delay} // what it saw were other records at the same offsets
			}
		}
		p.settled = p.adrift
		p.next, p.adrift = at, false
		// Marks of the old records would be waited for behind offsets that may not come again.
		t.traffic.forget(p)
		drop(p.pending)
		p.pending, p.asleep = nil, time.Time{}
		delete(t.waiting, p)
		t.fetcher.Resume(tp)
		t.fetcher.Add(map[kafka.TopicPartition]int64{tp: at})
	}
}

// recordGap tells of records that the mirror could not carry over, and where it would
// go on.
func (t *SourceTask) recordGap(p *sourcePartition, g gap, next int64) {
	p.addGap(g)
	t.metrics.gaps.Add(1)
	t.logger.Warn("Records of a source partition are lost", "topic", p.tp.Topic, "partition", p.tp.Partition, "cluster", t.settings.source,
		"kind", string(g.kind), "from", g.from, "to", g.to, "next", next, onDataLossKey, t.settings.String(onDataLossKey), "reason", g.Error())
}

// stop gives a partition up for this life of the task.
func (t *SourceTask) stop(tp kafka.TopicPartition, err error) {
	t.stopped[tp] = err
	t.logger.Error("A partition is not mirrored any more. Restart the task once this is mended",
		"topic", tp.Topic, "partition", tp.Partition, "cluster", t.settings.source, "error", err)
}

func (t *SourceTask) firstStop() error {
	first := sortedPartitions(t.stopped)[0]
	return fmt.Errorf("%s-%d: %w", first.Topic, first.Partition, t.stopped[first])
}

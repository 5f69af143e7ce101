package replica

import "slices"

// DefaultSyncPermits is how many offset syncs are kept in flight. MirrorMaker 2 has 10: over a line of 80 ms the first
// syncs of 10,000 partitions would take 80 s, and be lost when the task is divided anew meanwhile. A partition has one in
// flight at most, and offset.lag.max bounds how many are due.
const DefaultSyncPermits = 500

// SyncQueue decides which offset syncs a source task sends, and when. It is a state
// machine: its owner reports acknowledged records (Acked) and periodic commits
// (Promote), and after either, and after each completion (Sent), takes what is due:
//
//	for sync, ok := queue.Next(); ok; sync, ok = queue.Next() {
//		send(sync, func(err error) { queue.Sent(sync, err) })
//	}
//
// At the end of a task: Promote, then the same loop until Idle; what Unsent counts
// after that could not be sent.
//
// A sync waits in one of two places. Pending ones go out, in order, as soon as a permit
// is free; delayed ones wait for Promote, of which there is at most one a partition, the
// newest.
//
// Unlike in MirrorMaker 2, completions make room at once instead of at the next commit,
// so a burst over many partitions drains without waiting; a sync that failed is kept
// and tried again; and a partition never has two syncs in flight, so that a retry
// cannot overtake a newer one, which readers would take for a rewind of the topic.
//
// MirrorMaker 2 keeps one pending sync of a partition. When many records are acknowledged
// while one is in flight, those between are lost, and a group that stands among these
// records is translated as far back as they go. Here they stay pending, the thinner the
// older they are: two neighbours are no further apart than the later of them lies behind
// the newest, so a burst of n records costs about log n syncs, and how far back a group is
// translated is bounded by its distance from the newest record. (Readers thin what they
// know likewise, see syncRing.)
//
// A sync that fails gives way to a newer one, unless its record begins something: it may be the one that tells readers
// that the target lost records, and that what they know is wrong from its downstream offset on. Only a downstream offset
// below that of their last sync tells them. Were it lost, and with it all that follow until the target has grown past
// what it lost, then readers would go on with syncs of records that are gone, and groups would miss those written in
// their place. (A source that goes back makes no old sync wrong: what it is read again for is written behind all of
// them.) So nothing of a partition is sent before the one that begins has arrived. Nor is it replaced by one that begins
// something later at a greater offset of the target: that one may lie beyond what readers know, and tell them nothing.
// For the same reason the oldest pending sync is never thinned out.
// What a task that ends cannot send, nobody sends.
//
// A SyncQueue is not safe for concurrent use; completions often arrive on another
// goroutine, so its owner needs a lock or one goroutine for all calls.
type SyncQueue struct {
	rule       SyncRule
	permits    int
	inFlight   int
	partitions map[TopicPartition]*partitionSyncs
	// ready lists partitions with a pending sync and none in flight, first come,
	// first served.
	ready []TopicPartition
	// delayed lists partitions that had a delayed sync, or one that failed, since the
	// last Promote, in the order they came; some may not have one any more.
	delayed []TopicPartition
}

// partitionSyncs is what the queue knows of one partition.
type partitionSyncs struct {
	state PartitionSyncState
	// acknowledged is the downstream offset of the last sync acknowledged, -1 if none.
	acknowledged int64
	// pending are in the order of the log.
	pending  []waitingSync
	delayed  waitingSync
	inFlight waitingSync
	// resting says that the first of pending failed: it waits for Promote, and the others behind it.
	resting bool
	// listed says that the partition stands in the queue's delayed list.
	listed bool
}

// waitingSync is a place for a sync, by value, for each record mirrored fills one.
type waitingSync struct {
	taken bool
	// begins is PartitionSyncState.begins of its record.
	begins               bool
	upstream, downstream int64
}

// NewSyncQueue makes a queue that asks rule about each record and keeps at most
// permits (at least 1) syncs in flight.
func NewSyncQueue(rule SyncRule, permits int) *SyncQueue {
	return &SyncQueue{rule: rule, permits: max(permits, 1), partitions: make(map[TopicPartition]*partitionSyncs)}
}

// Acked reports that the record at upstream in tp of the source has been written to
// the target at downstream. Records of one partition are reported in order.
func (q *SyncQueue) Acked(tp TopicPartition, upstream, downstream int64) {
	q.AckedRun(tp, upstream, downstream, 1)
}

// AckedRun is Acked for n records that follow each other on both sides, of which the
// first lies at upstream and downstream.
func (q *SyncQueue) AckedRun(tp TopicPartition, upstream, downstream, n int64) {
	p := q.partitions[tp]
	if p == nil {
		p = &partitionSyncs{state: NewPartitionSyncState(), acknowledged: -1}
		q.partitions[tp] = p
	}
	due := int64(-1)
	for i := range n {
		before := p.state
		if p.state.Record(q.rule, upstream+i, downstream+i) {
			due = i
			p.delayed = waitingSync{}
			q.makePending(tp, p, waitingSync{taken: true, begins: before.begins(upstream+i, downstream+i), upstream: upstream + i, downstream: downstream + i})
		}
	}
	if last := n - 1; due < last {
		q.delay(tp, p, waitingSync{taken: true, upstream: upstream + last, downstream: downstream + last})
	}
}

// Promote makes all delayed syncs due. Call it after each commit of source offsets,
// and once before the task ends.
func (q *SyncQueue) Promote() {
	for _, tp := range q.delayed {
		p := q.partitions[tp]
		p.listed = false
		if p.resting {
			p.resting = false
			q.ready = append(q.ready, tp)
		}
		if p.delayed.taken {
			q.makePending(tp, p, p.delayed)
			p.delayed = waitingSync{}
		}
	}
	q.delayed = q.delayed[:0]
}

// Next hands out a sync that is to be sent now, and takes a permit for it. It is
// false when nothing is due or no permit is free. Each sync handed out must be
// answered with one call of Sent.
func (q *SyncQueue) Next() (OffsetSync, bool) {
	if !q.Due() {
		return OffsetSync{}, false
	}
	tp := q.ready[0]
	q.ready = q.ready[1:]
	p := q.partitions[tp]
	first := p.pending[0]
	sync := OffsetSync{TopicPartition: tp, Upstream: first.upstream, Downstream: first.downstream}
	p.pending = slices.Delete(p.pending, 0, 1)
	p.inFlight = first
	q.inFlight++
	return sync, true
}

// Sent reports how the sending of a sync from Next ended, and gives its permit back.
//
// A failed sync is due again with the next Promote, and the next record of its
// partition is judged as if the sync had never been decided on; a newer sync of the
// partition replaces it, unless it begins something: then those behind it wait with
// it. So each failure is retried, at the pace of commits and records instead of in a
// tight loop.
func (q *SyncQueue) Sent(sync OffsetSync, err error) {
	p := q.partitions[sync.TopicPartition]
	if p == nil || !p.inFlight.taken {
		return
	}
	sent := p.inFlight
	p.inFlight = waitingSync{}
	q.inFlight--
	switch {
	case err == nil:
		p.acknowledged = sync.Downstream
	case sent.begins && (len(p.pending) == 0 || sent.downstream < p.pending[0].downstream):
		p.pending = slices.Insert(p.pending, 0, sent)
		p.resting = true
		q.list(sync.TopicPartition, p)
		return
	}
	if len(p.pending) > 0 {
		q.ready = append(q.ready, sync.TopicPartition)
		return
	}
	if err == nil {
		return
	}
	p.state.LastSyncDownstream = p.acknowledged
	if !p.delayed.taken {
		q.delay(sync.TopicPartition, p, sent)
	}
}

// Idle is true when nothing is due and nothing in flight. Delayed syncs may be left.
func (q *SyncQueue) Idle() bool { return q.inFlight == 0 && len(q.ready) == 0 }

// Due is true when Next has something to hand out.
func (q *SyncQueue) Due() bool { return len(q.ready) > 0 && q.inFlight < q.permits }

// Unsent counts the syncs that wait, delayed ones included; those in flight are not
// counted.
func (q *SyncQueue) Unsent() int {
	n := 0
	for _, p := range q.partitions {
		n += len(p.pending)
		if p.delayed.taken {
			n++
		}
	}
	return n
}

func (q *SyncQueue) makePending(tp TopicPartition, p *partitionSyncs, sync waitingSync) {
	if len(p.pending) == 0 && !p.inFlight.taken {
		q.ready = append(q.ready, tp)
	}
	if sync.begins {
		// Of what waits, these records are gone from the target.
		p.pending = slices.DeleteFunc(p.pending, func(w waitingSync) bool { return w.downstream >= sync.downstream })
	}
	p.pending = thin(append(p.pending, sync))
}

// thin drops syncs until neighbours are as far apart as they may be, as said at
// SyncQueue. It keeps the first and the last.
func thin(syncs []waitingSync) []waitingSync {
	newest := syncs[len(syncs)-1].downstream
	for i := len(syncs) - 2; i > 0; i-- {
		behind := syncs[i+1].downstream
		if behind-syncs[i-1].downstream <= newest-behind {
			syncs = slices.Delete(syncs, i, i+1)
		}
	}
	return syncs
}

func (q *SyncQueue) delay(tp TopicPartition, p *partitionSyncs, sync waitingSync) {
	p.delayed = sync
	q.list(tp, p)
}

// list has the next Promote look at the partition.
func (q *SyncQueue) list(tp TopicPartition, p *partitionSyncs) {
	if !p.listed {
		p.listed = true
		q.delayed = append(q.delayed, tp)
	}
}

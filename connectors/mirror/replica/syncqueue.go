package replica

// DefaultSyncPermits is how many offset syncs MirrorMaker 2 keeps in flight.
const DefaultSyncPermits = 10

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
// A sync waits in one of two places. Pending ones go out as soon as a permit is free;
// delayed ones wait for Promote. Either place holds at most one sync a partition, the
// newest.
//
// Unlike in MirrorMaker 2, completions make room at once instead of at the next commit,
// so a burst over many partitions drains without waiting; a sync that failed is kept
// and tried again; and a partition never has two syncs in flight, so that a retry
// cannot overtake a newer one, which readers would take for a rewind of the topic.
//
// As in MirrorMaker 2, a sync that shows that the target topic started again can be
// replaced before it is sent. Readers notice only if the newer one, too, lies below
// what they know.
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
	// delayed lists partitions that had a delayed sync since the last Promote, in the
	// order they came; some may not have one any more.
	delayed []TopicPartition
}

// partitionSyncs is what the queue knows of one partition.
type partitionSyncs struct {
	state PartitionSyncState
	// acknowledged is the downstream offset of the last sync acknowledged, -1 if none.
	acknowledged     int64
	pending, delayed waitingSync
	inFlight         bool
	// listed says that the partition stands in the queue's delayed list.
	listed bool
}

// waitingSync is a place for a sync, by value, for each record mirrored fills one.
type waitingSync struct {
	taken                bool
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
		if p.state.Record(q.rule, upstream+i, downstream+i) {
			due = i
		}
	}
	if due >= 0 {
		p.delayed = waitingSync{}
		q.makePending(tp, p, waitingSync{taken: true, upstream: upstream + due, downstream: downstream + due})
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
	if len(q.ready) == 0 || q.inFlight >= q.permits {
		return OffsetSync{}, false
	}
	tp := q.ready[0]
	q.ready = q.ready[1:]
	p := q.partitions[tp]
	sync := OffsetSync{TopicPartition: tp, Upstream: p.pending.upstream, Downstream: p.pending.downstream}
	p.pending = waitingSync{}
	p.inFlight = true
	q.inFlight++
	return sync, true
}

// Sent reports how the sending of a sync from Next ended, and gives its permit back.
//
// A failed sync is due again with the next Promote, and the next record of its
// partition is judged as if the sync had never been decided on; a newer sync of the
// partition replaces it. So each failure is retried, at the pace of commits and
// records instead of in a tight loop.
func (q *SyncQueue) Sent(sync OffsetSync, err error) {
	p := q.partitions[sync.TopicPartition]
	if p == nil || !p.inFlight {
		return
	}
	p.inFlight = false
	q.inFlight--
	if err == nil {
		p.acknowledged = sync.Downstream
	}
	if p.pending.taken {
		q.ready = append(q.ready, sync.TopicPartition)
		return
	}
	if err == nil {
		return
	}
	p.state.LastSyncDownstream = p.acknowledged
	if !p.delayed.taken {
		q.delay(sync.TopicPartition, p, waitingSync{taken: true, upstream: sync.Upstream, downstream: sync.Downstream})
	}
}

// Idle is true when nothing is due and nothing in flight. Delayed syncs may be left.
func (q *SyncQueue) Idle() bool { return q.inFlight == 0 && len(q.ready) == 0 }

// Unsent counts the syncs that wait, delayed ones included; those in flight are not
// counted.
func (q *SyncQueue) Unsent() int {
	n := 0
	for _, p := range q.partitions {
		if p.pending.taken {
			n++
		}
		if p.delayed.taken {
			n++
		}
	}
	return n
}

func (q *SyncQueue) makePending(tp TopicPartition, p *partitionSyncs, sync waitingSync) {
	if !p.pending.taken && !p.inFlight {
		q.ready = append(q.ready, tp)
	}
	p.pending = sync
}

func (q *SyncQueue) delay(tp TopicPartition, p *partitionSyncs, sync waitingSync) {
	p.delayed = sync
	if !p.listed {
		p.listed = true
		q.delayed = append(q.delayed, tp)
	}
}

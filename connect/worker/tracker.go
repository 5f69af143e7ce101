package worker

import (
	"slices"

	"tributary/connect"
	"tributary/internal/kafka"
)

// entry is one record between Poll and its acknowledgement. Entries are reused:
// nothing may hold on to one after the tracker released it.
type entry struct {
	record *connect.SourceRecord // as Poll returned it, before transformations
	out    kafka.Record
	batch  kafka.Batch // room for that of out
	// done is what the producer calls; it belongs to the entry for good, so that a
	// record costs no closure.
	done func(kafka.Metadata, error)
	// stale is what a producer asks before it writes the record, see kafka.Record; likewise.
	stale func() bool

	queue *queue
	seq   uint64
	acked bool
	// dropped says that the entry was taken out of its queue while it was in flight.
	dropped bool
	next    *entry // in the free list
}

// tracker knows which records were submitted and not yet acknowledged, and what
// offset of each source partition may be committed: the one of the last record of
// the longest acknowledged prefix, in order of submission. Each call is O(1),
// amortised. It is not safe for concurrent use.
//
// Invariants:
//
//	A. An offset becomes committable only when its record and every record that
//	   was submitted before it for the same source partition were acknowledged.
//	B. Every record submitted and neither acknowledged nor withdrawn is returned
//	   by unackedInOrder.
//	C. A source partition of which everything is acknowledged and committed takes
//	   no memory.
type tracker struct {
	queues map[string]*queue
	// recent saves the map look-up for runs of one source partition.
	recent      *connect.SourcePartition
	recentQueue *queue
	// unplaced holds the records that carry no position.
	unplaced queue
	dirty    []*queue
	free     *entry
	nextSeq  uint64
	unacked  int
}

// position is an offset ready to be committed.
type position struct {
	partition *connect.SourcePartition
	offset    connect.SourceOffset
}

func newTracker() tracker { return tracker{queues: map[string]*queue{}} }

// take returns a blank entry for submit.
func (t *tracker) take() *entry {
	e := t.free
	if e == nil {
		return &entry{}
	}
	t.free, e.next = e.next, nil
	return e
}

// release gives an entry back that is in no queue.
func (t *tracker) release(e *entry) {
	e.reset()
	e.next, t.free = t.free, e
}

// reset makes e blank; the room for headers stays.
func (e *entry) reset() {
	clear(e.out.Headers)
	e.out = kafka.Record{Headers: e.out.Headers[:0]}
	e.record, e.batch, e.queue, e.acked, e.dropped = nil, kafka.Batch{}, nil, false, false
}

// submit appends e, whose record is set, to what awaits acknowledgement.
func (t *tracker) submit(e *entry) {
	e.queue = t.queueOf(e.record.SourcePartition)
	e.seq = t.nextSeq
	t.nextSeq++
	t.unacked++
	e.queue.push(e)
}

// withdraw takes back the entry submitted last, which was never sent, and
// releases it.
func (t *tracker) withdraw(e *entry) {
	e.queue.dropLast()
	t.unacked--
	t.release(e)
}

// rewind takes e, which is not acknowledged, and all that was submitted behind it for
// its source partition out. e is released. Others that are in flight are marked as
// dropped: who resolves them releases them.
func (t *tracker) rewind(e *entry) {
	for q := e.queue; ; {
		last := q.last()
		q.dropLast()
		switch {
		case last == e:
			t.unacked--
			t.release(e)
			if q.count == 0 && !q.dirty {
				t.drop(q)
			}
			return
		case last.acked:
			t.release(last)
		default:
			t.unacked--
			last.dropped = true
		}
	}
}

// ack marks e as acknowledged. It may release e at once.
func (t *tracker) ack(e *entry) {
	e.acked = true
	t.unacked--
	q := e.queue
	if q.first() != e {
		return
	}
	for q.count > 0 && q.first().acked {
		head := q.first()
		q.offset = head.record.SourceOffset
		q.dropFirst()
		t.release(head)
	}
	if q.partition != nil && !q.dirty {
		q.dirty = true
		t.dirty = append(t.dirty, q)
	}
}

// committable returns the positions that became committable since the last call,
// at most one a source partition.
func (t *tracker) committable() []position {
	if len(t.dirty) == 0 {
		return nil
	}
	out := make([]position, 0, len(t.dirty))
	for _, q := range t.dirty {
		out = append(out, position{partition: q.partition, offset: q.offset})
		q.dirty, q.offset = false, nil
		if q.count == 0 {
			t.drop(q)
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	return out
}

// drop forgets an empty queue of a source partition.
func (t *tracker) drop(q *queue) {
	delete(t.queues, q.partition.Key())
	if t.recentQueue == q {
		t.recent, t.recentQueue = nil, nil
	}
}

// unackedInOrder returns what awaits acknowledgement, in the order of submission.
func (t *tracker) unackedInOrder() []*entry {
	out := make([]*entry, 0, t.unacked)
	out = t.unplaced.appendUnacked(out)
	for _, q := range t.queues {
		out = q.appendUnacked(out)
	}
	slices.SortFunc(out, func(a, b *entry) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return out
}

func (t *tracker) queueOf(p *connect.SourcePartition) *queue {
	switch {
	case p == nil:
		return &t.unplaced
	case p == t.recent:
		return t.recentQueue
	}
	q, ok := t.queues[p.Key()]
	if !ok {
		q = &queue{partition: p}
		t.queues[p.Key()] = q
	}
	t.recent, t.recentQueue = p, q
	return q
}

// queue is a ring of the entries of one source partition, in order of submission.
type queue struct {
	partition *connect.SourcePartition // nil for records without a position
	offset    connect.SourceOffset     // of the longest acknowledged prefix, if dirty
	dirty     bool

	ring  []*entry // its length is a power of two
	head  int
	count int
}

func (q *queue) first() *entry { return q.ring[q.head] }

func (q *queue) last() *entry { return q.ring[q.at(q.count-1)] }

func (q *queue) at(i int) int { return (q.head + i) & (len(q.ring) - 1) }

func (q *queue) push(e *entry) {
	if q.count == len(q.ring) {
		grown := make([]*entry, max(16, 2*len(q.ring)))
		for i := range q.count {
			grown[i] = q.ring[q.at(i)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[q.at(q.count)] = e
	q.count++
}

func (q *queue) dropFirst() {
	q.ring[q.head] = nil
	q.head = q.at(1)
	q.count--
}

func (q *queue) dropLast() {
	q.count--
	q.ring[q.at(q.count)] = nil
}

func (q *queue) appendUnacked(out []*entry) []*entry {
	for i := range q.count {
		if e := q.ring[q.at(i)]; !e.acked {
			out = append(out, e)
		}
	}
	return out
}

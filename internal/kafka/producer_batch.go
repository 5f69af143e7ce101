package kafka

import (
	"time"

	"github.com/IBM/sarama"
)

// queueState says who looks after a partition's batches.
type queueState int

const (
	idle     queueState = iota // nobody: there are none
	pending                    // the sender of its leader
	inFlight                   // a request that holds the first batch
	parked                     // the keeper: no leader yet, or waiting to retry
)

// queue holds the batches of one partition, oldest first. The producer's lock guards it.
type queue struct {
	TopicPartition
	state   queueState
	leader  int32 // -1 while not known
	batches []*batch
	flying  *batch // taken out of batches while in flight

	retryAt  time.Time
	failures int   // in a row
	lastErr  error // of those
	logged   string

	identity identity // under which nextSeq counts
	nextSeq  int32
	txnRound int // the transaction that this partition was added to
}

// all lists the batches that are not finished, oldest first.
func (q *queue) all() []*batch {
	if q.flying == nil {
		return q.batches
	}
	return append([]*batch{q.flying}, q.batches...)
}

// open returns the batch that takes the next record.
func (q *queue) open(limit, size int) *batch {
	if n := len(q.batches); n > 0 {
		if last := q.batches[n-1]; !last.closed && last.size+size <= limit {
			return last
		}
		q.batches[n-1].closed = true
	}
	b := &batch{queue: q, size: batchOverhead, created: time.Now()}
	q.batches = append(q.batches, b)
	return b
}

// batch is a record batch on its way.
type batch struct {
	queue   *queue
	wire    *sarama.RecordBatch // built when first sent
	records []*sarama.Record
	entries []entry
	slab    []sarama.Record
	base    int64 // the first record's timestamp, which the deltas count from
	size    int   // estimate, before compression
	charged int   // counted against buffer.memory
	created time.Time

	full      bool // large enough to go at once
	closed    bool // takes no more records
	sequenced bool // has a sequence number of its queue's identity
	uncertain bool // an attempt ended without an answer: it may be stored
	waiters   []*flushWait
}

// entry is what is remembered of a record for its done function.
type entry struct {
	done      func(Metadata, error)
	timestamp int64
}

// flushWait waits for batches. The producer's lock guards left.
type flushWait struct {
	left int
	done chan struct{}
}

// slabSizes: records are allocated in blocks that grow with the batch.
const (
	firstSlab = 8
	maxSlab   = 256
)

func (b *batch) add(rec *Record, timestamp int64, size int, done func(Metadata, error)) {
	if len(b.slab) == cap(b.slab) {
		b.slab = make([]sarama.Record, 0, min(max(firstSlab, 2*cap(b.slab)), maxSlab))
	}
	if len(b.records) == 0 {
		b.base = timestamp
	}
	b.slab = append(b.slab, sarama.Record{
		Key:            rec.Key,
		Value:          rec.Value,
		TimestampDelta: time.Duration(timestamp-b.base) * time.Millisecond,
		OffsetDelta:    int64(len(b.records)),
	})
	r := &b.slab[len(b.slab)-1]
	if n := len(rec.Headers); n > 0 {
		block := make([]sarama.RecordHeader, n)
		r.Headers = make([]*sarama.RecordHeader, n)
		for i := range rec.Headers {
			block[i] = sarama.RecordHeader{Key: []byte(rec.Headers[i].Key), Value: rec.Headers[i].Value}
			r.Headers[i] = &block[i]
		}
	}
	b.records = append(b.records, r)
	b.entries = append(b.entries, entry{done, timestamp})
	b.size += size
	b.charged += size
}

// build makes the wire form, once; a retry sends the same bytes again.
func (b *batch) build(codec sarama.CompressionCodec, level int, transactional bool) *sarama.RecordBatch {
	if b.wire == nil {
		latest := b.base
		for _, e := range b.entries {
			latest = max(latest, e.timestamp)
		}
		b.wire = &sarama.RecordBatch{
			Version:              2,
			Codec:                codec,
			CompressionLevel:     level,
			PartitionLeaderEpoch: -1,
			FirstTimestamp:       time.UnixMilli(b.base),
			MaxTimestamp:         time.UnixMilli(latest),
			LastOffsetDelta:      int32(len(b.records) - 1),
			ProducerID:           -1,
			ProducerEpoch:        -1,
			FirstSequence:        -1,
			Records:              b.records,
			IsTransactional:      transactional,
		}
	}
	return b.wire
}

// number gives the batch its place in its queue's sequence, unless it has one already.
func (b *batch) number(id identity) {
	q := b.queue
	if !b.sequenced {
		if q.identity != id {
			q.identity, q.nextSeq = id, 0
		}
		b.wire.ProducerID, b.wire.ProducerEpoch, b.wire.FirstSequence = id.id, id.epoch, q.nextSeq
		q.nextSeq = addSequence(q.nextSeq, len(b.records))
		b.sequenced = true
	}
}

// unnumber takes the place back: the broker has not stored the batch, and nothing came after it.
func (b *batch) unnumber() {
	if b.sequenced {
		b.queue.nextSeq = b.wire.FirstSequence
		b.sequenced = false
	}
}

// addSequence counts as Java does: after the largest int32 comes 0.
func addSequence(seq int32, n int) int32 {
	return int32((int64(seq) + int64(n)) & 0x7fffffff)
}

// split makes two batches of one that is too large.
func (b *batch) split() (first, second *batch) {
	half := len(b.records) / 2
	part := func(from, to int) *batch {
		n := &batch{
			queue: b.queue, created: b.created, closed: true, full: true, size: batchOverhead,
			base:    b.entries[from].timestamp,
			entries: b.entries[from:to:to],
			records: b.records[from:to:to],
			waiters: append([]*flushWait(nil), b.waiters...),
		}
		for i, r := range n.records {
			r.OffsetDelta = int64(i)
			r.TimestampDelta = time.Duration(n.entries[i].timestamp-n.base) * time.Millisecond
			n.size += recordOverhead + len(r.Key) + len(r.Value)
			for _, h := range r.Headers {
				n.size += headerOverhead + len(h.Key) + len(h.Value)
			}
		}
		n.charged = n.size - batchOverhead
		return n
	}
	first, second = part(0, half), part(half, len(b.records))
	for _, w := range b.waiters {
		w.left++
	}
	return first, second
}

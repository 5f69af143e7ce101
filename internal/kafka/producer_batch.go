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
	data    []byte              // the records in it; kept until the batch is done with, for it may be sent again
	entries []entry
	size    int // estimate, before compression
	charged int // counted against buffer.memory
	created time.Time

	full      bool // large enough to go at once
	closed    bool // takes no more records
	sequenced bool // has a sequence number of its queue's identity
	uncertain bool // it may be stored: an attempt was not answered, or was answered so that this is open
	waiters   []*flushWait
}

// entry is a record of a batch. The record is its sender's again once done has run.
type entry struct {
	rec       *Record
	done      func(Metadata, error)
	timestamp int64
}

// flushWait waits for batches. The producer's lock guards left.
type flushWait struct {
	left int
	done chan struct{}
}

func (b *batch) add(rec *Record, timestamp int64, size int, done func(Metadata, error)) {
	b.entries = append(b.entries, entry{rec, done, timestamp})
	b.size += size
	b.charged += size
}

// build makes the wire form, once; a retry sends the same bytes again. The batch takes no more records, and belongs to the
// sender that calls.
func (b *batch) build(codec sarama.CompressionCodec, level int, transactional bool) {
	if b.wire != nil {
		return
	}
	// The deltas count from the first record's timestamp.
	base := b.entries[0].timestamp
	latest := base
	for i := range b.entries {
		latest = max(latest, b.entries[i].timestamp)
	}
	b.wire = &sarama.RecordBatch{
		Version:              2,
		Codec:                codec,
		CompressionLevel:     level,
		PartitionLeaderEpoch: -1,
		FirstTimestamp:       time.UnixMilli(base),
		MaxTimestamp:         time.UnixMilli(latest),
		LastOffsetDelta:      int32(len(b.entries) - 1),
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		IsTransactional:      transactional,
	}
	if codec != sarama.CompressionNone {
		b.wire.Records = saramaRecords(b.entries)
		return
	}
	b.data = appendRecords(takeBuffer(b.size), b.entries)
	setEncoded(b.wire, b.data, len(b.entries))
}

// recycle gives the memory of a batch back of which the broker has said that it is stored, so that nobody reads it any more.
func (b *batch) recycle() {
	giveBuffer(b.data)
	b.data, b.wire = nil, nil
}

// number gives the batch its place in its queue's sequence, unless it has one already.
func (b *batch) number(id identity) {
	q := b.queue
	if !b.sequenced {
		if q.identity != id {
			q.identity, q.nextSeq = id, 0
		}
		b.wire.ProducerID, b.wire.ProducerEpoch, b.wire.FirstSequence = id.id, id.epoch, q.nextSeq
		q.nextSeq = addSequence(q.nextSeq, len(b.entries))
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
	half := len(b.entries) / 2
	part := func(from, to int) *batch {
		n := &batch{
			queue: b.queue, created: b.created, closed: true, full: true, size: batchOverhead,
			entries: b.entries[from:to:to],
			waiters: append([]*flushWait(nil), b.waiters...),
		}
		for i := range n.entries {
			n.size += recordSize(n.entries[i].rec)
		}
		n.charged = n.size - batchOverhead
		return n
	}
	first, second = part(0, half), part(half, len(b.entries))
	for _, w := range b.waiters {
		w.left++
	}
	return first, second
}

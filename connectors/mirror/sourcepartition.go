package mirror

import (
	"sync/atomic"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// sourcePartition is one mirrored partition: what all its records share, made once, and
// how far it is. The task's goroutine owns it but for progress.
type sourcePartition struct {
	tp       replica.TopicPartition
	remote   string
	position *connect.SourcePartition
	metrics  partitionMetrics
	// heartbeat is the age of the last heartbeat, of heartbeats topics alone.
	heartbeat connect.Gauge

	// from is where reading began, next is behind what was taken from the fetcher;
	// negative while it is not known.
	from, next int64
	// adrift says that the position is out of range, and what became of it is being found
	// out.
	adrift bool
	// settled says that a position which was out of range was decided on, and nothing was read since.
	settled bool
	// end is where the batch ends, noEnd without one.
	end      int64
	finished bool
	// gate is there in the delayed mode alone. pending are records that are not due;
	// asleep is when to begin to read again after none was due soon.
	gate    *delayGate
	pending []kafka.Record
	asleep  time.Time

	// refused is why the target refused the record at next, nil unless it did. probe is the
	// offset of that record while it is tried again alone, else -1; probing says that it
	// is being read for that. letter is why it goes to the topic for refused records.
	refused, letter error
	probe           int64
	probing         bool
	retryAt         time.Time
	retries         int

	// bare says that nothing was written to the copy yet, as far as what is stored tells.
	// The producer's goroutine ends it.
	bare atomic.Bool
	// toldLate says that records are written in transactions: what became of them is told
	// after the offsets behind them were stored.
	toldLate bool

	sourceEnd int64 // of the log, as last seen, -1 before
	// queued are records that may be handed out; handedTo is behind the last that was, -1
	// before the first.
	queued   int
	handedTo int64
	backlog  backlog
	progress progress
}

func newSourcePartition(m connect.Metrics, s *settings, tp replica.TopicPartition, position *connect.SourcePartition, end int64) *sourcePartition {
	p := &sourcePartition{
		tp: tp, remote: s.remoteTopic(tp.Topic), position: position, metrics: newPartitionMetrics(m, s, tp),
		from: -1, next: -1, end: end, sourceEnd: -1, probe: -1, handedTo: -1,
	}
	if s.policy.IsHeartbeatsTopic(tp.Topic) {
		p.heartbeat = newHeartbeatAge(m, s, tp.Topic)
	}
	p.progress.upTo.Store(-1)
	p.progress.seen = standing{sourceEnd: -1, mirrored: -1}
	if d := s.delay(); d > 0 {
		p.gate = &delayGate{delay: d}
	}
	return p
}

// atEnd reports whether the batch is read to its end.
func (p *sourcePartition) atEnd() bool { return p.end >= 0 && p.next >= p.end }

// sourceOffset is the offset of one mirrored record, and the way from an acknowledged
// record back to its partition. Those of a portion lie in one slice, so that a record
// costs no allocation for it; those of other partitions do not, for the last one of each
// is kept until it is committed. For a whole batch it is the last record's.
type sourceOffset struct {
	offset    int64
	partition *sourcePartition
	// dead says that the record goes to the topic for refused ones.
	dead bool
	// bare says that nothing up to this offset was written to the copy, unless something
	// before it still was.
	bare  atomic.Bool
	whole *kafka.Batch // nil for a single record, and once it is acknowledged
}

// OffsetFields implements connect.SourceOffset.
func (o *sourceOffset) OffsetFields() map[string]any {
	fields := replica.WrapOffset(o.offset)
	if o.bare.Load() && o.partition.bare.Load() {
		fields[bareField] = true
	}
	return fields
}

// batch is room for the records of one Poll. Everything that the worker keeps until
// the records are acknowledged lies in few slices, not in an object a record.
type batch struct {
	pointers []*connect.SourceRecord
	// records are what is left of the room for them.
	records []connect.SourceRecord
	headers []connect.Header
}

func newBatch(records, headers int) *batch {
	return &batch{
		pointers: make([]*connect.SourceRecord, 0, records),
		records:  make([]connect.SourceRecord, records),
		headers:  make([]connect.Header, 0, headers),
	}
}

// add appends records of p as they are to be written to the target. Everything is kept:
// partition, timestamp, order and repetition of headers, the difference between null
// and empty. The bytes are shared with the fetched records.
func (b *batch) add(p *sourcePartition, records []kafka.Record) {
	offsets := make([]sourceOffset, len(records))
	for i := range records {
		from, to, at := &records[i], &b.records[i], &offsets[i]
		at.offset, at.partition = from.Offset, p
		to.Topic, to.Partition, to.Timestamp = p.remote, p.tp.Partition, from.Timestamp
		to.SourcePartition, to.SourceOffset = p.position, at
		b.pointers = append(b.pointers, to)
		if whole := from.Batch; whole != nil {
			at.offset, at.whole = whole.Last, whole
			to.Batch = &connect.Batch{Data: whole.Data, Records: int(whole.Records), Release: whole.Release, Own: whole.Own}
			continue
		}
		to.KeySchema, to.ValueSchema = connect.OptionalBytesSchema, connect.BytesSchema
		if from.Key != nil {
			to.Key = from.Key
		}
		if from.Value != nil {
			to.Value = from.Value
		}
		if len(from.Headers) > 0 {
			to.Headers = b.addHeaders(from.Headers)
		}
	}
	b.records = b.records[len(records):]
}

// place appends a position without a record.
func (b *batch) place(p *sourcePartition, position int64) {
	to := &b.records[0]
	at := &sourceOffset{offset: position, partition: p}
	at.bare.Store(!p.toldLate || p.handedTo < 0) // else p.bare may not know yet
	to.PositionOnly, to.SourcePartition, to.SourceOffset = true, p.position, at
	b.pointers = append(b.pointers, to)
	b.records = b.records[1:]
}

func (b *batch) addHeaders(headers []kafka.Header) []connect.Header {
	first := len(b.headers)
	for _, h := range headers {
		if h.Value == nil {
			b.headers = append(b.headers, connect.Header{Key: h.Key, Schema: connect.OptionalBytesSchema})
			continue
		}
		b.headers = append(b.headers, connect.Header{Key: h.Key, Schema: connect.BytesSchema, Value: h.Value})
	}
	return b.headers[first:len(b.headers):len(b.headers)]
}

// portion is a part of what was fetched from one partition; or, if placed, a position
// that is to be stored behind all before it.
type portion struct {
	partition *sourcePartition
	records   []kafka.Record
	position  int64
	placed    bool
	// letter is why the one record is sent to the topic for refused ones; nil unless it is.
	letter error
}

// convert makes one batch of portions.
func convert(portions []portion, now time.Time) []*connect.SourceRecord {
	records, headers := 0, 0
	for _, p := range portions {
		records += len(p.records)
		if p.placed {
			records++
		}
		for i := range p.records {
			headers += len(p.records[i].Headers)
		}
	}
	b := newBatch(records, headers)
	for _, p := range portions {
		if p.placed {
			b.place(p.partition, p.position)
			continue
		}
		b.add(p.partition, p.records)
		if len(p.records) > 0 {
			p.partition.handedTo = behind(&p.records[len(p.records)-1])
		}
		p.partition.queued -= len(p.records)
		p.partition.metrics.polled(p.records, now)
	}
	return b.pointers
}

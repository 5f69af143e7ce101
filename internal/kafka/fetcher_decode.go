package kafka

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// decodeBlock makes records of what a fetch from offset brought: without control records, without what
// lies before offset (brokers send whole batches), and with readCommitted without aborted data. Keys,
// values and header values are slices of the answer.
func decodeBlock(tp TopicPartition, offset int64, block *sarama.FetchResponseBlock, readCommitted bool) *Fetched {
	got := &Fetched{
		TopicPartition: tp, NextOffset: offset,
		HighWatermark: block.HighWaterMarkOffset, LastStableOffset: block.LastStableOffset, LogStartOffset: block.LogStartOffset,
	}
	d := decoder{tp: tp, from: offset}
	total := 0
	for _, set := range block.RecordsSet {
		if set.RecordBatch != nil {
			total += len(set.RecordBatch.Records)
		}
	}
	if total > 0 {
		d.records = make([]Record, 0, total)
	}
	var skip *abortedRanges
	if readCommitted {
		skip = newAbortedRanges(block.AbortedTransactions)
	}
	for i, set := range block.RecordsSet {
		switch {
		case set.MsgSet != nil:
			d.messages(set.MsgSet)
			if d.next > 0 {
				got.NextOffset = max(got.NextOffset, d.next)
			}
		case set.RecordBatch != nil:
			batch := set.RecordBatch
			if batch.PartialTrailingRecord {
				if i == 0 && !truncated(set) {
					got.Err = &DamagedBatchError{TopicPartition: tp, Offset: batch.FirstOffset, Err: errUndecodable}
				}
				continue
			}
			if !skip.skips(batch) && !batch.Control {
				d.batch(batch)
			}
			got.NextOffset = max(got.NextOffset, batch.LastOffset()+1)
		}
	}
	if len(block.RecordsSet) == 0 && !block.Partial {
		got.NextOffset = max(got.NextOffset, emptyBatchesEnd(block))
	}
	got.Records = d.records
	return got
}

var errUndecodable = errors.New("its records cannot be decoded")

// decoder collects the records of one partition's answer.
type decoder struct {
	tp      TopicPartition
	from    int64 // what lies before is dropped
	records []Record
	headers []Header // headers of records are cut from blocks
	next    int64    // after the last message of old formats
}

func (d *decoder) batch(b *sarama.RecordBatch) {
	base := int64(NoTimestamp)
	if !b.FirstTimestamp.IsZero() {
		base = b.FirstTimestamp.UnixMilli()
	}
	appended := int64(NoTimestamp)
	if !b.MaxTimestamp.IsZero() {
		appended = b.MaxTimestamp.UnixMilli()
	}
	headers := 0
	for _, r := range b.Records {
		headers += len(r.Headers)
	}
	d.headers = make([]Header, 0, headers)
	for _, r := range b.Records {
		offset := b.FirstOffset + r.OffsetDelta
		if offset < d.from {
			continue
		}
		rec := Record{
			Topic: d.tp.Topic, Partition: d.tp.Partition, Offset: offset,
			Timestamp: base + int64(r.TimestampDelta/time.Millisecond),
			Key:       r.Key, Value: r.Value,
		}
		if b.LogAppendTime {
			rec.Timestamp, rec.LogAppendTime = appended, true
		}
		if len(r.Headers) > 0 {
			first := len(d.headers)
			for _, h := range r.Headers {
				d.headers = append(d.headers, Header{Key: string(h.Key), Value: h.Value})
			}
			rec.Headers = d.headers[first:len(d.headers):len(d.headers)]
		}
		d.records = append(d.records, rec)
	}
}

// messages takes over message sets of the formats 0 and 1, which old brokers and old data still have.
func (d *decoder) messages(set *sarama.MessageSet) {
	for _, outer := range set.Messages {
		inner := outer.Messages()
		for _, m := range inner {
			offset := m.Offset
			if outer.Msg.Set != nil && outer.Msg.Version >= 1 {
				// Offsets inside a compressed message of format 1 are relative; the outer one is the last's.
				offset += outer.Offset - inner[len(inner)-1].Offset
			}
			d.next = max(d.next, offset+1)
			if offset < d.from {
				continue
			}
			rec := Record{
				Topic: d.tp.Topic, Partition: d.tp.Partition, Offset: offset,
				Timestamp: NoTimestamp, Key: m.Msg.Key, Value: m.Msg.Value,
			}
			stamp := m.Msg.Timestamp
			if outer.Msg.LogAppendTime {
				stamp, rec.LogAppendTime = outer.Msg.Timestamp, true
			}
			if !stamp.IsZero() {
				rec.Timestamp = stamp.UnixMilli()
			}
			d.records = append(d.records, rec)
		}
	}
}

// abortedRanges knows which transactional batches of one answer were aborted. Batches come in offset
// order; a producer's data is aborted from the first offset given until its abort marker.
type abortedRanges struct {
	todo []*sarama.AbortedTransaction // by first offset
	open map[int64]struct{}           // producers
}

func newAbortedRanges(aborted []*sarama.AbortedTransaction) *abortedRanges {
	if len(aborted) == 0 {
		return nil
	}
	todo := slices.Clone(aborted)
	slices.SortFunc(todo, func(a, b *sarama.AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return &abortedRanges{todo: todo, open: make(map[int64]struct{})}
}

func (a *abortedRanges) skips(b *sarama.RecordBatch) bool {
	if a == nil {
		return false
	}
	for len(a.todo) > 0 && a.todo[0].FirstOffset <= b.LastOffset() {
		a.open[a.todo[0].ProducerID] = struct{}{}
		a.todo = a.todo[1:]
	}
	if b.Control {
		if isAbortMarker(b) {
			delete(a.open, b.ProducerID)
		}
		return true
	}
	_, aborted := a.open[b.ProducerID]
	return aborted && b.IsTransactional
}

// isAbortMarker reads the key of a control record: version, then type, 0 for abort.
func isAbortMarker(b *sarama.RecordBatch) bool {
	if len(b.Records) == 0 {
		return false
	}
	key := b.Records[0].Key
	return len(key) >= 4 && key[2] == 0 && key[3] == 0
}

// sarama keeps two facts to itself without which a position cannot pass, or must not pass, a batch. They
// are read by reflection, which may read what it may not set.
var (
	nextOffsetField = fieldIndex[sarama.FetchResponseBlock]("recordsNextOffset", reflect.Pointer)
	partialSize     = fieldIndex[sarama.RecordBatch]("partialSize", reflect.Int32)
)

func fieldIndex[T any](name string, kind reflect.Kind) []int {
	field, ok := reflect.TypeFor[T]().FieldByName(name)
	if !ok || field.Type.Kind() != kind {
		panic("sarama no longer has the field " + name + "; the test of empty batches says what for")
	}
	return field.Index
}

// emptyBatchesEnd is the offset after batches without records, which compaction leaves at the end of a
// log and sarama leaves out. 0 when there are none.
func emptyBatchesEnd(block *sarama.FetchResponseBlock) int64 {
	next := reflect.ValueOf(block).Elem().FieldByIndex(nextOffsetField)
	if next.IsNil() {
		return 0
	}
	return next.Elem().Int()
}

// truncated says whether a partial batch is one that the answer was too small for, rather than broken.
func truncated(set *sarama.Records) bool {
	return reflect.ValueOf(set.RecordBatch).Elem().FieldByIndex(partialSize).Int() > 0
}

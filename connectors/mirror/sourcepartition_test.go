package mirror

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

func testPartition(m connect.Metrics) *sourcePartition {
	tp := replica.TopicPartition{Topic: "t", Partition: 3}
	s := &settings{source: "A", target: "B"}
	s.policy, _ = replica.NewPolicy("", nil)
	return &sourcePartition{
		tp: tp, remote: "A.t", position: connect.NewSourcePartition(replica.SourcePartitionMap("A", "t", 3)),
		metrics: newPartitionMetrics(m, s, tp),
	}
}

func TestARecordIsConvertedFieldByField(t *testing.T) {
	p := testPartition(&meter{values: map[string]float64{}})
	got := convert([]portion{{partition: p, records: []kafka.Record{
		{Topic: "t", Partition: 3, Offset: 41, Timestamp: kafka.NoTimestamp, Key: nil, Value: nil},
		{Topic: "t", Partition: 3, Offset: 42, Timestamp: 5, Key: []byte{}, Value: []byte("v"), Headers: []kafka.Header{{Key: "a", Value: nil}, {Key: "a", Value: []byte{}}, {Key: "b", Value: []byte("x")}}},
		{Topic: "t", Partition: 3, Offset: 43, Timestamp: 0, Key: []byte("k"), Value: []byte{}, Headers: []kafka.Header{{Key: "c", Value: []byte("y")}}},
	}}}, time.Now())

	want := []connect.Record{
		{Topic: "A.t", Partition: 3, Timestamp: connect.NoTimestamp, KeySchema: connect.OptionalBytesSchema, ValueSchema: connect.BytesSchema},
		{Topic: "A.t", Partition: 3, Timestamp: 5, KeySchema: connect.OptionalBytesSchema, Key: []byte{}, ValueSchema: connect.BytesSchema, Value: []byte("v"),
			Headers: []connect.Header{{Key: "a", Schema: connect.OptionalBytesSchema}, {Key: "a", Schema: connect.BytesSchema, Value: []byte{}}, {Key: "b", Schema: connect.BytesSchema, Value: []byte("x")}}},
		{Topic: "A.t", Partition: 3, Timestamp: 0, KeySchema: connect.OptionalBytesSchema, Key: []byte("k"), ValueSchema: connect.BytesSchema, Value: []byte{},
			Headers: []connect.Header{{Key: "c", Schema: connect.BytesSchema, Value: []byte("y")}}},
	}
	for i, r := range got {
		if diff := cmp.Diff(want[i], r.Record); diff != "" {
			t.Errorf("record %d: %s", i, diff)
		}
		if diff := cmp.Diff(map[string]any{"offset": int64(41 + i)}, r.SourceOffset.OffsetFields()); diff != "" {
			t.Errorf("record %d: %s", i, diff)
		}
		if r.SourcePartition != p.position {
			t.Errorf("record %d has a source partition of its own", i)
		}
	}
}

// The worker keeps the last acknowledged offset of each partition until it is committed. What came with the record must
// not stay with it, nor what was handed out with it for other partitions.
func TestAnAcknowledgedOffsetHoldsNoBatch(t *testing.T) {
	p, q := testPartition(&meter{values: map[string]float64{}}), testPartition(&meter{values: map[string]float64{}})
	answer := new([1 << 20]byte)
	gone := weak.Make(answer)
	task := &SourceTask{}
	var kept []connect.SourceOffset
	func() {
		batch := func(first int64, data []byte) kafka.Record {
			return kafka.Record{Offset: first, Timestamp: 1, Batch: &kafka.Batch{Data: data, First: first, Last: first + 9, Records: 10, Release: func() {}}}
		}
		records := convert([]portion{{partition: p, records: []kafka.Record{batch(0, answer[:10])}}, {partition: q, records: []kafka.Record{batch(7, answer[10:])}}}, time.Now())
		for _, r := range records {
			task.CommitRecord(r, &connect.RecordMetadata{Topic: "A.t", Partition: 3, Offset: 9, First: 0})
			kept = append(kept, r.SourceOffset)
		}
	}()
	answer = nil

	runtime.GC()

	if gone.Value() != nil {
		t.Error("the bytes of the batches are still held")
	}
	if diff := cmp.Diff([]map[string]any{{"offset": int64(9)}, {"offset": int64(16)}}, []map[string]any{kept[0].OffsetFields(), kept[1].OffsetFields()}); diff != "" {
		t.Error(diff)
	}
}

func TestAPositionIsBareIfNothingWasWrittenBeforeIt(t *testing.T) {
	written := &connect.RecordMetadata{Topic: "A.t", Partition: 3}
	for name, c := range map[string]struct {
		records       []*connect.RecordMetadata // what becomes of them, nil for left out
		transactional bool
		want          bool
	}{
		"no records":                           {want: true},
		"all left out":                         {records: []*connect.RecordMetadata{nil, nil}, want: true},
		"one written":                          {records: []*connect.RecordMetadata{nil, written}},
		"no records, in a transaction":         {transactional: true, want: true},
		"what a transaction does not tell yet": {records: []*connect.RecordMetadata{nil, nil}, transactional: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPartition(&meter{values: map[string]float64{}})
			p.handedTo, p.toldLate = -1, c.transactional
			p.bare.Store(true)
			records := convert([]portion{{partition: p, records: make([]kafka.Record, len(c.records))}, {partition: p, position: 7, placed: true}}, time.Now())
			if !c.transactional {
				for i, md := range c.records {
					new(SourceTask).CommitRecord(records[i], md)
				}
			}

			want := map[string]any{"offset": int64(7)}
			if c.want {
				want["bare"] = true
			}
			if diff := cmp.Diff(want, records[len(c.records)].SourceOffset.OffsetFields()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABatchHoldsNoMoreThanMaxPollRecordsAndLosesNone(t *testing.T) {
	p, q := testPartition(&meter{values: map[string]float64{}}), testPartition(&meter{values: map[string]float64{}})
	records := func(from, n int64) (out []kafka.Record) {
		for i := range n {
			out = append(out, kafka.Record{Offset: from + i})
		}
		return out
	}
	task := &SourceTask{maxPoll: 3, portions: []portion{{partition: p, records: records(0, 3)}, {partition: q, records: records(10, 5)}, {partition: p, records: records(20, 1)}}}
	var got [][]int64
	for {
		chosen := task.choose()
		if len(chosen) == 0 {
			break
		}
		var offsets []int64
		for _, r := range convert(chosen, time.Now()) {
			offsets = append(offsets, r.SourceOffset.(*sourceOffset).offset)
		}
		got = append(got, offsets)
	}
	if diff := cmp.Diff([][]int64{{0, 1, 2}, {10, 11, 12}, {13, 14, 20}}, got); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkConvert measures what a record costs between the fetcher and the worker.
func BenchmarkConvert(b *testing.B) {
	for _, test := range []struct {
		name    string
		headers []kafka.Header
	}{{"plain", nil}, {"two headers", []kafka.Header{{Key: "trace", Value: []byte("0123456789abcdef")}, {Key: "type", Value: []byte("order")}}}} {
		b.Run(test.name, func(b *testing.B) {
			p := testPartition(&meter{values: map[string]float64{}})
			records := make([]kafka.Record, 2000)
			for i := range records {
				records[i] = kafka.Record{Topic: "t", Partition: 3, Offset: int64(1000 + i), Timestamp: 1, Key: make([]byte, 16), Value: make([]byte, 256), Headers: test.headers}
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(records) {
				convert([]portion{{partition: p, records: records[:min(len(records), b.N-n)]}}, time.Now())
			}
		})
	}
}

// BenchmarkAcknowledge measures what a record costs when it is acknowledged.
func BenchmarkAcknowledge(b *testing.B) {
	m := nothingMeasured{}
	p := testPartition(m)
	s := &settings{source: "A", target: "B"}
	task := &SourceTask{syncs: startSyncWriter(b.Context(), "syncs", 100, &deafProducer{}, newTroubles(discard()), newSourceTaskMetrics(m, s))}
	defer task.syncs.stop(b.Context())
	record := &connect.SourceRecord{SourceOffset: &sourceOffset{offset: 0, partition: p}}
	md := &connect.RecordMetadata{}
	b.ReportAllocs()
	for n := range b.N {
		record.SourceOffset.(*sourceOffset).offset, md.Offset = int64(n), int64(n)
		task.CommitRecord(record, md)
	}
}

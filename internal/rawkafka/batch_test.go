package rawkafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

// decoded is a record as an independent decoder, franz-go's, reads it.
type decoded struct {
	Offset, Timestamp int64
	Key, Value        string
	Headers           string
}

func decode(t *testing.T, from int64, batches ...batch) []decoded {
	t.Helper()
	var part kmsg.FetchResponseTopicPartition
	for _, b := range batches {
		part.RecordBatches = append(part.RecordBatches, b...)
	}
	read, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from}, &part, kgo.DefaultDecompressor(), nil)
	if read.Err != nil {
		t.Fatal(read.Err)
	}
	var out []decoded
	for _, r := range read.Records {
		d := decoded{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: show(r.Key), Value: show(r.Value)}
		for _, h := range r.Headers {
			d.Headers += h.Key + "=" + show(h.Value) + ";"
		}
		out = append(out, d)
	}
	return out
}

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

// sample are records of every shape.
func sample() []kafka.Record {
	return []kafka.Record{
		{Timestamp: 1700000000000, Key: []byte("k0"), Value: []byte("v0")},
		{Timestamp: 1699999999000, Value: []byte{}, Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Key: "", Value: []byte{}}}},
		{Timestamp: 1700000005000, Key: []byte("k2")},
		{Timestamp: 1700000001000, Key: []byte{}, Value: make([]byte, 3000)},
	}
}

func mustEncode(t *testing.T, records []kafka.Record, codec int8) batch {
	t.Helper()
	b, err := encode(records, codec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// at gives a batch the offsets that it would have in a log.
func at(b batch, base int64) batch {
	binary.BigEndian.PutUint64(b, uint64(base))
	return b
}

// withAttributes sets bits and mends the checksum.
func withAttributes(b batch, bits uint16) batch {
	binary.BigEndian.PutUint16(b[atAttributes:], b.attributes()|bits)
	b.sum()
	return b
}

func TestEveryCodecEncodesWhatOthersDecode(t *testing.T) {
	want := []decoded{
		{7, 1700000000000, `"k0"`, `"v0"`, ""},
		{8, 1699999999000, "null", `""`, `a="1";a=null;="";`},
		{9, 1700000005000, `"k2"`, "null", ""},
		{10, 1700000001000, `""`, fmt.Sprintf("%q", make([]byte, 3000)), ""},
	}
	for codec := range int8(5) {
		b := mustEncode(t, sample(), codec)
		if diff := cmp.Diff(want, decode(t, 0, at(b, 7))); diff != "" {
			t.Errorf("codec %d: %s", codec, diff)
		}
		if b.codec() != codec || b.maxTimestamp() != 1700000005000 || b.hasHoles() || !b.intact() {
			t.Errorf("codec %d: header %x", codec, []byte(b[:headerSize]))
		}
	}
}

func TestStampChangesTheHeaderAlone(t *testing.T) {
	b := withAttributes(at(mustEncode(t, sample(), 4), 12), transactionalBit|deleteHorizonBit)
	records := string(b[headerSize:])

	b.stamp(identity{id: 77, epoch: 3}, 2147483647, true)

	var got kmsg.RecordBatch
	if err := got.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if got.FirstOffset != 0 || got.PartitionLeaderEpoch != -1 || got.Attributes != 4|0x10 || got.ProducerID != 77 ||
		got.ProducerEpoch != 3 || got.FirstSequence != 2147483647 || got.LastOffsetDelta != 3 || got.NumRecords != 4 {
		t.Errorf("header %+v", got)
	}
	if string(b[headerSize:]) != records {
		t.Error("the records changed")
	}
	if want := int32(crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli))); got.CRC != want {
		t.Errorf("checksum %x, want %x", got.CRC, want)
	}
	if next := nextSequence(2147483647, 4); next != 3 {
		t.Errorf("the sequence goes on at %d, want 3", next)
	}
}

func TestBatchesAreCutOutOfAnAnswer(t *testing.T) {
	a, b, c := at(mustEncode(t, sample(), 0), 100), at(mustEncode(t, sample(), 2), 104), at(mustEncode(t, sample(), 1), 120)
	data := append(append(append([]byte{}, a...), b...), c...)

	cut := cutter{from: 100}
	if err := cut.cut(data[:len(data)-1]); err != nil {
		t.Fatal(err)
	}

	if len(cut.batches) != 2 || cut.next != 108 || cut.rebuilt != 0 {
		t.Fatalf("%d batches, next %d, rebuilt %d; the third is not all there", len(cut.batches), cut.next, cut.rebuilt)
	}
	if second := cut.batches[1]; &second.batch[0] != &data[len(a)] || second.first != 104 || second.last != 107 || second.offsets != nil {
		t.Error("the second batch is not that of the answer")
	}
}

func TestAFirstBatchIsTrimmed(t *testing.T) {
	for codec := range int8(5) {
		b := at(mustEncode(t, sample(), codec), 100)
		cut := cutter{from: 102}
		if err := cut.cut(b); err != nil {
			t.Fatal(err)
		}
		if len(cut.batches) != 1 || cut.next != 104 {
			t.Fatalf("codec %d: %d batches, next %d", codec, len(cut.batches), cut.next)
		}
		got := cut.batches[0]
		if got.first != 102 || got.last != 103 || got.offsets != nil || got.codec() != codec || got.maxTimestamp() != 1700000005000 {
			t.Errorf("codec %d: %d to %d, %v, latest %d", codec, got.first, got.last, got.offsets, got.maxTimestamp())
		}
		if diff := cmp.Diff(decode(t, 102, b), decode(t, 0, at(got.batch, 102))); diff != "" {
			t.Errorf("codec %d: %s", codec, diff)
		}
	}
}

func TestHolesAreClosed(t *testing.T) {
	whole := at(mustEncode(t, sample(), 3), 100)
	// What compaction leaves: offsets 101 and 103 of 100 to 105, under the offsets of the whole.
	records, err := unpack(whole)
	if err != nil {
		t.Fatal(err)
	}
	var plain []byte
	var r recordReader
	for i := range 4 {
		if i == 0 {
			r.rest = records
		}
		if !r.next(r.rest) {
			t.Fatal("cannot read back")
		}
		if i%2 == 1 {
			plain = appendRecord(plain, r.attributes, r.timestampDelta, r.offsetDelta, r.body)
		}
	}
	holed, err := pack(plain, 2, whole.baseTimestamp(), whole.maxTimestamp(), 3)
	if err != nil {
		t.Fatal(err)
	}
	putInt32(holed[atLastDelta:], 5)
	holed.sum()
	at(holed, 100)

	cut := cutter{from: 100}
	if err := cut.cut(holed); err != nil {
		t.Fatal(err)
	}

	got := cut.batches[0]
	if diff := cmp.Diff([]int64{101, 103}, got.offsets); diff != "" || got.first != 101 || got.last != 103 || cut.next != 106 {
		t.Errorf("offsets %v, from %d to %d, next %d", got.offsets, got.first, got.last, cut.next)
	}
	want := decode(t, 0, holed)
	want[0].Offset, want[1].Offset = 0, 1
	if diff := cmp.Diff(want, decode(t, 0, got.batch)); diff != "" {
		t.Error(diff)
	}
	if got.hasHoles() {
		t.Error("the batch still has holes")
	}
}

func TestBrokerTimestampsBecomeTheRecords(t *testing.T) {
	b := at(mustEncode(t, sample(), 1), 5)
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], 1800000000000)
	withAttributes(b, appendTimeBit)

	cut := cutter{from: 5}
	if err := cut.cut(b); err != nil {
		t.Fatal(err)
	}

	got := cut.batches[0]
	got.stamp(noIdentity, noSequence, false)
	records := decode(t, 0, got.batch)
	if len(records) != 4 || got.is(appendTimeBit) {
		t.Fatalf("%d records, attributes %x", len(records), got.attributes())
	}
	for _, r := range records {
		if r.Timestamp != 1800000000000 {
			t.Errorf("timestamp %d", r.Timestamp)
		}
	}
}

// control makes the marker that ends a producer's transaction.
func control(t *testing.T, producer int64, kind byte, offset int64) batch {
	t.Helper()
	b := mustEncode(t, []kafka.Record{{Key: []byte{0, 0, 0, kind}, Value: []byte{0, 0, 0, 0, 0, 0}}}, 0)
	b.stamp(identity{producer, 0}, noSequence, true)
	return at(withAttributes(b, controlBit), offset)
}

func TestMarkersAndAbortedDataAreLeftOut(t *testing.T) {
	data := func(producer int64, offset int64) batch {
		b := mustEncode(t, sample(), 0)
		b.stamp(identity{producer, 0}, 0, true)
		return at(b, offset)
	}
	var log []byte
	for _, b := range []batch{
		data(1, 0), data(2, 4), control(t, 1, 0, 8), data(1, 9), control(t, 1, 1, 13), control(t, 2, 1, 14),
	} {
		log = append(log, b...)
	}
	for _, tc := range []struct {
		aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
		want    []int64
	}{
		{nil, []int64{0, 4, 9}},
		{[]kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 0}}, []int64{4, 9}},
	} {
		cut := cutter{from: 0, aborted: newAbortedRanges(tc.aborted)}
		if err := cut.cut(log); err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, b := range cut.batches {
			got = append(got, b.first)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || cut.next != 15 {
			t.Errorf("next %d, %s", cut.next, diff)
		}
	}
}

func TestDamagedBatchesAreRefused(t *testing.T) {
	good := at(mustEncode(t, sample(), 0), 0)
	bad := at(mustEncode(t, sample(), 0), 4)
	bad[len(bad)-1] ^= 1

	cut := cutter{from: 0}
	err := cut.cut(append(append([]byte{}, good...), bad...))

	if err == nil || cut.next != 4 || len(cut.batches) != 1 {
		t.Errorf("error %v, next %d, %d batches; what is whole stays", err, cut.next, len(cut.batches))
	}
}

func TestOldMessagesBecomeBatches(t *testing.T) {
	var log []byte
	for i := range 3 {
		m := kmsg.MessageV1{Offset: int64(10 + 2*i), Magic: 1, Timestamp: 1600000000000 + int64(i), Key: []byte("k"), Value: fmt.Append(nil, i)}
		log = append(log, message(m.AppendTo)...)
	}
	v0 := kmsg.MessageV0{Offset: 20, Value: []byte("old")}
	log = append(log, message(v0.AppendTo)...)
	log = append(log, at(mustEncode(t, sample(), 0), 30)...)

	cut := cutter{topic: "t", from: 12}
	if err := cut.cut(log); err != nil {
		t.Fatal(err)
	}

	if len(cut.batches) != 2 || cut.next != 34 {
		t.Fatalf("%d batches, next %d", len(cut.batches), cut.next)
	}
	if diff := cmp.Diff([]int64{12, 14, 20}, cut.batches[0].offsets); diff != "" {
		t.Error(diff)
	}
	want := []decoded{{0, 1600000000001, `"k"`, `"1"`, ""}, {1, 1600000000002, `"k"`, `"2"`, ""}, {2, -1, "null", `"old"`, ""}}
	if diff := cmp.Diff(want, decode(t, 0, cut.batches[0].batch)); diff != "" {
		t.Error(diff)
	}
}

// message fills in the size and the checksum of a message of an old format.
func message(appendTo func([]byte) []byte) []byte {
	b := appendTo(nil)
	putInt32(b[8:], int32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b[16:]))
	return b
}

func FuzzCut(f *testing.F) {
	for codec := range int8(5) {
		b, err := encode(sample(), codec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(at(b, 3)), int64(0))
		f.Add([]byte(at(b, 3)), int64(5))
		holed := at(append(batch{}, b...), 3)
		putInt32(holed[atLastDelta:], 9)
		holed.sum()
		f.Add([]byte(holed), int64(4))
	}
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		b, _, err := splitBatch(append([]byte{}, data...))
		if err == nil && b.magic() == 2 {
			b.sum() // else the fuzzer would never get past the checksum
			data = b
		}
		cut := cutter{from: max(from, 0)}
		err = cut.cut(data)
		if errors.Is(err, errPartial) {
			t.Error("a partial batch is no error")
		}
		for _, b := range cut.batches {
			if b.hasHoles() || b.is(appendTimeBit) || b.is(controlBit) {
				t.Errorf("a batch with attributes %x, %d records at %d offsets", b.attributes(), b.count(), b.lastDelta()+1)
			}
		}
	})
}

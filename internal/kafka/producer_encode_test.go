package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/localkafka"
)

// Another library's decoder is what the bytes are held against.
func TestRecordsAreEncodedAsKafkaReadsThem(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() []byte {
		switch random.IntN(4) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		b := make([]byte, []int{1, 63, 64, 8191, 8192, 100_000}[random.IntN(6)])
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	var entries []entry
	for range 2000 {
		rec := &Record{Key: some(), Value: some()}
		for range random.IntN(4) {
			rec.Headers = append(rec.Headers, Header{Key: string(some()), Value: some()})
		}
		entries = append(entries, entry{rec: rec, timestamp: random.Int64N(maxTimestamp)})
	}
	// The longest varints there are.
	entries[7].timestamp, entries[8].timestamp = 0, maxTimestamp
	data := appendRecords(nil, entries)
	alike := cmp.Options{
		cmp.FilterValues(func(a, b []kmsg.Header) bool { return len(a)+len(b) == 0 }, cmp.Ignore()),
		sameBytes,
	}
	for i, e := range entries {
		length, n := firstVarint(t, data)
		var got kmsg.Record
		if err := got.ReadFrom(data[:n+int(length)]); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		got.TimestampDelta = 0 // of old versions of that library
		data = data[n+int(length):]
		want := kmsg.NewRecord()
		want.Length, want.TimestampDelta64, want.OffsetDelta = length, e.timestamp-entries[0].timestamp, int32(i)
		want.Key, want.Value = e.rec.Key, e.rec.Value
		for _, h := range e.rec.Headers {
			want.Headers = append(want.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		if diff := cmp.Diff(want, got, alike); diff != "" {
			t.Fatalf("record %d: %s", i, diff)
		}
	}
	if len(data) > 0 {
		t.Errorf("%d bytes are left behind the last record", len(data))
	}
}

// sameBytes compares large values quickly, and null apart from empty ones.
var sameBytes = cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) })

func firstVarint(t *testing.T, data []byte) (value int32, size int) {
	t.Helper()
	var zigzag uint64
	for i, b := range data {
		zigzag |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return int32(int64(zigzag>>1) ^ -int64(zigzag&1)), i + 1
		}
	}
	t.Fatal("there is no varint")
	return 0, 0
}

func TestVarintSizes(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		if got, want := varintSize(n), len(appendVarint(n)); got != want {
			t.Errorf("varintSize(%d) is %d, and it takes %d", n, got, want)
		}
	}
}

func appendVarint(n int64) []byte {
	rec := appendRecord(nil, &Record{}, n, 0)
	// length, attributes; then n; then offset delta, key, value, headers, of one byte each
	return rec[2 : len(rec)-4]
}

// What a batch is counted as must not be less than what it takes: buffers, the limits of requests and of memory go by it.
func TestABatchIsNotLargerThanEstimated(t *testing.T) {
	recs := []*Record{
		{}, {Key: []byte{}, Value: []byte{}}, {Value: make([]byte, 300)},
		{Key: make([]byte, 70_000), Headers: []Header{{}, {Key: strings.Repeat("k", 200), Value: make([]byte, 20_000)}}},
	}
	for i, rec := range recs {
		if got, most := len(appendRecord(nil, rec, -maxTimestamp, math.MaxInt32)), recordSize(rec); got > most {
			t.Errorf("record %d takes %d bytes, and %d were counted", i, got, most)
		}
	}
}

// Batches of all sizes, several at a time, in buffers that are used again: each record arrives as it was sent.
func TestBuffersThatAreUsedAgainMixNothingUp(t *testing.T) {
	const partitions, rounds = 3, 6
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": partitions}})
	p := newTestProducer(t, c.Bootstrap(), "batch.size", "1048576", "linger.ms", "20")
	random := rand.New(rand.NewPCG(3, 4))
	want := map[int32][]Record{}
	for round := range rounds {
		var recs []*Record
		for partition := range int32(partitions) {
			// Well below the size of a buffer, about it.
			sizes := [][]int{{100, 2000}, {300_000, 300_000, 300_000, 140_000}, {1_040_000, 10}}[(int(partition)+round)%3]
			for i, size := range sizes {
				value := bytes.Repeat([]byte{byte(random.Uint32())}, size)
				rec := &Record{Topic: "a", Partition: partition, Timestamp: int64(round), Key: fmt.Appendf(nil, "%d-%d-%d", round, partition, i), Value: value}
				recs = append(recs, rec)
				sent := *rec
				sent.Offset = int64(len(want[partition]))
				want[partition] = append(want[partition], sent)
			}
		}
		mustSend(t, p, recs...)
		for _, rec := range recs {
			*rec = Record{} // it is the sender's again
		}
	}
	f := newTestFetcher(t, c.Bootstrap(), "max.partition.fetch.bytes", "4000000")
	for partition, sent := range want {
		tp := TopicPartition{"a", partition}
		f.Assign(map[TopicPartition]int64{tp: Earliest})
		if diff := cmp.Diff(sent, readTo(t, f, tp, int64(len(sent))), sameBytes); diff != "" {
			t.Errorf("partition %d: %s", partition, diff)
		}
	}
}

// Done functions hand records back, whose senders then use them for others. A producer that is closed over what it is just
// sending must not send those instead.
func TestAProducerThatIsClosedSendsNothingThatWasHandedBack(t *testing.T) {
	const rounds, count = 20, 3000
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 4}})
	for range rounds {
		p := newTestProducer(t, c.Bootstrap())
		var pending sync.WaitGroup
		for i := range count {
			rec := &Record{Topic: "a", Partition: int32(i % 4), Key: []byte("key"), Value: bytes.Repeat([]byte("value"), 100), Headers: []Header{{Key: "h", Value: []byte("1")}}}
			pending.Add(1)
			if err := p.Send(testContext(t), rec, func(Metadata, error) {
				rec.Headers[0] = Header{Key: "another's", Value: []byte("2")}
				*rec = Record{Topic: "another's", Timestamp: 1, Key: []byte("another's"), Value: nil, Headers: rec.Headers}
				pending.Done()
			}); err != nil {
				t.Fatal(err)
			}
		}
		over, cancel := context.WithCancel(testContext(t))
		cancel()
		if err := p.Close(over); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		pending.Wait()
	}
	f := newTestFetcher(t, c.Bootstrap())
	read := 0
	for partition := range int32(4) {
		tp := TopicPartition{"a", partition}
		ends, _, err := newTestAdmin(t, c.Bootstrap()).ListOffsets(testContext(t), []TopicPartition{tp}, Latest, ReadUncommitted)
		if err != nil {
			t.Fatal(err)
		}
		f.Assign(map[TopicPartition]int64{tp: 0})
		for _, rec := range readTo(t, f, tp, ends[tp]) {
			read++
			if string(rec.Key) != "key" || len(rec.Value) != 500 || len(rec.Headers) != 1 || rec.Headers[0].Key != "h" {
				t.Fatalf("offset %d of partition %d holds the key %q, %d bytes of value and the headers %v", rec.Offset, partition, rec.Key, len(rec.Value), rec.Headers)
			}
		}
	}
	if read == 0 {
		t.Error("nothing was sent before the ends")
	}
}

func BenchmarkEncode(b *testing.B) {
	value := make([]byte, 1000)
	rec := &Record{Topic: "a", Key: []byte("order-0000000001"), Value: value}
	size := recordSize(rec)
	b.SetBytes(990 * 1000)
	b.ReportAllocs()
	for b.Loop() {
		batch := &batch{size: batchOverhead}
		for range 990 {
			batch.add(rec, 1_700_000_000_000, size, nil)
		}
		batch.build(0, 0, false)
		batch.recycle()
	}
}

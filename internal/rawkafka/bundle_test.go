package rawkafka

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// A bundle holds the records of its parts as they are, one after the other, with the timestamps that they had.
func TestABundleHoldsTheRecordsOfItsParts(t *testing.T) {
	first, second := sample(), sample()
	for i := range second {
		second[i].Timestamp -= 86_400_000 // younger batches may hold older records
	}
	var many []kafka.Record
	for i := range 200 { // more than a byte of offset delta
		many = append(many, kafka.Record{Timestamp: 1800000000000 + int64(i), Value: []byte{byte(i)}})
	}
	st := &stream{bundleLimit: bundleBytes}
	for _, records := range [][]kafka.Record{first, second, many} {
		st.parcels = append(st.parcels, &parcel{data: mustEncode(t, records, 0), id: noIdentity})
	}
	single := &parcel{data: mustEncode(t, first, 4), id: noIdentity} // compressed: not a part
	st.parcels = append(st.parcels, single)
	var apart []batch
	for _, p := range st.parcels[:3] {
		apart = append(apart, append(batch(nil), p.data...))
	}
	base := int64(0)
	for i := range apart {
		at(apart[i], base)
		base += apart[i].count()
	}

	whole := st.bundle(st.parcels[0])
	whole.id, whole.sequence = identity{7, 1}, 5
	made, err := whole.appendBundle(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	data := batch(made)

	if len(st.parcels) != 2 || st.parcels[0] != whole || st.parcels[1] != single {
		t.Fatalf("%d parcels stand in the stream", len(st.parcels))
	}
	if diff := cmp.Diff(decode(t, 0, apart...), decode(t, 0, data)); diff != "" {
		t.Error(diff)
	}
	if !data.intact() || data.hasHoles() || whole.records() != 208 || data.maxTimestamp() != 1800000000199 {
		t.Errorf("header: intact %v, %d records, latest %d", data.intact(), whole.records(), data.maxTimestamp())
	}
	st.number(whole, identity{7, 1})
	st.takeApart(whole)
	var sequences []int32
	for _, p := range st.parcels[:3] {
		sequences = append(sequences, p.sequence)
	}
	if diff := cmp.Diff([]int32{0, 4, 8}, sequences); diff != "" {
		t.Errorf("sequences of the parts: %s", diff)
	}
	if again := st.bundle(st.parcels[0]); again != st.parcels[0] {
		t.Error("parts of a bundle that was taken apart are bundled again")
	}
}

// queueUp writes n small batches to one partition of the source, and a copier that has read them all before it learns where to send them.
func queueUp(t *testing.T, a, b *localkafka.Cluster, n int) (*copier, *kafkatest.Client) {
	t.Helper()
	source := kafkatest.Dial(t, a.Bootstrap(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range n {
		source.Produce("t", kafkatest.Record{Value: []byte{byte(i)}, Timestamp: time.UnixMilli(1700000000000 + int64(i))},
			kafkatest.Record{Value: []byte{byte(i), 1}, Timestamp: time.UnixMilli(1700000000000 - int64(i))})
	}
	_, fetcher := newReader(t, NewMemory(1<<20), a.Bootstrap())
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(1))
	held := b.Hold(localkafka.Metadata)
	defer held.Undo()
	for end := endsOf(source)[0]; c.next[0] < end; {
		if err := c.poll(t.Context(), t); err != nil {
			t.Fatal(err)
		}
	}
	return c, source
}

func TestSmallBatchesThatWaitAreSentAsOne(t *testing.T) {
	a, b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}}), start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	c, source := queueUp(t, a, b, 40)

	c.until(t, endsOf(source))

	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
	if got := kafkatest.Dial(t, b.Bootstrap()).ReadBatches("t", 0, kafkatest.ReadUncommitted); len(got) != 1 {
		t.Errorf("40 batches that came together became %d", len(got))
	}
	next := int64(0)
	for _, m := range c.done {
		if m.First != next || m.Base != m.First {
			t.Errorf("batch %+v: expected offset %d on both sides", m, next)
		}
		next = m.Last + 1
	}
	if len(c.done) != 40 || len(c.fails) > 0 {
		t.Errorf("%d batches told, failures %v", len(c.done), c.fails)
	}
}

// When a bundle is refused for what one of its records is, the parts are sent one by one: the batches before the bad one are
// stored, and nobody else is blamed.
func TestABundleThatIsRefusedForARecordIsTakenApart(t *testing.T) {
	for name, code := range map[string]int16{"invalid record": 87, "too large": 10} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}}), start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
			refused := b.Fail(localkafka.Fault{API: localkafka.Produce, Code: code, Topic: "t", Times: 1})
			c, source := queueUp(t, a, b, 40)

			c.until(t, endsOf(source))

			if refused.Hits() != 1 {
				t.Fatal("nothing was refused")
			}
			kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
			if len(c.done) != 40 || len(c.fails) > 0 {
				t.Errorf("%d batches told, failures %v", len(c.done), c.fails)
			}
		})
	}
}

package kafkatest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// embedded starts a one-broker cluster in this process and gives its bootstrap address.
func embedded(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return strings.Join(cluster.ListenAddrs(), ",")
}

// oddRecords has what mirrors get wrong: null against empty, repeated headers, old and future timestamps.
func oddRecords() []Record {
	return []Record{
		{Partition: 0, Timestamp: time.UnixMilli(1700000000123), Key: []byte("k"), Value: []byte("v")},
		{Partition: 1, Timestamp: time.UnixMilli(5), Key: nil, Value: []byte{}, Headers: []Header{{"h", nil}, {"h", []byte{}}, {"", []byte("x")}}},
		{Partition: 0, Timestamp: time.UnixMilli(1600000000000), Key: []byte{}, Value: nil},
		{Partition: 1, Timestamp: time.UnixMilli(4102444800000), Key: []byte{0, 255}, Value: []byte("last")},
	}
}

func TestRecordsAreReadBackExactlyAsWritten(t *testing.T) {
	for _, codec := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{
		{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()},
	} {
		t.Run(codec.name, func(t *testing.T) {
			client := Dial(t, embedded(t), kgo.ProducerBatchCompression(codec.codec))
			client.CreateTopic("odd", 2, nil)
			records := oddRecords()
			// Enough of the same that every codec pays off: franz-go sends a batch plain if it does not shrink.
			for range 100 {
				for p := range int32(2) {
					records = append(records, Record{Partition: p, Timestamp: time.UnixMilli(1), Value: []byte("again and again")})
				}
			}

			written := client.Produce("odd", records...)
			read := client.ReadTopic("odd", ReadUncommitted)

			want := map[int32][]Record{}
			for _, record := range written {
				want[record.Partition] = append(want[record.Partition], record)
			}
			if diff := cmp.Diff(want, read); diff != "" {
				t.Fatalf("read differs from written (-want +got):\n%s", diff)
			}
			batches := client.ReadBatches("odd", 0, ReadUncommitted)
			if len(batches) != 1 {
				t.Fatalf("one Produce call made %d batches of partition 0, want one", len(batches))
			}
			if got := batches[0]; got.Codec != codec.name || got.BaseOffset != 0 || got.LastOffset != 101 {
				t.Fatalf("a %s batch %d..%d, want %s and 0..101", got.Codec, got.BaseOffset, got.LastOffset, codec.name)
			}
		})
	}
}

func TestReadCommittedLeavesOutAbortedAndOpenTransactions(t *testing.T) {
	client := Dial(t, embedded(t))
	client.CreateTopic("tx", 1, nil)
	value := func(text string) Record { return Record{Value: []byte(text)} }

	client.ProduceInTransaction("a", true, "tx", value("committed"))
	client.ProduceInTransaction("b", false, "tx", value("aborted"))
	client.Produce("tx", value("plain"))
	client.ProduceInTransaction("b", true, "tx", value("committed after abort"))
	open := client.open(kgo.TransactionalID("open"))
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if _, err := produce(t.Context(), open, "tx", []Record{value("open")}); err != nil {
		t.Fatal(err)
	}

	values := func(isolation Isolation) []string {
		var texts []string
		for _, record := range client.ReadPartition("tx", 0, isolation) {
			texts = append(texts, string(record.Value))
		}
		return texts
	}
	if got, want := values(ReadCommitted), []string{"committed", "plain", "committed after abort"}; !slices.Equal(got, want) {
		t.Errorf("read committed %q, want %q", got, want)
	}
	if got, want := values(ReadUncommitted), []string{"committed", "aborted", "plain", "committed after abort", "open"}; !slices.Equal(got, want) {
		t.Errorf("read uncommitted %q, want %q", got, want)
	}
	if got, want := client.Offsets("tx")[0], (OffsetRange{Start: 0, Stable: 7, End: 8}); got != want {
		t.Errorf("offsets %+v, want %+v", got, want)
	}
}

func TestTopicsConfigsAndGroupOffsetsAreWhatWasSet(t *testing.T) {
	client := Dial(t, embedded(t))
	client.CreateTopic("set", 3, map[string]string{"cleanup.policy": "compact"})

	if got := client.Topics(); !slices.Equal(got, []string{"set"}) {
		t.Errorf("topics %q, want only set", got)
	}
	if got := client.Partitions("set"); got != 3 {
		t.Errorf("%d partitions, want 3", got)
	}
	if got := client.TopicConfigs("set")["cleanup.policy"]; got != "compact" {
		t.Errorf("cleanup.policy is %q, want compact", got)
	}
	if diff := cmp.Diff(map[string]string{"cleanup.policy": "compact"}, client.TopicOverrides("set")); diff != "" {
		t.Errorf("overrides (-want +got):\n%s", diff)
	}
	if got := client.CommittedOffsets("nobody"); len(got) != 0 {
		t.Errorf("a group that never was has offsets %v", got)
	}
	client.CommitOffset("readers", "set", 2, 42)
	if diff := cmp.Diff(map[string]map[int32]int64{"set": {2: 42}}, client.CommittedOffsets("readers")); diff != "" {
		t.Errorf("committed offsets (-want +got):\n%s", diff)
	}
	client.DeleteTopic("set")
	if got := client.Topics(); len(got) != 0 {
		t.Errorf("topics %q after the only one was deleted", got)
	}
}

func TestCompareTopicPassesForAMirrorAndCountsRedelivery(t *testing.T) {
	source, target := embedded(t), embedded(t)
	src, dst := Dial(t, source), Dial(t, target)
	src.CreateTopic("odd", 2, nil)
	dst.CreateTopic("src.odd", 2, nil)
	dst.CreateTopic("src.again", 2, nil)
	records := oddRecords()
	src.Produce("odd", records...)
	dst.Produce("src.odd", records...)
	dst.Produce("src.again", records[:2]...)
	dst.Produce("src.again", records...)

	CompareTopic(t, source, "odd", target, "src.odd")
	duplicates := CompareTopicAtLeastOnce(t, source, "odd", target, "src.again")
	if diff := cmp.Diff(map[int32]int{0: 1, 1: 1}, duplicates); diff != "" {
		t.Errorf("duplicates (-want +got):\n%s", diff)
	}
}

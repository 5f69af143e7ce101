package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// twoLines is all that the main job needs.
const twoLines = `source.bootstrap.servers=SOURCE
target.bootstrap.servers=TARGET
`

// follow is how soon a new topic or partition is to be mirrored.
const follow = 5 * time.Second

// topicSet is what the main job finds on the source.
var topicSet = []string{
	"odd", "gzip", "snappy", "lz4", "zstd", "append-time", "compacted", "transactions", "orders.eu", "empty",
}

// twoLinesMirrorACluster runs the main job, with more lines in its file, and gives the process, still mirroring.
func twoLinesMirrorACluster(t *testing.T, p *pair, more string) *worker {
	src, dst := p.clients(t)
	produceTopicSet(t, p, src)

	w := startMaker(t, p.fill(twoLines+more))
	for _, topic := range topicSet {
		awaitMirrored(t, src, dst, topic)
	}
	w.awaitRunning("MirrorSourceConnector", 1)
	w.awaitRunning("MirrorCheckpointConnector", 0)
	w.awaitRunning("MirrorHeartbeatConnector", 1)

	laterTopicsAndPartitionsFollow(t, p, src, dst)

	for _, excluded := range []string{"source.orders.replica", "source.mm2-mine.internal", "source.__mine"} {
		if slices.Contains(dst.Topics(), excluded) {
			t.Errorf("the target has the topic %s, which the default filters exclude", excluded)
		}
	}
	heartbeat := dst.AwaitRecords("source.heartbeats", 1, patience)[0][0]
	if want := "\x00\x06target\x00\x06source"; string(heartbeat.Key) != want {
		t.Errorf("the mirrored heartbeat of the reverse flow has the key %q, want %q", heartbeat.Key, want)
	}
	reverse := &api.Client{BaseURL: w.BaseURL + "/target/source"}
	awaitRunning(t, reverse, "MirrorHeartbeatConnector", 1)
	return w
}

func produceTopicSet(t *testing.T, p *pair, src *kafkatest.Client) {
	t.Helper()
	src.CreateTopic("odd", 2, anyTime)
	src.Produce("odd", oddRecords()...)
	for name, codec := range map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		src.CreateTopic(name, 2, anyTime)
		compressing := kafkatest.Dial(t, p.source.Bootstrap(), kgo.ProducerBatchCompression(codec))
		for batch := range 3 {
			compressing.Produce(name, append(oddRecords(), keyed(name, 2, batch*500, 500)...)...)
		}
		if got := src.ReadBatches(name, 0, kafkatest.ReadUncommitted)[0].Codec; got != name {
			t.Fatalf("the first batch of topic %s is compressed with %s", name, got)
		}
	}
	src.CreateTopic("append-time", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	src.Produce("append-time", keyed("append-time", 1, 0, 10)...)

	src.CreateTopic("transactions", 1, anyTime)
	src.Produce("transactions", keyed("plain", 1, 0, 5)...)
	src.ProduceInTransaction("tx", true, "transactions", keyed("committed", 1, 0, 5)...)
	src.ProduceInTransaction("tx", false, "transactions", keyed("aborted", 1, 0, 5)...)
	src.ProduceInTransaction("tx", true, "transactions", keyed("committed again", 1, 0, 5)...)
	src.ProduceInTransaction("tx", false, "transactions", keyed("aborted at the end", 1, 0, 5)...)

	src.CreateTopic("empty", 4, nil)
	for _, topic := range []string{"orders.eu", "orders.replica", "mm2-mine.internal", "__mine"} {
		src.CreateTopic(topic, 1, anyTime)
		src.Produce(topic, keyed(topic, 1, 0, 3)...)
	}
	produceCompacted(t, src)
}

// produceCompacted makes a topic in which compaction has left gaps, also before its last segment.
func produceCompacted(t *testing.T, src *kafkatest.Client) {
	t.Helper()
	src.CreateTopic("compacted", 1, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "86400000",
	})
	began := time.Now().Add(-time.Hour)
	const rounds, keys = 3, 10
	for round := range rounds {
		records := keyed("compacted", 1, 0, keys)
		for i := range records {
			// The distance makes the broker begin a new segment.
			records[i].Timestamp = began.Add(time.Duration(round) * time.Minute)
			records[i].Value = fmt.Appendf(nil, "round %d", round)
			if i == 3 {
				records[i].Value = nil
			}
		}
		src.Produce("compacted", records...)
	}
	// Of the closed segments the newest record of each key is left; the open one is not touched.
	kafkatest.Await(t, patience, "topic compacted to be compacted", func() (bool, string) {
		left := src.ReadPartition("compacted", 0, kafkatest.ReadUncommitted)
		return len(left) == 2*keys, fmt.Sprintf("%d records", len(left))
	})
	if first := src.ReadPartition("compacted", 0, kafkatest.ReadUncommitted)[0]; first.Offset == 0 {
		t.Fatalf("compaction has left the first record %s", first)
	}
}

// keyed are records with a key, a value, a header and a time of their own, spread over the partitions.
func keyed(name string, partitions int32, from, count int) []kafkatest.Record {
	records := make([]kafkatest.Record, count)
	for i := range records {
		n := from + i
		records[i] = kafkatest.Record{
			Partition: int32(n) % partitions,
			Timestamp: time.UnixMilli(1700000000000 + int64(n)),
			Key:       fmt.Appendf(nil, "key-%d", n),
			Value:     fmt.Appendf(nil, "%s, record %d %s", name, n, strings.Repeat("x", n%50)),
			Headers:   []kafkatest.Header{{Key: "n", Value: fmt.Append(nil, n)}},
		}
	}
	return records
}

// awaitMirrored waits until source.topic has as many records as topic, those of aborted transactions included, and
// compares them. Java's default is to read uncommitted records, too.
func awaitMirrored(t *testing.T, src, dst *kafkatest.Client, topic string) {
	t.Helper()
	awaitCopy(t, src, dst, topic, "source."+topic)
}

func awaitCopy(t *testing.T, src, dst *kafkatest.Client, topic, remote string) {
	t.Helper()
	dst.AwaitTopic(remote, patience)
	want := src.ReadTopic(topic, kafkatest.ReadUncommitted)
	dst.AwaitRecords(remote, total(want), patience)
	if difference := kafkatest.Diff(want, dst.ReadTopic(remote, kafkatest.ReadUncommitted)); difference != "" {
		t.Errorf("topic %s is not a mirror of %s: %s", remote, topic, difference)
	}
}

func total(records map[int32][]kafkatest.Record) (count int) {
	for _, partition := range records {
		count += len(partition)
	}
	return count
}

// laterTopicsAndPartitionsFollow takes the quickest of three tries, since a busy machine may be late by itself; Java
// would take minutes.
func laterTopicsAndPartitionsFollow(t *testing.T, p *pair, src, dst *kafkatest.Client) {
	t.Helper()
	var topics, partitions []time.Duration
	for try := range 3 {
		topic := fmt.Sprintf("later-%d", try)
		src.CreateTopic(topic, 1, anyTime)
		began := time.Now()
		src.Produce(topic, keyed("created later", 1, 0, 10)...)
		dst.AwaitRecords("source."+topic, 10, patience)
		topics = append(topics, time.Since(began))

		began = time.Now()
		if _, err := src.Admin().UpdatePartitions(t.Context(), 2, topic); err != nil {
			t.Fatal(err)
		}
		kafkatest.Await(t, patience, "the second partition", func() (bool, string) {
			count := src.Partitions(topic)
			return count == 2, fmt.Sprint(count)
		})
		fresh := kafkatest.Dial(t, p.source.Bootstrap())
		fresh.Produce(topic, kafkatest.Record{Partition: 1, Key: []byte("in"), Value: []byte("the new partition")})
		dst.AwaitRecords("source."+topic, 11, patience)
		partitions = append(partitions, time.Since(began))
		awaitMirrored(t, src, dst, topic)
	}
	t.Logf("topics followed after %v, partitions after %v", topics, partitions)
	if quickest := slices.Min(topics); quickest > follow {
		t.Errorf("new topics were mirrored after %v, want at most %s", topics, follow)
	}
	if quickest := slices.Min(partitions); quickest > follow {
		t.Errorf("new partitions were mirrored after %v, want at most %s", partitions, follow)
	}
}

// twoLinesMirrorAClusterAsJavaDoes runs the main job, then Java's MirrorMaker on the same source, and compares what
// both have written.
func twoLinesMirrorAClusterAsJavaDoes(t *testing.T, p *pair) {
	w := twoLinesMirrorACluster(t, p, "")
	src, dst := p.clients(t)
	w.stop()

	java := realkafka.StartJavaMirrorMaker(t, p.fill(`
clusters = java, jtarget
java.bootstrap.servers = SOURCE
jtarget.bootstrap.servers = TARGET
java->jtarget.enabled = true
jtarget->java.emit.heartbeats.enabled = false
`)+singleReplicas, realkafka.WithJVM(quickJVM))
	for _, topic := range topicSet {
		awaitCopy(t, src, dst, topic, "java."+topic)
		if difference := kafkatest.Diff(dst.ReadTopic("java."+topic, kafkatest.ReadUncommitted), dst.ReadTopic("source."+topic, kafkatest.ReadUncommitted)); difference != "" {
			t.Errorf("of topic %s, Java's mirror and Tributary's differ: %s", topic, difference)
		}
		settings := dst.TopicOverrides("java." + topic)
		delete(settings, "message.timestamp.after.max.ms") // which Java means to leave out, too
		if diff := cmp.Diff(settings, dst.TopicOverrides("source."+topic)); diff != "" {
			t.Errorf("the settings of topic %s's mirrors differ (-Java +Tributary):\n%s", topic, diff)
		}
	}
	for _, internal := range []struct {
		cluster         *kafkatest.Client
		tributary, java string
	}{
		{dst, "mm2-offsets.source.internal", "mm2-offsets.java.internal"},
		{dst, "mm2-configs.source.internal", "mm2-configs.java.internal"},
		{dst, "mm2-status.source.internal", "mm2-status.java.internal"},
		{dst, "source.checkpoints.internal", "java.checkpoints.internal"},
		{src, "mm2-offset-syncs.target.internal", "mm2-offset-syncs.jtarget.internal"},
	} {
		internal.cluster.AwaitTopic(internal.java, patience)
		if java, ours := internal.cluster.Partitions(internal.java), internal.cluster.Partitions(internal.tributary); java != ours {
			t.Errorf("%s has %d partitions, Java's %s %d", internal.tributary, ours, internal.java, java)
		}
		if diff := cmp.Diff(internal.cluster.TopicOverrides(internal.java), internal.cluster.TopicOverrides(internal.tributary)); diff != "" {
			t.Errorf("the settings of %s (-Java +Tributary):\n%s", internal.tributary, diff)
		}
	}
	terminate(java)
}

// singleReplicas are what Java needs on one broker.
const singleReplicas = `
replication.factor = 1
checkpoints.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
config.storage.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
`

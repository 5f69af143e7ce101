package compat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/test/cluster/kafkatest"
)

// stream writes a topic in portions, each about a megabyte.
type stream struct {
	client     *kafkatest.Client
	topic      string
	partitions int32
	written    int
}

const portion = 5000

func startStream(client *kafkatest.Client, topic string, partitions int32) *stream {
	client.CreateTopic(topic, partitions, anyTime)
	return &stream{client: client, topic: topic, partitions: partitions}
}

func (s *stream) produce(portions int) {
	filler := strings.Repeat("filler ", 25)
	for range portions {
		records := make([]kafkatest.Record, portion)
		for i := range records {
			n := s.written + i
			records[i] = kafkatest.Record{
				Partition: int32(n) % s.partitions, Key: strconv.AppendInt(nil, int64(n), 10), Value: append(strconv.AppendInt(nil, int64(n), 10), filler...),
			}
		}
		s.client.Produce(s.topic, records...)
		s.written += portion
	}
}

// ends gives the end of each partition of a topic and their sum, 0 where there is no topic yet.
func ends(client *kafkatest.Client, topic string) (ends map[int32]int64, sum int64) {
	ends = map[int32]int64{}
	if !slices.Contains(client.Topics(), topic) {
		return ends, 0
	}
	for partition, at := range client.Offsets(topic) {
		ends[partition] = at.End
		sum += at.End
	}
	return ends, sum
}

// awaitCount waits until a topic has had that many records, without reading them.
func awaitCount(t *testing.T, client *kafkatest.Client, topic string, count int) {
	t.Helper()
	kafkatest.Await(t, patience, fmt.Sprintf("%d records in topic %s", count, topic), func() (bool, string) {
		_, sum := ends(client, topic)
		return sum >= int64(count), fmt.Sprint(sum)
	})
}

// awaitLast waits until the last source record of every partition is the last one of the mirror.
func awaitLast(t *testing.T, src, dst *kafkatest.Client, topic, remote string) {
	t.Helper()
	kafkatest.Await(t, patience, "the end of topic "+topic+" in "+remote, func() (bool, string) {
		for partition, records := range src.ReadTopic(topic, kafkatest.ReadCommitted) {
			mirrored := dst.ReadPartition(remote, partition, kafkatest.ReadCommitted)
			if len(mirrored) == 0 || string(mirrored[len(mirrored)-1].Key) != string(records[len(records)-1].Key) {
				return false, fmt.Sprintf("partition %d has %d records, the source %d", partition, len(mirrored), len(records))
			}
		}
		return true, ""
	})
}

// burst stops a worker for a moment, writes in the meantime, and returns as soon as the worker has begun to mirror
// what was written: then it is in the middle of it, since the source lets its consumer read slowly only. The function
// returned lifts that.
func (s *stream) burst(t *testing.T, w *worker, portions int, dst *kafkatest.Client, remote, consumer string) (lift func()) {
	t.Helper()
	_, before := ends(dst, remote)
	if err := w.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const slowly = 100_000 // bytes a second, over some ten seconds
	setQuota(t, s.client, consumer, kadm.AlterClientQuotaOp{Key: "consumer_byte_rate", Value: slowly})
	s.produce(portions)
	if err := w.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	awaitCount(t, dst, remote, int(before)+1)
	return func() {
		t.Helper()
		setQuota(t, s.client, consumer, kadm.AlterClientQuotaOp{Key: "consumer_byte_rate", Remove: true})
	}
}

func setQuota(t *testing.T, client *kafkatest.Client, clientID string, op kadm.AlterClientQuotaOp) {
	t.Helper()
	altered, err := client.Admin().AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &clientID}}, Ops: []kadm.AlterClientQuotaOp{op},
	}})
	if err == nil {
		err = altered[0].Err
	}
	if err != nil {
		t.Fatalf("quota of client %s: %v", clientID, err)
	}
}

func killInMidStreamLosesNothing(t *testing.T, p *pair) {
	src, dst := p.clients(t)
	file := p.fill(`
clusters = killed, safe
killed.bootstrap.servers = SOURCE
safe.bootstrap.servers = TARGET
emit.heartbeats.enabled = false
killed->safe.enabled = true
killed->safe.topics = load
killed.consumer.max.partition.fetch.bytes = 200000
`)
	const partitions, remote, consumer = 4, "killed.load", "killed->safe|MirrorSourceConnector-0|replication-consumer"
	load := startStream(src, "load", partitions)
	load.produce(4)
	w := startMaker(t, file)
	awaitCount(t, dst, remote, load.written)
	kafkatest.Await(t, patience, "offsets of every partition", func() (bool, string) {
		committed := committedOffsets(t, dst, "killed", "load")
		return len(committed) == partitions, fmt.Sprint(committed)
	})

	lift := load.burst(t, w, 20, dst, remote, consumer)
	w.Kill()
	lift()
	load.produce(4)
	committed := committedOffsets(t, dst, "killed", "load")
	reached, sum := ends(dst, remote)
	if sum >= int64(load.written) {
		t.Errorf("the kill came after all %d records were mirrored, not in the middle", sum)
	}
	began := time.Now()
	w = startMaker(t, file)
	awaitLast(t, src, dst, "load", remote)
	t.Logf("the mirror was up to date %s after the restart", time.Since(began).Round(time.Millisecond))
	duplicates := kafkatest.CompareTopicAtLeastOnce(t, p.source.Bootstrap(), "load", p.target.Bootstrap(), remote)
	for partition := range int32(partitions) {
		uncommitted := reached[partition] - committed[partition] - 1
		t.Logf("partition %d: %d records mirrored before the kill, %d of them after the last commit, %d mirrored twice",
			partition, reached[partition], uncommitted, duplicates[partition])
		if int64(duplicates[partition]) > uncommitted {
			t.Errorf("partition %d: %d records were mirrored twice, but only %d followed the last commit", partition, duplicates[partition], uncommitted)
		}
	}

	// An orderly end in the middle repeats nothing.
	_, sum = ends(dst, remote)
	lift = load.burst(t, w, 12, dst, remote, consumer)
	w.stop()
	lift()
	if _, now := ends(dst, remote); now >= sum+12*portion {
		t.Errorf("the end came after all of the last %d records were mirrored, not in the middle", now-sum)
	}
	w = startMaker(t, file)
	awaitLast(t, src, dst, "load", remote)
	after := kafkatest.CompareTopicAtLeastOnce(t, p.source.Bootstrap(), "load", p.target.Bootstrap(), remote)
	if diff := cmp.Diff(duplicates, after); diff != "" {
		t.Errorf("records mirrored twice before and after an orderly end (-before +after):\n%s", diff)
	}
	w.stop()
}

// committedOffsets gives the source offset of the last record that counts as mirrored, by partition.
func committedOffsets(t *testing.T, client *kafkatest.Client, cluster, topic string) map[int32]int64 {
	t.Helper()
	committed := map[int32]int64{}
	stored := readOffsets(t, client, "mm2-offsets."+cluster+".internal")
	for partition := range int32(client.Partitions(cluster + "." + topic)) {
		if at, found := stored[offsetKey(cluster, topic, partition)]; found {
			var offset int64
			if _, err := fmt.Sscanf(at.value, `{"offset":%d}`, &offset); err != nil {
				t.Fatalf("stored offset %s: %v", at.value, err)
			}
			committed[partition] = offset
		}
	}
	return committed
}

func brokersRestartInMidStream(t *testing.T, p *pair) {
	src, dst := p.clients(t)
	load := startStream(src, "outage", 3)
	load.produce(1)
	w := startMaker(t, p.fill(`
clusters = far, near
far.bootstrap.servers = SOURCE
near.bootstrap.servers = TARGET
emit.heartbeats.enabled = false
far->near.enabled = true
far->near.topics = outage
`))
	awaitCount(t, dst, "far.outage", load.written)

	target := p.target.Brokers()[0]
	before := len(w.Log())
	load.produce(3)
	target.Stop(syscall.SIGTERM)
	load.produce(3)
	target.Start()
	load.produce(3)
	awaitLast(t, src, dst, "outage", "far.outage")
	checkOutageLines(t, "the target", w, before)

	source := p.source.Brokers()[0]
	before = len(w.Log())
	load.produce(3)
	source.Stop(syscall.SIGTERM)
	source.Start()
	load.produce(3)
	awaitLast(t, src, dst, "outage", "far.outage")
	checkOutageLines(t, "the source", w, before)

	duplicates := kafkatest.CompareTopicAtLeastOnce(t, p.source.Bootstrap(), "outage", p.target.Bootstrap(), "far.outage")
	t.Logf("mirrored more than once: %v", duplicates)
	w.stop()
}

// checkOutageLines wants the log of a worker to say once that a cluster went away and once that it came back, however
// many of its parts use it.
func checkOutageLines(t *testing.T, who string, w *worker, from int) {
	t.Helper()
	const most = 3 // the cluster, perhaps with another reason later, and the group's coordinator
	kafkatest.Await(t, patience, who+" to be said to be back", func() (bool, string) {
		lines := w.Log()[from:]
		away, back := strings.Count(lines, "Kafka cluster cannot be "), strings.Count(lines, "Kafka cluster can be read again")+strings.Count(lines, "Kafka cluster answers")
		return away > 0 && back > 0, fmt.Sprintf("%d lines say it is away, %d that it is back", away, back)
	})
	said := complaints(w.Log()[from:])
	t.Logf("while %s was away:\n\t%s", who, strings.Join(said, "\n\t"))
	if len(said) > most {
		t.Errorf("%d complaints about one outage of %s, want at most %d", len(said), who, most)
	}
}

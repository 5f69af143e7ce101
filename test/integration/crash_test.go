package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// perTick is how many records stream writes at once: one batch a partition.
const perTick = 12

// stream writes records to a topic until stop is called or the test ends. stop returns when the last is written.
func stream(t *testing.T, k *cluster.Kafka, topic string, partitions int32) (stop func()) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.Bootstrap(), ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- write(ctx, client, topic, partitions) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stream records to %s: %v", topic, err)
		}
		client.Close()
	})
	t.Cleanup(stop)
	return stop
}

// write writes a few records at a time until ctx ends.
func write(ctx context.Context, client *kgo.Client, topic string, partitions int32) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for next := 0; ; next += perTick {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var batch []*kgo.Record
		for _, r := range cluster.Numbered(next, next+perTick, partitions) {
			batch = append(batch, &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value})
		}
		// What was begun is finished, so that all partitions end alike.
		if err := client.ProduceSync(context.WithoutCancel(ctx), batch...).FirstErr(); err != nil {
			return err
		}
	}
}

// committed reads what the offsets topic says of a mirrored topic: the last offset mirrored, by partition. It is the
// topic of one connector.
func committed(t *testing.T, k *cluster.Kafka, offsetsTopic, topic string) map[int32]int64 {
	t.Helper()
	found := map[int32]int64{}
	for _, records := range k.ReadTopic(offsetsTopic, kafkatest.ReadCommitted) {
		for _, r := range records {
			var key []json.RawMessage
			var partition struct {
				Topic     string
				Partition int32
			}
			var value struct{ Offset int64 }
			if err := json.Unmarshal(r.Key, &key); err != nil || len(key) != 2 {
				t.Fatalf("key %q of the offsets topic: %v", r.Key, err)
			}
			if err := json.Unmarshal(key[1], &partition); err != nil {
				t.Fatalf("key %q of the offsets topic: %v", r.Key, err)
			}
			if partition.Topic != topic {
				continue // a heartbeat's or another topic's
			}
			if err := json.Unmarshal(r.Value, &value); err != nil {
				t.Fatalf("value %q of the offsets topic: %v", r.Value, err)
			}
			found[partition.Partition] = value.Offset
		}
	}
	return found
}

func awaitCommitted(t *testing.T, k *cluster.Kafka, offsetsTopic, topic string, partitions int, beyond int64) {
	t.Helper()
	k.AwaitTopic(offsetsTopic, cluster.Patience)
	kafkatest.Await(t, cluster.Patience, fmt.Sprintf("committed offsets of %d partitions of %s", partitions, topic), func() (bool, string) {
		offsets := committed(t, k, offsetsTopic, topic)
		for _, offset := range offsets {
			if offset <= beyond {
				return false, fmt.Sprint(offsets)
			}
		}
		return len(offsets) == partitions, fmt.Sprint(offsets)
	})
}

// atRisk tells, right after a crash, how many records of each partition may come twice: those that were delivered
// after the last commit, and those that came twice before.
func atRisk(t *testing.T, target *cluster.Kafka, offsetsTopic, topic string) map[int32]int {
	t.Helper()
	offsets := committed(t, target, offsetsTopic, topic)
	risk := map[int32]int{}
	for p, limits := range target.Offsets("source." + topic) {
		last, ok := offsets[p]
		if !ok {
			t.Fatalf("no offset of %s-%d was committed", topic, p)
		}
		risk[p] = int(limits.End - (last + 1))
	}
	return risk
}

// settle waits until nothing that was on its way from a killed process arrives any more.
func settle(t *testing.T, target *cluster.Kafka, topic string, partitions ...int32) {
	t.Helper()
	before := map[int32]kafkatest.OffsetRange{}
	kafkatest.Await(t, cluster.Patience, "the last records of the killed process", func() (bool, string) {
		now, still := target.Offsets(topic), true
		for _, p := range partitions {
			still = still && now[p] == before[p]
		}
		before = now
		return still, fmt.Sprint(now)
	})
}

// awaitAtLeastOnce waits until the copy of a topic has all its records, in order, and checks that no more came twice
// than may.
func awaitAtLeastOnce(t *testing.T, source, target *cluster.Kafka, topic string, may map[int32]int) {
	t.Helper()
	want := source.ReadTopic(topic, kafkatest.ReadCommitted)
	var duplicates map[int32]int
	kafkatest.Await(t, cluster.Patience, "all records of "+topic, func() (bool, string) {
		var difference string
		duplicates, difference = kafkatest.DiffAtLeastOnce(want, target.ReadTopic("source."+topic, kafkatest.ReadCommitted))
		return difference == "", difference
	})
	t.Logf("%v of %d records came twice, and may: %v", duplicates, source.Records(topic), may)
	for p, n := range duplicates {
		if n > may[p] {
			t.Errorf("partition %d: %d records came twice, but only %d were delivered after the last commit", p, n, may[p])
		}
	}
}

func TestTasksOfAKilledWorkerAreTakenOver(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	file := workerFile(target, "offset.flush.interval.ms=500")
	workers := []*cluster.Worker{cluster.Spawn(t, cluster.Distributed, file), cluster.Spawn(t, cluster.Distributed, file)}
	awaitHealthy(t, workers...)
	workers[0].API().Create("mirror", mirrorConfig(source, target, 4))
	status := awaitShared(t, workers[0], "mirror", 2, 2)
	stop := stream(t, source, "orders", 4)
	awaitCommitted(t, target, "connect-offsets", "orders", 4, 20)

	// The second is killed. The first keeps its own tasks, which see nothing of this, and gets the others.
	var lost []int32
	for _, task := range status.Tasks {
		if "http://"+task.WorkerID == workers[1].URL() {
			lost = append(lost, int32(task.ID)) // task n has partition n
		}
	}
	requireEqual(t, "tasks of the killed worker", 2, len(lost))
	workers[1].Kill()
	settle(t, target, "source.orders", lost...)
	risk := atRisk(t, target, "connect-offsets", "orders")
	may := map[int32]int{}
	for _, p := range lost {
		may[p] = risk[p]
	}
	awaitShared(t, workers[0], "mirror", 4)
	stop()
	awaitAtLeastOnce(t, source, target, "orders", may)

	// All are killed, and started again: the group remembers its connector, and where it was.
	stop = stream(t, source, "orders", 4)
	before := source.Offsets("orders")[0].End
	awaitCommitted(t, target, "connect-offsets", "orders", 4, before)
	workers[0].Kill()
	settle(t, target, "source.orders", 0, 1, 2, 3)
	may = atRisk(t, target, "connect-offsets", "orders")
	again := []*cluster.Worker{cluster.Spawn(t, cluster.Distributed, file), cluster.Spawn(t, cluster.Distributed, file)}
	awaitHealthy(t, again...)
	awaitShared(t, again[0], "mirror", 2, 2)
	stop()
	awaitAtLeastOnce(t, source, target, "orders", may)
}

func TestAKilledMirrorMakerGoesOnAfterItsLastCommit(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 3})
	file := twoLines(source, target) + anyPort + "target.offset.flush.interval.ms=300\nsource.session.timeout.ms=6000\ntarget.session.timeout.ms=6000\n"
	stop := stream(t, source, "orders", 3)
	w := cluster.Spawn(t, cluster.MirrorMaker, file)
	awaitCommitted(t, target, "mm2-offsets.source.internal", "orders", 3, 20)
	w.Kill()
	settle(t, target, "source.orders", 0, 1, 2)
	may := atRisk(t, target, "mm2-offsets.source.internal", "orders")

	w = cluster.Spawn(t, cluster.MirrorMaker, file)
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	stop()
	awaitAtLeastOnce(t, source, target, "orders", may)
	if took := w.Stop(); took > stopLimit {
		t.Errorf("stopped after %s, want %s at most", took, stopLimit)
	}
}

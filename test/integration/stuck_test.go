package integration

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

const notEnoughReplicas = 19

// refuseWrites makes a cluster refuse what is written to one partition, with an error that may pass.
func refuseWrites(k *cluster.Kafka, topic string, partition int32) *localkafka.Disturbance {
	return k.Fail(localkafka.Fault{API: localkafka.Produce, Code: notEnoughReplicas, Topic: topic, Partitions: []int32{partition}, Times: -1})
}

// rowOf is the row of a partition on a connector's replication page.
func rowOf(t *testing.T, w *cluster.Worker, connector, topic string, partition int32) (row api.ReplicatedPartition, found bool) {
	t.Helper()
	page, err := w.API().Replication(t.Context(), connector)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Partitions, func(r api.ReplicatedPartition) bool { return r.Topic == topic && r.Partition == partition })
	if i < 0 {
		return row, false
	}
	return page.Partitions[i], true
}

// TestAStuckPartitionLeavesRoomForTheOthers: far more than there is room for waits for one partition of the target, and
// far more than that gets through to the other.
func TestAStuckPartitionLeavesRoomForTheOthers(t *testing.T) {
	const room, count, size = "4194304", 40, 400_000
	for lane, keys := range map[string]map[string]string{"raw": {"raw.buffer.memory": room}, "record": {"raw.batches": "false", "producer.override.buffer.memory": room}} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 2})
			random := rand.NewChaCha8([32]byte{})
			for i := range count {
				for partition := range int32(2) {
					value := make([]byte, size)
					_, _ = random.Read(value)
					source.Produce("orders", kafkatest.Record{Partition: partition, Key: fmt.Append(nil, i), Value: value})
				}
			}
			stuck := refuseWrites(target, "source.orders", 0)
			w := cluster.Start(t, cluster.Distributed, workerFile(target))
			awaitHealthy(t, w)
			config := mirrorConfig(source, target, 1)
			maps.Copy(config, keys)
			w.API().Create("mirror", config)
			kafkatest.Await(t, cluster.Patience, "all of the other partition", func() (bool, string) {
				if !slices.Contains(target.Topics(), "source.orders") {
					return false, "no topic"
				}
				at := target.Offsets("source.orders")
				return at[0].End == 0 && at[1].End == count, fmt.Sprint(at)
			})
			row, _ := rowOf(t, w, "mirror", "orders", 0)
			if row.Lane != lane {
				t.Errorf("the lane is %s (%s)", row.Lane, row.LaneReason)
			}
			kafkatest.Await(t, cluster.Patience, "the reason on the page", func() (bool, string) {
				row, _ := rowOf(t, w, "mirror", "orders", 0)
				return strings.Contains(row.LastError, "source.orders-0 of cluster target cannot be written to, trying on: ") && !row.Stopped && row.LastErrorTime != nil, fmt.Sprintf("%+v", row)
			})
			stuck.Undo()
			awaitMirror(t, source, target, "orders")
		})
	}
}

// TestAPartitionThatBrokersRefuseTooLongWaitsAlone: when delivery.timeout.ms is over, the partition is shown as stopped,
// tried again, and nothing of it is left out; the others do not notice.
func TestAPartitionThatBrokersRefuseTooLongWaitsAlone(t *testing.T) {
	for lane, keys := range map[string]map[string]string{"raw": {}, "record": {"on.record.error": "skip"}} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 2})
			source.Produce("orders", cluster.Numbered(0, 10, 2)...)
			stuck := refuseWrites(target, "source.orders", 0)
			w := cluster.Start(t, cluster.Distributed, workerFile(target))
			awaitHealthy(t, w)
			config := mirrorConfig(source, target, 1)
			maps.Copy(config, map[string]string{"producer.override.delivery.timeout.ms": "1000", "producer.override.request.timeout.ms": "500"})
			maps.Copy(config, keys)
			w.API().Create("mirror", config)
			kafkatest.Await(t, cluster.Patience, "the stop", func() (bool, string) {
				row, found := rowOf(t, w, "mirror", "orders", 0)
				return found && row.Stopped && strings.Contains(row.LastError, "delivery.timeout.ms = 1000") && *row.LagRecords == 5 && row.Lane == lane, fmt.Sprintf("%+v", row)
			})
			source.Produce("orders", kafkatest.Record{Partition: 1, Value: []byte("more")})
			kafkatest.Await(t, cluster.Patience, "the other partition", func() (bool, string) {
				at := target.Offsets("source.orders")
				return at[0].End == 0 && at[1].End == 6, fmt.Sprint(at)
			})
			stuck.Undo()
			awaitMirror(t, source, target, "orders")
			if row, _ := rowOf(t, w, "mirror", "orders", 0); len(row.Gaps) != 0 {
				t.Errorf("there are gaps: %+v", row.Gaps)
			}
			w.API().AwaitState("mirror", "RUNNING", 1)
		})
	}
}

// TestAStuckPartitionOfATransactionIsShown: with exactly-once delivery a partition that takes nothing holds up the
// transaction, and the task waits with it. The page says so all the same, and when it is over nothing is missing.
func TestAStuckPartitionOfATransactionIsShown(t *testing.T) {
	for lane, keys := range map[string]map[string]string{"raw": {}, "record": {"raw.batches": "false"}} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 2})
			source.Produce("orders", cluster.Numbered(0, 10, 2)...)
			stuck := refuseWrites(target, "source.orders", 0)
			w := cluster.Start(t, cluster.Distributed, workerFile(target, exactlyOnce))
			awaitHealthy(t, w)
			config := transactional(mirrorConfig(source, target, 1))
			maps.Copy(config, keys)
			w.API().Create("mirror", config)
			kafkatest.Await(t, cluster.Patience, "the reason on the page", func() (bool, string) {
				row, found := rowOf(t, w, "mirror", "orders", 0)
				return found && row.Lane == lane && row.LastErrorTime != nil && !row.Stopped &&
					strings.Contains(row.LastError, "source.orders-0 of cluster target cannot be written to, trying on: "), fmt.Sprintf("%+v", row)
			})
			if row, _ := rowOf(t, w, "mirror", "orders", 1); row.LastError != "" {
				t.Errorf("the page blames the other partition: %+v", row)
			}
			stuck.Undo()
			awaitMirror(t, source, target, "orders")
			requireTransactional(t, target, "source.orders", 2)
		})
	}
}

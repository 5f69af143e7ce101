package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"tributary/api"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

const exactlyOnce = "exactly.once.source.support=enabled"

// transactional adds to a connector's configuration what exactly-once delivery asks for.
func transactional(config map[string]string, more ...string) map[string]string {
	config["exactly.once.support"] = "required"
	config["source.consumer.isolation.level"] = "read_committed"
	for i := 0; i < len(more); i += 2 {
		config[more[i]] = more[i+1]
	}
	return config
}

// storedOffsets are the offsets of topic orders that an offsets topic has committed, by topic partition.
func storedOffsets(t *testing.T, k *cluster.Kafka, topic string) map[string]int64 {
	t.Helper()
	stored := map[string]int64{}
	for _, records := range k.ReadTopic(topic, kafkatest.ReadCommitted) {
		for _, r := range records {
			var key []json.RawMessage
			var partition struct {
				Topic     string
				Partition int
			}
			var value struct{ Offset int64 }
			if err := json.Unmarshal(r.Key, &key); err != nil || len(key) != 2 {
				t.Fatalf("key %s: %v", r.Key, err)
			}
			if err := json.Unmarshal(key[1], &partition); err != nil {
				t.Fatalf("key %s: %v", r.Key, err)
			}
			if partition.Topic != "orders" {
				continue
			}
			name := fmt.Sprintf("%s-%d", partition.Topic, partition.Partition)
			if r.Value == nil {
				delete(stored, name)
				continue
			}
			if err := json.Unmarshal(r.Value, &value); err != nil {
				t.Fatalf("value %s: %v", r.Value, err)
			}
			stored[name] = value.Offset
		}
	}
	return stored
}

// requireTransactional ends the test unless all data of a topic was written in transactions.
func requireTransactional(t *testing.T, k *cluster.Kafka, topic string, partitions int32) {
	t.Helper()
	for p := range partitions {
		for _, b := range k.ReadBatches(topic, p, kafkatest.ReadUncommitted) {
			if !b.Transactional {
				t.Fatalf("partition %d of %s has a batch at %d outside of any transaction", p, topic, b.BaseOffset)
			}
		}
	}
}

// TestExactlyOnceMirrorKeepsItsOffsetsInATopicOfItsOwn is Apache's testSeparateOffsetsTopic: the connector's topic
// holds the offsets of the transactions, the worker's a copy of them, and a worker without exactly-once support goes
// on from there.
func TestExactlyOnceMirrorKeepsItsOffsetsInATopicOfItsOwn(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.Distributed, workerFile(target, exactlyOnce))
	awaitHealthy(t, w)
	w.API().Create("mirror", transactional(mirrorConfig(source, target, 1), "topics", "orders", "offsets.storage.topic", "mirror-offsets"))
	awaitMirror(t, source, target, "orders")
	requireTransactional(t, target, "source.orders", 2)

	for _, topic := range []string{"mirror-offsets", "connect-offsets"} {
		kafkatest.Await(t, cluster.Patience, "offsets in "+topic, func() (bool, string) {
			stored := storedOffsets(t, target, topic)
			return len(stored) == 2 && stored["orders-0"] == 49 && stored["orders-1"] == 49, fmt.Sprint(stored)
		})
	}
	requireEqual(t, "cleanup.policy of the connector's offsets topic", "compact", target.TopicConfigs("mirror-offsets")["cleanup.policy"])
	requireTransactional(t, target, "mirror-offsets", int32(target.Partitions("mirror-offsets")))
	w.Stop()

	source.Produce("orders", cluster.Numbered(100, 200, 2)...)
	w = cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitMirror(t, source, target, "orders")
	w.Stop()
	requireEqual(t, "offsets after the worker without", map[string]int64{"orders-0": 99, "orders-1": 99}, storedOffsets(t, target, "mirror-offsets"))
}

// TestOffsetsOfAnExactlyOnceMirrorAreAlteredInATransaction: what is set over REST is where the mirror goes on, and what
// is reset is mirrored again.
func TestOffsetsOfAnExactlyOnceMirrorAreAlteredInATransaction(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.Distributed, workerFile(target, exactlyOnce))
	awaitHealthy(t, w)
	w.API().Create("mirror", transactional(mirrorConfig(source, target, 2), "topics", "orders"))
	awaitMirror(t, source, target, "orders")

	stop := func() {
		t.Helper()
		w.API().Do("stop", func(ctx context.Context, c *api.Client) error { return c.Stop(ctx, "mirror") })
		w.API().AwaitState("mirror", "STOPPED", 0)
	}
	resume := func(count int) {
		t.Helper()
		w.API().Do("resume", func(ctx context.Context, c *api.Client) error { return c.Resume(ctx, "mirror") })
		target.AwaitRecords("source.orders", count, cluster.Patience)
		w.API().AwaitState("mirror", "RUNNING", 2)
	}
	stop()
	w.API().Do("alter", func(ctx context.Context, c *api.Client) error {
		_, err := c.AlterOffsets(ctx, "mirror", api.ConnectorOffsets{Offsets: []api.ConnectorOffset{{
			Partition: json.RawMessage(`{"cluster":"source","partition":0,"topic":"orders"}`), Offset: json.RawMessage(`{"offset":39}`),
		}}})
		return err
	})
	requireEqual(t, "offsets altered", map[string]int64{"orders-0": 39, "orders-1": 49}, storedOffsets(t, target, "connect-offsets"))
	resume(110)

	stop()
	w.API().Do("reset", func(ctx context.Context, c *api.Client) error { _, err := c.ResetOffsets(ctx, "mirror"); return err })
	requireEqual(t, "offsets reset", map[string]int64{}, storedOffsets(t, target, "connect-offsets"))
	resume(210)
	requireTransactional(t, target, "connect-offsets", int32(target.Partitions("connect-offsets")))
	w.Stop()
	requireEqual(t, "offsets in the end", map[string]int64{"orders-0": 49, "orders-1": 49}, storedOffsets(t, target, "connect-offsets"))
}

// TestDedicatedMirrorMakerWritesInTransactionsWhenItsTargetSaysSo: the key stands under the target's alias, and the
// transactional id is that of Java's dedicated mode.
func TestDedicatedMirrorMakerWritesInTransactionsWhenItsTargetSaysSo(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+"target."+exactlyOnce+"\nsource.consumer.isolation.level=read_committed\n")
	awaitMirror(t, source, target, "orders")
	w.Log.Await("writes records and offsets in transactions", "transactional_id=source-mm2-MirrorSourceConnector-0")
	requireTransactional(t, target, "source.orders", 2)
	w.Stop()
	requireEqual(t, "offsets", map[string]int64{"orders-0": 49, "orders-1": 49}, storedOffsets(t, target, "mm2-offsets.source.internal"))
}

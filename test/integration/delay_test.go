package integration

import (
	"context"
	"testing"
	"time"

	"tributary/api"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// While a delayed mirror is paused nothing arrives; what became due meanwhile leaves when it is resumed, and nothing else.
func TestAPauseOfADelayedMirrorChangesNothingOfWhenRecordsAreDue(t *testing.T) {
	t.Parallel()
	for lane, raw := range map[string]string{"raw": "true", "record": "false"} {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 1})
			const delay = time.Hour
			produce := func(value string, timestamp time.Time) { // a batch of its own
				source.Produce("orders", kafkatest.Record{Value: []byte(value), Timestamp: timestamp})
			}
			w := cluster.Start(t, cluster.Distributed, workerFile(target))
			awaitHealthy(t, w)
			config := mirrorConfig(source, target, 1)
			config["topics"], config["replication.mode"], config["replication.delay.ms"], config["raw.batches"] = "orders", "delayed", "3600000", raw
			produce("due", time.Now().Add(-2*delay))
			w.API().Create("mirror", config)
			target.AwaitRecords("source.orders", 1, cluster.Patience)

			w.API().Do("pause", func(ctx context.Context, c *api.Client) error { return c.Pause(ctx, "mirror") })
			w.API().AwaitState("mirror", "PAUSED", 1)
			soon := time.Now().Add(time.Second)
			produce("due while paused", soon.Add(-delay))
			produce("due in an hour", time.Now())
			witness := mirrorConfig(source, target, 1)
			witness["source.cluster.alias"], witness["topics"] = "witness", "orders"
			w.API().Create("witness", witness)
			target.AwaitRecords("witness.orders", 3, cluster.Patience)
			kafkatest.Await(t, cluster.Patience, "the second record to be due", func() (bool, string) { return time.Now().After(soon), "" })
			requireValues(t, target, "due")

			w.API().Do("resume", func(ctx context.Context, c *api.Client) error { return c.Resume(ctx, "mirror") })
			target.AwaitRecords("source.orders", 2, cluster.Patience)
			requireValues(t, target, "due", "due while paused")
		})
	}
}

// requireValues requires what the one partition of the mirrored topic holds.
func requireValues(t *testing.T, target *cluster.Kafka, want ...string) {
	t.Helper()
	var got []string
	for _, r := range target.ReadPartition("source.orders", 0, kafkatest.ReadCommitted) {
		got = append(got, string(r.Value))
	}
	requireEqual(t, "mirrored values", want, got)
}

package integration

import (
	"testing"
	"time"

	"tributary/connect/cli"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// ordersAlone is a batch of one topic.
const ordersAlone = "source->target.replication.mode=batch\nsource->target.topics=orders\nsource->target.heartbeats.replication.enabled=false\n"

// batchLanes are batches in each lane.
var batchLanes = map[string]string{"raw lane": ordersAlone, "record lane": ordersAlone + "source->target.raw.batches=false\n"}

func TestAProcessWhoseFlowsAreAllBatchesEndsWhenTheyAreDone(t *testing.T) {
	t.Parallel()
	for lane, line := range batchLanes {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 3})
			source.Produce("orders", cluster.Numbered(0, 300, 3)...)
			file := twoLines(source, target) + anyPort + line

			w := cluster.Start(t, cluster.MirrorMaker, file)

			requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
			requireLines(t, w.Log, 1, "The batch is done", "left=0", "stopped_partitions=0")
			awaitMirror(t, source, target, "orders")

			// The next start is the next batch, which begins where the first has ended.
			source.Produce("orders", cluster.Numbered(300, 450, 3)...)
			w = cluster.Start(t, cluster.MirrorMaker, file)
			requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
			requireLines(t, w.Log, 1, "The batch is done", "copied=150", "left=0", "stopped_partitions=0")
			awaitMirror(t, source, target, "orders")
		})
	}
}

func TestABatchUntilATimeEndsTheProcessAndTheNextTakesTheRest(t *testing.T) {
	t.Parallel()
	for lane, line := range batchLanes {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 1})
			until := time.Now().Add(-time.Hour).Truncate(time.Second)
			records := cluster.Numbered(0, 20, 1)
			for i := range records {
				records[i].Timestamp = until.Add(time.Duration(i-12) * time.Minute)
			}
			source.Produce("orders", records...)
			file := twoLines(source, target) + anyPort + line

			w := cluster.Start(t, cluster.MirrorMaker, file+"source->target.batch.until="+until.UTC().Format(time.RFC3339)+"\n")
			requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
			requireLines(t, w.Log, 1, "The batch is done", "copied=12", "left=0")
			requireEqual(t, "records before the time", 12, len(target.ReadTopic("source.orders", kafkatest.ReadCommitted)[0]))

			w = cluster.Start(t, cluster.MirrorMaker, file)
			requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
			requireLines(t, w.Log, 1, "The batch is done", "copied=8", "left=0")
			awaitMirror(t, source, target, "orders")
		})
	}
}

func TestABatchThatLeavesSomethingBehindEndsTheProcessWithAFailure(t *testing.T) {
	t.Parallel()
	for lane, line := range batchLanes {
		t.Run(lane, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 2})
			source.Produce("orders", cluster.Numbered(0, 20, 2)...)
			const messageTooLarge = 10
			refusal := target.Cluster.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "source.orders", Partitions: []int32{1}, Times: -1})
			file := twoLines(source, target) + anyPort + "source->target.batch.stall.seconds=8\n" + line

			w := cluster.Start(t, cluster.MirrorMaker, file)
			requireEqual(t, "exit code", cli.ExitFailed, w.ExitCode())
			requireLines(t, w.Log, 1, "ERROR", "it left 10 records behind; 1 partitions were stopped")
			requireEqual(t, "records of the other partition", 10, len(target.ReadTopic("source.orders", kafkatest.ReadCommitted)[0]))

			// The next batch takes what was left.
			refusal.Undo()
			w = cluster.Start(t, cluster.MirrorMaker, file)
			requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
			awaitMirror(t, source, target, "orders")
		})
	}
}

package integration

import (
	"testing"

	"tributary/connect/cli"
	"tributary/test/cluster"
)

func TestAProcessWhoseFlowsAreAllBatchesEndsWhenTheyAreDone(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 3})
	source.Produce("orders", cluster.Numbered(0, 300, 3)...)
	file := twoLines(source, target) + anyPort + "source->target.replication.mode=batch\n"

	w := cluster.Start(t, cluster.MirrorMaker, file)

	requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
	requireLines(t, w.Log, 1, "The batch is done", "left=0", "stopped_partitions=0")
	awaitMirror(t, source, target, "orders")

	// The next start is the next batch.
	source.Produce("orders", cluster.Numbered(300, 450, 3)...)
	w = cluster.Start(t, cluster.MirrorMaker, file)
	requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
	requireLines(t, w.Log, 1, "The batch is done", "left=0", "stopped_partitions=0")
	awaitMirror(t, source, target, "orders")
}

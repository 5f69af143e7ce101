package integration

import (
	"context"
	"testing"

	"tributary/api"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// A flow's throttle is lifted by a change of its configuration: the task goes on where it is, faster, and is not started
// again.
func TestAThrottleIsChangedOverRESTWithoutRestartingTasks(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	for range 20 {
		source.Produce("orders", kafkatest.Record{Value: make([]byte, 1000)})
	}
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, w)
	config := mirrorConfig(source, target, 1)
	config["topics"], config["throttle.bytes.per.second"] = "orders", "1"
	w.API().Create("mirror", config)
	target.AwaitRecords("source.orders", 1, cluster.Patience)

	config["throttle.bytes.per.second"] = "1000000000"
	w.API().Do("lift the throttle", func(ctx context.Context, c *api.Client) error {
		_, _, err := c.PutConfig(ctx, "mirror", config)
		return err
	})

	awaitMirror(t, source, target, "orders") // at a byte a second, that would take hours
	requireLines(t, w.Log, 1, "[mirror|task-0] Starting task")
}

package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// workerFile is the file of a worker of one group on the target; further lines may be added.
func workerFile(target *cluster.Kafka, further ...string) string {
	return `bootstrap.servers=` + target.Bootstrap() + `
group.id=workers
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
key.converter=org.apache.kafka.connect.converters.ByteArrayConverter
value.converter=org.apache.kafka.connect.converters.ByteArrayConverter
header.converter=org.apache.kafka.connect.converters.ByteArrayConverter
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
listeners=http://127.0.0.1:0
` + strings.Join(further, "\n") + "\n"
}

// mirrorConfig is the connector of the README's second example.
func mirrorConfig(source, target *cluster.Kafka, tasks int) map[string]string {
	return map[string]string{
		"connector.class":                  "org.apache.kafka.connect.mirror.MirrorSourceConnector",
		"tasks.max":                        fmt.Sprint(tasks),
		"source.cluster.alias":             "source",
		"target.cluster.alias":             "target",
		"source.cluster.bootstrap.servers": source.Bootstrap(),
		"target.cluster.bootstrap.servers": target.Bootstrap(),
	}
}

func awaitHealthy(t *testing.T, workers ...*cluster.Worker) {
	t.Helper()
	for _, w := range workers {
		awaitReady(t, w.API())
	}
}

func awaitReady(t *testing.T, client *cluster.API) {
	t.Helper()
	kafkatest.Await(t, cluster.Patience, "the worker to be ready", func() (bool, string) {
		health, err := client.Health(t.Context())
		return err == nil && health.Status == "healthy", fmt.Sprint(health, err)
	})
}

// awaitShared waits until a connector's tasks run on the workers in these numbers, in any order.
func awaitShared(t *testing.T, w *cluster.Worker, connector string, shares ...int) api.ConnectorStatus {
	t.Helper()
	slices.Sort(shares)
	return w.API().AwaitStatus(connector, fmt.Sprintf("tasks shared as %v", shares), func(s api.ConnectorStatus) bool {
		running := !slices.ContainsFunc(s.Tasks, func(task api.TaskStatus) bool { return task.State != "RUNNING" })
		return s.Connector.State == "RUNNING" && running && slices.Equal(slices.Sorted(maps.Values(cluster.Workers(s))), shares)
	})
}

func TestAGroupSharesTheTasksAndAnyWorkerAnswers(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 8})
	source.Produce("orders", cluster.Numbered(0, 800, 8)...)
	source.Produce("orders", oddRecords()...)
	one := cluster.Start(t, cluster.Distributed, workerFile(target))
	two := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, one, two)

	// One of the two is no leader: what must be written goes through it to the leader.
	info := one.API().Create("mirror", mirrorConfig(source, target, 4))
	requireEqual(t, "the answer's type", "source", info.Type)
	requireEqual(t, "the answer's name", "mirror", *info.Config["name"])
	second := mirrorConfig(source, target, 1)
	second["topics"] = "nothing-has-this-name"
	two.API().Create("idle", second)

	awaitShared(t, one, "mirror", 2, 2)
	awaitMirror(t, source, target, "orders")
	for _, w := range []*cluster.Worker{one, two} {
		w.API().AwaitConnectors("idle", "mirror")
		status := awaitShared(t, w, "mirror", 2, 2)
		for i, task := range status.Tasks {
			requireEqual(t, "task number", i, task.ID)
			requireText(t, one.URL()+" "+two.URL(), task.WorkerID)
		}
		got, err := w.API().Connector(t.Context(), "mirror")
		if err != nil {
			t.Fatal(err)
		}
		requireEqual(t, "tasks", []api.ConnectorTaskID{{Connector: "mirror", Task: 0}, {Connector: "mirror", Task: 1}, {Connector: "mirror", Task: 2}, {Connector: "mirror", Task: 3}}, got.Tasks)
		topics, err := w.API().Topics(t.Context(), "mirror")
		if err != nil {
			t.Fatal(err)
		}
		requireEqual(t, "topics", []string{"source.orders"}, topics)
	}

	// The one that is created a second time is refused, by both.
	for _, w := range []*cluster.Worker{one, two} {
		_, err := w.API().CreateConnector(t.Context(), api.CreateConnectorRequest{Name: "mirror", Config: api.Config(second)})
		if err == nil {
			t.Fatal("a connector was created twice")
		}
		requireText(t, err.Error(), "409", "mirror", "already exists")
	}
}

func TestPauseResumeStopAndDelete(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	source.Produce("orders", cluster.Numbered(0, 100, 4)...)
	one := cluster.Start(t, cluster.Distributed, workerFile(target))
	two := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, one, two)
	one.API().Create("mirror", mirrorConfig(source, target, 4))
	awaitMirror(t, source, target, "orders")

	do := func(w *cluster.Worker, what string, request func(c *api.Client, ctx context.Context, name string) error) {
		t.Helper()
		w.API().Do(what, func(ctx context.Context, c *api.Client) error { return request(c, ctx, "mirror") })
	}

	do(two, "pause", (*api.Client).Pause)
	one.API().AwaitState("mirror", "PAUSED", 4)
	// A second mirror of the same records shows that there was time for the first to move them.
	witness := mirrorConfig(source, target, 1)
	witness["source.cluster.alias"] = "witness"
	source.Produce("orders", cluster.Numbered(100, 200, 4)...)
	two.API().Create("witness", witness)
	target.AwaitRecords("witness.orders", 200, cluster.Patience)
	requireEqual(t, "records of a paused mirror", 100, target.Records("source.orders"))
	two.API().AwaitState("mirror", "PAUSED", 4)
	do(two, "resume", (*api.Client).Resume)
	awaitMirror(t, source, target, "orders")

	do(one, "stop", (*api.Client).Stop)
	two.API().AwaitState("mirror", "STOPPED", 0)
	tasks, err := two.API().Tasks(t.Context(), "mirror")
	if err != nil || len(tasks) != 0 {
		t.Fatalf("tasks of a stopped connector: %v, %v", tasks, err)
	}
	source.Produce("orders", cluster.Numbered(200, 300, 4)...)
	target.AwaitRecords("witness.orders", 300, cluster.Patience)
	requireEqual(t, "records of a stopped mirror", 200, target.Records("source.orders"))
	do(two, "resume", (*api.Client).Resume)
	awaitMirror(t, source, target, "orders")
	one.API().AwaitState("mirror", "RUNNING", 4)

	do(two, "delete", (*api.Client).Delete)
	one.API().AwaitConnectors("witness")
	two.API().AwaitConnectors("witness")
	kafkatest.Await(t, cluster.Patience, "the status to be gone", func() (bool, string) {
		_, err := one.API().Status(t.Context(), "mirror")
		var refusal *api.Error
		return errors.As(err, &refusal) && refusal.Code == http.StatusNotFound, fmt.Sprint(err)
	})
	source.Produce("orders", cluster.Numbered(300, 400, 4)...)

	// Created anew under its name it goes on where it was, for the offsets stayed.
	two.API().Create("mirror", mirrorConfig(source, target, 2))
	one.API().AwaitState("mirror", "RUNNING", 2)
	awaitMirror(t, source, target, "orders")
}

func TestAWorkerThatJoinsTakesItsShareAndOneThatLeavesGivesItBackAtOnce(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 6})
	// A session and a delay that outlive the test: a worker that leaves must say so, to the group and to its leader.
	patient := workerFile(target, "session.timeout.ms=100000", "rebalance.timeout.ms=100000", "scheduled.rebalance.max.delay.ms=300000")
	one := cluster.Start(t, cluster.Distributed, patient)
	two := cluster.Start(t, cluster.Distributed, patient)
	awaitHealthy(t, one, two)
	one.API().Create("mirror", mirrorConfig(source, target, 6))
	awaitShared(t, two, "mirror", 3, 3)
	next := 0
	produce := func() {
		source.Produce("orders", cluster.Numbered(next, next+300, 6)...)
		next += 300
	}
	produce()

	three := cluster.Start(t, cluster.Distributed, patient)
	awaitShared(t, one, "mirror", 2, 2, 2)
	produce()
	awaitMirror(t, source, target, "orders")

	produce()
	if took := two.Stop(); took > stopLimit {
		t.Errorf("stopped after %s, want %s at most", took, stopLimit)
	}
	produce()
	awaitShared(t, one, "mirror", 3, 3)
	awaitShared(t, three, "mirror", 3, 3)
	produce()
	awaitMirror(t, source, target, "orders")

	one.Stop()
	three.API().AwaitState("mirror", "RUNNING", 6)
	produce()
	awaitMirror(t, source, target, "orders")
}

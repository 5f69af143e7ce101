package integration

import (
	"fmt"
	"strings"
	"testing"

	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// The lines that tell of a cluster's state.
const (
	cannotBeUsed = "Kafka cluster cannot be used yet"
	answers      = "Kafka cluster answers"
)

func TestATargetThatIsDownAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	source := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"orders": 2}})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	port := realkafka.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	w := cluster.Start(t, cluster.MirrorMaker, "source.bootstrap.servers="+source.Bootstrap()+"\ntarget.bootstrap.servers="+address+"\n"+anyPort)

	line := w.Log.Await(cannotBeUsed, address)
	requireText(t, line, "WARN", "refuses the connection", "nothing listens on that port")
	target := cluster.StartKafka(t, localkafka.Options{Ports: []int{port}})

	awaitMirror(t, source, target, "orders")
	w.API().AwaitState(heartbeatConnector, "RUNNING", 1)
	requireLines(t, w.Log, 1, cannotBeUsed, address)
	requireLines(t, w.Log, 1, answers, address)
	w.Stop() // before its target, which began after it
}

func TestASourceThatIsDownAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	target := cluster.StartKafka(t, localkafka.Options{})
	port := realkafka.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	w := cluster.Start(t, cluster.MirrorMaker, "source.bootstrap.servers="+address+"\ntarget.bootstrap.servers="+target.Bootstrap()+"\n"+anyPort)

	w.Log.Await(cannotBeUsed, address, "refuses the connection")
	// What the source has no part in works meanwhile.
	w.API().AwaitState(heartbeatConnector, "RUNNING", 1)
	target.AwaitRecords("heartbeats", 1, cluster.Patience)

	source := cluster.StartKafka(t, localkafka.Options{Ports: []int{port}, Topics: map[string]int32{"orders": 2}})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	awaitMirror(t, source, target, "orders")
	// Two flows and all their connectors wait for it; it is said once.
	requireLines(t, w.Log, 1, cannotBeUsed, address)
	w.Log.Await(answers, address)
	requireLines(t, w.Log, 1, answers, address)
	w.Stop() // before its source, which began after it
}

// goAwayFor takes a cluster away, does something once a client has noticed, and brings it back.
func goAwayFor(t *testing.T, w *cluster.Worker, k *cluster.Kafka, what func()) {
	t.Helper()
	k.GoAway()
	w.Log.Await("WARN", k.Bootstrap(), "trying")
	what()
	k.ComeBack()
}

func TestWorkGoesOnWhenTheSourceWasAway(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "orders")

	goAwayFor(t, w, source, func() {})
	source.Produce("orders", cluster.Numbered(100, 200, 2)...)

	awaitMirror(t, source, target, "orders")
	source.CreateTopic("new", 1, nil)
	source.Produce("new", cluster.Numbered(0, 10, 1)...)
	awaitMirror(t, source, target, "new")
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	w.Flow("target", "source").AwaitState(heartbeatConnector, "RUNNING", 1)
	w.Stop()
}

func TestWorkGoesOnWhenTheTargetWasAway(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "orders")

	goAwayFor(t, w, target, func() { source.Produce("orders", cluster.Numbered(100, 200, 2)...) })
	source.Produce("orders", cluster.Numbered(200, 300, 2)...)

	awaitMirror(t, source, target, "orders")
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	w.Stop()
}

// A batch whose answer was lost may be sent twice: delivery is at least once. Nothing else may happen to it.
func TestBrokenConnectionsAndLostAnswersLoseAndReorderNothing(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	next := 0
	produce := func() {
		source.Produce("orders", cluster.Numbered(next, next+100, 2)...)
		next += 100
	}
	mirrored := func() {
		t.Helper()
		kafkatest.Await(t, cluster.Patience, "all records on the target", func() (bool, string) {
			_, diff := kafkatest.DiffAtLeastOnce(source.ReadTopic("orders", kafkatest.ReadCommitted), target.ReadTopic("source.orders", kafkatest.ReadCommitted))
			return diff == "", diff
		})
	}
	produce()
	awaitMirror(t, source, target, "orders")
	for range 5 {
		target.Refuse(localkafka.Produce, 1)
		produce()
		source.DropConnections()
		produce()
		target.DropConnections()
		target.Fail(localkafka.Fault{API: localkafka.Produce, Code: notLeader, Topic: "source.orders", Times: 2})
		produce()
		mirrored()
	}
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	requireLines(t, w.Log, 0, "ERROR")
}

// notLeader is Kafka's NOT_LEADER_OR_FOLLOWER.
const notLeader = 6

func TestAClusterThatGoesAndComesIsToldOnceEach(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 8})
	source.Produce("orders", cluster.Numbered(0, 80, 8)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "orders")

	goAwayFor(t, w, source, func() { w.Log.Await("WARN", "Kafka cluster cannot be", source.Bootstrap()) })
	source.Produce("orders", cluster.Numbered(80, 160, 8)...)
	awaitMirror(t, source, target, "orders")

	// Both flows, three internal topics, four connectors and their tasks use the source; one of them says it for all.
	w.Log.Await("INFO", "Kafka cluster", source.Bootstrap())
	requireLines(t, w.Log, 1, "WARN", "Kafka cluster cannot be", source.Bootstrap())
	requireLines(t, w.Log, 1, "INFO", "Kafka cluster", source.Bootstrap())
}

// The session ends, so the worker gives its work up; once the cluster is back it gets it again by itself.
func TestAnOutageBeyondTheSessionIsToldOnceForClusterAndGroupAndWorkGoesOn(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+"task.shutdown.graceful.timeout.ms=1000\n")
	awaitMirror(t, source, target, "orders")
	before := len(w.Log.Lines())

	target.GoAway()
	source.Produce("orders", cluster.Numbered(100, 200, 2)...)
	w.Log.Await("stopping all work")
	kafkatest.Await(t, cluster.Patience, "the end of the task, which cannot finish", func() (bool, string) {
		series := w.Metrics()
		return !strings.Contains(series, `connector="MirrorSourceConnector",task="0"`), series
	})
	target.ComeBack()
	source.Produce("orders", cluster.Numbered(200, 300, 2)...)

	kafkatest.Await(t, cluster.Patience, "all records on the target", func() (bool, string) {
		_, diff := kafkatest.DiffAtLeastOnce(source.ReadTopic("orders", kafkatest.ReadCommitted), target.ReadTopic("source.orders", kafkatest.ReadCommitted))
		return diff == "", diff
	})
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	var told []string
	for _, line := range w.Log.Lines()[before:] {
		if strings.Contains(line, "WARN") || strings.Contains(line, "ERROR") {
			told = append(told, line)
		}
	}
	if len(told) != 2 || !strings.Contains(told[0], "Kafka cluster cannot be") || !strings.Contains(told[1], "stopping all work") {
		t.Errorf("told of the outage:\n%s", strings.Join(told, "\n"))
	}
	w.Stop()
}

package integration

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/api"
	"tributary/connectors/mirror/replica"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func TestTwoLinesMirrorEveryRecordExactly(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 3, "zipped": 3, "quiet": 2})
	source.Produce("orders", cluster.Numbered(0, 500, 3)...)
	source.Produce("orders", oddRecords()...)
	kafkatest.Dial(t, source.Bootstrap(), kgo.ProducerBatchCompression(kgo.ZstdCompression())).Produce("zipped", cluster.Numbered(0, 500, 3)...)

	cluster.Start(t, cluster.MirrorMaker, twoLines(source, target))

	for _, topic := range []string{"orders", "zipped", "quiet"} {
		awaitMirror(t, source, target, topic)
	}
	source.Produce("orders", oddRecords()...)
	awaitMirror(t, source, target, "orders")
}

// What is new on the source must be on the target within newsLimit. A busy machine gets more tries, not more time.
const (
	newsLimit = 5 * time.Second
	newsTries = 4
)

func TestTopicsAndPartitionsCreatedLaterFollowWithinSeconds(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"first": 1})
	source.Produce("first", cluster.Numbered(0, 10, 1)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "first")

	fastest(t, "a new topic's records", func(try int) {
		topic := "later" + strings.Repeat("-again", try)
		source.CreateTopic(topic, 2, nil)
		source.Produce(topic, cluster.Numbered(0, 20, 2)...)
		awaitMirror(t, source, target, topic)
	})
	fastest(t, "a new partition's records", func(try int) {
		last := int32(try + 1)
		addPartitions(t, source, "first", 1)
		kafkatest.Dial(t, source.Bootstrap()).Produce("first", kafkatest.Record{Partition: last, Value: []byte("in the new one")})
		awaitMirror(t, source, target, "first")
	})
	requireLines(t, w.Log, 0, "ERROR")
}

// fastest ends the test unless one of a few tries is over within newsLimit.
func fastest(t *testing.T, what string, try func(try int)) {
	t.Helper()
	var took []time.Duration
	for i := range newsTries {
		began := time.Now()
		try(i)
		took = append(took, time.Since(began))
		if took[i] <= newsLimit {
			return
		}
	}
	t.Fatalf("%s took %v to arrive, want %v at most", what, took, newsLimit)
}

func addPartitions(t *testing.T, k *cluster.Kafka, topic string, more int) {
	t.Helper()
	added, err := k.Admin().CreatePartitions(t.Context(), more, topic)
	if err == nil {
		err = added.Error()
	}
	if err != nil {
		t.Fatalf("add partitions to %s: %v", topic, err)
	}
}

func TestHeartbeatsFlowBothWays(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)

	for _, test := range []struct {
		on       *cluster.Kafka
		topic    string
		from, to string
	}{
		{on: target, topic: "heartbeats", from: "source", to: "target"},
		{on: source, topic: "heartbeats", from: "target", to: "source"},
		{on: target, topic: "source.heartbeats", from: "target", to: "source"},
	} {
		records := test.on.AwaitRecords(test.topic, 2, cluster.Patience)
		for _, r := range records[0] {
			got, err := replica.DecodeHeartbeat(r.Key, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			requireEqual(t, "heartbeat in "+test.topic, replica.Heartbeat{SourceAlias: test.from, TargetAlias: test.to, Timestamp: r.Timestamp.UnixMilli()}, got)
		}
	}
	for _, topic := range target.Topics() {
		if strings.HasPrefix(topic, "source.mm2") || strings.Contains(topic, "heartbeats.") {
			t.Errorf("the mirror mirrors its own topic: %s", topic)
		}
	}
}

func TestInternalTopicsHaveJavasNamesAndAreCompacted(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	source.Produce("orders", cluster.Numbered(0, 5, 1)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "orders")

	for _, want := range []struct {
		on         *cluster.Kafka
		topic      string
		partitions int
	}{
		{target, "mm2-configs.source.internal", 1},
		{target, "mm2-offsets.source.internal", 25},
		{target, "mm2-status.source.internal", 5},
		{target, "heartbeats", 1},
		{target, "source.checkpoints.internal", 1},
		{source, "mm2-configs.target.internal", 1},
		{source, "mm2-offsets.target.internal", 25},
		{source, "mm2-status.target.internal", 5},
		{source, "mm2-offset-syncs.target.internal", 1},
		{source, "heartbeats", 1},
	} {
		want.on.AwaitTopic(want.topic, cluster.Patience)
		requireEqual(t, "partitions of "+want.topic, want.partitions, want.on.Partitions(want.topic))
		requireEqual(t, "cleanup.policy of "+want.topic, "compact", want.on.TopicConfigs(want.topic)["cleanup.policy"])
	}
	// Said once for each cluster, for internal topics and remote ones alike.
	requireLines(t, w.Log, 2, "fewer brokers than the default replication factor")

	// Offsets get there without a word in the file about offset.flush.interval.ms.
	const key, value = `["MirrorSourceConnector",{"cluster":"source","partition":0,"topic":"orders"}]`, `{"offset":4}`
	kafkatest.Await(t, 20*time.Second, value+" under Java's key "+key, func() (bool, string) {
		var seen []string
		for _, records := range target.ReadTopic("mm2-offsets.source.internal", kafkatest.ReadCommitted) {
			for _, r := range records {
				if string(r.Key) == key && string(r.Value) == value {
					return true, ""
				}
				seen = append(seen, string(r.Key)+string(r.Value))
			}
		}
		return false, strings.Join(seen, "\n")
	})
}

func TestTheAPIOfADedicatedMirrorMaker(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+"source->target.tasks.max=2\n")
	all := []string{sourceConnector, heartbeatConnector, checkpointConnector}

	// The enabled flow is the one that /connectors speaks of.
	w.API().AwaitConnectors(all...)
	w.Flow("source", "target").AwaitConnectors(all...)
	w.Flow("target", "source").AwaitConnectors(all...)
	here := w.API().AwaitState(sourceConnector, "RUNNING", 2)
	there, err := w.Flow("source", "target").Status(t.Context(), sourceConnector)
	if err != nil {
		t.Fatal(err)
	}
	requireEqual(t, "status by both paths", here, there)
	requireEqual(t, "type", "source", here.Type)
	w.API().AwaitState(heartbeatConnector, "RUNNING", 1)
	w.Flow("target", "source").AwaitState(heartbeatConnector, "RUNNING", 1)
	w.Flow("target", "source").AwaitState(sourceConnector, "RUNNING", 0)

	config, err := w.API().Config(t.Context(), sourceConnector)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "tasks.max": "2", "enabled": "true",
		"source.cluster.alias": "source", "target.cluster.alias": "target", "source.cluster.bootstrap.servers": source.Bootstrap(),
	} {
		if got := config[key]; got == nil || *got != want {
			t.Errorf("%s is not %q", key, want)
		}
	}
	refusal := w.API().Refused(func(ctx context.Context, c *api.Client) error {
		_, err := c.Status(ctx, "nobody")
		return err
	})
	requireEqual(t, "code", 404, refusal.Code)
	requireText(t, refusal.Message, "nobody")
	refusal = w.Flow("source", "elsewhere").Refused(func(ctx context.Context, c *api.Client) error {
		_, err := c.List(ctx)
		return err
	})
	requireEqual(t, "code of a flow that is not there", 404, refusal.Code)
	requireText(t, refusal.Message, "source", "elsewhere")
}

func TestATakenDefaultPortIsSaidAndTheAPIIsAtAnother(t *testing.T) {
	t.Parallel()
	// Somebody has the port: this test, or whoever had it before.
	if taken, err := net.Listen("tcp", "127.0.0.1:8083"); err == nil {
		t.Cleanup(func() { _ = taken.Close() })
	}
	for name, internal := range map[string]struct{ file, advice, other string }{
		"by default":         {"", "Set listeners to choose where", "for other nodes"},
		"with Java's switch": {"dedicated.mode.enable.internal.rest=true\nlisteners=http://localhost:0\n", "listeners is for other nodes; without that key", "Set listeners"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 1})
			source.Produce("orders", cluster.Numbered(0, 10, 1)...)
			w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+internal.file)

			awaitMirror(t, source, target, "orders")

			line := w.Log.Await("REST API", "taken")
			requireText(t, line, "WARN", "http://127.0.0.1:8083", "instead="+w.URL(), internal.advice)
			if strings.Contains(line, internal.other) {
				t.Errorf("the advice is for others: %s", line)
			}
			status, err := w.API().Status(t.Context(), sourceConnector)
			if err != nil {
				t.Fatal(err)
			}
			requireEqual(t, "state", "RUNNING", status.Connector.State)
		})
	}
}

func TestATakenPortThatTheFileNamesIsAnError(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	source, target := startPair(t, nil)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+"listeners=http://"+taken.Addr().String()+"\n")

	if code := w.ExitCode(); code == 0 {
		t.Error("exit code 0")
	}
	requireText(t, strings.Join(w.Log.Lines("ERROR"), "\n"), taken.Addr().String(), "in use")
}

// stopLimit is how long a program takes to stop at most while its clusters answer.
const stopLimit = 2 * time.Second

func TestARestartGoesOnWhereItStoppedWithNothingTwice(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 3})
	file := twoLines(source, target) + anyPort
	source.Produce("orders", cluster.Numbered(0, 1000, 3)...)
	next := 1000
	for range 3 {
		w := cluster.Spawn(t, cluster.MirrorMaker, file)
		w.Log.Await("The task mirrors its partitions")
		// Records keep coming while it stops.
		for range 20 {
			source.Produce("orders", cluster.Numbered(next, next+50, 3)...)
			next += 50
		}
		if took := w.Stop(); took > stopLimit {
			t.Errorf("stopped after %s, want %s at most", took, stopLimit)
		}
		requireLines(t, w.Log, 0, "ERROR")
		requireLines(t, w.Log, 1, "Tributary MirrorMaker stopped")
	}
	cluster.Start(t, cluster.MirrorMaker, file)
	awaitMirror(t, source, target, "orders")
}

func TestTwoDirectionsMirrorEachOtherWithoutGoingInCircles(t *testing.T) {
	t.Parallel()
	east, west := startPair(t, map[string]int32{"orders": 2})
	west.CreateTopic("orders", 2, nil)
	east.Produce("orders", cluster.Numbered(0, 50, 2)...)
	west.Produce("orders", cluster.Numbered(100, 170, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, "clusters=east,west\neast.bootstrap.servers="+east.Bootstrap()+"\nwest.bootstrap.servers="+west.Bootstrap()+
		"\neast->west.enabled=true\nwest->east.enabled=true\n"+anyPort)

	same := func() {
		t.Helper()
		west.AwaitRecords("east.orders", east.Records("orders"), cluster.Patience)
		east.AwaitRecords("west.orders", west.Records("orders"), cluster.Patience)
		kafkatest.CompareTopic(t, east.Bootstrap(), "orders", west.Bootstrap(), "east.orders")
		kafkatest.CompareTopic(t, west.Bootstrap(), "orders", east.Bootstrap(), "west.orders")
	}
	same()
	// A topic that comes later shows that both have looked again, at each other's copies too.
	east.CreateTopic("later", 1, nil)
	west.CreateTopic("later", 1, nil)
	west.AwaitTopic("east.later", cluster.Patience)
	east.AwaitTopic("west.later", cluster.Patience)
	same()
	for _, k := range []*cluster.Kafka{east, west} {
		for _, topic := range k.Topics() {
			if strings.HasPrefix(topic, "east.west.") || strings.HasPrefix(topic, "west.east.") {
				t.Errorf("a copy was mirrored back: %s", topic)
			}
		}
	}
	// With two flows neither is "the" flow: each has its own path.
	w.Flow("east", "west").AwaitState(sourceConnector, "RUNNING", 1)
	w.Flow("west", "east").AwaitState(sourceConnector, "RUNNING", 1)
	w.Stop()
}

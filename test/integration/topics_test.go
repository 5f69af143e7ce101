package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/connect/cli"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func TestACopyWithFewerPartitionsIsGrown(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	target.CreateTopic("source.orders", 1, nil)
	source.Produce("orders", cluster.Numbered(0, 100, 4)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)

	awaitMirror(t, source, target, "orders")

	requireEqual(t, "partitions", 4, target.Partitions("source.orders"))
	requireLines(t, w.Log, 1, "Added partitions to a remote topic", "topic=source.orders", "partitions=4", "before=1")
}

func TestACopyWithMorePartitionsIsLeftAndSaidOnce(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2})
	target.CreateTopic("source.orders", 5, nil)
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)

	records := target.AwaitRecords("source.orders", 100, cluster.Patience)
	// Several looks at the topics later it is still one line: a new topic shows that there were looks.
	for i := range 2 {
		topic := fmt.Sprintf("later-%d", i)
		source.CreateTopic(topic, 1, nil)
		source.Produce(topic, cluster.Numbered(0, 1, 1)...)
		awaitMirror(t, source, target, topic)
	}
	requireEqual(t, "partitions", 5, target.Partitions("source.orders"))
	for p := range int32(5) {
		want := 0
		if p < 2 {
			want = 50
		}
		requireEqual(t, fmt.Sprintf("records in partition %d", p), want, len(records[p]))
	}
	line := w.Log.Lines("more partitions than its source topic")
	requireEqual(t, "lines", 1, len(line))
	requireText(t, line[0], "WARN", "topic=orders", "partitions=2", "remote_topic=source.orders", "remote_partitions=5", "left as it is")
}

func TestASourceTopicThatIsDeletedIsSaidAndStopsNothingElse(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2, "doomed": 2})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	source.Produce("doomed", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort)
	awaitMirror(t, source, target, "orders")
	awaitMirror(t, source, target, "doomed")

	source.DeleteTopic("doomed")
	requireText(t, w.Log.Await("A source topic was deleted"), "WARN", "topic=doomed", "remote_topic=source.doomed", "no longer mirrored")

	source.Produce("orders", cluster.Numbered(100, 200, 2)...)
	awaitMirror(t, source, target, "orders")
	requireEqual(t, "records of the copy", 100, target.Records("source.doomed"))
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	requireLines(t, w.Log, 0, "ERROR")
	requireLines(t, w.Log, 1, "A source topic was deleted")

	// Made anew it is mirrored again.
	source.CreateTopic("doomed", 3, nil)
	kafkatest.Dial(t, source.Bootstrap()).Produce("doomed", cluster.Numbered(200, 800, 3)...)
	kafkatest.Await(t, cluster.Patience, "the new topic's records", func() (bool, string) {
		last := kafkatest.Dial(t, target.Bootstrap()).ReadPartition("source.doomed", 0, kafkatest.ReadCommitted)
		return slices.ContainsFunc(last, func(r kafkatest.Record) bool { return string(r.Key) == "key-798" }), fmt.Sprint(len(last))
	})
}

// restricted starts a cluster where the user mirror may do only what allow says.
func restricted(t *testing.T, topics map[string]int32, allow ...*kadm.ACLBuilder) *cluster.Kafka {
	t.Helper()
	k := cluster.StartKafka(t, localkafka.Options{Topics: topics, ACLs: true, Users: []localkafka.User{
		{Mechanism: "PLAIN", Name: "admin", Password: "admin", Super: true},
		{Mechanism: "PLAIN", Name: "mirror", Password: "mirror"},
	}})
	for _, builder := range allow {
		created, err := k.Admin().CreateACLs(t.Context(), builder.Allow("User:mirror").AllowHosts())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range created {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
		}
	}
	return k
}

// asMirror are the lines of a cluster's login.
func asMirror(alias string) string {
	return strings.ReplaceAll(`@.security.protocol=SASL_PLAINTEXT
@.sasl.mechanism=PLAIN
@.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="mirror" password="mirror";
`, "@", alias)
}

// mayUse allows all on topics and groups that begin with these prefixes, but not to create topics elsewhere.
func mayUse(prefixes ...string) *kadm.ACLBuilder {
	return kadm.NewACLs().Topics(prefixes...).Groups(prefixes...).ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpAll)
}

func TestATargetThatLetsNoTopicsBeCreatedIsSaidWithOperationAndResource(t *testing.T) {
	t.Parallel()
	source := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"orders": 2}})
	target := restricted(t, nil, mayUse("mm2-", "source-mm2", "heartbeats", "source.checkpoints"))
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+asMirror("target"))

	line := w.Log.Await("A remote topic could not be created", "remote_topic=source.orders")
	requireText(t, line, "WARN", "topic=orders", "create topic", "source.orders", "not allowed")
	w.Log.Await("A remote topic could not be created", "remote_topic=source.heartbeats")

	// Allowed at last, it goes on by itself.
	created, err := target.Admin().CreateACLs(t.Context(), mayUse("source.").Allow("User:mirror").AllowHosts())
	if err != nil || created[0].Err != nil {
		t.Fatal(err, created)
	}
	kafkatest.Await(t, cluster.Patience, "the records", func() (bool, string) {
		records := 0
		if slices.Contains(target.Topics(), "source.orders") {
			records = target.Records("source.orders")
		}
		return records == 100, fmt.Sprint(records)
	})
	requireLines(t, w.Log, 1, "WARN", "A remote topic could not be created", "remote_topic=source.orders")
	requireLines(t, w.Log, 1, "A problem is over", "remote_topic=source.orders")
}

func TestATargetThatLetsNoInternalTopicBeCreatedIsSaidWithOperationAndResource(t *testing.T) {
	t.Parallel()
	source := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"orders": 2}})
	target := restricted(t, nil, kadm.NewACLs().Groups("source-mm2").Topics("mm2-").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpDescribe))
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+asMirror("target"))

	requireEqual(t, "exit code", cli.ExitFailed, w.ExitCodeWithin(20*time.Second))
	requireText(t, strings.Join(w.Log.Lines("ERROR"), "\n"), "flow source->target", "not allowed to create", "mm2-configs.source.internal")
}

func TestASourceThatRefusesWritesCostsOnlyHeartbeatsAndOffsetSyncs(t *testing.T) {
	t.Parallel()
	source := restricted(t, map[string]int32{"orders": 2},
		kadm.NewACLs().Topics("orders").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead, kadm.OpDescribe, kadm.OpDescribeConfigs),
		kadm.NewACLs().Clusters().Operations(kadm.OpDescribe))
	target := cluster.StartKafka(t, localkafka.Options{})
	source.Produce("orders", cluster.Numbered(0, 100, 2)...)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+asMirror("source"))

	target.AwaitRecords("source.orders", 100, cluster.Patience)
	if diff := kafkatest.Diff(source.ReadTopic("orders", kafkatest.ReadCommitted), target.ReadTopic("source.orders", kafkatest.ReadCommitted)); diff != "" {
		t.Fatal(diff)
	}
	// What is lost is said once each: heartbeats of the reverse direction, and offset syncs, by who creates their topic
	// and by who writes them.
	requireText(t, w.Log.Await("WARN", "No heartbeats are written into cluster source"), "mirroring goes on without them", "not allowed", ".target.internal")
	requireText(t, w.Log.Await("WARN", "Failed to create the offset-syncs topic"), "mm2-offset-syncs.target.internal", "consumer groups cannot be translated", "not allowed to create")
	requireText(t, w.Log.Await("WARN", "Offset syncs cannot be written"), "mm2-offset-syncs.target.internal", "records are mirrored all the same", "not allowed to write")
	target.AwaitRecords("heartbeats", 4, cluster.Patience) // some seconds, in which it might be said again
	requireLines(t, w.Log, 1, "WARN", "No heartbeats are written")
	requireLines(t, w.Log, 2, "WARN", "mm2-offset-syncs.target.internal", "not allowed")
	w.API().AwaitState(sourceConnector, "RUNNING", 1)
	w.API().AwaitState(heartbeatConnector, "RUNNING", 1)
	requireLines(t, w.Log, 0, "ERROR")
	w.Stop()
}

package mirror

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"tributary/connectors/mirror/replica"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func text(values ...string) []kafkatest.Record {
	var records []kafkatest.Record
	for _, v := range values {
		records = append(records, kafkatest.Record{Value: []byte(v)})
	}
	return records
}

func values(records []kafkatest.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

func startSource(t *testing.T, p *pair, more ...string) *runner {
	t.Helper()
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.start(p.with(more...))
	return r
}

func TestRecordsArriveExactlyAsTheyAre(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 3, nil)
	at := time.UnixMilli(1_000_000_000_123)
	p.source.Produce("t",
		kafkatest.Record{Partition: 0, Timestamp: at, Key: []byte("k"), Value: []byte("v"), Headers: []kafkatest.Header{
			{Key: "h", Value: []byte("1")}, {Key: "h", Value: []byte("0")}, {Key: "null", Value: nil}, {Key: "empty", Value: []byte{}}, {Key: "", Value: []byte{0xff}},
		}},
		kafkatest.Record{Partition: 0, Timestamp: at.Add(time.Millisecond), Key: []byte("k"), Value: nil},
		kafkatest.Record{Partition: 0, Timestamp: at.Add(-time.Hour), Key: nil, Value: []byte{}},
		kafkatest.Record{Partition: 2, Timestamp: at, Key: []byte{}, Value: []byte{0, 1, 2, 0xff}, Headers: []kafkatest.Header{{Key: "é", Value: []byte("x")}}},
	)

	r := startSource(t, p)
	p.target.AwaitRecords("A.t", 4, patience)

	kafkatest.CompareTopic(t, p.a.Bootstrap(), "t", p.b.Bootstrap(), "A.t")
	want := map[string]any{"offset": int64(2)}
	r.await("the stored offset of the last record", func() bool {
		return cmp.Equal(r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}), want)
	})
	labels := map[string]string{"source": "A", "target": "B", "topic": "A.t", "partition": "0"}
	if took := r.meter.value(sourcePrefix+"last_refresh_ms", map[string]string{"source": "A", "target": "B"}); took <= 0 {
		t.Errorf("the look at the topics took %v ms", took)
	}
	r.await("three records counted", func() bool { return r.meter.value(sourcePrefix+"record_count", labels) == 3 })
	if got := r.meter.value(sourcePrefix+"byte_count", labels); got != 1 && !rawLane {
		t.Errorf("%v bytes counted, want 1: values alone count", got)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestARestartedTaskContinuesBehindTheLastRecord(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0", "1", "2")...)
	r := startSource(t, p)
	p.target.AwaitRecords("A.t", 3, patience)
	r.stop()
	p.source.Produce("t", text("3", "4")...)

	again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	again.stored = r.stored
	again.start(p.with())

	got := p.target.AwaitRecords("A.t", 5, patience)
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

func TestTopicsAndPartitionsMadeLaterAreMirroredWithinSeconds(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("old", 1, nil)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.maxTasks = 2
	r.start(p.with())
	p.source.Produce("old", text("a")...)
	p.target.AwaitRecords("A.old", 1, patience)

	began := time.Now()
	p.source.CreateTopic("new", 2, map[string]string{"retention.ms": "12345"})
	p.source.Produce("new", kafkatest.Record{Partition: 1, Value: []byte("b")})
	p.target.AwaitRecords("A.new", 1, patience)
	// Five seconds are promised; a busy test machine gets more.
	if took := time.Since(began); took > 15*time.Second || quickLook > 3*time.Second {
		t.Errorf("a new topic was mirrored after %s with a look every %s", took, quickLook)
	}
	if got := p.target.TopicOverrides("A.new")["retention.ms"]; got != "12345" {
		t.Errorf("the new remote topic has retention.ms %q, want that of its source", got)
	}

	if _, err := p.source.Admin().CreatePartitions(t.Context(), 2, "old"); err != nil {
		t.Fatal(err)
	}
	p.source.AwaitTopic("old", patience)
	r.await("A.old to have three partitions", func() bool { return p.target.Partitions("A.old") == 3 })
	kafkatest.Dial(t, p.a.Bootstrap()).Produce("old", kafkatest.Record{Partition: 2, Value: []byte("c")})
	got := p.target.AwaitRecords("A.old", 2, patience)
	if diff := cmp.Diff([]string{"c"}, values(got[2])); diff != "" {
		t.Error(diff)
	}
	r.awaitAssigned("new-0,old-0,old-2", "new-1,old-1")
}

func TestARemoteTopicWithMorePartitionsIsLeftAloneAndReportedOnce(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.target.CreateTopic("A.t", 3, nil)
	p.source.Produce("t", text("a")...)

	r := startSource(t, p, "refresh.topics.interval.seconds=0")
	p.target.AwaitRecords("A.t", 1, patience)
	p.source.CreateTopic("later", 1, nil) // once it is seen, t has been looked at again
	r.awaitAssigned("later-0,t-0")

	if got := p.target.Partitions("A.t"); got != 3 {
		t.Errorf("A.t has %d partitions, want the 3 it had", got)
	}
	if lines := r.log.lines("more partitions", "topic=t"); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}
}

func TestOneRefusedTopicDoesNotStopTheOthersAndIsMirroredOnceItCanBe(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("bad", 1, nil)
	p.source.CreateTopic("good", 1, nil)
	p.source.Produce("bad", text("x")...)
	p.source.Produce("good", text("y")...)
	const policyViolation = 44
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.CreateTopics, Code: policyViolation, Topic: "A.bad", Times: -1})

	r := startSource(t, p)
	got := p.target.AwaitRecords("A.good", 1, patience)
	if diff := cmp.Diff([]string{"y"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.awaitAssigned("good-0")
	r.await("a second refusal", func() bool { return refusal.Hits() >= 2 })
	if lines := r.log.lines("could not be created", "topic=bad", `operation="create topic"`, "error="); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}

	refusal.Undo()
	p.target.AwaitRecords("A.bad", 1, patience)
	if lines := r.log.lines("A problem is over", "topic=bad"); len(lines) != 1 {
		t.Errorf("recovery reported %d times, want once", len(lines))
	}
}

func TestADeletedSourceTopicLeavesTheAssignmentAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("gone", 2, nil)
	p.source.CreateTopic("stays", 1, nil)
	r := startSource(t, p)
	r.awaitAssigned("gone-0,gone-1,stays-0")
	p.source.Produce("stays", text("a")...)
	p.target.AwaitRecords("A.stays", 1, patience)

	p.source.DeleteTopic("gone")

	r.awaitAssigned("stays-0")
	p.source.Produce("stays", text("b")...)
	got := p.target.AwaitRecords("A.stays", 2, patience)
	if diff := cmp.Diff([]string{"a", "b"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	if lines := r.log.lines("was deleted", "topic=gone"); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}
	if !slices.Contains(p.target.Topics(), "A.gone") {
		t.Error("the remote topic was deleted, too")
	}
	if err := r.failures(); err != nil {
		t.Errorf("a task failed: %v", err)
	}
}

func TestASourceTopicMadeAnewIsReadFromItsStartAndSaidOnce(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("a", "b", "c")...)
	r := startSource(t, p)
	p.target.AwaitRecords("A.t", 3, patience)

	p.source.DeleteTopic("t")
	p.source.CreateTopic("t", 1, nil)
	kafkatest.Dial(t, p.a.Bootstrap()).Produce("t", text("d")...)

	got := p.target.AwaitRecords("A.t", 4, patience)
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.await("one line about it", func() bool {
		return len(r.log.lines("level=WARN", "A source topic was deleted and created anew", "topic=t")) == 1
	})
	if lines := r.log.lines("level=WARN", "topic=t", "kind=recreated", "from=3", "next=0"); len(lines) != 1 {
		t.Errorf("the reset was told %d times, want once: %q", len(lines), lines)
	}
	if err := r.failures(); err != nil {
		t.Errorf("a task failed: %v", err)
	}
}

func TestADeletedRemoteTopicIsMadeAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, map[string]string{"retention.ms": "4000000"})
	p.source.Produce("t", text("a")...)
	r := startSource(t, p)
	p.target.AwaitRecords("A.t", 1, patience)

	p.target.DeleteTopic("A.t")
	r.await("the remote topic", func() bool { return slices.Contains(p.target.Topics(), "A.t") })
	p.source.Produce("t", text("b")...)

	got := p.target.AwaitRecords("A.t", 1, patience)
	if diff := cmp.Diff([]string{"b"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	if got := p.target.TopicOverrides("A.t")["retention.ms"]; got != "4000000" {
		t.Errorf("the new remote topic has retention.ms %q, want that of its source", got)
	}
}

func TestATopicThatMayNotBeReadIsReportedAndDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("secret", 1, nil)
	p.source.CreateTopic("open", 1, nil)
	p.source.Produce("secret", text("x")...)
	p.source.Produce("open", text("y")...)
	const topicAuthorizationFailed = 29
	p.a.Fail(localkafka.Fault{API: localkafka.Fetch, Code: topicAuthorizationFailed, Topic: "secret", Times: -1})

	r := startSource(t, p)

	got := p.target.AwaitRecords("A.open", 1, patience)
	if diff := cmp.Diff([]string{"y"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.await("the stuck partition among the metrics", func() bool {
		return r.meter.value(sourcePrefix+"stuck_partitions", map[string]string{"source": "A", "target": "B"}) == 1
	})
	r.await("one line about it", func() bool { return len(r.log.lines("topic=secret", "not allowed")) == 1 })
	if err := r.failures(); err != nil {
		t.Errorf("a task failed: %v", err)
	}
}

func TestOnlyTopicsThatAreWantedAndNoCycleAreMirrored(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	for _, topic := range []string{"take-1", "take-2", "other", "B.take-3", "C.B.take-4", "heartbeats", "mm2-offsets.C.internal", "take.replica"} {
		p.source.CreateTopic(topic, 1, nil)
	}

	r := startSource(t, p, `topics=take-.*, .*\.take.*`, "topics.exclude=take-2")

	r.awaitAssigned("heartbeats-0,take-1-0")
}

func TestTasksGetPartitionsInTurnAndUnchangedSetsCauseNoNewTasks(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t0", 8, nil)
	p.source.CreateTopic("t1", 2, nil)
	p.source.CreateTopic("t2", 2, nil)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.maxTasks = 3
	r.start(p.with("refresh.topics.interval.seconds=0"))

	r.awaitAssigned("t0-0,t0-3,t0-6,t1-1", "t0-1,t0-4,t0-7,t2-0", "t0-2,t0-5,t1-0,t2-1")
	looks := p.a.Count(localkafka.Metadata)
	r.await("some more looks", func() bool { return looks.Hits() > 20 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rounds != 1 {
		t.Errorf("tasks were replaced %d times, want once", r.rounds)
	}
	for i, c := range r.configs {
		if c[taskIndexKey] != string(rune('0'+i)) || c["source.cluster.alias"] != "A" {
			t.Errorf("task %d: index %q, configuration %v", i, c[taskIndexKey], c)
		}
	}
}

func TestOffsetSyncsAreWrittenToTheirTopicInTheRightBytes(t *testing.T) {
	for _, test := range []struct{ location, topic string }{{"source", "mm2-offset-syncs.B.internal"}, {"target", "mm2-offset-syncs.A.internal"}} {
		t.Run(test.location, func(t *testing.T) {
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			p.target.CreateTopic("A.t", 1, nil)
			p.target.Produce("A.t", text("before")...) // so that offsets differ
			p.source.Produce("t", text("0", "1", "2")...)
			r := startSource(t, p, "offset-syncs.topic.location="+test.location)
			p.target.AwaitRecords("A.t", 4, patience)
			r.stop()

			where := p.source
			if test.location == "target" {
				where = p.target
			}
			if got := where.TopicOverrides(test.topic)["cleanup.policy"]; got != "compact" {
				t.Errorf("cleanup.policy is %q, want compact", got)
			}
			written := where.ReadPartition(test.topic, 0, kafkatest.ReadUncommitted)
			if len(written) == 0 {
				t.Fatal("no offset sync was written")
			}
			var syncs []replica.OffsetSync
			for _, w := range written {
				s, err := replica.DecodeOffsetSync(w.Key, w.Value)
				if err != nil {
					t.Fatal(err)
				}
				syncs = append(syncs, s)
			}
			tp := replica.TopicPartition{Topic: "t", Partition: 0}
			if diff := cmp.Diff(replica.OffsetSync{TopicPartition: tp, Upstream: 2, Downstream: 3}, syncs[len(syncs)-1]); diff != "" {
				t.Errorf("the last sync is not that of the last record: %s", diff)
			}
			if diff := cmp.Diff([]byte{0, 1, 't', 0, 0, 0, 0}, written[0].Key); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]byte{0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}, written[len(written)-1].Value); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASourceThatRefusesOffsetSyncsCostsOnlyThese(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	const topicAuthorizationFailed = 29
	p.a.Fail(localkafka.Fault{API: localkafka.CreateTopics, Code: topicAuthorizationFailed, Topic: "mm2-offset-syncs.B.internal", Times: -1})
	p.source.Produce("t", text("0", "1")...)

	r := startSource(t, p, "source.producer.max.block.ms=200", "source.producer.request.timeout.ms=200", "source.producer.delivery.timeout.ms=500")
	p.target.AwaitRecords("A.t", 2, patience)
	r.await("the refusal in the log", func() bool {
		return len(r.log.lines("Failed to create the offset-syncs topic", "mm2-offset-syncs.B.internal", "not allowed")) == 1
	})
	r.await("the failed syncs in the log", func() bool { return len(r.log.lines("Offset syncs cannot be written")) == 1 })
	p.source.Produce("t", text("2")...)
	p.target.AwaitRecords("A.t", 3, patience)
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestTheConnectorWaitsForAClusterThatIsDown(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0")...)
	if err := p.b.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	r := startSource(t, p)
	r.await("a line that says so", func() bool { return len(r.log.lines("level=WARN", "alias=B")) > 0 })
	if got := r.taskConfigs(); got != nil {
		t.Errorf("tasks %v before the clusters were seen", got)
	}
	if err := p.b.StartBroker(0); err != nil {
		t.Fatal(err)
	}
	p.target.AwaitRecords("A.t", 1, patience)
}

func TestWithoutAStoredOffsetAutoOffsetResetDecides(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("early")...)
	r := startSource(t, p, "source.consumer.auto.offset.reset=latest")
	r.awaitAssigned("t-0")
	// The task looks the end up in its own time: later records arrive, the first never.
	r.await("a late record", func() bool {
		p.source.Produce("t", text("late")...)
		return len(p.target.ReadPartition("A.t", 0, kafkatest.ReadCommitted)) > 0
	})
	if got := values(p.target.ReadPartition("A.t", 0, kafkatest.ReadCommitted)); got[0] != "late" {
		t.Errorf("mirrored %q, want only what came after the start", got)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestATaskFailsWhenNoneOfItsPartitionsMayBegin(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	r := startSource(t, p, "source.consumer.auto.offset.reset=none")
	r.await("a failed task", func() bool { return r.failures() != nil })
	if err := r.failures(); !strings.Contains(err.Error(), "t-0") || !strings.Contains(err.Error(), "auto.offset.reset=none") {
		t.Errorf("error %q does not say which partition and why", err)
	}
}

func TestATruncatedSourceIsReadFromItsStartWithOneWarning(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0", "1", "2", "3", "4")...)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.stored.offsets[(`{"cluster":"A","partition":0,"topic":"t"}`)] = map[string]any{"offset": int64(99)}
	r.start(p.with())

	got := p.target.AwaitRecords("A.t", 5, patience)
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	if lines := r.log.lines("level=WARN", "topic=t", "kind=rolled-back", "from=5", "to=100", "next=0"); len(lines) != 1 {
		t.Errorf("warned %d times, want once: %q", len(lines), lines)
	}
}

func TestTopicConfigurationsFollowAndOnlyDifferencesAreSent(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, map[string]string{"retention.ms": "1000", "min.insync.replicas": "1"})
	p.target.CreateTopic("A.t", 1, map[string]string{"retention.ms": "5", "max.message.bytes": "2000"})
	r := startSource(t, p, "sync.topic.configs.interval.seconds=0", "refresh.topics.interval.seconds=0")

	want := map[string]string{"retention.ms": "1000"}
	r.await("the configuration of the source", func() bool { return cmp.Equal(want, p.target.TopicOverrides("A.t")) })

	const incrementalAlterConfigs = 44
	sent, looks := p.b.Count(incrementalAlterConfigs), p.b.Count(localkafka.DescribeConfigs)
	r.await("some more looks", func() bool { return looks.Hits() > 4 })
	if n := sent.Hits(); n > 0 {
		t.Errorf("%d changes were sent although nothing differs", n)
	}
}

func TestACLsOfMirroredTopicsAreCreatedOnTheTarget(t *testing.T) {
	super := []localkafka.User{{Mechanism: "PLAIN", Name: "admin", Password: "secret", Super: true}}
	secured := localkafka.Options{ACLs: true, Users: super}
	a, b := startSecured(t, secured), startSecured(t, secured)
	login := `org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="secret";`
	p := &pair{a: a.cluster, b: b.cluster, source: a.client, target: b.client}
	p.settings = map[string]string{
		"source.cluster.alias": "A", "target.cluster.alias": "B",
		"source.cluster.bootstrap.servers": a.cluster.Bootstrap(), "target.cluster.bootstrap.servers": b.cluster.Bootstrap(),
	}
	for _, side := range []string{"source", "target"} {
		p.settings[side+".cluster.security.protocol"] = "SASL_PLAINTEXT"
		p.settings[side+".cluster.sasl.mechanism"] = "PLAIN"
		p.settings[side+".cluster.sasl.jaas.config"] = login
	}
	p.source.CreateTopic("t", 1, nil)
	builder := kadm.NewACLs().Topics("t").Allow("User:reader").AllowHosts("*").Operations(kadm.OpRead, kadm.OpWrite).ResourcePatternType(kadm.ACLPatternLiteral)
	if _, err := p.source.Admin().CreateACLs(t.Context(), builder); err != nil {
		t.Fatal(err)
	}

	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.maxTasks = 0 // the runner's own producer cannot log in
	r.start(p.with())

	r.await("the ACL on the target", func() bool {
		found, err := p.target.Admin().DescribeACLs(t.Context(), kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().Operations().ResourcePatternType(kadm.ACLPatternAny))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, result := range found {
			for _, acl := range result.Described {
				got = append(got, acl.Principal+" "+acl.Name+" "+acl.Operation.String())
			}
		}
		slices.Sort(got)
		return slices.Equal(slices.Compact(got), []string{"User:reader A.t READ"})
	})
}

type securedCluster struct {
	cluster *localkafka.Cluster
	client  *kafkatest.Client
}

func startSecured(t *testing.T, o localkafka.Options) securedCluster {
	t.Helper()
	c, err := localkafka.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	auth := plain.Auth{User: o.Users[0].Name, Pass: o.Users[0].Password}
	return securedCluster{c, kafkatest.Dial(t, c.Bootstrap(), kgo.SASL(auth.AsMechanism()))}
}

// Brokers list only what a client may see; what `topics` names outright is asked for by name.
func TestATopicThatIsNamedAndMayNotBeSeenIsToldWithThePrincipal(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	const topicAuthorizationFailed = 29
	p.a.Fail(localkafka.Fault{API: localkafka.Metadata, Code: topicAuthorizationFailed, Topic: "secret", Times: -1})
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.start(p.with("topics=secret,missing,secret.*", "refresh.topics.interval.seconds=1"))
	r.await("the complaint", func() bool {
		return len(r.log.lines("cannot be seen", "topic=secret", "ANONYMOUS is not allowed to describe", "needs Describe")) == 1
	})
	if lines := r.log.lines("cannot be seen", "topic=missing"); len(lines) != 0 {
		t.Errorf("a topic that does not exist is told as hidden: %v", lines)
	}
}

package mirror

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/replica"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestHeartbeatsAreWrittenWithTheirTimeAndAliases(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	r := newRunner(t, p, "MirrorHeartbeatConnector", NewHeartbeatConnector())
	r.start(p.with("enabled=false", "emit.heartbeats.interval.seconds=0"))

	got := p.target.AwaitRecords("heartbeats", 3, patience)[0]
	var last int64
	for _, record := range got {
		h, err := replica.DecodeHeartbeat(record.Key, record.Value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(replica.Heartbeat{SourceAlias: "A", TargetAlias: "B", Timestamp: record.Timestamp.UnixMilli()}, h); diff != "" {
			t.Error(diff)
		}
		if h.Timestamp < last {
			t.Errorf("heartbeat %d is older than the one before, %d", h.Timestamp, last)
		}
		last = h.Timestamp
	}
	r.await("the stored offset", func() bool {
		return cmp.Equal(r.stored.get(map[string]any{"sourceClusterAlias": "A", "targetClusterAlias": "B"}), map[string]any{"offset": int64(0)})
	})
	if got := p.target.TopicOverrides("heartbeats")["cleanup.policy"]; got != "compact" {
		t.Errorf("cleanup.policy is %q, want compact", got)
	}
}

func TestWithoutEmissionTheHeartbeatsTopicIsMadeAllTheSame(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	r := newRunner(t, p, "MirrorHeartbeatConnector", NewHeartbeatConnector())
	r.start(p.with("emit.heartbeats.enabled=false"))
	r.await("the topic", func() bool { return slices.Contains(p.target.Topics(), "heartbeats") })
	if got := len(r.taskConfigs()); got != 0 {
		t.Errorf("%d tasks, want none", got)
	}
}

func TestATargetThatRefusesTheHeartbeatsTopicIsToldOnceAndTriedAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	const clusterAuthorizationFailed = 31
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.CreateTopics, Code: clusterAuthorizationFailed, Topic: "heartbeats", Times: -1})
	r := newRunner(t, p, "MirrorHeartbeatConnector", NewHeartbeatConnector())
	r.start(p.with("emit.heartbeats.interval.seconds=0"))
	r.await("a second refusal", func() bool { return refusal.Hits() >= 2 })
	if lines := r.log.lines("create the heartbeats topic", "not allowed"); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}
	refusal.Undo()
	p.target.AwaitRecords("heartbeats", 1, patience)
}

func TestHeartbeatsOfTheSourceAreMirrored(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("heartbeats", 1, nil)
	p.source.Produce("heartbeats", text("beat")...)
	startSource(t, p, "topics=nothing-else")
	got := p.target.AwaitRecords("A.heartbeats", 1, patience)
	if diff := cmp.Diff([]string{"beat"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	kafkatest.CompareTopic(t, p.a.Bootstrap(), "heartbeats", p.b.Bootstrap(), "A.heartbeats")
}

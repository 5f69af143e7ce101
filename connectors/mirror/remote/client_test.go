package remote

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tributary/connectors/mirror/replica"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, kafkatest.LeftByKfake(), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// startFed starts a cluster with these topics and returns a client of it.
func startFed(t *testing.T, config map[string]string, topics ...string) (*cluster.Kafka, *Client) {
	t.Helper()
	partitions := map[string]int32{}
	for _, topic := range topics {
		partitions[topic] = 1
	}
	k := cluster.StartKafka(t, localkafka.Options{Topics: partitions})
	props := map[string]string{"bootstrap.servers": k.Bootstrap(), "consumer.fetch.max.bytes": "1000000", "admin.client.id": "remote"}
	for key, value := range config {
		props[key] = value
	}
	c, err := New(props, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, c
}

func TestWhatFeedsAClusterIsReadFromItsTopics(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]string
		topics []string
		// want is heartbeats / checkpoints / upstream clusters / remote topics / those of b
		want string
		hops map[string]int
	}{
		{"by the default policy", nil,
			[]string{"heartbeats", "b.heartbeats", "b.a.heartbeats", "c.b.a.heartbeats", "orders", "b.orders", "b.a.orders", "c.bills", "b.checkpoints.internal", "mm2-offsets.b.internal"},
			"b.a.heartbeats b.heartbeats c.b.a.heartbeats heartbeats / b.checkpoints.internal / a b c / b.a.heartbeats b.a.orders b.heartbeats b.orders c.b.a.heartbeats c.bills / b.a.heartbeats b.a.orders b.heartbeats b.orders",
			map[string]int{"a": 2, "b": 1, "c": 1, "d": Unreachable}},
		{"with a separator", map[string]string{"replication.policy.separator": "__"},
			[]string{"b__heartbeats", "b.orders", "b__orders"}, "b__heartbeats /  / b / b__heartbeats b__orders / b__heartbeats b__orders", map[string]int{"b": 1, "b.orders": Unreachable}},
		{"by the identity policy", map[string]string{"replication.policy.class": "IdentityReplicationPolicy", "source.cluster.alias": "b"},
			[]string{"b.heartbeats", "orders"}, "b.heartbeats /  / b / b.heartbeats orders / b.heartbeats orders", map[string]int{"b": 1, "a": Unreachable}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, c := startFed(t, test.config, test.topics...)
			ctx := t.Context()
			var got []string
			add := func(list []string, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, strings.Join(list, " "))
			}
			add(c.HeartbeatTopics(ctx))
			add(c.CheckpointTopics(ctx))
			add(c.UpstreamClusters(ctx))
			add(c.RemoteTopics(ctx))
			add(c.RemoteTopicsOf(ctx, "b"))
			if diff := cmp.Diff(test.want, strings.Join(got, " / ")); diff != "" {
				t.Error(diff)
			}
			for alias, want := range test.hops {
				if hops, err := c.Hops(ctx, alias); err != nil || hops != want {
					t.Errorf("hops from %s: %d, %v; want %d", alias, hops, err, want)
				}
			}
		})
	}
}

func TestGroupsGoOnAtTheirNewestCheckpoints(t *testing.T) {
	k, c := startFed(t, nil, "a.checkpoints.internal")
	var records []kafkatest.Record
	write := func(group, topic string, partition int32, offset int64, metadata string) {
		t.Helper()
		checkpoint := replica.Checkpoint{Group: group, TopicPartition: replica.TopicPartition{Topic: topic, Partition: partition}, Upstream: offset + 5, Downstream: offset, Metadata: metadata}
		key, err := checkpoint.Key()
		if err != nil {
			t.Fatal(err)
		}
		value, err := checkpoint.Value()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, kafkatest.Record{Key: key, Value: value})
	}
	write("g", "a.t", 0, 1, "")
	write("g", "a.t", 1, 7, "note")
	write("other", "a.t", 0, 2, "")
	write("g", "a.t", 0, 4, "")
	records = append(records, kafkatest.Record{Key: []byte("odd"), Value: []byte("odd")}, kafkatest.Record{Key: records[2].Key})
	k.Produce("a.checkpoints.internal", records...)

	g := Positions{{Topic: "a.t", Partition: 0}: {Offset: 4}, {Topic: "a.t", Partition: 1}: {Offset: 7, Metadata: "note"}}
	got, err := c.TranslatedOffsets(t.Context(), "g", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, got); diff != "" {
		t.Error(diff)
	}
	all, err := c.TranslatedGroups(t.Context(), "a", func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Positions{"g": g, "other": {{Topic: "a.t", Partition: 0}: {Offset: 2}}}, all); diff != "" {
		t.Error(diff)
	}
	if none, err := c.TranslatedOffsets(t.Context(), "nobody", "a"); err != nil || len(none) != 0 {
		t.Errorf("a group that has no checkpoints: %v, %v", none, err)
	}
	if _, err := c.TranslatedOffsets(t.Context(), "g", "elsewhere"); err == nil || !strings.Contains(err.Error(), "there is no topic elsewhere.checkpoints.internal here") {
		t.Errorf("a cluster without a mirror: %v", err)
	}
}

func TestConfigurationsThatCannotBeAreRefused(t *testing.T) {
	for want, config := range map[string]map[string]string{
		"com.acme.Policy": {"bootstrap.servers": "k:1", "replication.policy.class": "com.acme.Policy"},
		"PIGEON":          {"bootstrap.servers": "k:1", "security.protocol": "PIGEON"},
		"fetch.max.bytes": {"bootstrap.servers": "k:1", "consumer.fetch.max.bytes": "many"},
	} {
		if _, err := New(config, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", config, err)
		}
	}
}

package mirror

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

var minimal = map[string]string{"source.cluster.alias": "A", "target.cluster.alias": "B"}

func plus(more ...string) map[string]string { return (&pair{settings: minimal}).with(more...) }

func TestDefaultsAreThoseOfMirrorMaker(t *testing.T) {
	for _, test := range []struct {
		def  *connect.ConfigDef
		want map[string]string
	}{
		{sourceDef, map[string]string{
			"enabled": "true", "admin.timeout.ms": "60000", "topics": ".*", "topics.exclude": `mm2.*\.internal,.*\.replica,__.*`,
			"replication.factor": "2", "offset-syncs.topic.replication.factor": "3", "offset-syncs.topic.location": "source",
			"offset.lag.max": "100", "emit.offset-syncs.enabled": "true", "heartbeats.replication.enabled": "true",
			"refresh.topics.enabled": "true", "refresh.topics.interval.seconds": "600",
			"sync.topic.configs.enabled": "true", "sync.topic.configs.interval.seconds": "600",
			"sync.topic.acls.enabled": "true", "sync.topic.acls.interval.seconds": "600",
			"consumer.poll.timeout.ms": "1000", "metric.names.formats": "legacy", "replication.policy.separator": ".",
		}},
		{checkpointDef, map[string]string{
			"groups": ".*", "groups.exclude": "console-consumer-.*,connect-.*,__.*", "checkpoints.topic.replication.factor": "3",
			"refresh.groups.interval.seconds": "600", "emit.checkpoints.enabled": "true", "emit.checkpoints.interval.seconds": "60",
			"sync.group.offsets.enabled": "false", "sync.group.offsets.interval.seconds": "60",
		}},
		{heartbeatDef, map[string]string{
			"emit.heartbeats.enabled": "true", "emit.heartbeats.interval.seconds": "1", "heartbeats.topic.replication.factor": "3",
		}},
	} {
		got := map[string]string{}
		for _, v := range test.def.Parse(minimal) {
			if len(v.Errors) > 0 {
				t.Errorf("%s: %v", v.Name, v.Errors)
			}
			if _, asked := test.want[v.Name]; asked {
				got[v.Name] = connect.FormatConfigValue(v.Value)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestConfigNamesHoldTheKeysOfAllThreeAndNotTheFrameworks(t *testing.T) {
	names := ConfigNames()
	for _, want := range []string{"topics", "groups", "emit.heartbeats.enabled", "ssl.keystore.password", "sasl.jaas.config", "metric.reporters", "security.protocol", "source.cluster.alias"} {
		if !names[want] {
			t.Errorf("%s is missing", want)
		}
	}
	for _, no := range []string{"tasks.max", "use.defaults.from", "bootstrap.servers", "task.assigned.partitions"} {
		if names[no] {
			t.Errorf("%s is among them", no)
		}
	}
}

func TestClientPropertiesAreLayeredFromClusterToFlowToKindAtTheCluster(t *testing.T) {
	props := plus(
		"source.cluster.bootstrap.servers=a:1", "source.cluster.security.protocol=SSL", "source.cluster.client.rack=ignored",
		"source.cluster.ssl.truststore.location=cluster",
		"consumer.ssl.truststore.location=flow", "consumer.max.poll.records=7", "consumer.fetch.min.bytes=1",
		"source.consumer.fetch.min.bytes=2", "target.consumer.fetch.min.bytes=3", "source.admin.retries=4",
	)
	want := kafka.Props{
		"bootstrap.servers": "a:1", "security.protocol": "SSL", "ssl.truststore.location": "flow",
		"max.poll.records": "7", "fetch.min.bytes": "2", "auto.offset.reset": "earliest",
	}
	if diff := cmp.Diff(want, clientProps(props, onSource, kafka.RoleConsumer)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(kafka.Props{"bootstrap.servers": "a:1", "security.protocol": "SSL", "ssl.truststore.location": "cluster", "retries": "4"},
		clientProps(props, onSource, kafka.RoleAdmin)); diff != "" {
		t.Error(diff)
	}
}

func TestClientIDsNameFlowConnectorAndPurposeBehindTheUsersOwn(t *testing.T) {
	s, err := readSettings(sourceDef, "MirrorSourceConnector-0", plus("source.cluster.bootstrap.servers=a:1", "source.consumer.client.id=mine", "consumer.poll.timeout.ms=5"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := s.clientConfig(onSource, kafka.RoleConsumer, "replication-consumer", consumerThroughput(4), discard())
	if err != nil {
		t.Fatal(err)
	}
	if want := "mine|A->B|MirrorSourceConnector-0|replication-consumer"; config.ClientID != want {
		t.Errorf("client id %q, want %q", config.ClientID, want)
	}
	if len(config.UnknownKeys())+len(config.Warnings()) > 0 {
		t.Errorf("unknown %v, warnings %v", config.UnknownKeys(), config.Warnings())
	}
	if config.Consumer.MaxPartitionFetchBytes != 2<<20 || config.Consumer.FetchMaxBytes != 8<<20 {
		t.Errorf("max.partition.fetch.bytes is %d and fetch.max.bytes %d, want a quarter of 8 MiB and 8 MiB", config.Consumer.MaxPartitionFetchBytes, config.Consumer.FetchMaxBytes)
	}
}

func TestConfigurationsThatCannotWorkAreRefusedByKey(t *testing.T) {
	source, checkpoint, heartbeat := NewSourceConnector(), NewCheckpointConnector(), NewHeartbeatConnector()
	for _, test := range []struct {
		name      string
		validator connect.ConfigValidator
		config    map[string]string
		key       string // "" is accepted
	}{
		{"exactly once needs read_committed", source, plus("exactly.once.support=required"), "exactly.once.support"},
		{"exactly once with read_committed", source, plus("exactly.once.support=required", "consumer.isolation.level=read_committed"), ""},
		{"the source's isolation wins", source, plus("exactly.once.support=required", "consumer.isolation.level=read_committed", "source.consumer.isolation.level=read_uncommitted"), "exactly.once.support"},
		{"syncs off but configured", source, plus("emit.offset-syncs.enabled=false", "offset-syncs.topic.replication.factor=1"), "emit.offset-syncs.enabled"},
		{"syncs off", source, plus("emit.offset-syncs.enabled=false"), ""},
		{"a policy of one's own", source, plus("replication.policy.class=com.acme.Policy"), replica.PolicyClassKey},
		{"a topic filter of one's own", source, plus("topic.filter.class=com.acme.Filter"), replica.TopicFilterClassKey},
		{"a property filter of one's own", source, plus("config.property.filter.class=com.acme.Filter"), replica.ConfigPropertyFilterClassKey},
		{"a group filter of one's own", checkpoint, plus("group.filter.class=com.acme.Filter"), replica.GroupFilterClassKey},
		{"a broken expression", source, plus("topics=a(b"), replica.TopicFilterClassKey},
		{"an admin of one's own", heartbeat, plus("forwarding.admin.class=com.acme.Admin"), "forwarding.admin.class"},
		{"checkpoints off", checkpoint, plus("emit.checkpoints.enabled=false"), "emit.checkpoints.enabled"},
		{"checkpoints without syncs", checkpoint, plus("emit.offset-syncs.enabled=false"), "emit.offset-syncs.enabled"},
		{"no brokers of the source", source, plus(), "source.cluster.bootstrap.servers"},
		{"no brokers of the target", heartbeat, plus(), "target.cluster.bootstrap.servers"},
		{"a setting of a whole cluster", source, plus("source.cluster.security.protocol=CARRIER_PIGEON"), "source.cluster.security.protocol"},
		{"a setting of one client", source, plus("source.consumer.fetch.min.bytes=few"), "source.consumer.fetch.min.bytes"},
		{"a setting of one client in a flow", source, plus("admin.request.timeout.ms=long"), "admin.request.timeout.ms"},
		{"a source that is not used", heartbeat, plus("source.cluster.security.protocol=CARRIER_PIGEON"), ""},
		{"all off", checkpoint, plus("enabled=false", "emit.offset-syncs.enabled=false", "emit.checkpoints.enabled=false"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, at := range []string{"source", "target"} {
				if key := at + ".cluster.bootstrap.servers"; test.key != key {
					setDefault(test.config, key, "a:1")
				}
			}
			errs := test.validator.ValidateConfig(test.config)
			if test.key == "" && len(errs) > 0 {
				t.Errorf("refused: %v", errs)
			}
			if test.key != "" && (len(errs) != 1 || len(errs[test.key]) != 1 || !strings.Contains(errs[test.key][0], strings.TrimSuffix(test.key, ".class"))) && test.key != replica.TopicFilterClassKey {
				t.Errorf("errors %v, want one for %s that names it", errs, test.key)
			}
			if test.key == replica.TopicFilterClassKey && !strings.Contains(strings.Join(errs[test.key], ""), "topic") {
				t.Errorf("errors %v do not name topics", errs)
			}
			for key, value := range test.config {
				if strings.HasPrefix(value, "com.acme.") && !(strings.Contains(errs[key][0], value) && strings.Contains(errs[key][0], "org.apache.kafka.")) {
					t.Errorf("errors %v do not name %s and what is built in", errs, value)
				}
			}
		})
	}
}

func TestExactlyOnceIsSupportedByAConsumerThatReadsCommitted(t *testing.T) {
	c := NewSourceConnector()
	if got := c.ExactlyOnceSupport(plus()); got != connect.ExactlyOnceUnsupported {
		t.Errorf("by default: %v", got)
	}
	if got := c.ExactlyOnceSupport(plus("source.consumer.isolation.level=read_committed")); got != connect.ExactlyOnceSupported {
		t.Errorf("with read_committed: %v", got)
	}
}

func TestOffsetsMayBeAlteredInTheirFormOnly(t *testing.T) {
	partition := map[string]any{"cluster": "A", "topic": "t", "partition": int64(0)}
	for _, test := range []struct {
		change connect.OffsetChange
		good   bool
	}{
		{connect.OffsetChange{Partition: partition, Offset: map[string]any{"offset": int64(7)}}, true},
		{connect.OffsetChange{Partition: map[string]any{"rubbish": 1}}, true},
		{connect.OffsetChange{Partition: partition, Offset: map[string]any{"offset": int64(-1)}}, false},
		{connect.OffsetChange{Partition: map[string]any{"topic": "t"}, Offset: map[string]any{"offset": int64(7)}}, false},
	} {
		done, err := NewSourceConnector().AlterOffsets(t.Context(), nil, []connect.OffsetChange{test.change})
		if done != test.good || (err == nil) != test.good {
			t.Errorf("%v: %v, %v", test.change, done, err)
		}
	}
}

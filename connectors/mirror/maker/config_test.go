package maker

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func same(props map[string]string) (map[string]string, error) { return props, nil }

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(properties(text), same)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// properties reads key=value lines.
func properties(text string) map[string]string {
	props := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			props[k] = v
		}
	}
	return props
}

func flowNames(flows []Flow) string {
	var names []string
	for _, f := range flows {
		names = append(names, f.String())
	}
	return strings.Join(names, " ")
}

func TestTwoLinesDescribeAFlowFromSourceToTarget(t *testing.T) {
	c := parse(t, "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2")
	if !slices.Equal(c.Clusters, []string{"source", "target"}) || !c.Implied {
		t.Fatalf("clusters %v, implied %v", c.Clusters, c.Implied)
	}
	flows, err := c.Flows(nil)
	if err != nil || flowNames(flows) != "source->target target->source" {
		t.Fatalf("flows %q, %v", flowNames(flows), err)
	}
	if !c.Enabled(flows[0]) || c.Enabled(flows[1]) {
		t.Fatal("only source->target is to mirror")
	}
}

func TestFlowsOfMirrorMakersGrammar(t *testing.T) {
	brokers := "\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\nc.bootstrap.servers=c:1"
	for _, test := range []struct{ name, file, want string }{
		{"heartbeats run in every direction", "clusters=a,b\na->b.enabled=true", "a->b b->a"},
		{"three clusters make six herders", "clusters=a, b, c\na->b.enabled=true", "a->b a->c b->a b->c c->a c->b"},
		{"heartbeats off", "clusters=a,b\na->b.enabled=true\nemit.heartbeats.enabled=false", "a->b"},
		{"heartbeats off for one direction", "clusters=a,b\na->b.enabled=true\nb->a.emit.heartbeats.enabled=false", "a->b"},
		{"heartbeats on for one direction", "clusters=a,b,c\na->b.enabled=TRUE\nemit.heartbeats.enabled=false\nb->c.emit.heartbeats.enabled=true", "a->b b->c"},
		{"enabled flows come first", "clusters=a,b\nb->a.enabled=true", "b->a a->b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			flows, err := parse(t, test.file+brokers).Flows(nil)
			if err != nil || flowNames(flows) != test.want {
				t.Fatalf("flows %q, %v; want %q", flowNames(flows), err, test.want)
			}
		})
	}
	c := parse(t, "clusters=a,b,c\na->b.enabled=true"+brokers)
	flows, err := c.Flows([]string{"b"})
	if err != nil || flowNames(flows) != "a->b c->b" {
		t.Fatalf("with --clusters b: %q, %v", flowNames(flows), err)
	}
	if _, err := c.Flows([]string{"x"}); err == nil || !strings.Contains(err.Error(), `--clusters names "x"`) {
		t.Fatalf("with --clusters x: %v", err)
	}
}

func TestErrorsNameKeyValueAndRemedyAllAtOnce(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []string
	}{
		{"nothing set", "", []string{"source.bootstrap.servers is missing", "target.bootstrap.servers is missing"}},
		{"a cluster named twice", "clusters=a,b,a\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true", []string{`clusters is "a,b,a"`, "names a twice"}},
		{"an empty name", "clusters=a,,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true", []string{`clusters is "a,,b"`}},
		{"a name like a flow", "clusters=a->b,c\n", []string{`clusters names "a->b"`}},
		{"a switch that is neither", "clusters=a,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=yes\nemit.heartbeats.enabled=1",
			[]string{`a->b.enabled is "yes": it must be true or false`, `emit.heartbeats.enabled is "1"`}},
		{"no flow", "clusters=a,b\nemit.heartbeats.enabled=false\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1", []string{"no flow is enabled: set a->b.enabled=true"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(properties(test.file), same)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestWorkerOfAFlowLivesOnItsTarget(t *testing.T) {
	c := parse(t, `
clusters=a,b
a.bootstrap.servers=a:1
b.bootstrap.servers=b:1
a->b.enabled=true
security.protocol=SSL
b.ssl.truststore.location=/b
b.offset.flush.interval.ms=7
b.offset.storage.partitions=3
offset.storage.partitions=4
replication.policy.separator=_
consumer.max.poll.records=9
a->b.group.id=ignored`)
	got := c.WorkerProps(Flow{"a", "b"})
	want := map[string]string{
		"bootstrap.servers": "b:1", "security.protocol": "SSL", "ssl.truststore.location": "/b",
		"offset.flush.interval.ms": "7", "offset.storage.partitions": "4", "replication.policy.separator": "_",
		"client.id": "a->b", "group.id": "a-mm2", "task.auto.restart": "true",
		"offset.storage.topic": "mm2-offsets.a.internal", "status.storage.topic": "mm2-status.a.internal", "config.storage.topic": "mm2-configs.a.internal",
		"key.converter": byteArrayConverter, "value.converter": byteArrayConverter, "header.converter": byteArrayConverter,
	}
	for _, client := range []string{"producer.", "consumer.", "admin."} {
		want[client+"bootstrap.servers"], want[client+"security.protocol"], want[client+"ssl.truststore.location"] = "b:1", "SSL", "/b"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConnectorConfigurationPrecedence(t *testing.T) {
	c := parse(t, `
clusters=a,b
a.bootstrap.servers=a:1
b.bootstrap.servers=b:1
a->b.enabled=true
tasks.max=2
topics=top.*
b.topics=never
use.defaults.from=source
a.consumer.max.poll.records=10
a->b.consumer.max.poll.records=20
a->b.tasks.max=5
b.sasl.jaas.config=${file:/x:y}
replication.policy.separator=_`)
	known := func(k string) bool { return k == "tasks.max" || k == "topics" }
	got := c.ConnectorProps(Flow{"a", "b"}, "org.apache.kafka.connect.mirror.MirrorSourceConnector", known)
	want := map[string]string{
		"name": "MirrorSourceConnector", "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
		"source.cluster.alias": "a", "target.cluster.alias": "b",
		"source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1",
		"source.consumer.bootstrap.servers": "a:1", "source.producer.bootstrap.servers": "a:1", "source.admin.bootstrap.servers": "a:1",
		"target.consumer.bootstrap.servers": "b:1", "target.producer.bootstrap.servers": "b:1", "target.admin.bootstrap.servers": "b:1",
		"target.cluster.sasl.jaas.config": "${file:/x:y}", "target.consumer.sasl.jaas.config": "${file:/x:y}",
		"target.producer.sasl.jaas.config": "${file:/x:y}", "target.admin.sasl.jaas.config": "${file:/x:y}",
		"target.cluster.topics": "never", "source.consumer.max.poll.records": "10", "consumer.max.poll.records": "20",
		"topics": "top.*", "tasks.max": "5", "enabled": "true", "replication.policy.separator": "_",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := c.ConnectorProps(Flow{"b", "a"}, "X", known)["enabled"]; got != "false" {
		t.Errorf("enabled of the reverse flow is %q, want false", got)
	}
}

func TestUnreadKeysAreNamed(t *testing.T) {
	c := parse(t, `
clusters=primary,backup
primary.bootstrap.servers=a:1
backup.bootstrap.servers=b:1
primary->backup.enabled=true
primary->backup.topics=x
primary->backup.topcis=x
primary->bckup.topics=x
prmary.bootstrap.servers=x
backup.offset.flush.interval.ms=1
backup.topics=x
backup.transforms=r
backup.transforms.r.type=X
backup.status.storage.cleanup.policy=compact
backup.producer.linger.ms=1
backup.producer.lnger.ms=1
primary->backup.transforms.r.type=X
use.defaults.from=source
tasks.max=2
nonsense=1`)
	known := Known{
		Connector: func(k string) bool { return k == "topics" || k == "tasks.max" || k == "transforms" },
		Worker:    func(k string) bool { return k == "offset.flush.interval.ms" },
		Client:    func(k string) bool { return k == "linger.ms" || k == "bootstrap.servers" },
	}
	got := c.UnreadKeys(known)
	want := []string{
		"backup.producer.lnger.ms is not read by anything: producer.lnger.ms is no key of a worker or a Kafka client",
		"backup.topics is not read by anything: topics is a key of the mirror connectors: set it at the top of the file or for a flow (primary->backup.topics)",
		"backup.transforms is not read by anything: transforms is a key of the mirror connectors: set it at the top of the file or for a flow (primary->backup.transforms)",
		"backup.transforms.r.type is not read by anything: set it for a flow (primary->backup.transforms.r.type)",
		"nonsense is not read by anything",
		"primary->backup.topcis is not read by anything: topcis is no key of the mirror connectors",
		"primary->bckup.topics is not read by anything: no cluster is called bckup (clusters=primary,backup)",
		"prmary.bootstrap.servers is not read by anything: no cluster is called prmary (clusters=primary,backup)",
		"use.defaults.from is not read at the top of the file: set it for a flow (primary->backup.use.defaults.from)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

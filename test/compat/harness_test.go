package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// oddRecords has what mirrors get wrong: null against empty, repeated headers, old and future timestamps.
func oddRecords() []kafkatest.Record {
	return []kafkatest.Record{
		{Partition: 0, Timestamp: time.UnixMilli(1700000000123), Key: []byte("k"), Value: []byte("v")},
		{
			Partition: 1, Timestamp: time.UnixMilli(5), Value: []byte{},
			Headers: []kafkatest.Header{{Key: "h", Value: nil}, {Key: "h", Value: []byte{}}, {Key: "", Value: []byte("x")}},
		},
		{Partition: 0, Timestamp: time.UnixMilli(1600000000000), Key: []byte{}, Value: nil},
		{Partition: 1, Timestamp: time.UnixMilli(4102444800000), Key: []byte{0, 255}, Value: []byte("last")},
	}
}

// anyTime makes a topic accept records of the far future, and keep those of the past.
var anyTime = map[string]string{"retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807"}

// quickJVM spares these short runs the work of the optimising compiler, which does not pay off for them.
const quickJVM = "-XX:TieredStopAtLevel=1"

func byPartition(records []kafkatest.Record) map[int32][]kafkatest.Record {
	sorted := map[int32][]kafkatest.Record{}
	for _, record := range records {
		sorted[record.Partition] = append(sorted[record.Partition], record)
	}
	return sorted
}

func TestBrokersKeepRecordsOverRestarts(t *testing.T) {
	realkafka.Require(t)
	for _, test := range []struct {
		version string
		down    func(*realkafka.Broker)
	}{
		{"4.3.1", func(b *realkafka.Broker) { b.Stop(syscall.SIGTERM) }},
		{"3.9.2", (*realkafka.Broker).Kill},
	} {
		t.Run(test.version, func(t *testing.T) {
			cluster := realkafka.StartCluster(t, realkafka.Options{Version: test.version, JVM: []string{quickJVM}, Listeners: []realkafka.Listener{{
				Name: "SECURE", Protocol: "SASL_PLAINTEXT",
				Properties: map[string]string{
					"sasl.enabled.mechanisms": "PLAIN",
					"plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="s3cret\"";`,
				},
			}}})
			client := kafkatest.Dial(t, cluster.Bootstrap())
			client.CreateTopic("odd", 2, anyTime)
			written := byPartition(client.Produce("odd", oddRecords()...))
			if diff := cmp.Diff(written, client.ReadTopic("odd", kafkatest.ReadUncommitted)); diff != "" {
				t.Fatalf("read back (-written +read):\n%s", diff)
			}

			broker := cluster.Brokers()[0]
			test.down(broker)
			broker.Start()
			client.AwaitTopic("odd", time.Minute)

			if diff := cmp.Diff(written, client.ReadTopic("odd", kafkatest.ReadUncommitted)); diff != "" {
				t.Errorf("after a restart (-written +read):\n%s", diff)
			}
			secure := kafkatest.Dial(t, cluster.BootstrapOf("SECURE"), kgo.SASL(plain.Auth{User: "ann", Pass: `s3cret"`}.AsMechanism()))
			if got := secure.Topics(); !slices.Contains(got, "odd") {
				t.Errorf("over SASL the cluster lists %q, want odd among them", got)
			}
		})
	}
}

func TestThreeBrokersServeWhileOneIsDown(t *testing.T) {
	realkafka.Require(t)
	cluster := realkafka.StartCluster(t, realkafka.Options{Brokers: 3, JVM: []string{quickJVM}})
	client := kafkatest.Dial(t, cluster.Bootstrap())
	client.CreateTopic("odd", 2, anyTime)
	written := client.Produce("odd", oddRecords()...)

	cluster.Brokers()[1].Kill()
	written = append(written, client.Produce("odd", kafkatest.Record{Partition: 1, Value: []byte("two are enough")})...)
	cluster.Brokers()[1].Start()

	if diff := cmp.Diff(byPartition(written), client.ReadTopic("odd", kafkatest.ReadUncommitted)); diff != "" {
		t.Errorf("after one broker's crash (-written +read):\n%s", diff)
	}
	cluster.StopAll()
	for _, broker := range cluster.Brokers() {
		if broker.Process().Running() {
			t.Errorf("broker %d runs after StopAll", broker.ID())
		}
	}
}

func TestJavaMirrorMakerMirrorsBetweenTwoClusters(t *testing.T) {
	realkafka.Require(t)
	source := realkafka.StartCluster(t, realkafka.Options{Name: "source", JVM: []string{quickJVM}})
	target := realkafka.StartCluster(t, realkafka.Options{Name: "target", JVM: []string{quickJVM}})
	src, dst := kafkatest.Dial(t, source.Bootstrap()), kafkatest.Dial(t, target.Bootstrap())
	src.CreateTopic("odd", 2, anyTime)
	src.Produce("odd", oddRecords()...)

	maker := realkafka.StartJavaMirrorMaker(t, fmt.Sprintf(`
clusters = source, target
source.bootstrap.servers = %s
target.bootstrap.servers = %s
source->target.enabled = true
source->target.topics = odd
source->target.emit.heartbeats.enabled = false
target->source.emit.heartbeats.enabled = false
replication.factor = 1
checkpoints.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
config.storage.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
`, source.Bootstrap(), target.Bootstrap()), realkafka.WithJVM(quickJVM))

	dst.AwaitRecords("source.odd", len(oddRecords()), time.Minute)
	kafkatest.CompareTopic(t, source.Bootstrap(), "odd", target.Bootstrap(), "source.odd")
	running, err := maker.Usage()
	if err != nil {
		t.Fatal(err)
	}
	maker.Stop(syscall.SIGTERM)
	ended, err := maker.Usage()
	if err != nil {
		t.Fatal(err)
	}
	const leastHeap = 32 << 20
	if running.CPU() <= 0 || ended.CPU() < running.CPU() || running.PeakRSS < leastHeap || ended.PeakRSS < running.PeakRSS {
		t.Errorf("usage while running %+v and at the end %+v does not add up", running, ended)
	}
}

func TestJavaConnectWorkersAnswerOverREST(t *testing.T) {
	realkafka.Require(t)
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	client := kafkatest.Dial(t, cluster.Bootstrap())
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	converters := map[string]string{
		"bootstrap.servers": cluster.Bootstrap(),
		"key.converter":     "org.apache.kafka.connect.storage.StringConverter",
		"value.converter":   "org.apache.kafka.connect.storage.StringConverter",
	}
	with := func(more map[string]string) map[string]string {
		for key, value := range converters {
			more[key] = value
		}
		return more
	}

	standalone := realkafka.StartJavaStandalone(t,
		with(map[string]string{"offset.storage.file.filename": filepath.Join(t.TempDir(), "offsets")}),
		[]map[string]string{{
			"name": "lines", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
			"tasks.max": "1", "file": lines, "topic": "lines",
		}}, realkafka.WithJVM(quickJVM))
	read := client.AwaitRecords("lines", 2, time.Minute)[0]
	if len(read) != 2 || string(read[0].Value) != "one" || string(read[1].Value) != "two" {
		t.Errorf("topic lines holds %v, want one and two", read)
	}
	standalone.Stop(syscall.SIGTERM)

	distributed := realkafka.StartJavaConnect(t, with(map[string]string{
		"group.id": "workers", "config.storage.topic": "configs", "offset.storage.topic": "offsets", "status.storage.topic": "status",
		"config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1",
		"offset.storage.partitions": "2", "status.storage.partitions": "2",
	}), realkafka.WithJVM(quickJVM))
	client.AwaitTopic("configs", time.Minute)
	if got := client.TopicOverrides("configs")["cleanup.policy"]; got != "compact" {
		t.Errorf("the worker made its config topic with cleanup.policy %q, want compact", got)
	}
	distributed.Kill()
	if distributed.Running() {
		t.Error("the worker runs after Kill")
	}
}

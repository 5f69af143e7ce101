package cli

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect/plugin"
	"tributary/connectors/standard"
	"tributary/storage/kafkastore"
)

// minimal are the keys that a worker cannot do without, and further ones.
func minimal(further map[string]string) map[string]string {
	props := map[string]string{
		"bootstrap.servers": "127.0.0.1:1", "group.id": "g",
		"config.storage.topic": "c", "offset.storage.topic": "o", "status.storage.topic": "s",
		"key.converter":   "org.apache.kafka.connect.converters.ByteArrayConverter",
		"value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
	}
	maps.Copy(props, further)
	return props
}

func newWorker(t *testing.T, props map[string]string) (*Worker, error) {
	t.Helper()
	registry, err := plugin.NewRegistry(standard.Plugins()...)
	if err != nil {
		t.Fatal(err)
	}
	return NewWorker(WorkerOptions{Properties: props, Plugins: registry, WorkerID: "w:1", URL: "http://w:1/", Logger: slog.New(slog.DiscardHandler)})
}

func TestDefaultsThatDifferFromJavasGiveWayToTheUser(t *testing.T) {
	w, err := newWorker(t, minimal(nil))
	if err != nil {
		t.Fatal(err)
	}
	if w.runtime.FlushInterval != 5*time.Second || w.rebalanceDelay() != 10*time.Second || syncBackoff(w.values) != 6*time.Second {
		t.Errorf("flush %s, delay %s, backoff %s", w.runtime.FlushInterval, w.rebalanceDelay(), syncBackoff(w.values))
	}
	w, err = newWorker(t, minimal(map[string]string{"offset.flush.interval.ms": "60000", "scheduled.rebalance.max.delay.ms": "0", "worker.unsync.backoff.ms": "100"}))
	if err != nil {
		t.Fatal(err)
	}
	if w.runtime.FlushInterval != time.Minute || w.rebalanceDelay() != 0 || syncBackoff(w.values) != 100*time.Millisecond {
		t.Errorf("set by the user: flush %s, delay %s, backoff %s", w.runtime.FlushInterval, w.rebalanceDelay(), syncBackoff(w.values))
	}
}

func TestInternalTopicsAreAsTheFileSays(t *testing.T) {
	w, err := newWorker(t, minimal(map[string]string{
		"offset.storage.partitions": "3", "offset.storage.replication.factor": "1", "offset.storage.segment.bytes": "1000",
		"status.storage.partitions": "-1", "config.storage.min.insync.replicas": "2",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]kafkastore.Topic{
		"config": {Name: "c", Key: "config.storage.topic", Partitions: 1, ReplicationFactor: 3, Configs: map[string]string{"min.insync.replicas": "2"}},
		"offset": {Name: "o", Key: "offset.storage.topic", Partitions: 3, ReplicationFactor: 1, Configs: map[string]string{"segment.bytes": "1000"}},
		"status": {Name: "s", Key: "status.storage.topic", Partitions: -1, ReplicationFactor: 3, Configs: map[string]string{}},
	}
	for kind, got := range map[string]kafkastore.Topic{"config": w.topics.config, "offset": w.topics.offset, "status": w.topics.status} {
		if got.Name != want[kind].Name || got.Key != want[kind].Key || got.Partitions != want[kind].Partitions || got.ReplicationFactor != want[kind].ReplicationFactor {
			t.Errorf("%s topic: %+v, want %+v", kind, got, want[kind])
		}
		if diff := cmp.Diff(want[kind].Configs, got.Configs); diff != "" {
			t.Errorf("%s topic: %s", kind, diff)
		}
	}
}

func TestClientsOfTheWorkerDoNotGetSettingsOfOthers(t *testing.T) {
	got := clientProps(map[string]string{"bootstrap.servers": "a:1", "producer.acks": "1", "consumer.x": "1", "admin.x": "1", "producers": "stays"})
	if diff := cmp.Diff(map[string]string{"bootstrap.servers": "a:1", "producers": "stays"}, map[string]string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestEverythingWrongWithAWorkersFileIsToldAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		props map[string]string
		want  []string
	}{
		"nothing set": {nil, []string{"bootstrap.servers", "group.id", "config.storage.topic", "offset.storage.topic", "status.storage.topic"}},
		"types and ranges": {minimal(map[string]string{"session.timeout.ms": "soon", "offset.storage.partitions": "0", "connect.protocol": "telepathy", "topic.creation.enable": "yes"}),
			[]string{"session.timeout.ms", "soon", "offset.storage.partitions", "Value must be -1 (the broker's default) or at least 1", "connect.protocol", "telepathy", "topic.creation.enable", "yes"}},
		"listeners":  {minimal(map[string]string{"listeners": "8083,ftp://a:1"}), []string{"listeners", `"8083" is not of the form http://host:port or https://host:port`}},
		"heartbeats": {minimal(map[string]string{"session.timeout.ms": "1000", "heartbeat.interval.ms": "1000"}), []string{"heartbeat.interval.ms is 1000: it must be less than session.timeout.ms, which is 1000"}},
		"parts of a worker": {minimal(map[string]string{"producer.acks": "perhaps", "security.protocol": "PIGEON", "inter.worker.key.generation.algorithm": "rot13", "config.providers": "vault"}),
			[]string{"acks", "perhaps", "security.protocol", "PIGEON", "rot13", "vault"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newWorker(t, test.props)
			var wrong *ConfigError
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want a *ConfigError", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

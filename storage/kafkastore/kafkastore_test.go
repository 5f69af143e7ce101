package kafkastore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/storage"
	"tributary/storage/kafkastore"
	"tributary/storage/storagetest"
	"tributary/test/cluster/kafkatest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, kafkatest.LeftByKfake(), goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

var discard = slog.New(slog.DiscardHandler)

func startKafka(t *testing.T, o localkafka.Options) *localkafka.Cluster {
	t.Helper()
	cluster, err := localkafka.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func props(cluster *localkafka.Cluster) kafka.Props {
	return kafka.Props{
		"bootstrap.servers": cluster.Bootstrap(), "retry.backoff.ms": "5", "retry.backoff.max.ms": "20",
		"reconnect.backoff.ms": "5", "reconnect.backoff.max.ms": "20", "request.timeout.ms": "5000", "default.api.timeout.ms": "10000",
		// What a worker's file holds beside its client properties is no matter.
		"group.id": "connect-cluster", "config.storage.topic": "x", "delivery.timeout.ms": "7", "acks": "1",
	}
}

func options(cluster *localkafka.Cluster, name string, partitions int32) kafkastore.Options {
	return kafkastore.Options{
		Props: props(cluster), ClientIDBase: "test-", Logger: discard,
		Topic: kafkastore.Topic{Name: name, Key: "x.storage.topic", Partitions: partitions, ReplicationFactor: 1},
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var topicNumber atomic.Int32

func newName(kind string) string { return fmt.Sprintf("%s-%d", kind, topicNumber.Add(1)) }

func TestConfigStore(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	storagetest.TestConfigStore(t, func(t *testing.T) func() storage.ConfigStore {
		name := newName("configs")
		return func() storage.ConfigStore {
			return must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: options(cluster, name, 1)}))
		}
	})
}

func privileged(t *testing.T, cluster *localkafka.Cluster, name string) *kafkastore.ConfigStore {
	o := kafkastore.ConfigOptions{Options: options(cluster, name, 1), TransactionalID: "connect-cluster-" + name}
	o.ReadCommitted = true
	return must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(o))
}

func TestPrivilegedConfigStore(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	newTopic := func(t *testing.T) func() storage.ConfigStore {
		name := newName("configs")
		return func() storage.ConfigStore { return privileged(t, cluster, name) }
	}
	storagetest.TestPrivilegedConfigStore(t, newTopic)
}

func TestStatusStore(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	storagetest.TestStatusStore(t, func(t *testing.T) func() storage.StatusStore {
		name := newName("statuses")
		return func() storage.StatusStore {
			return must[*kafkastore.StatusStore](t)(kafkastore.NewStatusStore(options(cluster, name, 5)))
		}
	})
}

func TestOffsetStore(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("read_committed=%t", committed), func(t *testing.T) {
			cluster := startKafka(t, localkafka.Options{})
			storagetest.TestOffsetStore(t, func(t *testing.T) func() storage.OffsetStore {
				name := newName("offsets")
				return func() storage.OffsetStore {
					o := options(cluster, name, 5)
					o.ReadCommitted = committed
					return must[*kafkastore.OffsetStore](t)(kafkastore.NewOffsetStore(o))
				}
			})
		})
	}
}

// A leader's transactions leave markers in the topic. They are no records: every worker
// must come to the same offset, and a worker that reads to the end must get past them.
func TestMarkersDoNotCountAsOffsets(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	name := newName("configs")
	leader := privileged(t, cluster, name)
	start(t, leader, silent{})
	if err := leader.ClaimWritePrivileges(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := leader.PutConnectorConfig(t.Context(), "c", storage.ConnectorConfig{}, nil); err != nil {
		t.Fatal(err)
	}
	// One record at 0, its marker at 1.
	if got := leader.Snapshot().Offset(); got != 1 {
		t.Errorf("offset %d after the first record, want 1", got)
	}
	if err := leader.PutTaskConfigs(t.Context(), "c", []map[string]string{{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	// The task's record at 2, a marker, the commit record at 4, a marker.
	late := privileged(t, cluster, name)
	start(t, late, silent{})
	if a, b := leader.Snapshot().Offset(), late.Snapshot().Offset(); a != 5 || b != 5 {
		t.Errorf("offsets %d and %d, want 5", a, b)
	}
}

type silent struct{}

func (silent) ConnectorConfigUpdated(string)           {}
func (silent) ConnectorConfigRemoved(string)           {}
func (silent) TaskConfigsUpdated(string)               {}
func (silent) TargetStateChanged(string)               {}
func (silent) SessionKeyUpdated(storage.SessionKey)    {}
func (silent) RestartRequested(storage.RestartRequest) {}
func (silent) LoggerLevelChanged(_, _ string)          {}

func start(t *testing.T, store storage.ConfigStore, events storage.ConfigEvents) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := store.Start(ctx, events); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
}

// logBuffer takes log lines from several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newAdmin(t *testing.T, cluster *localkafka.Cluster, logger *slog.Logger) *kafka.Admin {
	t.Helper()
	cfg := must[*kafka.Config](t)(kafka.ParseConfig(kafka.RoleAdmin, props(cluster)))
	client := must[*kafka.Client](t)(kafka.NewClient(cfg, logger))
	t.Cleanup(func() { client.Close() })
	return kafka.NewAdmin(client, cfg, logger)
}

// A task's configuration names all its partitions in one record.
func TestTasksOfVeryManyPartitionsAreKept(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	var partitions strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&partitions, "domain-%05d.team-of-those.application.events-with-all-their-details.version-%d-%d,", i*7919%20_011, i%13, i%4)
	}
	want := []map[string]string{{"task.assigned.partitions": partitions.String()}}
	if partitions.Len() < 1<<20 {
		t.Fatalf("%d bytes are not too many for a record", partitions.Len())
	}
	for _, open := range []func(name string) *kafkastore.ConfigStore{
		func(name string) *kafkastore.ConfigStore {
			return must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: options(cluster, name, 1)}))
		},
		func(name string) *kafkastore.ConfigStore { return privileged(t, cluster, name) },
	} {
		name := newName("configs")
		store := open(name)
		start(t, store, silent{})
		if err := store.ClaimWritePrivileges(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.PutConnectorConfig(t.Context(), "c", storage.ConnectorConfig{}, nil); err != nil {
			t.Fatal(err)
		}

		if err := store.PutTaskConfigs(t.Context(), "c", want); err != nil {
			t.Fatal(err)
		}

		late := open(name)
		start(t, late, silent{})
		got := late.Snapshot().RawTaskConfigs("c")
		if len(got) != 1 || got[0]["task.assigned.partitions"] == nil || *got[0]["task.assigned.partitions"] != partitions.String() {
			t.Errorf("%d tasks are kept, or not as they were written", len(got))
		}
	}
}

func TestTopicsAreCreatedAsJavaDoes(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{Brokers: 3})
	var logs logBuffer
	o := options(cluster, "my-offsets", 25)
	o.Topic.ReplicationFactor = 3
	o.Topic.Key = "offset.storage.topic"
	o.Topic.Configs = map[string]string{"cleanup.policy": "delete", "segment.bytes": "1048576"}
	o.Logger = slog.New(slog.NewTextHandler(&logs, nil))
	store := must[*kafkastore.OffsetStore](t)(kafkastore.NewOffsetStore(o))
	if err := store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)

	admin := newAdmin(t, cluster, discard)
	info := must[map[string]kafka.TopicInfo](t)(admin.DescribeTopics(t.Context(), "my-offsets"))["my-offsets"]
	if info.Partitions != 25 || info.ReplicationFactor != 3 {
		t.Errorf("%d partitions, %d replicas", info.Partitions, info.ReplicationFactor)
	}
	got := topicConfigs(t, admin, "my-offsets")
	if got["cleanup.policy"] != "compact" || got["segment.bytes"] != "1048576" {
		t.Errorf("configs %v", got)
	}
	if !strings.Contains(logs.String(), "offset.storage.cleanup.policy=delete is ignored") {
		t.Errorf("the ignored policy is not mentioned: %s", logs.String())
	}
}

func topicConfigs(t *testing.T, admin *kafka.Admin, topic string) map[string]string {
	t.Helper()
	configs, failed, err := admin.DescribeTopicConfigs(t.Context(), topic)
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	got := map[string]string{}
	for _, entry := range configs[topic] {
		got[entry.Name] = entry.Value
	}
	return got
}

func TestTopicsThatWouldLoseDataAreRefused(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	admin := newAdmin(t, cluster, discard)
	for policy, ok := range map[string]bool{"delete": false, "compact,delete": false, " Compact ": true, "compact": true} {
		name := newName("topic")
		if err := admin.CreateTopic(t.Context(), kafka.TopicSpec{Name: name, Partitions: 1, ReplicationFactor: 1, Configs: map[string]string{"cleanup.policy": policy}}); err != nil {
			t.Fatal(err)
		}
		o := options(cluster, name, 1)
		o.Topic.Key = "status.storage.topic"
		store := must[*kafkastore.StatusStore](t)(kafkastore.NewStatusStore(o))
		err := store.Start(t.Context())
		store.Stop()
		switch {
		case ok && err != nil:
			t.Errorf("%q: %v", policy, err)
		case !ok && (err == nil || !strings.Contains(err.Error(), "status.storage.topic="+name) || !strings.Contains(err.Error(), "cleanup.policy="+policy)):
			t.Errorf("%q: got %v", policy, err)
		}
	}
}

func TestConfigTopicWithSeveralPartitionsIsRefused(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	admin := newAdmin(t, cluster, discard)
	if err := admin.CreateTopic(t.Context(), kafka.TopicSpec{Name: "wide", Partitions: 2, ReplicationFactor: 1, Configs: map[string]string{"cleanup.policy": "compact"}}); err != nil {
		t.Fatal(err)
	}
	o := options(cluster, "wide", 7)
	o.Topic.Key = "config.storage.topic"
	store := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: o}))
	defer store.Stop()
	err := store.Start(t.Context(), silent{})
	if err == nil || !strings.Contains(err.Error(), "config.storage.topic=wide: the topic has 2 partitions") {
		t.Errorf("got %v", err)
	}
}

func TestTooFewBrokersAreAwaitedThenNamed(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	o := options(cluster, newName("configs"), 1)
	o.Topic.Key, o.Topic.ReplicationFactor = "config.storage.topic", 2
	o.Props["default.api.timeout.ms"] = "300"
	o.Props["request.timeout.ms"] = "200"
	store := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: o}))
	defer store.Stop()
	if err := store.Start(t.Context(), silent{}); err == nil || !strings.Contains(err.Error(), "config.storage.replication.factor=2") {
		t.Errorf("got %v", err)
	}

	// A second broker comes while a store is starting.
	var logs logBuffer
	o.Props["default.api.timeout.ms"] = "20000"
	o.Logger = slog.New(slog.NewTextHandler(&logs, nil))
	store = must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: o}))
	defer store.Stop()
	started := make(chan error, 1)
	go func() { started <- store.Start(t.Context(), silent{}) }()
	eventually(t, "the store waits", func() bool { return strings.Contains(logs.String(), "Too few brokers") })
	if _, err := cluster.AddBroker(); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Error(err)
	}
}

func TestReplicationIsFittedForUsersWhoSetNone(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{Topics: map[string]int32{"there": 1}})
	topic := func(name string, rf int16) *kafkastore.Topic {
		return &kafkastore.Topic{Name: name, ReplicationFactor: rf}
	}
	a, b, there, byBroker := topic("b-new", 3), topic("a-new", 3), topic("there", 3), topic("default", kafka.DefaultByBroker)
	if err := kafkastore.FitReplication(t.Context(), newAdmin(t, cluster, discard), a, b, there, byBroker); err != nil {
		t.Fatal(err)
	}
	if a.ReplicationFactor != 1 || b.ReplicationFactor != 1 || there.ReplicationFactor != 3 || byBroker.ReplicationFactor != -1 {
		t.Errorf("got %d, %d, %d, %d", a.ReplicationFactor, b.ReplicationFactor, there.ReplicationFactor, byBroker.ReplicationFactor)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// When the brokers go away, writes fail in time and say why, statuses are kept, and
// everything goes on by itself once the brokers are back.
func TestStoresOutliveAnOutage(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	config := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: options(cluster, newName("configs"), 1)}))
	start(t, config, silent{})
	status := must[*kafkastore.StatusStore](t)(kafkastore.NewStatusStore(options(cluster, newName("statuses"), 2)))
	offsets := must[*kafkastore.OffsetStore](t)(kafkastore.NewOffsetStore(options(cluster, newName("offsets"), 2)))
	if err := status.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(status.Stop)
	if err := offsets.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(offsets.Stop)
	if err := config.PutConnectorConfig(t.Context(), "c", storage.ConnectorConfig{}, nil); err != nil {
		t.Fatal(err)
	}
	record := must[storage.OffsetRecord](t)(offsets.Record("c", map[string]any{"p": 1}, map[string]any{"offset": 1}))

	if err := cluster.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for what, err := range map[string]error{
		"config write":  config.PutConnectorConfig(short(), "d", storage.ConnectorConfig{}, nil),
		"target state":  config.PutTargetState(short(), "c", storage.Paused),
		"refresh":       config.Refresh(short()),
		"offset write":  offsets.WriteOffsets(short(), []storage.OffsetRecord{record}),
		"offset lookup": second(offsets.Offsets(short(), "c", []map[string]any{{"p": 1}})),
	} {
		if err == nil || !strings.Contains(err.Error(), cluster.Bootstrap()) {
			t.Errorf("%s without a broker: %v; want an error that names it", what, err)
		}
	}
	task := connect.TaskID{Connector: "c"}
	status.SetGeneration(1)
	status.PutTask(task, storage.Status{State: storage.StateRunning, WorkerID: "w", Generation: 1})
	if err := status.Flush(short()); err == nil {
		t.Error("a status was flushed without a broker")
	}
	if !config.Snapshot().Contains("c") {
		t.Error("the snapshot was lost")
	}

	if err := cluster.StartBroker(0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := status.Flush(ctx); err != nil {
		t.Error(err)
	}
	eventually(t, "the status is read", func() bool { _, ok := status.Task(task); return ok })
	if err := config.PutConnectorConfig(ctx, "e", storage.ConnectorConfig{}, nil); err != nil {
		t.Error(err)
	}
	if !config.Snapshot().Contains("e") {
		t.Error("a write after the outage is not read back")
	}
	if err := offsets.WriteOffsets(ctx, []storage.OffsetRecord{record}); err != nil {
		t.Error(err)
	}
	if got, err := offsets.Offsets(ctx, "c", []map[string]any{{"p": 1}}); err != nil || len(got) != 1 || !maps.Equal(got[0], map[string]any{"offset": int64(1)}) {
		t.Errorf("offsets after the outage: %v, %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestStartWaitsForTheClusterAsLongAsItMay(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	if err := cluster.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	store := must[*kafkastore.OffsetStore](t)(kafkastore.NewOffsetStore(options(cluster, newName("offsets"), 1)))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := store.Start(ctx); err == nil || !strings.Contains(err.Error(), cluster.Bootstrap()) {
		t.Errorf("got %v", err)
	}
	// The same store starts once the cluster is there.
	if err := cluster.StartBroker(0); err != nil {
		t.Fatal(err)
	}
	if err := store.Start(t.Context()); err != nil {
		t.Error(err)
	}
	store.Stop()
	if err := store.Start(t.Context()); err == nil {
		t.Error("a stopped store was started")
	}
}

// Compaction keeps task configs of deleted connectors; a worker that reads the compacted
// topic must agree with those that read it all.
func TestALateWorkerAgreesAfterCompaction(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	o := kafkastore.ConfigOptions{Options: options(cluster, newName("configs"), 1)}
	first := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(o))
	start(t, first, silent{})
	value := "v"
	for range 3 {
		if err := first.PutConnectorConfig(t.Context(), "c", storage.ConnectorConfig{"k": &value}, nil); err != nil {
			t.Fatal(err)
		}
		if err := first.PutTaskConfigs(t.Context(), "c", []map[string]string{{"t": "0"}, {"t": "1"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.RemoveConnectorConfig(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if err := first.PutConnectorConfig(t.Context(), "c", storage.ConnectorConfig{"k": &value}, nil); err != nil {
		t.Fatal(err)
	}
	cluster.Compact()
	late := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(o))
	start(t, late, silent{})
	a, b := first.Snapshot(), late.Snapshot()
	if a.Offset() != b.Offset() || len(a.Tasks("c")) != 0 || len(b.Tasks("c")) != 0 || !b.Contains("c") {
		t.Errorf("the first worker is at %d with tasks %v, the late one at %d with %v", a.Offset(), a.Tasks("c"), b.Offset(), b.Tasks("c"))
	}
}

func TestBadPropertiesAreNamedBeforeAnythingIsOpened(t *testing.T) {
	_, err := kafkastore.NewOffsetStore(kafkastore.Options{
		Props: kafka.Props{"bootstrap.servers": "localhost:9092", "security.protocol": "TELNET"}, Topic: kafkastore.Topic{Name: "o", Key: "offset.storage.topic"}, Logger: discard,
	})
	if err == nil || !strings.Contains(err.Error(), "security.protocol") || !strings.Contains(err.Error(), "offset.storage.topic") {
		t.Errorf("got %v", err)
	}
}

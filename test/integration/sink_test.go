package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

const (
	fileSource = "org.apache.kafka.connect.file.FileStreamSourceConnector"
	fileSink   = "FileStreamSink" // the short name does as well
)

// text is for workers whose records are lines of text.
const text = "key.converter=org.apache.kafka.connect.storage.StringConverter\nvalue.converter=org.apache.kafka.connect.storage.StringConverter\noffset.flush.interval.ms=300"

// awaitLines waits until a file has exactly these lines, in any order.
func awaitLines(t *testing.T, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	kafkatest.Await(t, cluster.Patience, "lines in "+name, func() (bool, string) {
		content, err := os.ReadFile(name)
		if err != nil {
			return false, err.Error()
		}
		got := strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
		slices.Sort(got)
		return slices.Equal(got, want), fmt.Sprintf("%q", got)
	})
}

func awaitGroupOffsets(t *testing.T, k *cluster.Kafka, group, topic string, want map[int32]int64) {
	t.Helper()
	kafkatest.Await(t, cluster.Patience, "committed offsets of "+group, func() (bool, string) {
		got := k.CommittedOffsets(group)[topic]
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprint(got)
	})
}

func appendLines(t *testing.T, name string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A file goes through a topic into another file; both connectors are paused, stopped, moved by altered offsets, and
// taken over by a second worker.
func TestLinesGoFromAFileThroughATopicIntoAFile(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	in, out := filepath.Join(t.TempDir(), "in.txt"), filepath.Join(t.TempDir(), "out.txt")
	appendLines(t, in, "one", "two")

	a := w.API()
	a.Create("in", map[string]string{
		"connector.class": fileSource, "file": in, "topic": "lines",
		"topic.creation.groups": "wide", "topic.creation.wide.include": "lin.*", "topic.creation.wide.partitions": "3", "topic.creation.wide.retention.ms": "86400000",
		"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
	})
	k.AwaitRecords("lines", 2, cluster.Patience)
	if got := k.Partitions("lines"); got != 3 {
		t.Errorf("the topic has %d partitions, want 3", got)
	}
	if got := k.TopicConfigs("lines")["retention.ms"]; got != "86400000" {
		t.Errorf("the topic has retention.ms %s", got)
	}
	a.Create("out", map[string]string{"connector.class": fileSink, "file": out, "topics": "lines", "tasks.max": "2"})
	awaitLines(t, out, "one", "two")
	a.AwaitState("out", "RUNNING", 2)

	// A paused sink reads nothing and keeps its place.
	a.Do("pause", func(ctx context.Context, c *api.Client) error { return c.Pause(ctx, "out") })
	a.AwaitState("out", "PAUSED", 2)
	appendLines(t, in, "three")
	k.AwaitRecords("lines", 3, cluster.Patience)
	awaitLines(t, out, "one", "two")
	a.Do("resume", func(ctx context.Context, c *api.Client) error { return c.Resume(ctx, "out") })
	awaitLines(t, out, "one", "two", "three")

	// Another worker takes over: nothing is read again, since what was written was committed.
	second := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, second)
	w.Stop()
	a = second.API()
	a.AwaitState("out", "RUNNING", 2)
	appendLines(t, in, "four")
	awaitLines(t, out, "one", "two", "three", "four")

	// Offsets can be read, moved and reset.
	a.Do("stop", func(ctx context.Context, c *api.Client) error { return c.Stop(ctx, "out") })
	a.AwaitState("out", "STOPPED", 0)
	var offsets api.ConnectorOffsets
	a.Do("offsets", func(ctx context.Context, c *api.Client) (err error) {
		offsets, err = c.Offsets(ctx, "out")
		return err
	})
	total := 0
	for _, o := range offsets.Offsets {
		n := 0
		if _, err := fmt.Sscanf(string(o.Offset), `{"kafka_offset":%d}`, &n); err != nil {
			t.Errorf("offset %s of %s", o.Offset, o.Partition)
		}
		total += n
	}
	if total != 4 {
		t.Errorf("the offsets %s add up to %d, want 4", offsets.Offsets, total)
	}
	a.Do("reset", func(ctx context.Context, c *api.Client) error {
		message, err := c.ResetOffsets(ctx, "out")
		if err == nil && message != "The offsets for this connector have been reset successfully" {
			t.Errorf("reset: %s", message)
		}
		return err
	})
	a.Do("resume", func(ctx context.Context, c *api.Client) error { return c.Resume(ctx, "out") })
	awaitLines(t, out, "one", "two", "three", "four", "one", "two", "three", "four")
}

func TestPoisonRecordsGoToTheDeadLetterQueueWithJavasHeaders(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"in": 1}})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	out := filepath.Join(t.TempDir(), "out.txt")
	sent := k.Produce("in",
		kafkatest.Record{Value: []byte(`{"a":1}`)},
		kafkatest.Record{Key: []byte("k"), Value: []byte(`{"a":`), Headers: []kafkatest.Header{{Key: "h", Value: []byte("v")}, {Key: "null"}}},
		kafkatest.Record{Value: []byte(`{"a":2}`)},
	)
	a := w.API()
	a.Create("out", map[string]string{
		"connector.class": fileSink, "file": out, "topics": "in",
		"value.converter": "JsonConverter", "value.converter.schemas.enable": "false",
		"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dlq", "errors.deadletterqueue.topic.replication.factor": "1",
		"errors.deadletterqueue.context.headers.enable": "true", "errors.log.enable": "true",
	})
	awaitLines(t, out, "{a=1}", "{a=2}")
	letter := k.AwaitRecords("dlq", 1, cluster.Patience)[0][0]
	if string(letter.Key) != "k" || string(letter.Value) != `{"a":` || !letter.Timestamp.Equal(sent[1].Timestamp) {
		t.Errorf("the letter is %v", letter)
	}
	var names []string
	values := map[string]string{}
	for _, h := range letter.Headers {
		names = append(names, h.Key)
		values[h.Key] = string(h.Value)
	}
	requireEqual(t, "headers", []string{
		"h", "null", "__connect.errors.topic", "__connect.errors.partition", "__connect.errors.offset", "__connect.errors.connector.name",
		"__connect.errors.task.id", "__connect.errors.stage", "__connect.errors.class.name", "__connect.errors.exception.class.name",
		"__connect.errors.exception.message", "__connect.errors.exception.stacktrace",
	}, names)
	for name, want := range map[string]string{
		"topic": "in", "partition": "0", "offset": "1", "connector.name": "out", "task.id": "0", "stage": "VALUE_CONVERTER",
		"class.name": "org.apache.kafka.connect.json.JsonConverter", "exception.class.name": "org.apache.kafka.connect.errors.DataException",
		"exception.message": "Converting byte[] to Kafka Connect data failed due to serialization error: ",
	} {
		requireEqual(t, name, want, values["__connect.errors."+name])
	}
	awaitGroupOffsets(t, k, "connect-out", "in", map[int32]int64{0: 3})

	// Without tolerance the task fails, with a message that says where and why.
	a.Create("strict", map[string]string{"connector.class": fileSink, "file": out, "topics": "in", "value.converter": "JsonConverter", "value.converter.schemas.enable": "false"})
	status := a.AwaitStatus("strict", "the task to fail", func(s api.ConnectorStatus) bool { return len(s.Tasks) == 1 && s.Tasks[0].State == "FAILED" })
	requireText(t, status.Tasks[0].Trace, "Tolerance exceeded in error handler: stage VALUE_CONVERTER with class org.apache.kafka.connect.json.JsonConverter: Converting byte[] to Kafka Connect data failed")
}

// Topics by pattern are read as they come, by the tasks together; a task that is killed with its worker loses nothing.
func TestASinkReadsTopicsByPatternAndLosesNothingWhenItsWorkerIsKilled(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"log.a": 2, "other": 1}})
	file := workerFile(k, text, "consumer.metadata.max.age.ms=300", "consumer.session.timeout.ms=6000", "consumer.heartbeat.interval.ms=500")
	w := cluster.Spawn(t, cluster.Distributed, file)
	awaitHealthy(t, w)
	out := filepath.Join(t.TempDir(), "out.txt")
	k.Produce("log.a", kafkatest.Record{Partition: 0, Value: []byte("a0")}, kafkatest.Record{Partition: 1, Value: []byte("a1")})
	k.Produce("other", kafkatest.Record{Value: []byte("no")})
	w.API().Create("out", map[string]string{"connector.class": fileSink, "file": out, "topics.regex": "log\\..*", "tasks.max": "2",
		"consumer.override.partition.assignment.strategy": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"})
	awaitLines(t, out, "a0", "a1")
	awaitGroupOffsets(t, k, "connect-out", "log.a", map[int32]int64{0: 1, 1: 1})
	k.CreateTopic("log.b", 1, nil)
	k.Produce("log.b", kafkatest.Record{Value: []byte("b0")})
	awaitLines(t, out, "a0", "a1", "b0")
	awaitGroupOffsets(t, k, "connect-out", "log.b", map[int32]int64{0: 1})

	second := cluster.Start(t, cluster.Distributed, file)
	awaitHealthy(t, second)
	awaitShared(t, second, "out", 1, 1) // the embedded cluster's group waits a minute for who dies in a rebalance
	w.Kill()
	k.Produce("log.a", kafkatest.Record{Partition: 0, Value: []byte("a2")})
	k.Produce("log.b", kafkatest.Record{Value: []byte("b1")})
	awaitLines(t, out, "a0", "a1", "b0", "a2", "b1")
}

func TestBadSinksAreRefusedWithAReasonForEachKey(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, "connector.client.config.override.policy=None"))
	awaitHealthy(t, w)
	refusal := w.API().Refused(func(ctx context.Context, c *api.Client) error {
		_, err := c.CreateConnector(ctx, api.CreateConnectorRequest{Name: "s", Config: api.Config(map[string]string{
			"connector.class": fileSink, "topics": "a,b", "topics.regex": "c", "errors.deadletterqueue.topic.name": "b", "errors.tolerance": "some", "consumer.override.client.id": "x",
		})})
		return err
	})
	if refusal.Code != 400 {
		t.Errorf("code %d", refusal.Code)
	}
	requireText(t, refusal.Message, "topics and topics.regex are mutually exclusive options, but both are set.",
		"Invalid value some for configuration errors.tolerance", "The 'None' policy does not allow 'client.id' to be overridden in the connector configuration.")
	var gone *api.Error
	if _, err := w.API().Client.Offsets(t.Context(), "none"); !errors.As(err, &gone) || gone.Code != 404 {
		t.Errorf("offsets of a connector that is not there: %v", err)
	}
}

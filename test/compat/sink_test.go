package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// fileConnectorsGoFromJavaToTributaryAndBack runs one set of connectors in one group: on a Java worker, on both kinds
// of workers together, on Tributary, and on Java again. Each line of the input arrives exactly once, so both find each
// other's source offsets and consumer group offsets, and share a consumer group between their tasks. Dead letters and
// created topics are compared.
func fileConnectorsGoFromJavaToTributaryAndBack(t *testing.T, p *pair) {
	_, dst := p.clients(t)
	properties := p.group("files")
	properties["value.converter"] = "org.apache.kafka.connect.storage.StringConverter"
	in, out := filepath.Join(t.TempDir(), "in.txt"), filepath.Join(t.TempDir(), "out.txt")
	lines := 0
	add := func() {
		t.Helper()
		f, err := os.OpenFile(in, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range 20 {
			lines++
			if _, err := fmt.Fprintf(f, "line %03d\n", lines); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func() {
		t.Helper()
		var want []string
		for i := range lines {
			want = append(want, fmt.Sprintf("line %03d", i+1))
		}
		awaitFile(t, out, want)
	}
	create := func(client *api.Client, name string, config map[string]string) {
		t.Helper()
		kafkatest.Await(t, patience, "creating "+name, func() (bool, string) {
			_, _, err := client.PutConfig(t.Context(), name, config)
			return err == nil, fmt.Sprint(err)
		})
	}
	const fileSource, fileSink = "org.apache.kafka.connect.file.FileStreamSourceConnector", "org.apache.kafka.connect.file.FileStreamSinkConnector"
	source := func(file, topic string) map[string]string {
		return map[string]string{
			"connector.class": fileSource, "file": file, "topic": topic,
			"topic.creation.groups": "wide", "topic.creation.wide.include": "files-.*", "topic.creation.wide.partitions": "4",
			"topic.creation.wide.retention.ms": "86400000", "topic.creation.wide.max.message.bytes": "123456",
			"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "-1",
		}
	}

	// Java alone.
	java := realkafka.StartJavaConnect(t, properties, realkafka.WithJVM(quickJVM), realkafka.WithName("java-files"))
	onJava := &api.Client{BaseURL: java.URL()}
	add()
	create(onJava, "files-in", source(in, "files-by-java"))
	// The sink's consumers have the broker create topics that they do not find: the connector's settings come first.
	dst.AwaitRecords("files-by-java", lines, patience)
	create(onJava, "files-out", map[string]string{"connector.class": fileSink, "file": out, "topics": "files-by-java", "tasks.max": "2"})
	dst.CreateTopic("poison", 1, nil)
	create(onJava, "files-poison", map[string]string{
		"connector.class": fileSink, "file": filepath.Join(t.TempDir(), "none.txt"), "topics": "poison",
		"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
		"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "files-dlq", "errors.deadletterqueue.topic.replication.factor": "1",
		"errors.deadletterqueue.context.headers.enable": "true",
	})
	expect()
	poison := kafkatest.Record{Key: []byte("k"), Value: []byte(`{"a":`), Headers: []kafkatest.Header{{Key: "h", Value: []byte("v")}, {Key: "null"}}}
	dst.Produce("poison", poison)
	dst.AwaitRecords("files-dlq", 1, patience)

	// Both: the sink's tasks are in one consumer group, on workers of both kinds.
	tributary := startDistributed(t, properties)
	kafkatest.Await(t, patience, "tasks on both workers", func() (bool, string) {
		status, err := tributary.Status(t.Context(), "files-out")
		workers := map[string]bool{}
		for _, task := range status.Tasks {
			workers[task.WorkerID] = task.State == "RUNNING"
		}
		return err == nil && len(workers) == 2 && workers[strings.TrimPrefix(java.URL(), "http://")], fmt.Sprintf("%+v, %v", status, err)
	})
	add()
	expect()

	// Tributary alone.
	terminate(java)
	for connector, tasks := range map[string]int{"files-in": 1, "files-out": 2, "files-poison": 1} {
		tributary.awaitRunning(connector, tasks)
	}
	add()
	expect()
	dst.Produce("poison", poison)
	letters := dst.AwaitRecords("files-dlq", 2, patience)[0]
	compareLetters(t, letters[0], letters[1])
	more := filepath.Join(t.TempDir(), "more.txt")
	if err := os.WriteFile(more, []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	create(tributary.Client, "files-more", source(more, "files-by-tributary"))
	dst.AwaitRecords("files-by-tributary", 1, patience)
	if diff := cmp.Diff(dst.TopicOverrides("files-by-java"), dst.TopicOverrides("files-by-tributary")); diff != "" || dst.Partitions("files-by-java") != dst.Partitions("files-by-tributary") {
		t.Errorf("topics differ, Java's has %d partitions, Tributary's %d; configurations (-Java +Tributary):\n%s", dst.Partitions("files-by-java"), dst.Partitions("files-by-tributary"), diff)
	}
	offsets, err := tributary.Offsets(t.Context(), "files-in")
	if err != nil {
		t.Fatal(err)
	}
	tributary.stop()

	// Java again.
	java = realkafka.StartJavaConnect(t, properties, realkafka.WithJVM(quickJVM), realkafka.WithName("java-files-again"))
	onJava = &api.Client{BaseURL: java.URL()}
	add()
	expect()
	again, err := onJava.Offsets(t.Context(), "files-in")
	if err != nil || len(again.Offsets) != 1 || len(offsets.Offsets) != 1 || string(again.Offsets[0].Partition) != string(offsets.Offsets[0].Partition) {
		t.Errorf("source offsets: Tributary's %s, Java's %s, %v", offsets.Offsets, again.Offsets, err)
	}
	for _, connector := range []string{"files-in", "files-out", "files-poison", "files-more"} {
		kafkatest.Await(t, patience, "deleting "+connector, func() (bool, string) {
			err := onJava.Delete(t.Context(), connector)
			return err == nil, fmt.Sprint(err)
		})
	}
	terminate(java)
}

// awaitFile waits until a file has exactly these lines, each once, in any order.
func awaitFile(t *testing.T, name string, want []string) {
	t.Helper()
	kafkatest.Await(t, patience, fmt.Sprintf("%d lines in %s", len(want), name), func() (bool, string) {
		content, err := os.ReadFile(name)
		if err != nil {
			return false, err.Error()
		}
		got := strings.Fields(strings.ReplaceAll(string(content), "line ", "line_"))
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "_", " ")
		}
		slices.Sort(got)
		if len(got) > len(want) {
			t.Fatalf("the file has %d lines, want %d: %q", len(got), len(want), got)
		}
		return slices.Equal(got, want), fmt.Sprintf("%d lines, the last is %q", len(got), got[max(len(got)-1, 0):])
	})
}

// compareLetters compares dead letters of the same record at different offsets. Stack traces differ of course.
func compareLetters(t *testing.T, java, tributary kafkatest.Record) {
	t.Helper()
	const offset, trace = "__connect.errors.offset", "__connect.errors.exception.stacktrace"
	shown := func(r kafkatest.Record) (out []string) {
		for _, h := range r.Headers {
			switch h.Key {
			case offset:
				out = append(out, h.Key)
			case trace:
				first, _, _ := strings.Cut(string(h.Value), "\n")
				out = append(out, h.Key+" begins "+first)
			default:
				out = append(out, fmt.Sprintf("%s=%q (null: %v)", h.Key, h.Value, h.Value == nil))
			}
		}
		return append(out, fmt.Sprintf("key %q, value %q", r.Key, r.Value))
	}
	if diff := cmp.Diff(shown(java), shown(tributary)); diff != "" {
		t.Errorf("dead letters (-Java +Tributary):\n%s", diff)
	}
}

package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// pipelines is testdata/pipelines.json: connectors whose transformations, predicates and converters are compared. Texts
// of keys, values and headers stand for bytes, one for each character; those beyond U+00FF for their UTF-8.
type pipelines struct {
	// Sinks write what they read from a topic into a file, and what they cannot handle into a dead letter queue.
	Sinks []struct {
		Name           string
		Records        []pipelineRecord
		Lines, Letters int
		Config         map[string]string
	}
	// Sources read lines of a file, and fail or run on.
	Sources []struct {
		Name    string
		Lines   []string
		Records int
		State   string
		Config  map[string]string
	}
	// Mirrors copy a topic, so that keys, headers, timestamps and topics are seen.
	Mirrors []struct {
		Name    string
		Records []pipelineRecord
		Count   int
		Config  map[string]string
	}
}

type pipelineRecord struct {
	Key, Value *string
	Headers    [][2]*string
	Timestamp  int64
}

func (r pipelineRecord) record() kafkatest.Record {
	out := kafkatest.Record{Key: latin(r.Key), Value: latin(r.Value), Timestamp: time.UnixMilli(r.Timestamp)}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kafkatest.Header{Key: *h[0], Value: latin(h[1])})
	}
	return out
}

// latin is a text of the table as bytes: its UTF-8 where it has letters that JSON texts of the table mean as such.
func latin(text *string) []byte {
	if text == nil {
		return nil
	}
	if strings.HasPrefix(*text, "{") || strings.HasPrefix(*text, "a ") {
		return []byte(*text)
	}
	out := []byte{}
	for _, r := range *text {
		out = append(out, byte(r))
	}
	return out
}

const fileConnector = "org.apache.kafka.connect.file.FileStream"

// connectors are those of one worker: side tells its topics, files and groups from the other worker's.
func (p *pipelines) connectors(dir, bootstrap, side string) []map[string]string {
	var all []map[string]string
	add := func(name string, own, config map[string]string) {
		own["name"] = side + "-" + name
		maps.Copy(own, config)
		all = append(all, own)
	}
	for _, c := range p.Sinks {
		add("sink-"+c.Name, map[string]string{
			"connector.class": fileConnector + "SinkConnector", "topics": "in." + c.Name, "file": filepath.Join(dir, side+"-"+c.Name),
			"errors.tolerance": "all", "errors.deadletterqueue.topic.name": side + ".dlq." + c.Name, "errors.deadletterqueue.topic.replication.factor": "1",
			"errors.deadletterqueue.context.headers.enable": "true",
		}, c.Config)
	}
	for _, c := range p.Sources {
		add("source-"+c.Name, map[string]string{
			"connector.class": fileConnector + "SourceConnector", "topic": side + ".out." + c.Name, "file": filepath.Join(dir, "lines-"+c.Name),
		}, c.Config)
	}
	for _, c := range p.Mirrors {
		add("mirror-"+c.Name, map[string]string{
			"connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "source.cluster.alias": side, "target.cluster.alias": "same",
			"source.cluster.bootstrap.servers": bootstrap, "target.cluster.bootstrap.servers": bootstrap, "topics": "mirror." + c.Name,
			"key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter", "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
			"sync.topic.acls.enabled": "false", "replication.factor": "1", "offset-syncs.topic.replication.factor": "1",
		}, c.Config)
	}
	return all
}

// startStandalone starts Tributary's connect-standalone.
func startStandalone(t *testing.T, properties map[string]string, connectors []map[string]string) *worker {
	t.Helper()
	return startStandaloneOf(t, filepath.Join(binaries, "connect-standalone"), nil, properties, connectors)
}

// startStandaloneOf starts a program that is called as connect-standalone is.
func startStandaloneOf(t *testing.T, program string, env []string, properties map[string]string, connectors []map[string]string) *worker {
	t.Helper()
	dir := t.TempDir()
	command := []string{program}
	for i, config := range append([]map[string]string{properties}, connectors...) {
		var file strings.Builder
		for _, key := range slices.Sorted(maps.Keys(config)) {
			fmt.Fprintf(&file, "%s=%s\n", key, strings.ReplaceAll(config[key], `\`, `\\`))
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.properties", i))
		if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		command = append(command, path)
	}
	p := realkafka.StartProcess(t, "connect-standalone", command, env, dir)
	return &worker{Process: p, Client: &api.Client{BaseURL: "http://" + p.WaitLog(listening, patience)[1]}, t: t}
}

// TestTransformationsPredicatesAndConvertersDoAsJavasWorker runs a table of connectors on a Java worker and on
// Tributary, on one real cluster: what arrives, what fails and what is left out is the same.
func TestTransformationsPredicatesAndConvertersDoAsJavasWorker(t *testing.T) {
	realkafka.Require(t)
	var table pipelines
	text, err := os.ReadFile("testdata/pipelines.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	k := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}, Extra: map[string]string{"log.message.timestamp.after.max.ms": anyTime["message.timestamp.after.max.ms"]}})
	client := kafkatest.Dial(t, k.Bootstrap())
	dir := t.TempDir()
	for _, c := range table.Sinks {
		produce(t, client, "in."+c.Name, c.Records)
	}
	for _, c := range table.Mirrors {
		produce(t, client, "mirror."+c.Name, c.Records)
	}
	for _, c := range table.Sources {
		if err := os.WriteFile(filepath.Join(dir, "lines-"+c.Name), []byte(strings.Join(c.Lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, side := range []string{"java", "go"} {
			client.CreateTopic(side+".out."+c.Name, 1, nil)
		}
	}
	properties := func(side string) map[string]string {
		return map[string]string{
			"bootstrap.servers": k.Bootstrap(), "offset.storage.file.filename": filepath.Join(dir, side+".offsets"), "offset.flush.interval.ms": "1000",
			"key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter",
			"consumer.auto.offset.reset": "earliest",
		}
	}
	java := realkafka.StartJavaStandalone(t, properties("java"), table.connectors(dir, k.Bootstrap(), "java"), realkafka.WithJVM("-Xmx1g", quickJVM, "-Duser.timezone=UTC"))
	own := properties("go")
	own["listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t))
	tributary := startStandalone(t, own, table.connectors(dir, k.Bootstrap(), "go"))
	clients := map[string]*api.Client{"java": {BaseURL: java.URL()}, "go": tributary.Client}

	t.Run("a mirror that filters", func(t *testing.T) { filteredMirror(t, k, kafkatest.Dial(t, k.Bootstrap())) })
	for _, c := range table.Sinks {
		t.Run("sink "+c.Name, func(t *testing.T) {
			client := kafkatest.Dial(t, k.Bootstrap())
			files, letters := map[string][]string{}, map[string][]kafkatest.Record{}
			for side := range clients {
				files[side] = awaitFileOf(t, filepath.Join(dir, side+"-"+c.Name), c.Lines)
				if c.Letters > 0 {
					letters[side] = comparableLetters(t, client.AwaitRecords(side+".dlq."+c.Name, c.Letters, patience)[0])
				}
			}
			if diff := cmp.Diff(files["java"], files["go"]); diff != "" {
				t.Errorf("lines (-Java +Tributary):\n%s", diff)
			}
			if diff := cmp.Diff(letters["java"], letters["go"]); diff != "" {
				t.Errorf("dead letters (-Java +Tributary):\n%s", diff)
			}
			for side, found := range letters {
				if len(found) != c.Letters {
					t.Errorf("%s has %d dead letters, want %d", side, len(found), c.Letters)
				}
			}
		})
	}
	for _, c := range table.Sources {
		t.Run("source "+c.Name, func(t *testing.T) {
			client := kafkatest.Dial(t, k.Bootstrap())
			found := map[string][]kafkatest.Record{}
			for side, rest := range clients {
				awaitTask(t, rest, side+"-source-"+c.Name, c.State)
				records := client.AwaitRecords(side+".out."+c.Name, c.Records, patience)[0]
				for i := range records {
					records[i].Timestamp, records[i].Offset = time.Time{}, 0 // when it was sent
					records[i].Value = []byte(strings.ReplaceAll(string(records[i].Value), side+".out.", "SIDE.out."))
				}
				found[side] = records
			}
			if diff := cmp.Diff(found["java"], found["go"]); diff != "" || len(found["go"]) != c.Records {
				t.Errorf("%d records, want %d (-Java +Tributary):\n%s", len(found["go"]), c.Records, diff)
			}
		})
	}
	for _, c := range table.Mirrors {
		t.Run("mirror "+c.Name, func(t *testing.T) {
			client := kafkatest.Dial(t, k.Bootstrap())
			found := map[string][]kafkatest.Record{}
			for side := range clients {
				records := client.AwaitRecords(side+".mirror."+c.Name, c.Count, patience)[0]
				for i := range records {
					records[i].Value = unsided(records[i].Value, side+".mirror.")
				}
				found[side] = records
			}
			if diff := cmp.Diff(found["java"], found["go"]); diff != "" || len(found["go"]) != c.Count {
				t.Errorf("%d records, want %d (-Java +Tributary):\n%s", len(found["go"]), c.Count, diff)
			}
		})
	}
}

// filteredMirror mirrors within the cluster and keeps one record of ten, is killed in mid-stream, and goes on. Each record
// that was kept arrives, in order, twice at most where the kill took the last commits; groups are never put beyond a
// record that they have not read.
func filteredMirror(t *testing.T, k *realkafka.Cluster, client *kafkatest.Client) {
	dir := t.TempDir()
	client.CreateTopic("orders", 1, nil)
	orders := func(from, to int) {
		var records []kafkatest.Record
		for i := from; i < to; i++ {
			records = append(records, kafkatest.Record{Value: fmt.Appendf(nil, `{"n":%d,"keep":%t}`, i, i%10 == 0)})
		}
		client.Produce("orders", records...)
	}
	common := map[string]string{"source.cluster.alias": "kept", "target.cluster.alias": "same", "source.cluster.bootstrap.servers": k.Bootstrap(), "target.cluster.bootstrap.servers": k.Bootstrap(),
		"key.converter": "ByteArrayConverter", "value.converter": "ByteArrayConverter", "replication.factor": "1", "offset-syncs.topic.replication.factor": "1", "checkpoints.topic.replication.factor": "1"}
	with := func(more map[string]string) map[string]string {
		out := maps.Clone(common)
		maps.Copy(out, more)
		return out
	}
	connectors := []map[string]string{
		with(map[string]string{"name": "mirror", "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "topics": "orders", "offset.lag.max": "0", "sync.topic.acls.enabled": "false",
			"transforms": "keep", "predicates": "wanted", "predicates.wanted.type": "RecordMatches", "predicates.wanted.value.field": "keep", "predicates.wanted.value.pattern": "true",
			"transforms.keep.type": "Filter", "transforms.keep.predicate": "wanted", "transforms.keep.negate": "true"}),
		with(map[string]string{"name": "checkpoints", "connector.class": "org.apache.kafka.connect.mirror.MirrorCheckpointConnector", "groups": "app.*", "emit.checkpoints.interval.seconds": "1",
			"refresh.groups.interval.seconds": "1", "sync.group.offsets.enabled": "true", "sync.group.offsets.interval.seconds": "1"}),
	}
	worker := func() *worker {
		return startStandalone(t, map[string]string{"bootstrap.servers": k.Bootstrap(), "offset.storage.file.filename": filepath.Join(dir, "offsets"), "offset.flush.interval.ms": "200",
			"key.converter": "ByteArrayConverter", "value.converter": "ByteArrayConverter", "listeners": fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t))}, connectors)
	}
	awaitMoved := func(group string, least, most int64) {
		t.Helper()
		kafkatest.Await(t, patience, "where "+group+" is put", func() (bool, string) {
			at, ok := client.CommittedOffsets(group)["kept.orders"][0]
			if ok && at > most {
				t.Fatalf("%s is put to %d; at most %d is right", group, at, most)
			}
			return ok && at >= least, fmt.Sprint(at, ok)
		})
	}
	orders(0, 3000)
	client.CommitOffset("app-end", "orders", 0, 3000)
	client.CommitOffset("app-last", "orders", 0, 2990)
	w := worker()
	client.AwaitRecords("kept.orders", 300, patience)
	awaitMoved("app-end", 300, 300)
	awaitMoved("app-last", 299, 299)
	orders(3000, 6000)
	w.Kill()
	orders(6000, 6005) // of these one is kept
	client.CommitOffset("app-end", "orders", 0, 6005)
	second := worker()
	var kept []int
	doubles := 0
	kafkatest.Await(t, patience, "the last record that is kept", func() (bool, string) {
		records := client.ReadTopic("kept.orders", kafkatest.ReadUncommitted)[0]
		last := ""
		if len(records) > 0 {
			last = string(records[len(records)-1].Value)
		}
		kept, doubles = kept[:0], 0
		for _, r := range records {
			var n struct{ N int }
			if err := json.Unmarshal(r.Value, &n); err != nil {
				t.Fatal(err)
			}
			if len(kept) > 0 && n.N <= kept[len(kept)-1] {
				doubles++ // since the last commit before the kill
				continue
			}
			kept = append(kept, n.N)
		}
		return last == `{"n":6000,"keep":true}`, last
	})
	var want []int
	for n := 0; n <= 6000; n += 10 {
		want = append(want, n)
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if doubles > 300 {
		t.Errorf("%d records came twice; what was committed before the kill must not", doubles)
	}
	awaitMoved("app-end", int64(601+doubles), int64(601+doubles))
	second.stop()
	// A clean stop and start brings nothing again.
	count := len(client.ReadTopic("kept.orders", kafkatest.ReadUncommitted)[0])
	third := worker()
	client.Produce("orders", kafkatest.Record{Value: []byte(`{"n":9999,"keep":true}`)})
	if got := client.AwaitRecords("kept.orders", count+1, patience)[0]; len(got) != count+1 || string(got[count].Value) != `{"n":9999,"keep":true}` {
		t.Errorf("%d records after a clean restart, want %d", len(got), count+1)
	}
	third.stop()
}

// unsided takes the name of the worker's own topic out of a value; null stays null.
func unsided(value []byte, prefix string) []byte {
	if value == nil {
		return nil
	}
	return []byte(strings.ReplaceAll(string(value), prefix, "SIDE."))
}

func produce(t *testing.T, client *kafkatest.Client, topic string, records []pipelineRecord) {
	t.Helper()
	client.CreateTopic(topic, 1, anyTime)
	var all []kafkatest.Record
	for _, r := range records {
		all = append(all, r.record())
	}
	client.Produce(topic, all...)
}

// awaitFileOf waits for a file with at least that many lines, and returns them.
func awaitFileOf(t *testing.T, name string, count int) (lines []string) {
	t.Helper()
	kafkatest.Await(t, patience, fmt.Sprintf("%d lines in %s", count, filepath.Base(name)), func() (bool, string) {
		text, err := os.ReadFile(name)
		if err != nil {
			return false, err.Error()
		}
		lines = strings.Split(string(text), "\n")
		lines = lines[:len(lines)-1]
		return len(lines) >= count, fmt.Sprintf("%q", lines)
	})
	if len(lines) != count {
		t.Errorf("%s has the lines %q, want %d", filepath.Base(name), lines, count)
	}
	return lines
}

func awaitTask(t *testing.T, rest *api.Client, connector, state string) {
	t.Helper()
	kafkatest.Await(t, patience, connector+" to be "+state, func() (bool, string) {
		status, err := rest.Status(t.Context(), connector)
		return err == nil && len(status.Tasks) == 1 && status.Tasks[0].State == state, fmt.Sprint(status, err)
	})
}

// comparableLetters leaves out of dead letters what cannot be the same: the connector's name, and traces. Messages count
// where they are those of data; an unknown field is an IllegalArgumentException in Java, of which there is none here.
func comparableLetters(t *testing.T, letters []kafkatest.Record) []kafkatest.Record {
	t.Helper()
	for i := range letters {
		data := false
		for j, h := range letters[i].Headers {
			if string(h.Value) == "java.lang.IllegalArgumentException" {
				h.Value = []byte("org.apache.kafka.connect.errors.DataException")
				letters[i].Headers[j] = h
			}
			data = data || strings.HasSuffix(h.Key, "exception.class.name") && string(h.Value) == "org.apache.kafka.connect.errors.DataException"
		}
		for j, h := range letters[i].Headers {
			switch {
			case strings.HasSuffix(h.Key, ".connector.name"), strings.HasSuffix(h.Key, ".stacktrace"), strings.HasSuffix(h.Key, "exception.message") && !data:
				letters[i].Headers[j].Value = []byte("…")
			}
		}
	}
	return letters
}

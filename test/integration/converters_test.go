package integration

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"tributary/api"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func startRegistry(t *testing.T) *srfake.Registry {
	t.Helper()
	r := srfake.New()
	t.Cleanup(r.Close)
	return r
}

// Lines of a file become structs, go through a topic in each format of a Schema Registry, and are read by a sink.
func TestStructsGoThroughATopicInEveryFormatOfARegistry(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"avro": 1, "json": 1, "protobuf": 1}})
	registry := startRegistry(t)
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	a := w.API()
	for topic, c := range map[string]struct {
		converter, schema, record string
		kind                      sr.SchemaType
	}{
		"avro": {"io.confluent.connect.avro.AvroConverter",
			`{"type":"record","name":"Line","namespace":"com.acme","fields":[{"name":"line","type":"string"},{"name":"n","type":{"type":"int","connect.type":"int8"}}],"connect.version":4,"connect.name":"com.acme.Line"}`,
			"\x06one\x0e", sr.TypeAvro},
		"json": {"JsonSchemaConverter",
			`{"type":"object","properties":{"line":{"type":"string","connect.index":0},"n":{"type":"integer","connect.type":"int8","connect.index":1}},"title":"com.acme.Line","connect.version":4}`,
			`{"line":"one","n":7}`, sr.TypeJSON},
		"protobuf": {"ProtobufConverter",
			"syntax = \"proto3\";\npackage com.acme;\n\nimport \"confluent/meta.proto\";\n\nmessage Line {\n  string line = 1;\n  int32 n = 2 [(confluent.field_meta) = { params: [{ key: \"connect.type\", value: \"int8\" }] }];\n}\n",
			"\x00\x0a\x03one\x10\x07", sr.TypeProtobuf},
	} {
		in, out := filepath.Join(t.TempDir(), "in.txt"), filepath.Join(t.TempDir(), "out.txt")
		appendLines(t, in, "one", "two")
		a.Create("in-"+topic, map[string]string{
			"connector.class": fileSource, "file": in, "topic": topic, "value.converter": c.converter, "value.converter.schema.registry.url": registry.URL(),
			"transforms": "hoist,number,cast,name", "transforms.hoist.type": "HoistField$Value", "transforms.hoist.field": "line",
			"transforms.number.type": "InsertField$Value", "transforms.number.static.field": "n!", "transforms.number.static.value": "7",
			"transforms.cast.type": "Cast$Value", "transforms.cast.spec": "n:int8",
			"transforms.name.type": "SetSchemaMetadata$Value", "transforms.name.schema.name": "com.acme.Line", "transforms.name.schema.version": "4",
		})
		got := k.AwaitRecords(topic, 2, cluster.Patience)[0]
		registered, ok := registry.GetSchema(topic+"-value", 1)
		if !ok || registered.Schema.Schema != c.schema || registered.Schema.Type != c.kind {
			t.Errorf("%s: registered is %s\nwant %s", topic, registered.Schema.Schema, c.schema)
		}
		requireEqual(t, topic, string(binary.BigEndian.AppendUint32([]byte{0}, uint32(registered.ID)))+c.record, string(got[0].Value))
		a.Create("out-"+topic, map[string]string{"connector.class": fileSink, "file": out, "topics": topic, "value.converter": c.converter, "value.converter.schema.registry.url": registry.URL()})
		awaitLines(t, out, "Struct{line=one,n=7}", "Struct{line=two,n=7}")

		// A poison record is told from a registry that is away: it goes to the queue, at once.
		k.Produce(topic, kafkatest.Record{Value: []byte("\x07poison")}, kafkatest.Record{Value: []byte("\x00\x00\x00\x03\xe7\x00")})
		tolerant := filepath.Join(t.TempDir(), "tolerant.txt")
		a.Create("tolerant-"+topic, map[string]string{"connector.class": fileSink, "file": tolerant, "topics": topic, "value.converter": c.converter, "value.converter.schema.registry.url": registry.URL(),
			"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dlq-" + topic, "errors.deadletterqueue.topic.replication.factor": "1", "errors.deadletterqueue.context.headers.enable": "true"})
		letters := k.AwaitRecords("dlq-"+topic, 2, cluster.Patience)[0]
		requireEqual(t, "letter", "\x07poison", string(letters[0].Value))
		headers := map[string]string{}
		for _, h := range letters[1].Headers {
			headers[h.Key] = string(h.Value)
		}
		requireText(t, headers["__connect.errors.exception.class.name"], "org.apache.kafka.connect.errors.DataException")
		requireText(t, headers["__connect.errors.class.name"], "io.confluent.connect.")
		requireText(t, headers["__connect.errors.exception.stacktrace"], "asking for schema 999", "answered 404")
		awaitLines(t, tolerant, "Struct{line=one,n=7}", "Struct{line=two,n=7}")
	}
}

func TestARegistryConverterIsCheckedBeforeAndWhileItRuns(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	a := w.API()
	in := filepath.Join(t.TempDir(), "in.txt")
	appendLines(t, in, "one")
	config := map[string]string{"connector.class": fileSource, "file": in, "topic": "t", "value.converter": "AvroConverter"}
	for _, bad := range []struct {
		settings map[string]string
		want     []string
	}{
		{nil, []string{`Missing required configuration "schema.registry.url" which has no default value.`}},
		{map[string]string{"schema.registry.url": "ftp://u:s3cret@r", "auto.register.schemas": "2", "value.subject.name.strategy": "Mine"}, []string{
			"Each address must be such as http://registry:8081", "Invalid value 2 for configuration auto.register.schemas", "Invalid value Mine for configuration value.subject.name.strategy"}},
	} {
		own := map[string]string{}
		for k, v := range config {
			own[k] = v
		}
		for k, v := range bad.settings {
			own["value.converter."+k] = v
		}
		refusal := a.Refused(func(ctx context.Context, c *api.Client) error {
			_, err := c.CreateConnector(ctx, api.CreateConnectorRequest{Name: "bad", Config: api.Config(own)})
			return err
		})
		requireText(t, refusal.Message, bad.want...)
		if strings.Contains(refusal.Message, "s3cret") {
			t.Errorf("a secret stands in %s", refusal.Message)
		}
	}
	config["value.converter.schema.registry.url"] = "http://bob:s3cret@127.0.0.1:1"
	a.Create("away", config)
	status := a.AwaitStatus("away", "the task to fail", func(s api.ConnectorStatus) bool { return len(s.Tasks) == 1 && s.Tasks[0].State == "FAILED" })
	requireText(t, status.Tasks[0].Trace, "Tolerance exceeded in error handler", "VALUE_CONVERTER", "io.confluent.connect.avro.AvroConverter",
		"registering the schema under subject t-value: the Schema Registry at http://127.0.0.1:1 cannot be reached")
	if strings.Contains(status.Tasks[0].Trace, "s3cret") || len(w.Log.Lines("s3cret")) > 0 {
		t.Error("a secret was shown")
	}
}

// A mirror turns Avro into JSON; its task says why it does not pass batches on. Without Parse the bytes are one value.
func TestAMirrorConvertsBetweenFormats(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	registry := startRegistry(t)
	if _, _, err := registry.RegisterSchema("orders-value", sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"region","type":"string"},{"name":"cents","type":"long"}]}`}); err != nil {
		t.Fatal(err)
	}
	source.Produce("orders", kafkatest.Record{Key: []byte("a"), Value: []byte("\x00\x00\x00\x00\x01\x04eu\x0a")}, kafkatest.Record{Key: []byte("b"), Value: []byte("\x00\x00\x00\x00\x01\x04us\x0c")}, kafkatest.Record{Key: []byte("c")})
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, w)
	with := func(more map[string]string) map[string]string {
		config := mirrorConfig(source, target, 1)
		config["topics"] = "orders"
		for k, v := range more {
			config[k] = v
		}
		return config
	}
	w.API().Create("json", with(map[string]string{
		"transforms": "parse", "transforms.parse.type": "tributary.transforms.Parse$Value", "transforms.parse.converter": "AvroConverter", "transforms.parse.converter.schema.registry.url": registry.URL(),
		"value.converter": "JsonConverter", "value.converter.schemas.enable": "false",
	}))
	got := target.AwaitRecords("source.orders", 3, cluster.Patience)[0]
	requireEqual(t, "records", `a {"region":"eu","cents":5} b {"region":"us","cents":6} c `, fmt.Sprintf("%s %s %s %s %s %s", got[0].Key, got[0].Value, got[1].Key, got[1].Value, got[2].Key, got[2].Value))
	if got[2].Value != nil {
		t.Error("the tombstone is none any more")
	}
	w.API().Create("avro", with(map[string]string{"source.cluster.alias": "wrapped", "value.converter": "AvroConverter", "value.converter.schema.registry.url": registry.URL()}))
	got = target.AwaitRecords("wrapped.orders", 2, cluster.Patience)[0]
	// Confluent's serializer writes bytes that stand alone without their length.
	requireEqual(t, "bytes within Avro", "\x00\x00\x00\x00\x02\x00\x00\x00\x00\x01\x04eu\x0a", string(got[0].Value))
	registered, _ := registry.GetSchema("wrapped.orders-value", 1)
	requireEqual(t, "schema", `"bytes"`, registered.Schema.Schema)
	// A mirror says that its values are never null, as Java's does; converters that look at schemas refuse a tombstone.
	status := w.API().AwaitStatus("avro", "the task to fail at the tombstone", func(s api.ConnectorStatus) bool { return len(s.Tasks) == 1 && s.Tasks[0].State == "FAILED" })
	requireText(t, status.Tasks[0].Trace, "Found null value for non-optional schema")
	requireLines(t, w.Log, 1, "The lane of the task is chosen", "lane=record", "value.converter=io.confluent.connect.avro.AvroConverter works on single records")
}

// A filter leaves out nine records of ten, and more at the end. Groups that are moved must find the first record that
// was kept behind what they have read: a position beyond it would lose that record. A restart brings nothing twice.
func TestCheckpointsHoldWhereAFilterLeavesRecordsOut(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	orders := func(from, to int) (records []kafkatest.Record) {
		for i := from; i < to; i++ {
			records = append(records, kafkatest.Record{Value: fmt.Appendf(nil, `{"n":%d,"keep":%t}`, i, i%10 == 0 && i <= 590)})
		}
		return records
	}
	source.Produce("orders", orders(0, 500)...)
	for _, position := range []int64{0, 123, 490, 491, 500} {
		source.CommitOffset(fmt.Sprint("app-", position), "orders", 0, position)
	}
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, w)
	config := mirrorConfig(source, target, 1)
	for key, value := range map[string]string{
		"topics": "orders", "offset.lag.max": "0", "transforms": "keep", "predicates": "wanted",
		"predicates.wanted.type": "RecordMatches", "predicates.wanted.value.field": "keep", "predicates.wanted.value.pattern": "true",
		"transforms.keep.type": "Filter", "transforms.keep.predicate": "wanted", "transforms.keep.negate": "true",
	} {
		config[key] = value
	}
	w.API().Create("mirror", config)
	requireKept := func(count int) {
		t.Helper()
		got := target.AwaitRecords("source.orders", count, cluster.Patience)[0]
		if len(got) != count {
			t.Fatalf("%d records, want %d", len(got), count)
		}
		for i, r := range got {
			requireEqual(t, "record", fmt.Sprintf(`{"n":%d,"keep":true}`, 10*i), string(r.Value))
		}
	}
	requireKept(50)
	checkpoints := mirrorConfig(source, target, 1)
	for key, value := range map[string]string{
		"connector.class": "org.apache.kafka.connect.mirror.MirrorCheckpointConnector", "groups": "app-.*", "emit.checkpoints.interval.seconds": "1",
		"refresh.groups.interval.seconds": "1", "sync.group.offsets.enabled": "true", "sync.group.offsets.interval.seconds": "1",
	} {
		checkpoints[key] = value
	}
	w.API().Create("checkpoints", checkpoints)
	// awaitMoved waits until a group of the target stands between two positions. A group that is well behind the end is
	// translated by a sync from before its position, so it may be put earlier, never later.
	awaitMoved := func(group string, least, most int64) {
		t.Helper()
		kafkatest.Await(t, cluster.Patience, "where "+group+" is put", func() (bool, string) {
			at, ok := target.CommittedOffsets(group)["source.orders"][0]
			if ok && at > most {
				t.Fatalf("%s is put to %d, behind a record that it has not read: at most %d is right", group, at, most)
			}
			return ok && at >= least, fmt.Sprint(at, ok)
		})
	}
	awaitMoved("app-490", 49, 49)
	awaitMoved("app-491", 50, 50)
	awaitMoved("app-500", 50, 50)
	// What is far behind may have no sync before it any more, and is not moved then; never beyond 0, 10, … 120.
	if at, ok := target.CommittedOffsets("app-123")["source.orders"][0]; ok && at > 13 {
		t.Errorf("app-123 is put to %d", at)
	}
	w.Stop()

	// While it is stopped, the source goes on, and ends with records of which none is kept.
	source.Produce("orders", orders(500, 700)...)
	source.CommitOffset("app-500", "orders", 0, 700)
	source.CommitOffset("app-491", "orders", 0, 545)
	second := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, second)
	requireKept(60)
	awaitMoved("app-500", 60, 60)
	awaitMoved("app-491", 50, 55) // 0, 10, … 540
	kafkatest.Await(t, cluster.Patience, "the position behind all records", func() (bool, string) {
		stored := storedOffsets(t, target, "connect-offsets")
		return stored["orders-0"] == 699, fmt.Sprint(stored)
	})
	second.Stop()
	third := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, third)
	source.Produce("orders", kafkatest.Record{Value: []byte(`{"n":600,"keep":true}`)})
	requireKept(61)
	awaitMoved("app-500", 60, 60)
}

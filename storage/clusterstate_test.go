package storage_test

import (
	"fmt"
	"reflect"
	"testing"

	"tributary/connect"
	"tributary/storage"
)

func configOf(pairs ...string) storage.ConnectorConfig {
	config := storage.ConnectorConfig{}
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = &pairs[i+1]
	}
	return config
}

// A snapshot says for ever what it said when it was taken, whatever is replayed after it.
func TestSnapshotsDoNotChange(t *testing.T) {
	var r storage.Replay
	offset := int64(0)
	apply := func(record storage.Record) {
		t.Helper()
		if _, err := r.Apply(record, offset); err != nil {
			t.Fatal(err)
		}
		offset++
	}
	publish := func(value string) {
		apply(storage.ConnectorConfigRecord("a", configOf("v", value)))
		for i := range 3 {
			apply(storage.TaskConfigRecord(connect.TaskID{Connector: "a", Task: i}, map[string]string{"v": value}))
		}
		apply(storage.TaskCommitRecord("a", 3))
		apply(storage.TargetStateRecord("b", storage.Paused))
		apply(storage.ConnectorConfigRecord("b", configOf("v", value)))
	}

	type taken struct {
		state *storage.ClusterState
		says  string
	}
	var all []taken
	take := func() { s := r.Snapshot(); all = append(all, taken{s, describe(s)}) }
	take()
	for i := range 4 {
		publish(fmt.Sprint(i))
		take()
		apply(storage.TaskConfigRecord(connect.TaskID{Connector: "a", Task: 0}, map[string]string{"v": "deferred"}))
		take()
	}
	apply(storage.ConnectorRemovalRecord("a"))
	take()

	for i, was := range all {
		if says := describe(was.state); says != was.says {
			t.Errorf("snapshot %d said\n%s\nand says\n%s", i, was.says, says)
		}
		if i > 0 && all[i-1].says == was.says && i%2 == 1 {
			t.Errorf("snapshot %d does not show what was applied before it", i)
		}
	}
	if got := all[len(all)-1].state.Connectors(); !reflect.DeepEqual(got, []string{"b"}) {
		t.Errorf("after the removal: %v", got)
	}
}

// Applying a long topic must not copy the state with every record.
func BenchmarkReplay1000Connectors(b *testing.B) {
	var records []storage.Record
	for c := range 1000 {
		name := fmt.Sprintf("connector-%d", c)
		records = append(records, storage.ConnectorConfigRecord(name, configOf("name", name, "x", "y")))
		for i := range 4 {
			records = append(records, storage.TaskConfigRecord(connect.TaskID{Connector: name, Task: i}, map[string]string{"a": "b", "c": "d"}))
		}
		records = append(records, storage.TaskCommitRecord(name, 4))
	}
	for b.Loop() {
		var r storage.Replay
		for i, record := range records {
			if _, err := r.Apply(record, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if n := len(r.Snapshot().Connectors()); n != 1000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(len(records)), "records/op")
}

// FuzzApply checks that no record can break the state: Apply and Replay agree, every
// task that may run has a configuration, and the offset moves by the rule.
func FuzzApply(f *testing.F) {
	f.Add([]byte("connector-a"), []byte(`{"properties":{"x":"1"}}`), []byte("task-a-0"), []byte(`{"properties":{}}`))
	f.Add([]byte("commit-a"), []byte(`{"tasks":1}`), []byte("tasks-fencing-a"), []byte(`{"task-count":4}`))
	f.Add([]byte("target-state-a"), []byte(`{"state":"PAUSED"}`), []byte("session-key"), []byte(`{"key":"","algorithm":"x","creation-timestamp":1}`))
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 []byte) {
		state := new(storage.ClusterState)
		var r storage.Replay
		records := []storage.Record{
			{Key: []byte("connector-a"), Value: []byte(`{"properties":{}}`)},
			{Key: []byte("task-a-0"), Value: []byte(`{"properties":{"t":"0"}}`)},
			{Key: key1, Value: value1},
			{Key: []byte("commit-a"), Value: []byte(`{"tasks":1}`)},
			{Key: key2, Value: value2},
		}
		for i, record := range records {
			before := state.Offset()
			next, event, err := state.Apply(record, int64(i))
			event2, err2 := r.Apply(record, int64(i))
			if fmt.Sprint(event, err) != fmt.Sprint(event2, err2) {
				t.Fatalf("Apply %v, %v; Replay %v, %v", event, err, event2, err2)
			}
			if got := next.Offset(); got != int64(i)+1 && (got != before || err == nil) {
				t.Fatalf("offset %d after record %d, %v", got, i, err)
			}
			state = next
		}
		if a, b := describe(state), describe(r.Snapshot()); a != b {
			t.Fatalf("Apply and Replay disagree:\n%s\n%s", a, b)
		}
		for _, name := range state.Connectors() {
			for _, task := range state.Tasks(name) {
				if _, ok := state.RawTaskConfig(task); !ok {
					t.Fatalf("no config for %v", task)
				}
			}
		}
	})
}

// FuzzTables checks that the readers of the status and offsets topics survive any record,
// and that what the offset table lists it also finds.
func FuzzTables(f *testing.F) {
	f.Add([]byte("status-task-a-0"), []byte(`{"state":"RUNNING","trace":null,"worker_id":"w","generation":1}`))
	f.Add([]byte("status-topic-t:connector-c"), []byte(`{"topic":{"name":"t","connector":"c","task":0,"discoverTimestamp":1}}`))
	f.Add([]byte(`["a",{"p":1.5,"q":"x","r":null,"s":true}]`), []byte(`{"offset":5}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		var statuses storage.StatusTable
		if statuses.Apply(storage.Record{Key: key, Value: value}) == nil {
			for _, name := range statuses.Connectors() {
				if _, ok := statuses.Connector(name); !ok {
					t.Fatalf("%q is listed but not found", name)
				}
			}
		}
		var offsets storage.OffsetTable
		if value == nil {
			value = []byte{}
		}
		if offsets.Apply(storage.Record{Key: key, Value: value}) != nil {
			return
		}
		for _, partition := range offsets.Partitions("a") {
			record, err := offsets.Record("a", partition, nil)
			if err != nil || string(record.Key) != string(key) {
				t.Fatalf("partition %v has key %q, %v, want %q", partition, record.Key, err, key)
			}
		}
	})
}

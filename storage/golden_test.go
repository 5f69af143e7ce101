package storage_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tributary/connect"
	"tributary/storage"
)

// javaRecord is a record that a Java worker 4.3.1 wrote: testdata/java.jsonl.
type javaRecord struct {
	Topic      string
	Partitions uint32
	Partition  uint32
	Key        string
	Value      *string
}

func javaRecords(t *testing.T) []javaRecord {
	t.Helper()
	f, err := os.Open("testdata/java.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var records []javaRecord
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		var record javaRecord
		if err := json.Unmarshal(scanner.Bytes(), &record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	if len(records) < 60 {
		t.Fatalf("only %d records", len(records))
	}
	return records
}

func TestConfigRecordsAreJavasBytes(t *testing.T) {
	task := map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1", "file": "in.txt", "topic": "corpus-t",
		"producer.override.linger.ms": "5", "name": "ovr", "task.class": "org.apache.kafka.connect.file.FileStreamSourceTask",
	}
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	checkGolden(t, "config", 9, []storage.Record{
		storage.SessionKeyRecord(storage.SessionKey{Key: key, Algorithm: "HmacSHA256", Created: time.UnixMilli(1795387994364)}),
		storage.TaskConfigRecord(connect.TaskID{Connector: "ovr", Task: 0}, task),
		storage.TaskCommitRecord("ovr", 1),
		storage.ConnectorRemovalRecord("ovr"),
		storage.TargetStateRemovalRecord("ovr"),
		storage.TargetStateRecord("c1", storage.Paused),
		storage.TargetStateRecord("c1", storage.Started),
		storage.RestartRecord(storage.RestartRequest{Connector: "c1", IncludeTasks: true}),
		storage.LoggerLevelRecord("root", "WARN"),
	})
}

func TestStatusRecordsAreJavasBytes(t *testing.T) {
	task := func(connector string) connect.TaskID { return connect.TaskID{Connector: connector} }
	status := func(state storage.State, generation int, version string) *storage.Status {
		return &storage.Status{State: state, WorkerID: "127.0.0.1:18083", Generation: generation, Version: version}
	}
	checkGolden(t, "status", 15, []storage.Record{
		storage.ConnectorStatusRecord("ovr", status(storage.StateRunning, 2, "4.3.1")),
		storage.ConnectorStatusRecord("ovr", status(storage.StateUnassigned, 3, "")),
		storage.ConnectorStatusRecord("ovr", nil),
		storage.ConnectorStatusRecord("c1", status(storage.StatePaused, 7, "4.3.1")),
		storage.ConnectorStatusRecord("c1", status(storage.StateStopped, 7, "4.3.1")),
		storage.ConnectorStatusRecord("c1", status(storage.StateRestarting, 10, "")),
		storage.TaskStatusRecord(task("my conn"), status(storage.StateRunning, 20, "4.3.1")),
		storage.TaskStatusRecord(task("my conn"), status(storage.StateUnassigned, 30, "")),
		storage.TaskStatusRecord(task("my conn"), nil),
		storage.TopicStatusRecord(storage.TopicStatus{Topic: "scale-t", Connector: "s3", Discovered: time.UnixMilli(1795388290077)}),
		storage.TopicStatusRemovalRecord("scale-t", "s3"),
		storage.TopicStatusRecord(storage.TopicStatus{Topic: "corpus-t", Connector: "ovr", Discovered: time.UnixMilli(1795388144511)}),
		storage.TopicStatusRemovalRecord("corpus-t", "ovr"),
		storage.TaskStatusRecord(task("c1"), status(storage.StatePaused, 7, "4.3.1")),
		storage.TaskStatusRecord(task("c1"), status(storage.StateRestarting, 10, "")),
	})
}

// checkGolden checks that each record is byte for byte among the samples of a topic, and
// that want different samples were met.
func checkGolden(t *testing.T, topic string, want int, records []storage.Record) {
	t.Helper()
	samples := map[string]bool{}
	for _, s := range javaRecords(t) {
		if s.Topic != topic {
			continue
		}
		if s.Value == nil {
			samples[s.Key+" (removed)"] = true
		} else {
			samples[s.Key+" "+*s.Value] = true
		}
	}
	for _, record := range records {
		text := string(record.Key) + " " + string(record.Value)
		if record.Value == nil {
			text = string(record.Key) + " (removed)"
		}
		if !samples[text] {
			t.Errorf("Java wrote nothing like\n%s", text)
		}
		delete(samples, text)
		want--
	}
	if want != 0 {
		t.Errorf("%d samples less than expected were compared", want)
	}
}

func TestValuesWithoutSamplesAreInJavasForm(t *testing.T) {
	text := "x"
	for _, c := range []struct {
		record     storage.Record
		key, value string
	}{
		{storage.TargetStateRecord("c", storage.Stopped), "target-state-c", `{"state":"PAUSED","state.v2":"STOPPED"}`},
		{storage.TaskCountRecord("c", 3), "tasks-fencing-c", `{"task-count":3}`},
		{storage.ConnectorConfigRecord("c", storage.ConnectorConfig{"name": &text, "a": nil}), "connector-c", `{"properties":{"a":null,"name":"x"}}`},
		{storage.ConnectorConfigRecord("c", nil), "connector-c", `{"properties":{}}`},
		{
			storage.TaskStatusRecord(connect.TaskID{Connector: "c", Task: 7}, &storage.Status{State: storage.StateFailed, Trace: "java.lang.X: \"y\"\n\tat z", WorkerID: "w:1", Generation: 1}),
			"status-task-c-7", `{"state":"FAILED","trace":"java.lang.X: \"y\"\n\tat z","worker_id":"w:1","generation":1,"version":null}`,
		},
	} {
		if string(c.record.Key) != c.key || string(c.record.Value) != c.value {
			t.Errorf("got  %s %s\nwant %s %s", c.record.Key, c.record.Value, c.key, c.value)
		}
	}
}

func TestConnectorConfigOfJavaIsRead(t *testing.T) {
	state := new(storage.ClusterState)
	read := 0
	for _, s := range javaRecords(t) {
		if s.Topic != "config" || s.Key != "connector-ovr" || s.Value == nil {
			continue
		}
		read++
		var err error
		if state, _, err = state.Apply(storage.Record{Key: []byte(s.Key), Value: []byte(*s.Value)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	config, _ := state.RawConnectorConfig("ovr")
	if read != 1 || len(config) != 6 || *config["producer.override.linger.ms"] != "5" || *config["name"] != "ovr" {
		t.Errorf("%d read, got %v", read, config)
	}
	// What we write of it says the same.
	again, _, err := new(storage.ClusterState).Apply(storage.ConnectorConfigRecord("ovr", config), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.RawConnectorConfig("ovr"); !reflect.DeepEqual(got, config) {
		t.Errorf("read back as %v", got)
	}
}

func TestOffsetRecordsAreJavasBytes(t *testing.T) {
	checked := 0
	for _, s := range javaRecords(t) {
		if s.Topic != "offsets" {
			continue
		}
		var key []json.RawMessage
		if err := json.Unmarshal([]byte(s.Key), &key); err != nil {
			t.Fatal(err)
		}
		var connector string
		if err := json.Unmarshal(key[0], &connector); err != nil {
			t.Fatal(err)
		}
		parse := func(text string) (m map[string]any) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			if err := d.Decode(&m); err != nil {
				t.Fatal(err)
			}
			return m
		}
		record, err := new(storage.OffsetTable).Record(connector, parse(string(key[1])), parse(*s.Value))
		if err != nil || string(record.Key) != s.Key || string(record.Value) != *s.Value {
			t.Errorf("got %s %s, %v\nwant %s %s", record.Key, record.Value, err, s.Key, *s.Value)
		}
		checked++
	}
	if checked < 30 {
		t.Errorf("only %d records compared", checked)
	}
}

// The producer places records by murmur2 of the key; the samples say where Java put
// them, so the key bytes must lead there.
func TestKeysLeadToTheirPartition(t *testing.T) {
	for _, s := range javaRecords(t) {
		if got := murmur2([]byte(s.Key)) & 0x7fffffff % s.Partitions; got != s.Partition {
			t.Errorf("%s of %s: partition %d, want %d of %d", s.Key, s.Topic, got, s.Partition, s.Partitions)
		}
	}
}

func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		h = h*m ^ (k^k>>24)*m
	}
	for i := len(data) - 1; i >= 0; i-- {
		h ^= uint32(data[i]) << (8 * i)
	}
	if len(data) > 0 {
		h *= m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

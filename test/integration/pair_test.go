package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// The connectors that a dedicated MirrorMaker runs in each direction.
const (
	sourceConnector     = "MirrorSourceConnector"
	heartbeatConnector  = "MirrorHeartbeatConnector"
	checkpointConnector = "MirrorCheckpointConnector"
)

// startPair starts a source with these topics and an empty target, one broker each.
func startPair(t *testing.T, topics map[string]int32) (source, target *cluster.Kafka) {
	t.Helper()
	return cluster.StartKafka(t, localkafka.Options{Topics: topics}), cluster.StartKafka(t, localkafka.Options{})
}

// twoLines is the smallest file.
func twoLines(source, target *cluster.Kafka) string {
	return "source.bootstrap.servers=" + source.Bootstrap() + "\ntarget.bootstrap.servers=" + target.Bootstrap() + "\n"
}

// anyPort keeps the REST API away from the default port, which other tests may have.
const anyPort = "listeners=http://127.0.0.1:0\n"

// awaitMirror waits until the copy of a topic has as many records as the topic, and compares them.
func awaitMirror(t *testing.T, source, target *cluster.Kafka, topic string) {
	t.Helper()
	target.AwaitRecords("source."+topic, source.Records(topic), cluster.Patience)
	kafkatest.CompareTopic(t, source.Bootstrap(), topic, target.Bootstrap(), "source."+topic)
}

// requireLines ends the test unless the log has exactly count lines with all the parts.
func requireLines(t *testing.T, log *cluster.Log, count int, parts ...string) {
	t.Helper()
	if lines := log.Lines(parts...); len(lines) != count {
		t.Fatalf("%d log lines with %q, want %d:\n%s", len(lines), parts, count, strings.Join(lines, "\n"))
	}
}

// requireText ends the test unless the text has all the parts.
func requireText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Fatalf("%q is not in:\n%s", part, text)
		}
	}
}

func requireEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// oddRecords are records of every kind that a mirror could spoil.
func oddRecords() []kafkatest.Record {
	at := time.UnixMilli(1_500_000_000_123)
	big := []byte(strings.Repeat("0123456789", 30_000))
	return []kafkatest.Record{
		{Partition: 0, Key: []byte("k"), Value: []byte("v"), Timestamp: at},
		{Partition: 0, Key: nil, Value: []byte("without a key"), Timestamp: at.Add(-time.Hour)},
		{Partition: 0, Key: []byte{}, Value: []byte{}, Timestamp: time.UnixMilli(0)},
		{Partition: 0, Key: []byte("k"), Value: nil, Timestamp: at},
		{Partition: 0, Key: nil, Value: nil, Timestamp: at},
		{Partition: 0, Key: []byte{0, 0xff, '\n'}, Value: []byte("\x00\xfe bytes, no text"), Timestamp: at},
		{Partition: 1, Key: []byte("headers"), Value: []byte("v"), Timestamp: at, Headers: []kafkatest.Header{
			{Key: "b", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "b", Value: []byte("3")}, {Key: "b", Value: []byte("1")},
			{Key: "null", Value: nil}, {Key: "empty", Value: []byte{}}, {Key: "", Value: []byte("no name")}, {Key: "bytes", Value: []byte{0, 0xff}},
		}},
		{Partition: 1, Key: []byte("headers"), Value: nil, Timestamp: at, Headers: []kafkatest.Header{{Key: "on a tombstone", Value: []byte("1")}}},
		{Partition: 2, Key: []byte("big"), Value: big, Timestamp: at},
		{Partition: 2, Key: []byte("same"), Value: []byte("same"), Timestamp: at},
		{Partition: 2, Key: []byte("same"), Value: []byte("same"), Timestamp: at},
	}
}

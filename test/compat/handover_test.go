package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// javaAndTributaryTakeOverFromEachOther runs one file with Tributary, with Java's MirrorMaker and with Tributary
// again, while records and topics are added. A mirror without gap or repetition proves that both find each other's
// offsets, and that the configurations both make of the file are the same.
func javaAndTributaryTakeOverFromEachOther(t *testing.T, p *pair) {
	src, dst := p.clients(t)
	file := p.fill(`
clusters = up, down
up.bootstrap.servers = SOURCE
down.bootstrap.servers = TARGET
emit.heartbeats.enabled = false
up->down.enabled = true
up->down.topics = handover.*
up->down.tasks.max = 2
up->down.heartbeats.replication.enabled = false
`) + singleReplicas
	partitions := map[string]int32{}
	written := 0
	add := func() {
		for topic, count := range partitions {
			src.Produce(topic, keyed(topic, count, written, 300)...)
		}
		written += 300
	}
	create := func(topic string, count int32) {
		src.CreateTopic(topic, count, anyTime)
		partitions[topic] = count
	}
	compare := func() {
		t.Helper()
		for topic := range partitions {
			awaitCopy(t, src, dst, topic, "up."+topic)
		}
	}

	create("handover-a", 3)
	create("handover.b", 2)
	add()
	tributary := startMaker(t, file)
	compare()
	tributary.stop()
	first := readOffsets(t, dst, "mm2-offsets.up.internal")
	checkOffsets(t, src, first, partitions)

	create("handover-by-java", 2)
	add()
	java := realkafka.StartJavaMirrorMaker(t, file, realkafka.WithJVM(quickJVM))
	compare()
	terminate(java)
	second := readOffsets(t, dst, "mm2-offsets.up.internal")
	checkOffsets(t, src, second, partitions)
	for key, at := range first {
		if second[key].partition != at.partition {
			t.Errorf("Tributary wrote the key %s to partition %d, Java to %d", key, at.partition, second[key].partition)
		}
	}

	create("handover-again", 2)
	add()
	tributary = startMaker(t, file)
	compare()
	status := tributary.awaitRunning("MirrorSourceConnector", 2)
	if !strings.HasSuffix(status.Connector.WorkerID, "/up->down") {
		t.Errorf("the worker id is %q, want one that ends with the flow", status.Connector.WorkerID)
	}
	tributary.stop()
	third := readOffsets(t, dst, "mm2-offsets.up.internal")
	checkOffsets(t, src, third, partitions)
	for key, at := range second {
		if third[key].partition != at.partition {
			t.Errorf("Java wrote the key %s to partition %d, Tributary to %d", key, at.partition, third[key].partition)
		}
	}

	// Each would write a connector's configuration again if the other's were not equal.
	writes := map[string]int{}
	for _, record := range dst.ReadPartition("mm2-configs.up.internal", 0, kafkatest.ReadUncommitted) {
		if strings.HasPrefix(string(record.Key), "connector-") {
			writes[string(record.Key)]++
		}
	}
	want := map[string]int{"connector-MirrorSourceConnector": 1, "connector-MirrorHeartbeatConnector": 1, "connector-MirrorCheckpointConnector": 1}
	if diff := cmp.Diff(want, writes); diff != "" {
		t.Errorf("writes of connector configurations (-want +got):\n%s", diff)
	}
	for _, line := range strings.Split(java.Log(), "\n") {
		if strings.Contains(line, " ERROR ") {
			t.Errorf("Java complains: %s", line)
		}
	}
}

// storedOffset is the last value of a key in an offsets topic.
type storedOffset struct {
	partition int32
	value     string
}

// readOffsets gives the last value of every key of the source connector, and fails if a key is in two partitions.
func readOffsets(t *testing.T, client *kafkatest.Client, topic string) map[string]storedOffset {
	t.Helper()
	offsets := map[string]storedOffset{}
	for partition, records := range client.ReadTopic(topic, kafkatest.ReadCommitted) {
		for _, record := range records {
			key := string(record.Key)
			if !strings.HasPrefix(key, `["MirrorSourceConnector",`) {
				continue
			}
			if before, found := offsets[key]; found && before.partition != partition {
				t.Errorf("the key %s is in the partitions %d and %d", key, before.partition, partition)
			}
			offsets[key] = storedOffset{partition, string(record.Value)}
		}
	}
	return offsets
}

// checkOffsets wants exactly one key for each partition, byte for byte as Java writes it, with the offset of the last
// record as its value.
func checkOffsets(t *testing.T, src *kafkatest.Client, got map[string]storedOffset, partitions map[string]int32) {
	t.Helper()
	want := map[string]string{}
	for topic, count := range partitions {
		ends := src.Offsets(topic)
		for partition := range count {
			want[offsetKey("up", topic, partition)] = fmt.Sprintf(`{"offset":%d}`, ends[partition].End-1)
		}
	}
	values := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		values[key] = got[key].value
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("stored offsets (-want +got):\n%s", diff)
	}
}

func offsetKey(cluster, topic string, partition int32) string {
	return fmt.Sprintf(`["MirrorSourceConnector",{"cluster":"%s","partition":%d,"topic":"%s"}]`, cluster, partition, topic)
}

package compat

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// noise is a value that cannot be compressed.
func noise(seed byte, size int) []byte {
	value := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(value)
	return value
}

// One of two brokers is away, so that partitions of source and target have no leader or too few replicas in sync: each
// of them waits alone, says why, and is mirrored to its end when the broker is back. What waits for the target takes no
// more than its share of the room. Both lanes, one cluster for source and target, as brokers are dear.
func TestMirrorsMeetPartitionsWithoutALeader(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	cluster := realkafka.StartCluster(t, realkafka.Options{Name: "stretched", Brokers: 2, JVM: []string{quickJVM}})
	away := cluster.Brokers()[1]
	p := &pair{source: cluster, target: cluster}
	properties := p.group("faults")
	maps.Copy(properties, map[string]string{
		"connector.client.config.override.policy": "All",
		"config.storage.replication.factor":       "2", "offset.storage.replication.factor": "2", "status.storage.replication.factor": "2",
	})
	w := startDistributed(t, properties)
	f := newFaults(t, p, w)

	here, there, both := []int32{1}, []int32{2}, []int32{1, 2}
	f.src.PlaceTopic("unled", there, nil)
	for _, topic := range []string{"flowing", "homeless", "clogged", "late", "lost"} {
		f.src.PlaceTopic(topic, here, nil)
	}
	for _, topic := range []string{"flowing", "unled", "homeless", "clogged", "late", "lost"} {
		f.write(topic, 0, "0")
	}
	inSync := map[string]string{"min.insync.replicas": "2"}
	var patient, hasty []string // by their delivery.timeout.ms
	const room = "4194304"
	for lane, keys := range lanes {
		name := lane + "-patient"
		patient = append(patient, name)
		f.dst.PlaceTopic(name+".flowing", here, nil)
		f.dst.PlaceTopic(name+".unled", here, nil)
		f.dst.PlaceTopic(name+".homeless", there, nil)
		f.dst.PlaceTopic(name+".clogged", both, inSync)
		f.mirror(name, "flowing,unled,homeless,clogged", keys, map[string]string{"raw.buffer.memory": room, "producer.override.buffer.memory": room})
	}
	for name, keys := range map[string]map[string]string{"raw-hasty": lanes["raw"], "record-hasty": lanes["record"], "skip-hasty": {"on.record.error": "skip"}} {
		hasty = append(hasty, name)
		f.dst.PlaceTopic(name+".flowing", here, nil)
		f.dst.PlaceTopic(name+".lost", there, nil)
		f.dst.PlaceTopic(name+".late", both, inSync)
		f.mirror(name, "flowing,lost,late", keys, map[string]string{"producer.override.delivery.timeout.ms": "3000", "producer.override.request.timeout.ms": "2000"})
	}
	for _, name := range patient {
		for _, topic := range []string{"flowing", "unled", "homeless", "clogged"} {
			f.awaitValues(name+"."+topic, 0, "0")
		}
	}
	for _, name := range hasty {
		for _, topic := range []string{"flowing", "lost", "late"} {
			f.awaitValues(name+"."+topic, 0, "0")
		}
	}

	away.Stop(syscall.SIGTERM)
	const more, size = 40, 400_000 // together four times the room
	for _, topic := range []string{"clogged", "flowing"} {
		for i := range more {
			f.src.Produce(topic, kafkatest.Record{Key: fmt.Append(nil, i), Value: noise(byte(i), size)})
		}
	}
	for _, topic := range []string{"homeless", "late", "lost"} {
		f.write(topic, 0, "1", "2")
	}

	flows := func(name string) {
		t.Helper()
		f.dst.AwaitRecords(name+".flowing", 1+more, patience)
		kafkatest.CompareTopic(t, p.source.Bootstrap(), "flowing", p.target.Bootstrap(), name+".flowing")
		f.awaitRow(name, "flowing", 0, "no lag", even(1+more))
	}
	for _, name := range patient {
		lane, _, _ := strings.Cut(name, "-")
		flows(name)
		f.awaitRow(name, "unled", 0, "that the source has no leader", func(r api.ReplicatedPartition) bool {
			return strings.Contains(r.LastError, "no leader") && r.Lane == lane && !r.Stopped && *r.LagRecords == 0
		})
		cannot := func(topic string) string {
			return fmt.Sprintf("%s.%s-0 of cluster target cannot be written to, trying on: ", name, topic)
		}
		f.awaitRow(name, "homeless", 0, "that the target has no leader", func(r api.ReplicatedPartition) bool {
			return strings.HasPrefix(r.LastError, cannot("homeless")) && strings.Contains(r.LastError, "no leader") && *r.LagRecords == 2 && len(r.Gaps) == 0
		})
		f.awaitRow(name, "clogged", 0, "that the target has too few replicas", func(r api.ReplicatedPartition) bool {
			return strings.HasPrefix(r.LastError, cannot("clogged")) && strings.Contains(r.LastError, "in-sync replicas") && *r.SourceEnd == 1+more && *r.LagRecords == more && *r.LagSeconds > 0
		})
		f.awaitMetric("stuck_partitions", name, 3)
		f.awaitMetric("held_back_partitions", name, 1)
	}
	for _, name := range hasty {
		flows(name)
		for _, topic := range []string{"late", "lost"} {
			f.awaitRow(name, topic, 0, "that it has stopped", func(r api.ReplicatedPartition) bool {
				return r.Stopped && strings.Contains(r.LastError, "delivery.timeout.ms = 3000") && len(r.Gaps) == 0 && *r.LagRecords == 2 && r.LastErrorTime != nil
			})
		}
		f.awaitMetric("stopped_partitions", name, 2)
	}
	for _, name := range patient {
		f.awaitMetric("stalled_partitions", name, 2)
		f.awaitPage(name, "the stalls", func(page api.Replication) bool {
			says := func(topic string) bool {
				return slices.ContainsFunc(page.Troubles, func(text string) bool { return strings.HasPrefix(text, topic+"-0: nothing has got through for") })
			}
			return says("clogged") && says("homeless")
		})
		f.awaitLine("WARN", "["+name+"|task-0]", "Partitions make no progress although there are records to mirror", "first=clogged-0")
	}

	away.Start()
	f.src.AwaitTopic("unled", patience)
	f.write("unled", 0, "1")
	for _, name := range patient {
		f.awaitValues(name+".unled", 0, "0", "1")
		f.awaitValues(name+".homeless", 0, "0", "1", "2")
		f.dst.AwaitRecords(name+".clogged", 1+more, patience)
		kafkatest.CompareTopic(t, p.source.Bootstrap(), "clogged", p.target.Bootstrap(), name+".clogged")
		f.awaitRow(name, "unled", 0, "no lag", even(2))
		f.awaitRow(name, "homeless", 0, "no lag", even(3))
		f.awaitRow(name, "clogged", 0, "no lag", even(1+more))
		for _, metric := range []string{"stuck_partitions", "held_back_partitions", "stalled_partitions"} {
			f.awaitMetric(metric, name, 0)
		}
	}
	for _, name := range hasty {
		for _, topic := range []string{"late", "lost"} {
			f.awaitValues(name+"."+topic, 0, "0", "1", "2")
			f.awaitRow(name, topic, 0, "no lag", even(3))
		}
		f.awaitMetric("stopped_partitions", name, 0)
		if status, err := w.Status(t.Context(), name); err != nil || len(status.Tasks) != 1 || status.Tasks[0].State != "RUNNING" {
			t.Errorf("%s: %+v, %v, want its task to run", name, status, err)
		}
	}
	w.stop()
}

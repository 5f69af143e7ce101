package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

func TestMain(m *testing.M) { cluster.Main(m) }

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s must be a whole number: %v", name, err)
	}
	return n
}

// inLanes runs a test in the lanes that CHAOS_LANES names, or in the raw lane.
func inLanes(t *testing.T, run func(t *testing.T, lane map[string]string)) {
	lanes := os.Getenv("CHAOS_LANES")
	if lanes == "" {
		lanes = "raw"
	}
	for lane := range strings.SplitSeq(lanes, ",") {
		config := map[string]string{"raw.batches": strconv.FormatBool(lane == "raw")}
		t.Run(lane+" lane", func(t *testing.T) { run(t, config) })
	}
}

// with returns a configuration with one more key.
func with(config map[string]string, key, value string) map[string]string {
	more := maps.Clone(config)
	more[key] = value
	return more
}

// newScene starts clusters and workers, and the connector, for the topics named.
func newScene(t *testing.T, topics []string, properties, config map[string]string) *scene {
	t.Helper()
	realkafka.Require(t)
	seed := uint64(setting(t, "CHAOS_SEED", time.Now().UnixNano()))
	t.Logf("CHAOS_SEED=%d", seed)
	start := func(name string) *realkafka.Cluster {
		return realkafka.StartCluster(t, realkafka.Options{Name: name, JVM: []string{"-XX:TieredStopAtLevel=1"}, Extra: map[string]string{
			"log.cleaner.enable": "false", // what arrived stays to be seen
		}})
	}
	s := &scene{t: t, random: rand.New(rand.NewPCG(seed, 1)), source: start("source"), target: start("target"), before: func() func() { return func() {} }}
	s.properties = map[string]string{
		"bootstrap.servers": s.target.Bootstrap(), "group.id": "chaos", "listeners": "http://127.0.0.1:0",
		"config.storage.topic": "configs", "offset.storage.topic": "offsets", "status.storage.topic": "statuses", "offset.storage.partitions": "5",
		"key.converter": "ByteArrayConverter", "value.converter": "ByteArrayConverter", "header.converter": "ByteArrayConverter",
		"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000", "rebalance.timeout.ms": "10000", "scheduled.rebalance.max.delay.ms": "1000",
	}
	s.config = map[string]string{
		"name": connector, "connector.class": "MirrorSourceConnector", "tasks.max": "2", "topics": strings.Join(topics, ","),
		"source.cluster.alias": "src", "target.cluster.alias": "dst",
		"source.cluster.bootstrap.servers": s.source.Bootstrap(), "target.cluster.bootstrap.servers": s.target.Bootstrap(),
		"source.consumer.isolation.level": "read_committed", "sync.topic.acls.enabled": "false", "offset-syncs.topic.replication.factor": "1",
	}
	for key, value := range properties {
		s.properties[key] = value
	}
	for key, value := range config {
		s.config[key] = value
	}
	src := kafkatest.Dial(t, s.source.Bootstrap())
	for _, topic := range topics {
		src.CreateTopic(topic, partitions, nil)
	}
	s.workers = []*cluster.Worker{s.spawn(), s.spawn()}
	s.configure()
	kafkatest.Dial(t, s.target.Bootstrap()).AwaitTopic("src."+topics[len(topics)-1], time.Minute)
	return s
}

// TestMirrorIsExactWithExactlyOnceSupport: what readers of committed records see on the
// target is what they see on the source, record for record and in order (KIP-618).
func TestMirrorIsExactWithExactlyOnceSupport(t *testing.T) {
	inLanes(t, mirrorIsExactWithExactlyOnceSupport)
}

func mirrorIsExactWithExactlyOnceSupport(t *testing.T, lane map[string]string) {
	topics := []string{"plain", "transactional"}
	s := newScene(t, topics, map[string]string{"exactly.once.source.support": "enabled"}, with(lane, "exactly.once.support", "required"))
	load := startLoad(t, s.source.Bootstrap(), s.random.Uint64(), "plain", "transactional")
	s.begun(topics)
	s.rage(time.Duration(setting(t, "CHAOS_SECONDS", 25))*time.Second,
		[]action{killWorker, freezeWorker, restartTask, killTarget, divideAnew, killSource, stopWorker})
	load.end()
	s.settled(topics, kafkatest.Diff)
	for _, why := range s.failed {
		t.Logf("failed on the way: %s", why)
	}
}

// TestMirrorLosesNothingWithoutExactlyOnceSupport: every record arrives, in order, and
// what arrives twice was written to the source after the offsets that were stored when
// something went wrong.
func TestMirrorLosesNothingWithoutExactlyOnceSupport(t *testing.T) {
	inLanes(t, mirrorLosesNothingWithoutExactlyOnceSupport)
}

func mirrorLosesNothingWithoutExactlyOnceSupport(t *testing.T, lane map[string]string) {
	s := newScene(t, []string{"plain"}, nil, lane)
	load := startLoad(t, s.source.Bootstrap(), s.random.Uint64(), "plain", "")
	s.begun([]string{"plain"})
	var bound int64
	s.before = func() func() {
		committed := s.committed("plain")
		return func() {
			var written int64
			for _, at := range kafkatest.Dial(t, s.source.Bootstrap()).Offsets("plain") {
				written += at.End
			}
			bound += written - committed
		}
	}
	s.rage(time.Duration(setting(t, "CHAOS_SECONDS", 8))*time.Second,
		[]action{killWorker, killTarget, restartTask, divideAnew, killSource, stopWorker})
	load.end()
	var doubles int64
	s.settled([]string{"plain"}, func(src, dst map[int32][]kafkatest.Record) string {
		duplicates, difference := kafkatest.DiffAtLeastOnce(src, dst)
		doubles = 0
		for _, n := range duplicates {
			doubles += int64(n)
		}
		return difference
	})
	t.Logf("%d records arrived twice; at most %d may", doubles, bound)
	if doubles > bound {
		t.Errorf("%d records arrived twice, but only %d were written after the offsets stored", doubles, bound)
	}
	for _, why := range s.failed {
		t.Errorf("failed on the way: %s", why)
	}
}

// committed is how many records of a topic the stored offsets cover.
func (s *scene) committed(topic string) (sum int64) {
	s.t.Helper()
	latest := map[string]int64{}
	for _, records := range kafkatest.Dial(s.t, s.target.Bootstrap()).ReadTopic("offsets", kafkatest.ReadCommitted) {
		for _, r := range records {
			if !strings.Contains(string(r.Key), fmt.Sprintf("%q:%q", "topic", topic)) {
				continue
			}
			var at struct{ Offset int64 }
			if err := json.Unmarshal(r.Value, &at); err != nil {
				s.t.Fatalf("stored offset %s: %v", r.Value, err)
			}
			latest[string(r.Key)] = at.Offset + 1
		}
	}
	for _, n := range latest {
		sum += n
	}
	return sum
}

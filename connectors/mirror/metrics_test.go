package mirror

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
	"tributary/internal/metrics/metricstest"
)

func TestMetricsOfAMirrorAreThoseOfTheDocumentation(t *testing.T) {
	s, err := readSettings(sourceDef, "m", map[string]string{
		"source.cluster.alias": "A", "target.cluster.alias": "B", "source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	all := &metricstest.Catalogue{}
	newPartitionMetrics(all, s, replica.TopicPartition{Topic: "t"})
	newHeartbeatAge(all, s, "heartbeats")
	newSourceTaskMetrics(all, s)
	newSourceConnectorMetrics(all, s)
	newCheckpointTaskMetrics(all, s)
	task := CheckpointTask{settings: s, connectMeter: all, gauges: map[checkpointID]*latencyMetrics{}}
	task.latency(replica.Checkpoint{Group: "g", TopicPartition: replica.TopicPartition{Topic: "A.t"}})
	for _, group := range []string{"mirror-mirrorsourceconnector", "mirror-mirrorcheckpointconnector"} {
		all.Check(t, "../../docs/metrics.md", group)
	}
}

// shown is a meter that shows what is computed.
type shown struct {
	nothingMeasured
	values map[string]func() float64
}

func (s shown) GaugeFunc(name, _ string, _ map[string]string, value func() float64) {
	s.values[name] = value
}

func TestRatesAndSpreadsOfAPartitionAreThoseOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := readSettings(sourceDef, "m", map[string]string{
			"source.cluster.alias": "A", "target.cluster.alias": "B", "source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1",
		})
		if err != nil {
			t.Fatal(err)
		}
		m := shown{values: map[string]func() float64{}}
		var _ connect.GaugeFuncs = m
		p := newPartitionMetrics(m, s, replica.TopicPartition{Topic: "t"})
		check := func(when string, want map[string]float64) {
			t.Helper()
			p.lately.settle()
			for name, value := range want {
				if got := m.values[sourcePrefix+name](); got != value && !(math.IsNaN(got) && math.IsNaN(value)) {
					t.Errorf("%s: %s is %v, want %v", when, name, got, value)
				}
			}
		}
		now := time.Now()
		p.polled([]kafka.Record{{Timestamp: now.UnixMilli() - 30, Value: make([]byte, 200)}, {Timestamp: now.UnixMilli() - 10, Value: make([]byte, 100)}}, now)
		p.acknowledged(1, now.UnixMilli()-40, now)
		p.acknowledged(1, now.UnixMilli()-20, now)
		// As in Java a rate is over one sample of 30 s at least.
		check("at first", map[string]float64{
			"record_rate": 2. / 30, "byte_rate": 10,
			"record_age_ms_avg": 20, "record_age_ms_max": 30, "record_age_ms_min": 10,
			"replication_latency_ms_avg": 30, "replication_latency_ms_max": 40, "replication_latency_ms_min": 20,
		})
		time.Sleep(2 * time.Minute) // the bubble's clock
		check("when nothing came for long", map[string]float64{
			"record_rate": 0, "byte_rate": 0, "record_age_ms_max": math.NaN(), "replication_latency_ms_avg": math.NaN(),
		})
	})
}

package mirror

import (
	"strconv"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// sourcePrefix begins the names of the source connector's metrics, as the usual rules
// of the JMX exporter name MirrorMaker 2's.
const sourcePrefix = "kafka_connect_mirror_mirrorsourceconnector_"

// partitionMetrics are those of one mirrored partition. topic is named as on the
// target. Times are in milliseconds and show the last record, like Java's; a record
// without timestamp, or from a clock ahead of ours, counts as new.
type partitionMetrics struct {
	records, bytes connect.Counter
	age, latency   connect.Gauge
}

func newPartitionMetrics(m connect.Metrics, s *settings, tp replica.TopicPartition) partitionMetrics {
	labels := map[string]string{
		"source": s.source, "target": s.target,
		"topic": s.remoteTopic(tp.Topic), "partition": strconv.Itoa(int(tp.Partition)),
	}
	return partitionMetrics{
		records: m.Counter(sourcePrefix+"record_count", "Records mirrored and acknowledged by the target.", labels),
		bytes:   m.Counter(sourcePrefix+"byte_count", "Bytes of record values read for mirroring.", labels),
		age:     m.Gauge(sourcePrefix+"record_age_ms", "Age of the last record when it was read, in milliseconds.", labels),
		latency: m.Gauge(sourcePrefix+"replication_latency_ms", "Age of the last record when the target acknowledged it, in milliseconds.", labels),
	}
}

func (m partitionMetrics) polled(records []kafka.Record, now time.Time) {
	if len(records) == 0 {
		return
	}
	size := 0
	for i := range records {
		size += len(records[i].Value)
	}
	m.bytes.Add(float64(size))
	m.age.Set(ageOf(records[len(records)-1].Timestamp, now))
}

func (m partitionMetrics) acknowledged(timestamp int64, now time.Time) {
	m.records.Add(1)
	m.latency.Set(ageOf(timestamp, now))
}

func ageOf(timestamp int64, now time.Time) float64 {
	if timestamp < 0 {
		return 0
	}
	return float64(max(now.UnixMilli()-timestamp, 0))
}

// sourceTaskMetrics are those of one task.
type sourceTaskMetrics struct {
	stuck          connect.Gauge
	syncs          connect.Counter
	failedSyncs    connect.Counter
	unwrittenSyncs connect.Gauge
}

func newSourceTaskMetrics(m connect.Metrics, s *settings) sourceTaskMetrics {
	labels := map[string]string{"source": s.source, "target": s.target}
	return sourceTaskMetrics{
		stuck:          m.Gauge(sourcePrefix+"stuck_partitions", "Partitions of the task that cannot be read at present.", labels),
		syncs:          m.Counter(sourcePrefix+"offset_sync_count", "Offset syncs written.", labels),
		failedSyncs:    m.Counter(sourcePrefix+"offset_sync_failure_count", "Attempts to write an offset sync that failed.", labels),
		unwrittenSyncs: m.Gauge(sourcePrefix+"offset_sync_backlog", "Offset syncs that wait to be written.", labels),
	}
}

// sourceConnectorMetrics are those of the connector.
type sourceConnectorMetrics struct{ partitions, troubles connect.Gauge }

func newSourceConnectorMetrics(m connect.Metrics, s *settings) sourceConnectorMetrics {
	labels := map[string]string{"source": s.source, "target": s.target}
	return sourceConnectorMetrics{
		partitions: m.Gauge(sourcePrefix+"partitions", "Partitions that are mirrored.", labels),
		troubles:   m.Gauge(sourcePrefix+"open_problems", "Problems with topics that were logged and are not over.", labels),
	}
}

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
	records, bytes              connect.Counter
	age, latency                connect.Gauge
	lag, lagSeconds, progressed connect.Gauge
	lately                      *latelyMirrored
}

func newPartitionMetrics(m connect.Metrics, s *settings, tp replica.TopicPartition) partitionMetrics {
	labels := map[string]string{
		"source": s.source, "target": s.target,
		"topic": s.remoteTopic(tp.Topic), "partition": strconv.Itoa(int(tp.Partition)),
	}
	return partitionMetrics{
		lately:  newLatelyMirrored(m, labels),
		records: m.Counter(sourcePrefix+"record_count", "Records mirrored and acknowledged by the target.", labels),
		bytes:   m.Counter(sourcePrefix+"byte_count", "Bytes of record values read for mirroring; in the raw lane those of whole batches, as compressed as they are.", labels),
		age:     m.Gauge(sourcePrefix+"record_age_ms", "Age of the last record when it was read, in milliseconds.", labels),
		latency: m.Gauge(sourcePrefix+"replication_latency_ms", "Age of the last record when the target acknowledged it, in milliseconds.", labels),

		lag:        m.Gauge(sourcePrefix+"lag_records", "Offsets between the end of the source partition and what the target has acknowledged.", labels),
		lagSeconds: m.Gauge(sourcePrefix+"lag_seconds", "Time since the target had everything that the source partition held, in seconds; 0 while it has.", labels),
		progressed: m.Gauge(sourcePrefix+"last_progress_timestamp_ms", "When the target last acknowledged a record of the partition, in milliseconds since 1970.", labels),
	}
}

func (m partitionMetrics) polled(records []kafka.Record, now time.Time) {
	if len(records) == 0 {
		return
	}
	size := 0
	for i := range records {
		size += len(records[i].Value)
		if b := records[i].Batch; b != nil {
			size += len(b.Data)
		}
	}
	m.bytes.Add(float64(size))
	m.lately.bytes.add(float64(size))
	for i := range records {
		m.lately.age.add(ageOf(records[i].Timestamp, now))
	}
	m.age.Set(ageOf(records[len(records)-1].Timestamp, now))
}

func (m partitionMetrics) acknowledged(records int, timestamp int64, now time.Time) {
	m.records.Add(float64(records))
	m.lately.records.add(float64(records))
	m.lately.latency.add(ageOf(timestamp, now))
	m.latency.Set(ageOf(timestamp, now))
}

func ageOf(timestamp int64, now time.Time) float64 {
	if timestamp < 0 {
		return 0
	}
	return float64(max(now.UnixMilli()-timestamp, 0))
}

func newHeartbeatAge(m connect.Metrics, s *settings, topic string) connect.Gauge {
	return m.Gauge(sourcePrefix+"heartbeat_age_ms", "Age of the last heartbeat mirrored, in milliseconds.",
		map[string]string{"source": s.source, "target": s.target, "topic": s.remoteTopic(topic)})
}

// sourceTaskMetrics are those of one task.
type sourceTaskMetrics struct {
	stuck          connect.Gauge
	stopped        connect.Gauge
	stalled        connect.Gauge
	curbed         connect.Gauge
	gaps           connect.Counter
	rebuilt        connect.Gauge
	syncs          connect.Counter
	failedSyncs    connect.Counter
	unwrittenSyncs connect.Gauge
}

func newSourceTaskMetrics(m connect.Metrics, s *settings) sourceTaskMetrics {
	labels := map[string]string{"source": s.source, "target": s.target}
	return sourceTaskMetrics{
		stuck:          m.Gauge(sourcePrefix+"stuck_partitions", "Partitions of the task that cannot be read, or whose copies cannot be written to, at present.", labels),
		stopped:        m.Gauge(sourcePrefix+"stopped_partitions", "Partitions of the task that wait because of a loss, a refused record or a damaged batch.", labels),
		stalled:        m.Gauge(sourcePrefix+"stalled_partitions", "Partitions of the task of which nothing gets through although records wait.", labels),
		curbed:         m.Gauge(sourcePrefix+"held_back_partitions", "Partitions of the task that are read no further for now because too much of them waits for the target.", labels),
		gaps:           m.Counter(sourcePrefix+"gap_count", "Gaps: ranges of source records that were lost before they were mirrored, or left out.", labels),
		rebuilt:        m.Gauge(sourcePrefix+"reencoded_batches", "Batches that the task had to encode again, in the raw lane: trimmed, with holes, with the broker's timestamps, of old formats.", labels),
		syncs:          m.Counter(sourcePrefix+"offset_sync_count", "Offset syncs written.", labels),
		failedSyncs:    m.Counter(sourcePrefix+"offset_sync_failure_count", "Attempts to write an offset sync that failed.", labels),
		unwrittenSyncs: m.Gauge(sourcePrefix+"offset_sync_backlog", "Offset syncs that wait to be written.", labels),
	}
}

// sourceConnectorMetrics are those of the connector.
type sourceConnectorMetrics struct{ partitions, unmirrored, surplus, drift, troubles, look connect.Gauge }

func newSourceConnectorMetrics(m connect.Metrics, s *settings) sourceConnectorMetrics {
	labels := map[string]string{"source": s.source, "target": s.target}
	return sourceConnectorMetrics{
		partitions: m.Gauge(sourcePrefix+"partitions", "Partitions that are mirrored.", labels),
		unmirrored: m.Gauge(sourcePrefix+"unmirrored_partitions", "Partitions of topics that match and that cannot be mirrored at present.", labels),
		surplus:    m.Gauge(sourcePrefix+"surplus_partitions", "Partitions that remote topics have more than their source topics; they stay empty.", labels),
		drift:      m.Gauge(sourcePrefix+"config_drift", "Topic properties and ACLs that differ from the source's and that the target refused to change.", labels),
		troubles:   m.Gauge(sourcePrefix+"open_problems", "Problems with topics that were logged and are not over.", labels),
		look:       m.Gauge(sourcePrefix+"last_refresh_ms", "How long the last look at the topics of both clusters took, in milliseconds, with what it created.", labels),
	}
}

// checkpointTaskMetrics are those of one checkpoint task.
type checkpointTaskMetrics struct{ translated, untranslatable, syncAge connect.Gauge }

func newCheckpointTaskMetrics(m connect.Metrics, s *settings) checkpointTaskMetrics {
	const prefix = "kafka_connect_mirror_mirrorcheckpointconnector_"
	labels := map[string]string{"source": s.source, "target": s.target}
	return checkpointTaskMetrics{
		translated:     m.Gauge(prefix+"translated_groups", "Consumer groups of the task whose offsets are translated.", labels),
		untranslatable: m.Gauge(prefix+"untranslatable_groups", "Consumer groups of the task that cannot be moved safely, or not with all their partitions.", labels),
		syncAge:        m.Gauge(prefix+"offset_sync_age_ms", "Age of the newest offset sync that the task knows, in milliseconds.", labels),
	}
}

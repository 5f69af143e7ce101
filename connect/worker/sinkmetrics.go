package worker

import (
	"maps"
	"time"

	"tributary/connect"
)

// sinkMetrics are the metrics of one sink task, named as the JMX exporter names Java's
// MBeans.
type sinkMetrics struct {
	errorMetrics
	read, sent                     connect.Counter
	active, partitions, sequence   connect.Gauge
	completions                    connect.Counter
	commits, failedCommits         connect.Counter
	consumedOffsets, committedEnds positions
}

func newSinkMetrics(s *scope) *sinkMetrics {
	counter := func(name, help string) connect.Counter { return s.Counter("kafka_connect_"+name, help, nil) }
	gauge := func(name, help string) connect.Gauge { return s.Gauge("kafka_connect_"+name, help, nil) }
	return &sinkMetrics{
		errorMetrics:    newErrorMetrics(s),
		read:            counter("sink_task_metrics_sink_record_read_total", "Records that were read for the task, before transformations."),
		sent:            counter("sink_task_metrics_sink_record_send_total", "Records that the task took, after transformations."),
		active:          gauge("sink_task_metrics_sink_record_active_count", "Records that were read and whose offsets are not yet committed."),
		partitions:      gauge("sink_task_metrics_partition_count", "Partitions that the task reads."),
		sequence:        gauge("sink_task_metrics_offset_commit_seq_no", "Number of the latest offset commit."),
		completions:     counter("sink_task_metrics_offset_commit_completion_total", "Offset commits that were completed."),
		commits:         counter("connector_task_metrics_offset_commit_success_total", "Offset commits that succeeded."),
		failedCommits:   counter("connector_task_metrics_offset_commit_failure_total", "Offset commits that failed or took too long."),
		consumedOffsets: positions{}, committedEnds: positions{},
	}
}

// assigned begins anew with what the task has.
func (m *sinkMetrics) assigned(consumed, committed positions) {
	m.consumedOffsets, m.committedEnds = maps.Clone(consumed), maps.Clone(committed)
	m.partitions.Set(float64(len(committed)))
	m.count()
}

func (m *sinkMetrics) consumed(offsets positions) {
	maps.Copy(m.consumedOffsets, offsets)
	m.count()
}

func (m *sinkMetrics) put(records int, _ time.Duration) { m.sent.Add(float64(records)) }

func (m *sinkMetrics) commitSucceeded(_ time.Duration, committed positions) {
	m.committedEnds = maps.Clone(committed)
	m.completions.Add(1)
	m.commits.Add(1)
	m.count()
}

func (m *sinkMetrics) commitFailed() { m.failedCommits.Add(1) }

// count sums up what was consumed and is not committed.
func (m *sinkMetrics) count() {
	open := int64(0)
	for tp, committed := range m.committedEnds {
		if consumed, known := m.consumedOffsets[tp]; known {
			open += max(consumed-committed, 0)
		}
	}
	m.active.Set(float64(open))
}

package worker

import (
	"maps"
	"time"

	"tributary/connect"
	"tributary/internal/metrics"
)

// sinkMetrics are the metrics of one sink task, named as the JMX exporter names Java's
// MBeans.
type sinkMetrics struct {
	errorMetrics
	commonTaskMetrics
	read, sent, completions        *tally
	active, partitions, sequence   connect.Gauge
	activeLately, putTime          *metrics.Window
	consumedOffsets, committedEnds positions
}

func newSinkMetrics(s *scope) *sinkMetrics {
	const group = "sink_task_metrics_"
	gauge := func(name, help string) connect.Gauge { return s.Gauge(prefix+group+name, help, nil) }
	m := &sinkMetrics{
		errorMetrics:      newErrorMetrics(s),
		commonTaskMetrics: newCommonTaskMetrics(s),
		read:              s.tally(group+"sink_record_read", "Records that were read for the task, before transformations.", "Records a second that were read for the task lately."),
		sent:              s.tally(group+"sink_record_send", "Records that the task took, after transformations.", "Records a second that the task took lately."),
		completions:       s.tally(group+"offset_commit_completion", "Offset commits that were completed.", "Offset commits a second that were completed lately."),
		active:            gauge("sink_record_active_count", "Records that were read and whose offsets are not yet committed."),
		partitions:        gauge("partition_count", "Partitions that the task reads."),
		sequence:          gauge("offset_commit_seq_no", "Number of the latest offset commit."),
		activeLately:      s.newWindow(), putTime: s.newWindow(),
		consumedOffsets: positions{}, committedEnds: positions{},
	}
	s.gauge(group+"sink_record_active_count_max", "Most records that were not yet committed lately.", m.activeLately.Max)
	s.gauge(group+"sink_record_active_count_avg", "Records that were not yet committed lately, on average.", m.activeLately.Avg)
	// Commits follow each other here: none ends after a later one.
	s.tally(group+"offset_commit_skip", "Offset commits that ended after a later one and do not count.", "Offset commits a second that did not count lately.")
	s.gauge(group+"put_batch_max_time_ms", "Longest time that the task took for a batch lately, in milliseconds.", m.putTime.Max)
	s.gauge(group+"put_batch_avg_time_ms", "Time that the task took for a batch lately, on average, in milliseconds.", m.putTime.Avg)
	return m
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

func (m *sinkMetrics) put(records int, took time.Duration) {
	m.sent.Add(float64(records))
	m.sent.tick()
	m.read.tick()
	m.batchSize.Record(float64(records))
	m.putTime.Record(milliseconds(took))
}

func (m *sinkMetrics) commitSucceeded(took time.Duration, committed positions) {
	m.committedEnds = maps.Clone(committed)
	m.completions.Add(1)
	m.completions.tick()
	m.committed(took)
	m.count()
}

// count sums up what was consumed and is not committed.
func (m *sinkMetrics) count() {
	open := int64(0)
	for tp, committed := range m.committedEnds {
		if consumed, known := m.consumedOffsets[tp]; known {
			open += max(consumed-committed, 0)
		}
	}
	m.active.Set(float64(open))
	m.activeLately.Record(float64(open))
}

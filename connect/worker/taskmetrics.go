package worker

import (
	"time"

	"tributary/connect"
	"tributary/internal/metrics"
)

// taskMetrics are the metrics of one source task, named as the JMX exporter names
// Java's MBeans.
type taskMetrics struct {
	polled, written *tally
	active          connect.Gauge
	activeLately    *metrics.Window
	pollTime        *metrics.Window
	commonTaskMetrics
	errorMetrics
}

func newTaskMetrics(s *scope) taskMetrics {
	m := taskMetrics{
		polled:            s.tally("source_task_metrics_source_record_poll", "Records that the task returned, before transformations.", "Records a second that the task returned lately."),
		written:           s.tally("source_task_metrics_source_record_write", "Records that Kafka acknowledged.", "Records a second that Kafka acknowledged lately."),
		active:            s.Gauge(prefix+"source_task_metrics_source_record_active_count", "Records that were returned by the task and are not yet acknowledged.", nil),
		activeLately:      s.newWindow(),
		pollTime:          s.newWindow(),
		commonTaskMetrics: newCommonTaskMetrics(s),
		errorMetrics:      newErrorMetrics(s),
	}
	s.gauge("source_task_metrics_source_record_active_count_max", "Most records that were not yet acknowledged after a batch, lately.", m.activeLately.Max)
	s.gauge("source_task_metrics_source_record_active_count_avg", "Records that were not yet acknowledged after a batch, lately, on average.", m.activeLately.Avg)
	s.gauge("source_task_metrics_poll_batch_max_time_ms", "Longest time that the task took for a batch lately, in milliseconds.", m.pollTime.Max)
	s.gauge("source_task_metrics_poll_batch_avg_time_ms", "Time that the task took for a batch lately, on average, in milliseconds.", m.pollTime.Avg)
	return m
}

// batch notes what a Poll returned and how long it took.
func (m *taskMetrics) batch(records int, took time.Duration) {
	m.polled.Add(float64(records))
	m.polled.tick()
	m.pollTime.Record(milliseconds(took))
	m.batchSize.Record(float64(records))
}

// sent notes how many records are on their way after a batch.
func (m *taskMetrics) sent(unacked int) {
	m.active.Set(float64(unacked))
	m.activeLately.Record(float64(unacked))
	m.written.tick()
}

// newTransactionSize measures the transactions of a task, in records.
func newTransactionSize(s *scope) *metrics.Window {
	w := s.newWindow()
	s.gauge("source_task_metrics_transaction_size_min", "Records in the smallest transaction committed lately.", w.Min)
	s.gauge("source_task_metrics_transaction_size_max", "Records in the largest transaction committed lately.", w.Max)
	s.gauge("source_task_metrics_transaction_size_avg", "Records in a transaction committed lately, on average.", w.Avg)
	return w
}

// commonTaskMetrics are those that source and sink tasks have in common.
type commonTaskMetrics struct {
	commits, failedCommits connect.Counter
	commitTime             *metrics.Window // of successful ones
	commitOutcome          *metrics.Window // 1 and 0
	batchSize              *metrics.Window
}

func newCommonTaskMetrics(s *scope) commonTaskMetrics {
	const group = "connector_task_metrics_"
	m := commonTaskMetrics{
		commits:       s.Counter(prefix+group+"offset_commit_success_total", "Offset commits that succeeded.", nil),
		failedCommits: s.Counter(prefix+group+"offset_commit_failure_total", "Offset commits that failed or took too long.", nil),
		commitTime:    s.newWindow(), commitOutcome: s.newWindow(), batchSize: s.newWindow(),
	}
	s.gauge(group+"offset_commit_max_time_ms", "Longest time that an offset commit took lately, in milliseconds.", m.commitTime.Max)
	s.gauge(group+"offset_commit_avg_time_ms", "Time that an offset commit took lately, on average, in milliseconds.", m.commitTime.Avg)
	s.gauge(group+"offset_commit_success_percentage", "Part of the offset commits that succeeded lately, from 0 to 1.", m.commitOutcome.Share)
	s.gauge(group+"offset_commit_failure_percentage", "Part of the offset commits that failed lately, from 0 to 1.", m.commitOutcome.ShareOfZeros)
	s.gauge(group+"batch_size_max", "Records in the largest batch lately.", m.batchSize.Max)
	s.gauge(group+"batch_size_avg", "Records in a batch lately, on average.", m.batchSize.Avg)
	return m
}

func (m *commonTaskMetrics) committed(took time.Duration) {
	m.commits.Add(1)
	m.commitTime.Record(milliseconds(took))
	m.commitOutcome.Record(1)
}

func (m *commonTaskMetrics) commitFailed() {
	m.failedCommits.Add(1)
	m.commitOutcome.Record(0)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package worker

import (
	"maps"
	"strconv"
	"sync"

	"tributary/connect"
)

// Metrics is where the worker registers what it measures, and what plugins measure.
// Safe for concurrent use.
type Metrics interface {
	connect.Metrics
	// Remove drops the metric that was registered with this name and exactly these
	// labels.
	Remove(name string, labels map[string]string)
}

// scope is the connect.Metrics of one instance: it adds the instance's labels and
// removes everything when the instance ends.
type scope struct {
	metrics Metrics // nil measures nothing
	labels  map[string]string

	mu         sync.Mutex
	registered []registration
	closed     bool
}

type registration struct {
	name   string
	labels map[string]string
}

func connectorScope(m Metrics, connector string) *scope {
	return &scope{metrics: m, labels: map[string]string{"connector": connector}}
}

func taskScope(m Metrics, id connect.TaskID) *scope {
	return &scope{metrics: m, labels: map[string]string{"connector": id.Connector, "task": strconv.Itoa(id.Task)}}
}

// Counter implements connect.Metrics.
func (s *scope) Counter(name, help string, labels map[string]string) connect.Counter {
	all, ok := s.register(name, labels)
	if !ok {
		return nothing{}
	}
	return s.metrics.Counter(name, help, all)
}

// Gauge implements connect.Metrics.
func (s *scope) Gauge(name, help string, labels map[string]string) connect.Gauge {
	all, ok := s.register(name, labels)
	if !ok {
		return nothing{}
	}
	return s.metrics.Gauge(name, help, all)
}

func (s *scope) register(name string, labels map[string]string) (map[string]string, bool) {
	if s.metrics == nil {
		return nil, false
	}
	all := maps.Clone(s.labels)
	for k, v := range labels {
		if _, own := all[k]; !own { // the instance's name is not the plugin's to choose
			all[k] = v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.registered = append(s.registered, registration{name, all})
	return all, true
}

// close removes what was registered. Metrics asked for afterwards measure nothing.
func (s *scope) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, r := range s.registered {
		s.metrics.Remove(r.name, r.labels)
	}
	s.registered = nil
}

type nothing struct{}

func (nothing) Add(float64) {}
func (nothing) Set(float64) {}

// taskMetrics are the metrics of one source task, named as the JMX exporter names
// Java's MBeans.
type taskMetrics struct {
	polled, written        connect.Counter
	active                 connect.Gauge
	commits, failedCommits connect.Counter
	errorMetrics
}

// errorMetrics are the metrics of a task's error handling.
type errorMetrics struct {
	failures, errors, skipped, retries connect.Counter
	logged                             connect.Counter
	deadLetters, failedDeadLetters     connect.Counter
	lastError                          connect.Gauge
}

func newTaskMetrics(s *scope) taskMetrics {
	counter := func(name, help string) connect.Counter { return s.Counter("kafka_connect_"+name, help, nil) }
	gauge := func(name, help string) connect.Gauge { return s.Gauge("kafka_connect_"+name, help, nil) }
	return taskMetrics{
		polled:        counter("source_task_metrics_source_record_poll_total", "Records that the task returned, before transformations."),
		written:       counter("source_task_metrics_source_record_write_total", "Records that Kafka acknowledged."),
		active:        gauge("source_task_metrics_source_record_active_count", "Records that were returned by the task and are not yet acknowledged."),
		commits:       counter("connector_task_metrics_offset_commit_success_total", "Offset commits that succeeded."),
		failedCommits: counter("connector_task_metrics_offset_commit_failure_total", "Offset commits that failed or took too long."),
		errorMetrics:  newErrorMetrics(s),
	}
}

func newErrorMetrics(s *scope) errorMetrics {
	counter := func(name, help string) connect.Counter { return s.Counter("kafka_connect_"+name, help, nil) }
	return errorMetrics{
		failures:          counter("task_error_metrics_total_record_failures", "Failed attempts to handle a record, retries included."),
		errors:            counter("task_error_metrics_total_record_errors", "Records that could not be handled."),
		skipped:           counter("task_error_metrics_total_records_skipped", "Records skipped because of errors.tolerance=all."),
		retries:           counter("task_error_metrics_total_retries", "Attempts to handle a record again."),
		logged:            counter("task_error_metrics_total_errors_logged", "Records that could not be handled and were logged."),
		deadLetters:       counter("task_error_metrics_deadletterqueue_produce_requests", "Records sent to the dead letter queue."),
		failedDeadLetters: counter("task_error_metrics_deadletterqueue_produce_failures", "Records that could not be written to the dead letter queue."),
		lastError:         s.Gauge("kafka_connect_task_error_metrics_last_error_timestamp", "When a record last could not be handled, in milliseconds since 1970, 0 for never.", nil),
	}
}

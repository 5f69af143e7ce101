package worker

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"tributary/connect"
	"tributary/internal/metrics"
)

// Metrics is where the worker registers what it measures, and what plugins measure.
// Safe for concurrent use.
type Metrics interface {
	connect.Metrics
	// GaugeFunc shows what value returns whenever somebody looks. It is quick, and uses no
	// Metrics.
	GaugeFunc(name, help string, labels map[string]string, value func() float64)
	// Remove drops the metric that was registered with this name and exactly these
	// labels.
	Remove(name string, labels map[string]string)
}

// scope is the connect.Metrics of one instance: it adds the instance's labels and
// removes everything when the instance ends.
type scope struct {
	metrics Metrics // nil measures nothing
	labels  map[string]string
	windows metrics.WindowConfig

	mu         sync.Mutex
	registered []registration
	closed     bool
}

type registration struct {
	name   string
	labels map[string]string
}

func connectorScope(o *Options, connector string) *scope {
	return &scope{metrics: o.Metrics, windows: o.Config.Metrics, labels: map[string]string{"connector": connector}}
}

func taskScope(o *Options, id connect.TaskID) *scope {
	return &scope{metrics: o.Metrics, windows: o.Config.Metrics, labels: map[string]string{"connector": id.Connector, "task": strconv.Itoa(id.Task)}}
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

// gauge shows the result of a function of the worker's own, under a name without the
// common beginning.
func (s *scope) gauge(name, help string, value func() float64) {
	if all, ok := s.register(prefix+name, nil); ok {
		s.metrics.GaugeFunc(prefix+name, help, all, value)
	}
}

// text shows a text as Prometheus can: as a label, named as the attribute, of a series that
// is 1. what is the group and the attribute.
func (s *scope) text(group, attribute, help, value string) {
	s.Gauge(prefix+group+"_"+attribute, help, map[string]string{attribute: value}).Set(1)
}

// forgetText takes a text away.
func (s *scope) forgetText(group, attribute, value string) {
	name := prefix + group + "_" + attribute
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.registered {
		if r.name == name && r.labels[attribute] == value {
			s.metrics.Remove(r.name, r.labels)
			s.registered = slices.Delete(s.registered, i, i+1)
			return
		}
	}
}

// newWindow is a window of the length that the worker's properties ask for.
func (s *scope) newWindow() *metrics.Window { return metrics.NewWindow(s.windows) }

// tally returns a counter name_total with its rate, name_rate.
func (s *scope) tally(name, help, rateHelp string) *tally {
	t := &tally{counter: s.Counter(prefix+name+"_total", help, nil), lately: s.newWindow()}
	s.gauge(name+"_rate", rateHelp, func() float64 {
		t.tick()
		return t.lately.Rate()
	})
	return t
}

// prefix begins the names of all that the worker itself measures.
const prefix = "kafka_connect_"

// tally counts, and knows how much was counted lately. Adding is as cheap as to a counter:
// the window hears of it with the next tick, which a lane sends once a batch.
type tally struct {
	counter connect.Counter
	added   atomic.Int64
	lately  *metrics.Window
}

// Add counts n, from any goroutine.
func (t *tally) Add(n float64) {
	t.counter.Add(n)
	t.added.Add(int64(n))
}

// tick tells the window what was added since the last one.
func (t *tally) tick() {
	if n := t.added.Swap(0); n > 0 {
		t.lately.Record(float64(n))
	}
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
	// What has many series, as a partition, asks for them one after the other.
	if n := len(s.registered); n > 0 && maps.Equal(s.registered[n-1].labels, all) {
		all = s.registered[n-1].labels
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

// errorMetrics are the metrics of a task's error handling.
type errorMetrics struct {
	failures, errors, skipped, retries connect.Counter
	logged                             connect.Counter
	deadLetters, failedDeadLetters     connect.Counter
	lastError                          connect.Gauge
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

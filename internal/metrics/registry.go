// Package metrics keeps the worker's and its plugins' metrics and shows them to
// Prometheus. It is a registry of its own because series come and go with connectors
// and tasks, and because a plugin that asks for something impossible must neither
// panic nor spoil the page for everybody.
//
// Names are taken as they are given. The worker's follow the JMX exporter without
// rules: kafka_connect_<group>_<attribute> with "-" as "_", see [Name].
package metrics

import (
	"log/slog"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"tributary/connect"
)

// Registry holds series. Every request for a series is to be matched by one Remove:
// it is shown until the last of those who asked for it has gone. Safe for concurrent
// use; adding to a series takes no lock.
type Registry struct {
	log *slog.Logger

	mu       sync.Mutex
	families map[string]*family
	sets     map[string]*labelSet // those of all series, by key
	refused  map[string]bool      // names that were complained of
}

var _ connect.Metrics = (*Registry)(nil)

// family is all series of one name.
type family struct {
	kind   prometheus.ValueType
	named  bool             // the name is one for Prometheus
	desc   *prometheus.Desc // of the name and the help; the labels are each series' own
	series map[*labelSet]*series
}

// labelSet are labels with their values. A partition has more than a dozen series with the same ones, and there may be
// ten thousand partitions, so series share them.
type labelSet struct {
	key     string
	refused string           // why nothing with them can be shown, if so
	pairs   []*dto.LabelPair // sorted; nil if refused
	used    int              // by how many series
}

// series is one counter or gauge.
type series struct {
	value atomic.Uint64          // bits of a float64
	read  atomic.Pointer[getter] // instead of value, if set
	// guarded by Registry.mu
	asked int // how many asked for it
	shown bool
}

type getter func() float64

// New returns an empty Registry that reg collects. It says beforehand of no metric that
// it will have it, so reg has nothing to refuse; two Registries in one reg must not use
// the same names.
func New(reg prometheus.Registerer, logger *slog.Logger) *Registry {
	r := &Registry{log: logger, families: map[string]*family{}, sets: map[string]*labelSet{}, refused: map[string]bool{}}
	reg.MustRegister(r)
	return r
}

// With returns the registry as somebody sees it whose metrics all have these labels too.
func (r *Registry) With(labels map[string]string) *Labelled {
	return &Labelled{registry: r, labels: maps.Clone(labels)}
}

// Labelled adds labels to what is asked for. A label of its own cannot be overridden. Safe
// for concurrent use.
type Labelled struct {
	registry *Registry
	labels   map[string]string
}

func (l *Labelled) with(labels map[string]string) map[string]string {
	all := make(map[string]string, len(labels)+len(l.labels))
	maps.Copy(all, labels)
	maps.Copy(all, l.labels)
	return all
}

// Counter is the Registry's.
func (l *Labelled) Counter(name, help string, labels map[string]string) connect.Counter {
	return l.registry.Counter(name, help, l.with(labels))
}

// Gauge is the Registry's.
func (l *Labelled) Gauge(name, help string, labels map[string]string) connect.Gauge {
	return l.registry.Gauge(name, help, l.with(labels))
}

// GaugeFunc is the Registry's.
func (l *Labelled) GaugeFunc(name, help string, labels map[string]string, value func() float64) {
	l.registry.GaugeFunc(name, help, l.with(labels), value)
}

// Remove is the Registry's.
func (l *Labelled) Remove(name string, labels map[string]string) {
	l.registry.Remove(name, l.with(labels))
}

// Handler shows what gatherer gathers in Prometheus' text format.
func Handler(gatherer prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Name is the metric name for an attribute of one of Connect's groups:
// source-task-metrics, source-record-poll-total becomes
// kafka_connect_source_task_metrics_source_record_poll_total.
func Name(group, attribute string) string {
	return "kafka_connect_" + strings.ReplaceAll(group+"_"+attribute, "-", "_")
}

// Counter returns the counter with that name and these labels.
func (r *Registry) Counter(name, help string, labels map[string]string) connect.Counter {
	return r.get(name, help, labels, prometheus.CounterValue)
}

// Gauge returns the gauge with that name and these labels.
func (r *Registry) Gauge(name, help string, labels map[string]string) connect.Gauge {
	return r.get(name, help, labels, prometheus.GaugeValue)
}

// GaugeFunc shows what value returns whenever the metrics are collected. value must be
// quick and must not use the Registry. Asking again for the same series replaces it.
func (r *Registry) GaugeFunc(name, help string, labels map[string]string, value func() float64) {
	g := getter(value)
	r.get(name, help, labels, prometheus.GaugeValue).read.Store(&g)
}

// Remove takes back one request for a series.
func (r *Registry) Remove(name string, labels map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.families[name]
	if f == nil {
		return
	}
	set := r.sets[key(labels)]
	if set == nil {
		return
	}
	s := f.series[set]
	if s == nil {
		return
	}
	if s.asked--; s.asked > 0 {
		return
	}
	delete(f.series, set)
	if set.used--; set.used == 0 {
		delete(r.sets, set.key)
	}
	if len(f.series) == 0 {
		delete(r.families, name)
	}
}

var (
	validName  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	validLabel = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// get returns the series; one that cannot be shown measures all the same.
func (r *Registry) get(name, help string, labels map[string]string, kind prometheus.ValueType) *series {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.families[name]
	if f == nil {
		// One help text a name, or the page as a whole is invalid.
		f = &family{kind: kind, named: validName.MatchString(name), desc: prometheus.NewDesc(name, help, nil, nil), series: map[*labelSet]*series{}}
		r.families[name] = f
	}
	k := key(labels)
	set := r.sets[k]
	if set == nil {
		set = newLabelSet(k, labels)
		r.sets[k] = set
	}
	s := f.series[set]
	if s == nil {
		s = &series{}
		f.series[set] = s
		set.used++
	}
	s.asked++ // also if refused: there will be a Remove
	if reason := f.refuses(set, kind); reason != "" {
		if !r.refused[name] {
			r.refused[name] = true
			r.log.Warn("A metric is not shown", "metric", name, "reason", reason)
		}
		return &series{}
	}
	s.shown = true
	return s
}

func (f *family) refuses(labels *labelSet, kind prometheus.ValueType) (reason string) {
	switch {
	case !f.named:
		return "the name is not valid in Prometheus"
	case labels.refused != "":
		return labels.refused
	case f.kind != kind:
		return "the name is that of a counter and of a gauge"
	}
	return ""
}

// newLabelSet makes labels as Prometheus shows them: sorted, and every value is UTF-8.
func newLabelSet(key string, labels map[string]string) *labelSet {
	set := &labelSet{key: key, pairs: make([]*dto.LabelPair, 0, len(labels))}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !validLabel.MatchString(name) || strings.HasPrefix(name, "__") {
			set.refused, set.pairs = "its label "+name+" is not valid in Prometheus", nil
			break
		}
		value := strings.ToValidUTF8(labels[name], "\uFFFD")
		set.pairs = append(set.pairs, &dto.LabelPair{Name: &name, Value: &value})
	}
	return set
}

// key tells label sets apart. Neither separator can be part of a label's name, and
// lengths keep values apart.
func key(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(strings.ReplaceAll(labels[name], "\x00", "\x00\x00"))
		b.WriteString("\x00;")
	}
	return b.String()
}

// Add implements connect.Counter. A counter ignores what is not positive.
func (s *series) Add(delta float64) {
	if !(delta > 0) {
		return
	}
	for {
		old := s.value.Load()
		if s.value.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+delta)) {
			return
		}
	}
}

// Set implements connect.Gauge.
func (s *series) Set(value float64) { s.value.Store(math.Float64bits(value)) }

func (s *series) now() float64 {
	if read := s.read.Load(); read != nil {
		return (*read)()
	}
	return math.Float64frombits(s.value.Load())
}

// Describe implements prometheus.Collector: what there is changes all the time.
func (r *Registry) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r *Registry) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	var all []shown
	for _, f := range r.families {
		for set, s := range f.series {
			if s.shown {
				all = append(all, shown{s, f, set.pairs})
			}
		}
	}
	r.mu.Unlock()
	for _, s := range all {
		out <- s
	}
}

// shown is a prometheus.Metric: one series that is being collected.
type shown struct {
	series *series
	family *family
	labels []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (s shown) Desc() *prometheus.Desc { return s.family.desc }

// Write implements prometheus.Metric.
func (s shown) Write(out *dto.Metric) error {
	value := s.series.now()
	out.Label = s.labels
	if s.family.kind == prometheus.CounterValue {
		out.Counter = &dto.Counter{Value: &value}
	} else {
		out.Gauge = &dto.Gauge{Value: &value}
	}
	return nil
}

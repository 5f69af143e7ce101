package distributed

import (
	"math"
	"strings"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/worker"
	"tributary/internal/metrics"
)

const rebalanceGroup = "connect-worker-rebalance-metrics"

// rebalanceMetrics measure the rounds of this worker, under the names that the JMX
// exporter gives Java's. Safe for concurrent use.
type rebalanceMetrics struct {
	metrics   worker.Metrics // nil measures nothing
	completed connect.Counter
	times     *metrics.Window

	mu         sync.Mutex
	registered []string
	texts      map[string]string // by attribute
	epoch      int
	began      time.Time // of the rebalance under way; zero for none
	ended      time.Time // the last one
}

func newRebalanceMetrics(m worker.Metrics, windows metrics.WindowConfig) *rebalanceMetrics {
	r := &rebalanceMetrics{metrics: m, times: metrics.NewWindow(windows), texts: map[string]string{}}
	if m == nil {
		return r
	}
	r.completed = m.Counter(r.name("completed-rebalances-total"), "Rebalances that this worker has completed.", nil)
	gauge := func(attribute, help string, value func() float64) {
		m.GaugeFunc(r.name(attribute), help, nil, value)
	}
	gauge("epoch", "Generation of the group.", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(r.epoch)
	})
	gauge("rebalancing", "1 from an assignment until its work has been started, else 0.", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.began.IsZero() {
			return 0
		}
		return 1
	})
	gauge("rebalance-max-time-ms", "Longest time from an assignment until its work was started lately, in milliseconds.", r.times.Max)
	gauge("rebalance-avg-time-ms", "Time from an assignment until its work was started lately, on average, in milliseconds.", r.times.Avg)
	gauge("time-since-last-rebalance-ms", "Time since the last rebalance was completed, in milliseconds; infinite before the first.", func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.ended.IsZero() {
			return math.Inf(1)
		}
		return milliseconds(time.Since(r.ended))
	})
	return r
}

// name notes that a metric is registered.
func (r *rebalanceMetrics) name(attribute string) string {
	name := metrics.Name(rebalanceGroup, attribute)
	r.registered = append(r.registered, name)
	return name
}

// assigned begins the measurement of a round.
func (r *rebalanceMetrics) assigned(round group.Round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch, r.began = round.Generation, time.Now()
	protocol := strings.ToUpper(round.Protocol.Name)
	if !round.Protocol.Incremental() {
		protocol = "EAGER"
	}
	r.text("connect-protocol", "1 for the protocol in force.", protocol)
	r.text("leader-name", "1 for the address of the leader.", round.Snapshot.LeaderURL)
}

// text shows a text as the label of a series that is 1, instead of the text before.
func (r *rebalanceMetrics) text(attribute, help, value string) {
	old, shown := r.texts[attribute]
	if r.metrics == nil || shown && old == value {
		return
	}
	label := strings.ReplaceAll(attribute, "-", "_")
	if shown {
		r.metrics.Remove(metrics.Name(rebalanceGroup, attribute), map[string]string{label: old})
	}
	r.texts[attribute] = value
	r.metrics.Gauge(metrics.Name(rebalanceGroup, attribute), help, map[string]string{label: value}).Set(1)
}

// settled ends it.
func (r *rebalanceMetrics) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.IsZero() {
		return
	}
	r.ended = time.Now()
	r.times.Record(milliseconds(r.ended.Sub(r.began)))
	r.began = time.Time{}
	if r.completed != nil {
		r.completed.Add(1)
	}
}

// remove takes all of them away.
func (r *rebalanceMetrics) remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.metrics == nil {
		return
	}
	for _, name := range r.registered {
		r.metrics.Remove(name, nil)
	}
	for attribute, value := range r.texts {
		r.metrics.Remove(metrics.Name(rebalanceGroup, attribute), map[string]string{strings.ReplaceAll(attribute, "-", "_"): value})
	}
	r.metrics = nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

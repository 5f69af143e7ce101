package mirror

import (
	"sync"

	"tributary/connect"
	"tributary/internal/metrics"
)

// latelyMirrored are a partition's rates, averages and extremes over Java's windows. In
// the raw lane a batch is one measurement of age and latency.
type latelyMirrored struct{ records, bytes, age, latency lately }

func newLatelyMirrored(m connect.Metrics, labels map[string]string) *latelyMirrored {
	l := &latelyMirrored{}
	l.records.show(m, sourcePrefix+"record", labels, "Records mirrored")
	l.bytes.show(m, sourcePrefix+"byte", labels, "Bytes read for mirroring")
	l.age.showSpread(m, sourcePrefix+"record_age_ms", labels, "Age of records when they were read")
	l.latency.showSpread(m, sourcePrefix+"replication_latency_ms", labels, "Age of records when the target acknowledged them")
	return l
}

// settle makes what was measured count; to be called now and again.
func (l *latelyMirrored) settle() {
	for _, part := range []*lately{&l.records, &l.bytes, &l.age, &l.latency} {
		part.settle()
	}
}

// lately is a window whose measurements are cheap to take: they count with the next
// settle. Safe for concurrent use.
type lately struct {
	window *metrics.Window

	mu            sync.Mutex
	count         int
	sum, min, max float64
}

func (l *lately) add(value float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		l.min, l.max = value, value
	}
	l.count++
	l.sum += value
	l.min, l.max = min(l.min, value), max(l.max, value)
}

func (l *lately) settle() {
	l.mu.Lock()
	count, sum, smallest, largest := l.count, l.sum, l.min, l.max
	l.count, l.sum = 0, 0
	l.mu.Unlock()
	l.window.RecordAll(count, sum, smallest, largest)
}

// show makes the series of a rate. A worker that can show nothing computed shows none.
func (l *lately) show(m connect.Metrics, name string, labels map[string]string, what string) {
	l.window = metrics.NewWindow(metrics.WindowConfig{})
	if shows, ok := m.(connect.GaugeFuncs); ok {
		shows.GaugeFunc(name+"_rate", what+" lately, a second.", labels, l.window.Rate)
	}
}

// showSpread makes the series of an average and the extremes, in milliseconds.
func (l *lately) showSpread(m connect.Metrics, name string, labels map[string]string, what string) {
	l.window = metrics.NewWindow(metrics.WindowConfig{})
	if shows, ok := m.(connect.GaugeFuncs); ok {
		shows.GaugeFunc(name+"_avg", what+" lately, on average, in milliseconds.", labels, l.window.Avg)
		shows.GaugeFunc(name+"_max", what+" lately, the largest, in milliseconds.", labels, l.window.Max)
		shows.GaugeFunc(name+"_min", what+" lately, the smallest, in milliseconds.", labels, l.window.Min)
	}
}

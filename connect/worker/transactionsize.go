package worker

import (
	"time"

	"tributary/connect"
)

// sizeSpan is half of the time that sizeWindow looks back: Java's metrics.sample.window.ms
// with its metrics.num.samples of two.
const sizeSpan = 30 * time.Second

// sizeWindow measures how many records the transactions of the last minute had.
type sizeWindow struct {
	min, max, avg connect.Gauge
	began         time.Time
	spans         [2]sizes // the current one first
}

type sizes struct{ min, max, sum, count int }

func newSizeWindow(s *scope) *sizeWindow {
	gauge := func(name, help string) connect.Gauge {
		return s.Gauge("kafka_connect_source_task_metrics_transaction_size_"+name, help, nil)
	}
	return &sizeWindow{
		min: gauge("min", "Records in the smallest transaction committed lately."),
		max: gauge("max", "Records in the largest transaction committed lately."),
		avg: gauge("avg", "Records in a transaction committed lately, on average."),
	}
}

func (w *sizeWindow) add(now time.Time, records int) {
	if age := now.Sub(w.began); age >= sizeSpan {
		w.spans[1] = w.spans[0]
		if age >= 2*sizeSpan {
			w.spans[1] = sizes{}
		}
		w.spans[0], w.began = sizes{}, now
	}
	w.spans[0] = w.spans[0].with(sizes{records, records, records, 1})
	all := w.spans[0].with(w.spans[1])
	w.min.Set(float64(all.min))
	w.max.Set(float64(all.max))
	w.avg.Set(float64(all.sum) / float64(all.count))
}

func (s sizes) with(other sizes) sizes {
	switch {
	case s.count == 0:
		return other
	case other.count == 0:
		return s
	}
	return sizes{min(s.min, other.min), max(s.max, other.max), s.sum + other.sum, s.count + other.count}
}

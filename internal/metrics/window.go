package metrics

import (
	"math"
	"sync"
	"time"
)

// WindowConfig says how long measurements count for averages, maxima and rates.
type WindowConfig struct {
	// Length is that of one sample (metrics.sample.window.ms), Samples how many are
	// kept (metrics.num.samples). Zero is Java's default: two samples of 30 s.
	Length  time.Duration
	Samples int
}

func (c WindowConfig) orDefault() WindowConfig {
	if c.Length <= 0 {
		c.Length = 30 * time.Second
	}
	if c.Samples <= 0 {
		c.Samples = 2
	}
	return c
}

// Window is a series of measurements of which only the latest count, in samples as Kafka
// has them: a sample takes what comes until it is full, and is dropped as a whole when it
// is older than all samples together may be. Safe for concurrent use.
type Window struct {
	config WindowConfig

	mu      sync.Mutex
	samples []sample // the oldest first
}

// sample sums up the measurements since began; the last one was at latest.
type sample struct {
	began, latest time.Time
	count         int
	sum, min, max float64
}

// NewWindow returns an empty window.
func NewWindow(c WindowConfig) *Window { return &Window{config: c.orDefault()} }

// Record adds a measurement.
func (w *Window) Record(value float64) { w.RecordAll(1, value, value, value) }

// RecordAll adds count measurements, of which the sum, the smallest and the largest are
// given. None is no measurement.
func (w *Window) RecordAll(count int, sum, smallest, largest float64) {
	if count == 0 {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.purge(now)
	last := len(w.samples) - 1
	if last < 0 || now.Sub(w.samples[last].began) >= w.config.Length {
		if len(w.samples) == w.config.Samples {
			w.samples = append(w.samples[:0], w.samples[1:]...)
		}
		w.samples = append(w.samples, sample{began: now, min: math.Inf(1), max: math.Inf(-1)})
		last = len(w.samples) - 1
	}
	s := &w.samples[last]
	s.latest = now
	s.count += count
	s.sum += sum
	s.min, s.max = min(s.min, smallest), max(s.max, largest)
}

// purge drops the samples in which nothing happened for too long.
func (w *Window) purge(now time.Time) {
	age := time.Duration(w.config.Samples) * w.config.Length
	old := 0
	for old < len(w.samples) && now.Sub(w.samples[old].latest) >= age {
		old++
	}
	w.samples = append(w.samples[:0], w.samples[old:]...)
}

// all is one sample of all that counts now.
func (w *Window) all(now time.Time) sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.purge(now)
	all := sample{began: now, min: math.Inf(1), max: math.Inf(-1)}
	for _, s := range w.samples {
		if s.began.Before(all.began) {
			all.began = s.began
		}
		all.count += s.count
		all.sum += s.sum
		all.min, all.max = min(all.min, s.min), max(all.max, s.max)
	}
	return all
}

// Avg is the mean. Avg, Min and Max are NaN when nothing counts, as Java's.
func (w *Window) Avg() float64 {
	all := w.all(time.Now())
	return all.sum / float64(all.count) // 0/0 is NaN
}

// Max is the largest measurement.
func (w *Window) Max() float64 {
	if all := w.all(time.Now()); all.count > 0 {
		return all.max
	}
	return math.NaN()
}

// Min is the smallest measurement.
func (w *Window) Min() float64 {
	if all := w.all(time.Now()); all.count > 0 {
		return all.min
	}
	return math.NaN()
}

// Share is what part of the measurements was 1 where all are 0 or 1; 0 when nothing counts.
func (w *Window) Share() float64 {
	if all := w.all(time.Now()); all.count > 0 {
		return all.sum / float64(all.count)
	}
	return 0
}

// ShareOfZeros is the rest of Share; 0 when nothing counts, too.
func (w *Window) ShareOfZeros() float64 {
	if all := w.all(time.Now()); all.count > 0 {
		return 1 - all.sum/float64(all.count)
	}
	return 0
}

// Rate is the sum a second. As in Java the time that it is divided by is never less than
// that of all samples but one, so that the first measurement is no burst.
func (w *Window) Rate() float64 {
	now := time.Now()
	all := w.all(now)
	elapsed := now.Sub(all.began)
	if missing := w.config.Samples - 1 - int(elapsed/w.config.Length); missing > 0 {
		elapsed += time.Duration(missing) * w.config.Length
	}
	if elapsed == 0 {
		elapsed = w.config.Length
	}
	return all.sum / elapsed.Seconds()
}

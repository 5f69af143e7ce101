package beat

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkOfAllPeriodsFallsTogether(t *testing.T) {
	for _, c := range []struct{ last, period, want time.Duration }{
		{0, 2 * time.Second, 2 * time.Second},
		{time.Millisecond, 2 * time.Second, 2 * time.Second},
		{999 * time.Millisecond, 2 * time.Second, 2 * time.Second},
		{999 * time.Millisecond, time.Second, time.Second},
		{5*time.Second + 1, 5 * time.Second, 10 * time.Second},
		{7 * time.Second, 5 * time.Second, 12 * time.Second},
		{700 * time.Millisecond, 1500 * time.Millisecond, 2200 * time.Millisecond}, // no whole seconds
		{700 * time.Millisecond, 500 * time.Millisecond, 1200 * time.Millisecond},
		{700 * time.Millisecond, 0, 700 * time.Millisecond},
	} {
		if got := Next(first.Add(c.last), c.period).Sub(first); got != c.want {
			t.Errorf("done at %s, every %s: due at %s, want %s", c.last, c.period, got, c.want)
		}
	}
}

// Whenever work was done, it is due later, and less than a second before its period is over.
func TestWorkIsNeverDueLateNorAtOnce(t *testing.T) {
	for _, period := range []time.Duration{time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second, time.Minute} {
		for at := time.Duration(0); at < 5*time.Second; at += 37 * time.Millisecond {
			last := first.Add(at)
			if rest := Next(last, period).Sub(last); rest <= 0 || rest > period || rest <= period-Length {
				t.Errorf("done at %s, every %s: due after %s", at, period, rest)
			}
		}
	}
}

func TestWorkThatBeganApartFallsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		times := make(chan time.Duration, 8)
		for i := range 2 {
			time.Sleep(time.Duration(i+1) * 300 * time.Millisecond)
			go func() {
				for range 4 {
					time.Sleep(Until(2 * time.Second))
					times <- time.Since(begun)
				}
			}()
		}
		for range 4 {
			a, b := <-times, <-times
			if a != b || a%Length != 0 {
				t.Errorf("one at %s, the other at %s", a, b)
			}
		}
	})
}

func TestTheTimeOfNoWorkYetIsPast(t *testing.T) {
	if due := Next(time.Time{}, time.Second); !due.Before(time.Now()) {
		t.Errorf("due at %s", due)
	}
}

package metrics

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestWindowForgetsAsJavasSamplesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWindow(WindowConfig{})
		show := func() string { return fmt.Sprint(w.Avg(), " ", w.Min(), " ", w.Max(), " ", w.Rate()) }
		expectShown(t, "without measurements", show(), "NaN NaN NaN 0")
		if !math.IsNaN(w.Avg()) || w.Share() != 0 {
			t.Errorf("avg %v, share %v", w.Avg(), w.Share())
		}
		w.Record(30)
		w.Record(60)
		// 90 in less than one sample: the time is never less than one.
		expectShown(t, "at once", show(), "45 30 60 3")
		time.Sleep(10 * time.Second)
		expectShown(t, "after 10 s", show(), "45 30 60 2.25") // 90 in 10 s and one sample
		time.Sleep(20 * time.Second)
		w.Record(150)
		expectShown(t, "in the second sample", show(), "80 30 150 8") // 240 in 30 s
		time.Sleep(30 * time.Second)
		expectShown(t, "after a minute", show(), "150 150 150 5") // the first is older than a minute
		time.Sleep(30 * time.Second)
		expectShown(t, "after all", show(), "NaN NaN NaN 0")
	})
}

func TestWindowKeepsOnlyTheSamplesItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWindow(WindowConfig{Length: time.Second, Samples: 3})
		for i := range 10 {
			w.Record(float64(i))
			time.Sleep(time.Second)
		}
		if got := w.Min(); got != 8 {
			t.Errorf("the smallest that counts is %v, want 8", got)
		}
		w.Record(1)
		w.Record(0)
		if got := w.Share(); got != (9+8+1)/4. {
			t.Errorf("share %v", got)
		}
	})
}

func expectShown(t *testing.T, when, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
}

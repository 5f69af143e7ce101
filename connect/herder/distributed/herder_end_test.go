package distributed

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Requests, such as a task's for fencing, begin work while the herder ends: what began is
// awaited, and nothing begins later.
func TestNothingBeginsOnceTheEndIsAwaited(t *testing.T) {
	for range 200 {
		var b background
		var running, late atomic.Int32
		var ended atomic.Bool
		var requests sync.WaitGroup
		for range 4 {
			requests.Go(func() {
				for range 20 {
					b.Go(func() {
						running.Add(1)
						if ended.Load() {
							late.Add(1)
						}
						running.Add(-1)
					})
				}
			})
		}
		b.end()
		ended.Store(true)
		if n := running.Load(); n != 0 {
			t.Fatalf("%d still run after the end", n)
		}
		requests.Wait()
		b.Go(func() { t.Error("began after the end") })
		b.group.Wait()
		if n := late.Load(); n != 0 {
			t.Fatalf("%d began after the end", n)
		}
	}
}

package awake

import (
	"runtime"
	"testing"
	"time"

	"tributary/test/cluster/kafkatest"
)

// While the monitor is kept awake goroutines have as many processors as before beside the one that naps, and afterwards the
// process has what it had.
func TestOneProcessorMoreWhileMuchIsMoved(t *testing.T) {
	defer runtime.SetDefaultGOMAXPROCS()
	for name, set := range map[string]func(*testing.T){
		"by default":          func(*testing.T) { runtime.SetDefaultGOMAXPROCS() },
		"as the program says": func(*testing.T) { runtime.GOMAXPROCS(runtime.NumCPU() + 2) },
		"as the user says":    func(t *testing.T) { t.Setenv("GOMAXPROCS", "3"); runtime.GOMAXPROCS(3) },
	} {
		t.Run(name, func(t *testing.T) {
			awaitRest(t)
			t.Setenv("GOMAXPROCS", "")
			set(t)
			before := runtime.GOMAXPROCS(0)
			more := before
			if canNap {
				more++
			}
			deadline := time.Now().Add(10 * time.Second)
			for Keep(); runtime.GOMAXPROCS(0) != more; Keep() {
				if runtime.Gosched(); time.Now().After(deadline) {
					t.Fatalf("%d processors while much is moved, want %d", runtime.GOMAXPROCS(0), more)
				}
			}
			for range 20 { // meanwhile the world can be stopped
				Keep()
				runtime.GC()
			}
			awaitRest(t)
			if n := runtime.GOMAXPROCS(0); n != before {
				t.Errorf("%d processors after much was moved, want %d", n, before)
			}
		})
	}
}

func awaitRest(t *testing.T) {
	t.Helper()
	kafkatest.Await(t, 10*time.Second, "nobody naps", func() (bool, string) { return !held.Load(), "" })
}

// What is to run on the processor that naps runs.
func TestNobodyWaitsForTheNap(t *testing.T) {
	deadline := time.Now().Add(10 * time.Second)
	for range 100 {
		Keep()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				runtime.Gosched()
			}
		}()
		select {
		case <-done:
		case <-time.After(time.Until(deadline)):
			t.Fatal("a goroutine did not run within 10 s")
		}
	}
}

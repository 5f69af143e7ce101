// Package awake keeps the monitor of Go's runtime from falling asleep while much is moved.
//
// The runtime's monitor thread sleeps when no thread runs Go code, and the next system call wakes it, upon which it looks
// around every 20 µs for a millisecond before it slows down to a look every 10 ms. A program that moves bytes between
// sockets, faster than they come, has nothing to run and then again something thousands of times a second, so its monitor is
// woken all the time: a quarter of what the raw lane costs. While some thread runs Go code, the monitor does not sleep, and
// soon looks only every 10 ms.
package awake

import (
	"os"
	"runtime"
	"sync/atomic"
)

// naps is for how many naps the monitor stays awake after Keep was last called: 250 ms.
const naps = 50

var (
	left atomic.Int32 // naps
	held atomic.Bool  // a goroutine naps, or none will any more
)

// Keep keeps the monitor awake for the next 250 ms, until which the process has one more of what GOMAXPROCS counts. It
// returns at once and may be called from any goroutine; it is for who has just moved a lot, and moves on. It does nothing where the
// system is not Linux.
func Keep() {
	left.Store(naps)
	if canNap && !held.Load() && held.CompareAndSwap(false, true) {
		go hold()
	}
}

// hold naps on a processor of the scheduler's that is added for this, so that goroutines have as many as before.
func hold() {
	before := runtime.GOMAXPROCS(0)
	byDefault := os.Getenv("GOMAXPROCS") == "" && isDefault(before)
	runtime.GOMAXPROCS(before + 1)
	refused := false
	for left.Load() > 0 && !refused {
		var whole bool
		if whole, refused = nap(); whole {
			left.Add(-1)
		}
		yield()
	}
	if byDefault {
		runtime.SetDefaultGOMAXPROCS()
	} else {
		runtime.GOMAXPROCS(before)
	}
	held.Store(refused) // a system that refuses it once does so again
}

// yield gives whatever is to run on this processor its turn. And who wants to stop the world, or this goroutine to scan its stack,
// both of which cut a nap short, need not wait for the next one. To stop a goroutine is asked for where the stack is checked, at the
// beginning of a function that is not inlined, and forgotten when the goroutine has had to wait for its turn: with Gosched alone a
// garbage collection on one processor asked thousands of times, for seconds.
//
//go:noinline
func yield() { runtime.Gosched() }

// isDefault says whether the runtime itself, which follows the limits of a container, has set GOMAXPROCS to n. If not, it is the
// runtime's afterwards.
func isDefault(n int) bool {
	runtime.SetDefaultGOMAXPROCS()
	return runtime.GOMAXPROCS(0) == n
}

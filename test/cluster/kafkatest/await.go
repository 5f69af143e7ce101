package kafkatest

import "time"

// pollEvery is how often a condition is looked at again.
const pollEvery = 100 * time.Millisecond

// Await looks at a condition until it holds, and ends the test when it does not within the time. The condition
// says whether it holds and, for the message, what it saw last.
func Await(tb TB, timeout time.Duration, what string, condition func() (ok bool, seen string)) {
	tb.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ok, seen := condition()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited %s for %s; last seen: %s", timeout, what, seen)
			return
		case <-tb.Context().Done():
			tb.Fatalf("the test ended while waiting for %s; last seen: %s", what, seen)
			return
		}
	}
}

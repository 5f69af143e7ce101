// Package beat lets what a process does now and again fall together.
//
// What wakes an idle process costs more than what it then does: threads are woken, caches are cold. Periodic work whose
// times are looked up here is done in the same moments, once a second at most, instead of whenever each part happened to
// begin. The moments count from the start of the process, so that processes do not fall together.
package beat

import "time"

// Length is the time between two beats.
const Length = time.Second

var first = time.Now()

// Next returns when work that was done at last, and is to be done every period, is due: at the last beat before last plus
// period, which is less than a second sooner and always after last. Periods that are no whole number of seconds, and 0,
// are kept to as they are.
func Next(last time.Time, period time.Duration) time.Time {
	due := last.Add(period)
	if period < Length || period%Length != 0 {
		return due
	}
	past := due.Sub(first) % Length
	if past < 0 { // the clock of a test, which began before the process: it beats whole seconds
		past = due.Sub(due.Truncate(Length))
	}
	return due.Add(-past)
}

// Until is how long it is from now until [Next] of now.
func Until(period time.Duration) time.Duration {
	now := time.Now()
	return Next(now, period).Sub(now)
}

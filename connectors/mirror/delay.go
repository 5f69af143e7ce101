package mirror

import (
	"time"

	"tributary/internal/kafka"
)

// delayGate says when the records of one partition may be handed out in the delayed
// mode. It is pure: time is an argument.
//
// A record is due delay after its timestamp. Records leave in the order of the log, so
// one with an old timestamp behind one with a young one waits with it. A record without
// timestamp counts as made when it was first seen in the log. A timestamp ahead of that,
// from a clock that is ahead, is kept to, but for no more than one delay: so a record
// waits at most twice the delay from when it was first seen, and a clock that is wrong by
// years cannot stop a partition for years.
type delayGate struct {
	delay time.Duration
	// sights say up to which offset the log was known to reach, and since when, oldest
	// first. They are bounded: one is added only a sixteenth of the delay after the last.
	sights []sight
}

type sight struct {
	end int64 // everything below it was in the log
	at  time.Time
	// begun is when this sight was the newest for the first time: later looks move it on
	// for a sixteenth of the delay, so that there are few of them.
	begun time.Time
}

// sightsPerDelay is how exact the time is at which a record was seen. What it costs in
// exactness concerns timestamps of the future alone, which leave that much later.
const sightsPerDelay = 16

// saw takes note that the log reaches to end.
func (g *delayGate) saw(end int64, now time.Time) {
	if n := len(g.sights); n > 0 {
		last := &g.sights[n-1]
		if end <= last.end {
			return
		}
		if now.Sub(last.begun) < g.delay/sightsPerDelay {
			last.end, last.at = end, now
			return
		}
	}
	g.sights = append(g.sights, sight{end, now, now})
}

// due says when the record may leave.
func (g *delayGate) due(r *kafka.Record, now time.Time) time.Time {
	seen := now
	for _, s := range g.sights {
		if r.Offset < s.end {
			seen = s.at
			break
		}
	}
	if r.Timestamp < 0 {
		return seen.Add(g.delay)
	}
	if latest := seen.Add(g.delay); r.Timestamp >= latest.UnixMilli() {
		return latest.Add(g.delay)
	}
	return time.UnixMilli(r.Timestamp).Add(g.delay)
}

// release counts the records at the front that are due, and says when the one behind
// them will be; zero if there is none.
func (g *delayGate) release(records []kafka.Record, now time.Time) (n int, next time.Time) {
	for n < len(records) {
		if at := g.due(&records[n], now); at.After(now) {
			return n, at
		}
		n++
	}
	g.forget(records, n)
	return n, time.Time{}
}

// forget drops the sights that concern only what has left.
func (g *delayGate) forget(records []kafka.Record, n int) {
	if n == 0 {
		return
	}
	left := records[n-1].Offset + 1
	drop := 0
	for drop < len(g.sights)-1 && g.sights[drop].end <= left {
		drop++
	}
	g.sights = append(g.sights[:0], g.sights[drop:]...)
}

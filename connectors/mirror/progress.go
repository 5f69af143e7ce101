package mirror

import (
	"sync"
	"sync/atomic"
	"time"

	"tributary/connect"
)

// gapsKept is how many gaps of a partition are shown; older ones stay in the log.
const gapsKept = 20

// progress is how far a partition is. Acknowledgements come in on the producer's
// goroutine, and anybody may look.
type progress struct {
	// upTo is the offset behind the last record that was acknowledged or left out, -1
	// before the first.
	upTo atomic.Int64
	// at is when the target acknowledged the last one, and timestamp that record's own
	// time, both in milliseconds since 1970; 0 for never.
	at, timestamp atomic.Int64

	mu      sync.Mutex
	seen    standing
	problem error // the last one
	gaps    []gap
	// problemAt is when problem came up.
	problemAt time.Time
}

// standing is where a partition stood when it was last looked at.
type standing struct {
	sourceEnd, mirrored int64     // -1 while not known
	behind              time.Time // since when the target has lacked something; zero while it lacks nothing
	lagSeconds          float64
	stopped, stalled    bool
}

// stallTime is how long records may wait without any of them getting through before
// it is worth a word.
const stallTime = 20 * time.Second

func (s standing) lag() int64 {
	if s.sourceEnd < 0 || s.mirrored < 0 {
		return 0
	}
	return max(s.sourceEnd-s.mirrored, 0)
}

// acknowledged takes note of a record that is done with; md is nil when it was left out.
func (p *sourcePartition) acknowledged(record *connect.SourceRecord, offset int64, md *connect.RecordMetadata, now time.Time) {
	p.progress.upTo.Store(offset + 1)
	if md == nil {
		return
	}
	p.progress.at.Store(now.UnixMilli())
	p.progress.timestamp.Store(max(record.Timestamp, 0))
	records := 1
	if record.Batch != nil {
		records = record.Batch.Records
	}
	p.metrics.acknowledged(records, record.Timestamp, now)
}

// mirrored is the offset up to which the target has everything, -1 while not known.
func (p *sourcePartition) mirrored() int64 {
	upTo := p.progress.upTo.Load()
	switch {
	case p.refused != nil:
		return upTo
	case p.queued > 0 || p.handedTo > upTo:
		return max(upTo, p.from)
	case len(p.pending) > 0:
		return p.pending[0].Offset
	}
	return p.next
}

// observe notes how the partition does, and brings its metrics up to date.
func (p *sourcePartition) observe(problem error, stopped bool, now time.Time) standing {
	g := &p.progress
	g.mu.Lock()
	before := g.seen
	s := standing{sourceEnd: p.sourceEnd, mirrored: p.mirrored(), stopped: stopped}
	if s.lag() > 0 {
		s.behind = before.behind
		if s.behind.IsZero() {
			s.behind = now
		}
		s.lagSeconds = now.Sub(s.behind).Seconds()
		moved := max(g.at.Load(), s.behind.UnixMilli())
		s.stalled = !stopped && p.gate == nil && now.UnixMilli()-moved >= stallTime.Milliseconds()
		// What the last record says counts only if it was one of those that were lacking.
		if at := g.at.Load(); at >= s.behind.UnixMilli() && g.timestamp.Load() > 0 {
			s.lagSeconds = max(now.Sub(time.UnixMilli(g.timestamp.Load())).Seconds(), 0)
		}
	}
	g.seen = s
	g.note(problem, now)
	g.mu.Unlock()
	p.metrics.lately.settle()
	p.metrics.lag.Set(float64(s.lag()))
	p.metrics.lagSeconds.Set(s.lagSeconds)
	p.metrics.progressed.Set(float64(g.at.Load()))
	if last := g.timestamp.Load(); p.heartbeat != nil && last > 0 {
		p.heartbeat.Set(ageOf(last, now))
	}
	return s
}

func (p *sourcePartition) noteProblem(err error, now time.Time) {
	p.progress.mu.Lock()
	defer p.progress.mu.Unlock()
	p.progress.note(err, now)
}

func (p *sourcePartition) addGap(g gap) {
	p.progress.mu.Lock()
	defer p.progress.mu.Unlock()
	p.progress.gaps = append(p.progress.gaps, g)
	if extra := len(p.progress.gaps) - gapsKept; extra > 0 {
		p.progress.gaps = p.progress.gaps[extra:]
	}
}

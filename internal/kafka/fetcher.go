package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Fetcher reads partitions that its owner assigns, from positions that its owner chooses. It commits
// nothing.
//
// Goroutines: one for each broker that leads assigned partitions, and one that looks up leaders and
// offsets. A broker's goroutine fetches ahead: while the caller works on what Poll returned, the next
// answer is on its way or waits. It then fetches no more until Poll has taken that, so a broker costs at
// most two answers of memory, the one in the caller's hands and the next, each bounded by
// fetch.max.bytes and max.partition.fetch.bytes times its partitions.
//
// All methods may be called from any goroutine; Poll from one at a time.
type Fetcher struct {
	client *Client
	cfg    *Config
	logger *slog.Logger

	run    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	parts    map[TopicPartition]*part
	brokers  map[int32]*brokerFetcher
	ready    []*Fetched    // in the order they came
	readyOf  []*part       // the partition of each
	news     chan struct{} // holds a token when ready grew
	resolver chan struct{} // wakes the goroutine that looks things up
}

// part is one assigned partition. A new assignment makes a new one, so late answers to an old one are
// known by it. The fetcher's lock guards it.
type part struct {
	TopicPartition
	next     int64 // to fetch next; Earliest, Latest or below while not looked up
	position int64 // after what Poll handed out
	leader   int32 // -1 while not known
	paused   bool
	held     *Fetched // fetched but paused
	stopped  bool     // out of range with auto.offset.reset=none
	from     int64    // the position that was out of range, while next is looked up anew

	retryAt  time.Time
	failures int
	problem  error
	logged   string // the problem that was logged
	told     bool   // an error was handed to Poll
	ends     partEnds
}

// partEnds are the marks of the last answer.
type partEnds struct{ highWatermark, lastStable, logStart int64 }

// Fetched is what one fetch brought from one partition.
type Fetched struct {
	TopicPartition
	Records []Record // in offset order; without markers, aborted and compacted records
	// NextOffset is the position after this. It also moves past what Records leaves out, so it may be
	// beyond the last record, or have moved with no records at all, also back when the position was out
	// of range and reset. The three marks below are -1 then.
	NextOffset       int64
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	// Err is an *OffsetOutOfRangeError, after which the partition rests until it is added again, or an
	// *AuthorizationError, once; the fetcher goes on trying. Records is empty then.
	Err error
}

// OffsetOutOfRangeError means that a position does not exist, and auto.offset.reset is none.
type OffsetOutOfRangeError struct {
	TopicPartition
	Offset int64
}

func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("the position %d of %s-%d is out of range, and auto.offset.reset = none", e.Offset, e.Topic, e.Partition)
}

// Is makes it an ErrOffsetOutOfRange.
func (e *OffsetOutOfRangeError) Is(target error) bool { return ErrOffsetOutOfRange.Is(target) }

// NewFetcher returns a fetcher without partitions. cfg must be of RoleConsumer.
func NewFetcher(c *Client, cfg *Config, logger *slog.Logger) *Fetcher {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.Background())
	f := &Fetcher{
		client: c, cfg: cfg, logger: logger, run: run, cancel: cancel,
		parts:    make(map[TopicPartition]*part),
		brokers:  make(map[int32]*brokerFetcher),
		news:     make(chan struct{}, 1),
		resolver: make(chan struct{}, 1),
	}
	f.wg.Go(f.resolve)
	return f
}

// Assign replaces the assignment. Positions are offsets, Earliest or Latest. Data fetched for what was
// assigned before is dropped, also for partitions that stay.
func (f *Fetcher) Assign(positions map[TopicPartition]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tp := range f.parts {
		f.remove(tp)
	}
	f.add(positions)
}

// Add adds partitions, or moves the position of assigned ones. The others are not disturbed.
func (f *Fetcher) Add(positions map[TopicPartition]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(positions)
}

func (f *Fetcher) add(positions map[TopicPartition]int64) {
	for tp, offset := range positions {
		p := &part{TopicPartition: tp, next: offset, position: offset, leader: -1, ends: partEnds{-1, -1, -1}}
		if old := f.parts[tp]; old != nil {
			p.paused = old.paused
			f.remove(tp)
		}
		f.parts[tp] = p
	}
	wake(f.resolver)
}

// Remove takes partitions out of the assignment and drops what was fetched for them.
func (f *Fetcher) Remove(tps ...TopicPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tp := range tps {
		f.remove(tp)
	}
}

func (f *Fetcher) remove(tp TopicPartition) {
	p := f.parts[tp]
	if p == nil {
		return
	}
	delete(f.parts, tp)
	f.dropReady(p)
}

// dropReady takes what waits for Poll from a partition out, and returns it.
func (f *Fetcher) dropReady(p *part) *Fetched {
	var dropped *Fetched
	left := 0
	for i, of := range f.readyOf {
		if of == p {
			dropped = f.ready[i]
			continue
		}
		f.ready[left], f.readyOf[left] = f.ready[i], of
		left++
	}
	clear(f.ready[left:])
	clear(f.readyOf[left:])
	f.ready, f.readyOf = f.ready[:left], f.readyOf[:left]
	f.wakeBrokers()
	return dropped
}

// Assignment lists the assigned partitions with their positions.
func (f *Fetcher) Assignment() map[TopicPartition]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	positions := make(map[TopicPartition]int64, len(f.parts))
	for tp, p := range f.parts {
		positions[tp] = p.position
	}
	return positions
}

// Pause stops Poll from returning records of partitions, and fetching more of them. What is fetched
// already is kept.
func (f *Fetcher) Pause(tps ...TopicPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tp := range tps {
		if p := f.parts[tp]; p != nil && !p.paused {
			p.paused = true
			if got := f.dropReady(p); got != nil {
				p.held = got
			}
		}
	}
}

// Resume undoes Pause.
func (f *Fetcher) Resume(tps ...TopicPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tp := range tps {
		if p := f.parts[tp]; p != nil && p.paused {
			p.paused = false
			if p.held != nil {
				f.deliver(p, p.held)
				p.held = nil
			}
		}
	}
	f.wakeBrokers()
}

// Position is the offset after what Poll handed out, false for partitions that are not assigned or
// whose first position has not been looked up.
func (f *Fetcher) Position(tp TopicPartition) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.parts[tp]
	if p == nil || p.position < 0 {
		return 0, false
	}
	return p.position, true
}

// HighWatermark is the end of a partition as of the last answer, false before the first.
func (f *Fetcher) HighWatermark(tp TopicPartition) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.parts[tp]
	if p == nil || p.ends.highWatermark < 0 {
		return 0, false
	}
	return p.ends.highWatermark, true
}

// Problems says what keeps partitions from being read at present.
func (f *Fetcher) Problems() map[TopicPartition]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	problems := make(map[TopicPartition]error)
	for tp, p := range f.parts {
		if p.problem != nil {
			problems[tp] = p.problem
		}
	}
	return problems
}

// Poll returns everything that has come, at most one Fetched a partition, oldest first; it waits for the
// first. It returns ctx's error, and nothing else, when ctx ends before.
func (f *Fetcher) Poll(ctx context.Context) ([]Fetched, error) {
	for {
		if got := f.take(); len(got) > 0 {
			return got, nil
		}
		select {
		case <-f.news:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.run.Done():
			return nil, ErrClosed
		}
	}
}

func (f *Fetcher) take() []Fetched {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ready) == 0 {
		return nil
	}
	got := make([]Fetched, len(f.ready))
	for i, r := range f.ready {
		got[i] = *r
		f.readyOf[i].position = r.NextOffset
	}
	clear(f.ready)
	clear(f.readyOf)
	f.ready, f.readyOf = f.ready[:0], f.readyOf[:0]
	f.wakeBrokers()
	return got
}

// deliver hands something to Poll. The lock is held.
func (f *Fetcher) deliver(p *part, got *Fetched) {
	f.ready = append(f.ready, got)
	f.readyOf = append(f.readyOf, p)
	wake(f.news)
}

// Close ends all goroutines; Poll returns ErrClosed from then on.
func (f *Fetcher) Close() {
	f.cancel()
	f.wg.Wait()
}

// wake leaves a token for whoever waits.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *Fetcher) wakeBrokers() {
	for _, b := range f.brokers {
		wake(b.wake)
	}
}

// setProblem notes what keeps a partition from being read, and logs once for each change. What passes
// within a few tries, such as a leader that moves, is not worth a line. The lock is held.
func (f *Fetcher) setProblem(p *part, err error) {
	p.problem = err
	if err == nil {
		if p.logged != "" {
			f.logger.Info("partition can be read again", "topic", p.Topic, "partition", p.Partition, "cluster", f.client.Bootstrap())
		}
		p.failures, p.logged, p.told = 0, "", false
		return
	}
	p.failures++
	p.retryAt = time.Now().Add(f.cfg.Backoff(p.failures - 1))
	lasting := p.failures >= quietFailures || !IsRetriable(err)
	if text := err.Error(); lasting && p.logged != text {
		p.logged = text
		f.logger.Warn("partition cannot be read, trying on", "topic", p.Topic, "partition", p.Partition,
			"cluster", f.client.Bootstrap(), "reason", text)
	}
	if !p.told && !IsRetriable(err) {
		p.told = true
		f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: p.position, Err: err})
	}
}

// quietFailures is how often in a row something must fail to be logged.
const quietFailures = 4

// clientParts groups partitions by what is to be looked up for them.
type clientParts struct {
	leaderless []*part
	positions  map[int32]map[TopicPartition]int64 // by leader: what to ask ListOffsets
	wait       time.Duration
}

// resolve looks up leaders, and offsets for positions that are not numbers yet.
func (f *Fetcher) resolve() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for f.run.Err() == nil {
		todo := f.unresolved()
		if len(todo.leaderless) > 0 {
			f.findLeaders(todo.leaderless)
		}
		if len(todo.positions) > 0 {
			f.findOffsets(todo.positions)
		}
		if len(todo.leaderless)+len(todo.positions) > 0 {
			continue
		}
		timer.Reset(todo.wait)
		select {
		case <-f.resolver:
		case <-timer.C:
		case <-f.run.Done():
		}
	}
}

func (f *Fetcher) unresolved() clientParts {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	todo := clientParts{positions: make(map[int32]map[TopicPartition]int64), wait: time.Hour}
	for tp, p := range f.parts {
		if p.stopped || p.leader >= 0 && p.next >= 0 {
			continue
		}
		if due := p.retryAt.Sub(now); due > 0 {
			todo.wait = min(todo.wait, due)
			continue
		}
		if p.leader < 0 {
			todo.leaderless = append(todo.leaderless, p)
			continue
		}
		spec := p.next
		if spec == resetByDuration {
			spec = now.Add(-f.cfg.Consumer.OffsetReset.Duration).UnixMilli()
		}
		if todo.positions[p.leader] == nil {
			todo.positions[p.leader] = make(map[TopicPartition]int64)
		}
		todo.positions[p.leader][tp] = spec
	}
	return todo
}

// resetByDuration stands for the position of auto.offset.reset=by_duration.
const resetByDuration int64 = -3

func (f *Fetcher) findLeaders(parts []*part) {
	topics := make(map[TopicPartition]struct{}, len(parts))
	for _, p := range parts {
		topics[p.TopicPartition] = struct{}{}
	}
	ctx, cancel := context.WithTimeout(f.run, f.cfg.RequestTimeout)
	leaders, failed, err := f.client.leaders(ctx, topicsOf(topics), false)
	cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range parts {
		l, known := leaders[p.TopicPartition]
		switch {
		case f.parts[p.TopicPartition] != p:
		case err != nil:
			f.setProblem(p, err)
		case failed[p.Topic] != nil:
			f.setProblem(p, withOperation(failed[p.Topic], "read"))
		case !known:
			f.setProblem(p, fmt.Errorf("the topic %s has no partition %d: %w", p.Topic, p.Partition, ErrUnknownTopicOrPartition))
		case l.err != nil:
			f.setProblem(p, l.err)
		default:
			p.leader = l.leader
			f.broker(l.leader)
		}
	}
}

func (f *Fetcher) findOffsets(byLeader map[int32]map[TopicPartition]int64) {
	isolation := ReadUncommitted
	if f.cfg.Consumer.ReadCommitted {
		isolation = ReadCommitted
	}
	for leader, want := range byLeader {
		var got map[TopicPartition]outcome[int64]
		ctx, cancel := context.WithTimeout(f.run, f.cfg.RequestTimeout)
		err := f.client.onBroker(ctx, leader, askOffsetsOf(want, isolation, &got))
		if err == nil {
			ends := make(map[TopicPartition]int64)
			for tp, o := range got {
				if o.err == nil && o.value < 0 {
					ends[tp] = Latest // no record is that young
				}
			}
			if len(ends) > 0 {
				var latest map[TopicPartition]outcome[int64]
				if err = f.client.onBroker(ctx, leader, askOffsetsOf(ends, isolation, &latest)); err == nil {
					maps.Copy(got, latest)
				}
			}
		}
		cancel()
		f.setOffsets(want, got, err)
	}
}

func (f *Fetcher) setOffsets(want map[TopicPartition]int64, got map[TopicPartition]outcome[int64], err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tp := range want {
		p := f.parts[tp]
		if p == nil || p.next >= 0 {
			continue // assigned anew meanwhile
		}
		o, known := got[tp]
		switch {
		case err != nil:
			p.leader = -1
			f.setProblem(p, err)
		case !known:
			p.leader = -1
			f.setProblem(p, ErrUnknownTopicOrPartition)
		case o.err != nil:
			p.leader = -1
			f.setProblem(p, withOperation(o.err, "read"))
		default:
			p.next = o.value
			if p.position < 0 {
				p.position = o.value
			} else {
				f.logger.Warn("position is out of range and was reset as auto.offset.reset says",
					"topic", p.Topic, "partition", p.Partition, "from", p.from, "to", o.value,
					"auto.offset.reset", f.cfg.Consumer.OffsetReset.Strategy)
				f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: o.value, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1})
			}
			f.setProblem(p, nil)
			f.broker(p.leader)
		}
	}
}

// outOfRange decides what becomes of a partition whose position does not exist. The lock is held.
func (f *Fetcher) outOfRange(p *part) {
	switch f.cfg.Consumer.OffsetReset.Strategy {
	case "earliest":
		p.from, p.next = p.next, Earliest
	case "latest":
		p.from, p.next = p.next, Latest
	case "by_duration":
		p.from, p.next = p.next, resetByDuration
	default:
		p.stopped = true
		p.problem = &OffsetOutOfRangeError{p.TopicPartition, p.next}
		f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: p.next, Err: p.problem})
		return
	}
	wake(f.resolver)
}

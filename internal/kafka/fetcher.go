package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// notices are of single partitions.
	notices *Notices
	// pullers makes the puller for a broker.
	pullers func(node int32) Puller

	run    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	parts    map[TopicPartition]*part
	brokers  map[int32]*brokerFetcher
	outages  map[string]int // why brokers do not answer → partitions that cannot be read for it
	ready    []*Fetched     // in the order they came
	readyOf  []*part        // the partition of each
	news     chan struct{}  // holds a token when ready grew
	missing  chan struct{}  // holds a token when a broker did not know a topic or partition
	resolver chan struct{}  // wakes the goroutine that looks things up
}

// part is one assigned partition. A new assignment makes a new one, so late answers to an old one are
// known by it. The fetcher's lock guards it.
type part struct {
	TopicPartition
	next     int64 // to fetch next; Earliest, Latest or below while not looked up
	position int64 // after what Poll handed out
	leader   int32 // -1 while not known
	// follower is read from instead of the leader until followUntil, -1 for none (KIP-392).
	follower    int32
	followUntil time.Time
	refusal     error  // of a follower, until the partition is read
	resets      int    // of the position, until the partition is read
	round       uint64 // of the reader's last request that asked for it
	paused      bool
	held        *Fetched // fetched but paused
	stopped     bool     // out of range with auto.offset.reset=none
	from        int64    // the position that was out of range, while next is looked up anew

	retryAt  time.Time
	failures int
	problem  error
	logged   string // the problem that was logged
	shared   bool   // logged counts in the fetcher's outages
	told     bool   // an error was handed to Poll
	ends     partEnds
}

// node is the broker to read from, -1 while that is not known.
func (p *part) node() int32 {
	if p.follower >= 0 {
		return p.follower
	}
	return p.leader
}

// partEnds are the marks of the last answer.
type partEnds struct{ highWatermark, lastStable, logStart int64 }

// Fetched is what one fetch brought from one partition.
type Fetched struct {
	TopicPartition
	Records []Record // in offset order; without markers, aborted and compacted records
	// Batches stand for Records in a fetcher of whole batches. Each of them must be released.
	Batches []Batch
	// NextOffset is the position after this. It also moves past what Records leaves out, so it may be
	// beyond the last record, or have moved with no records at all, also back when the position was out
	// of range and reset. The three marks below are -1 then.
	NextOffset       int64
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	// Err is an *OffsetOutOfRangeError, after which the partition rests until it is added again, or an
	// *AuthorizationError or *DamagedBatchError, once; the fetcher goes on trying. Records is empty then.
	Err error
}

// Batch is a whole record batch on its way from one cluster to another, in format v2.
type Batch struct {
	// Data are the batch's bytes. Its records lie at consecutive offsets from its base; producer id,
	// sequence and transactional bit are the source's.
	Data []byte
	// First and Last are the source's offsets of the first and the last record. If they are further apart
	// than Records says, some were left out between them, and Offsets tells those that are there.
	First, Last int64
	Records     int32
	// Offsets are the source's offsets of the records, nil when they follow each other without a gap.
	Offsets []int64
	// MaxTimestamp is the latest of the records' timestamps in milliseconds, or NoTimestamp.
	MaxTimestamp int64
	// Release gives the bytes back. Data must not be touched after it.
	Release func()
	// Own, if set, may be called once before Release: it returns a copy of Data, which must not be touched any more and
	// then keeps nothing alive.
	Own func() []byte
}

// Release gives back the bytes of all batches.
func (f *Fetched) Release() {
	for _, b := range f.Batches {
		b.Release()
	}
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
	return NewFetcherOf(c, cfg, logger, func(node int32) Puller { return &recordPuller{client: c, cfg: cfg, node: node} })
}

// NewFetcherOf is NewFetcher with pullers of another kind, one for each broker by its id.
func NewFetcherOf(c *Client, cfg *Config, logger *slog.Logger, pullers func(node int32) Puller) *Fetcher {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.Background())
	f := &Fetcher{
		client: c, cfg: cfg, logger: logger, notices: NewNotices(logger, c.Bootstrap()), pullers: pullers, run: run, cancel: cancel,
		parts:    make(map[TopicPartition]*part),
		brokers:  make(map[int32]*brokerFetcher),
		outages:  make(map[string]int),
		news:     make(chan struct{}, 1),
		missing:  make(chan struct{}, 1),
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
		p := &part{TopicPartition: tp, next: offset, position: offset, leader: -1, follower: -1, ends: partEnds{-1, -1, -1}}
		if old := f.parts[tp]; old != nil {
			p.paused, p.leader, p.ends = old.paused, old.leader, old.ends
			f.remove(tp)
			f.hurry(p)
		}
		f.parts[tp] = p
	}
	wake(f.resolver)
	f.wakeBrokers()
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
	f.unlog(p)
	if got := f.dropReady(p); got != nil {
		got.Release()
	}
	if p.held != nil {
		p.held.Release()
	}
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
			f.hurry(p)
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
	f.Assign(nil)
	f.notices.Close()
	outages.leave(f.client.Bootstrap(), f)
}

// hurry ends the patience of a request that was made before a partition could be read from its broker.
func (f *Fetcher) hurry(p *part) {
	if b := f.brokers[p.node()]; b != nil && !p.paused && p.round != b.round {
		b.hurry()
	}
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
		f.logReadable(p)
		p.failures, p.told = 0, false
		return
	}
	if errors.Is(err, ErrUnknownTopicOrPartition) {
		wake(f.missing)
	}
	p.failures++
	pause := f.cfg.Backoff(p.failures - 1)
	if _, damaged := errors.AsType[*DamagedBatchError](err); damaged {
		pause = exponential(firstDamagedRetry, lastDamagedRetry, p.failures-1)
	}
	p.retryAt = time.Now().Add(pause)
	if f.run.Err() != nil && errors.Is(err, context.Canceled) {
		return // the fetcher itself is being closed
	}
	if p.failures >= quietFailures || !IsRetriable(err) {
		f.logProblem(p, err)
	}
	if !p.told && !IsRetriable(err) {
		p.told = true
		f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: p.position, Err: err})
	}
}

// What is damaged seldom mends itself: it is read again after firstDamagedRetry, then after twice that and so on up to
// lastDamagedRetry.
const (
	firstDamagedRetry = time.Second
	lastDamagedRetry  = 5 * time.Minute
)

// quietFailures is how often in a row something must fail to be logged.
const quietFailures = 4

// What is logged of single partitions.
var (
	unreadable = NoticeText{One: "partition cannot be read, trying on", Many: "partitions cannot be read, trying on", Names: 20}
	readable   = NoticeText{One: "partition can be read again", Many: "partitions can be read again"}
)

// logProblem writes one line for a partition, or one for all partitions that cannot be read for the same reason when
// that is no broker's answer: a cluster that is away is one event, however many partitions it has.
func (f *Fetcher) logProblem(p *part, err error) {
	text := err.Error()
	if p.logged == text {
		return
	}
	f.unlog(p)
	p.logged = text
	_, answered := errors.AsType[*ServerError](err)
	if _, damaged := errors.AsType[*DamagedBatchError](err); answered || damaged {
		f.notices.Say(slog.LevelWarn, unreadable, p.TopicPartition, text)
		return
	}
	p.shared = true
	f.outages[text]++
	if f.outages[text] == 1 {
		f.logger.Log(f.run, outages.enter(f.client.Bootstrap(), f), "Kafka cluster cannot be read, trying on", "cluster", f.client.Bootstrap(), "reason", text)
	}
}

// logReadable takes back what logProblem said.
func (f *Fetcher) logReadable(p *part) {
	logged, shared := p.logged, p.shared
	f.unlog(p)
	switch {
	case logged == "":
	case !shared:
		f.notices.Say(slog.LevelInfo, readable, p.TopicPartition, "")
	case len(f.outages) == 0:
		f.logger.Log(f.run, outages.leave(f.client.Bootstrap(), f), "Kafka cluster can be read again", "cluster", f.client.Bootstrap())
	}
}

// unlog forgets what was logged about a partition.
func (f *Fetcher) unlog(p *part) {
	if p.shared {
		if f.outages[p.logged]--; f.outages[p.logged] == 0 {
			delete(f.outages, p.logged)
		}
	}
	p.logged, p.shared = "", false
}

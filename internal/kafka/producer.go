package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Producer sends records in batches, in order within each partition, and says for each what became of
// it. It is built on sarama's Broker and record batches but not on its AsyncProducer, which hands
// every record through half a dozen channels, fails batches that a broker wants smaller, and gives
// a record up when no leader can be found for a moment.
//
// Order: a partition has one batch in flight at a time, whatever
// max.in.flight.requests.per.connection says; that key bounds the requests to one broker. Retries
// therefore never reorder, with or without idempotence.
//
// Batches grow while the one before them is in flight, up to a limit of a megabyte (or
// max.request.size if that is less); batch.size is what a batch must hold to be sent before
// linger.ms is over. A batch that the broker finds too large is split and sent again.
//
// Goroutines: one sender for each broker that leads partitions, one keeper (metadata, retries,
// time-outs) and one that runs the done functions. NewProducer starts the last two; Close ends and
// awaits all. Methods may be called from any goroutine.
type Producer struct {
	client *Client
	cfg    *Config
	logger *slog.Logger
	// notices are of single partitions.
	notices *Notices
	codec   sarama.CompressionCodec
	level   int

	run    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	queues   map[TopicPartition]*queue
	topics   map[string]*topicState
	senders  map[int32]*sender
	parked   map[*queue]struct{}
	buffered int64
	room     chan struct{} // closed when memory is given back; nil while nobody waits
	waiting  int           // Sends that wait for memory
	hurry    int           // flushes in progress: linger does not count
	closed   bool
	fatal    error // every further Send fails with it
	txn      TransactionState

	identityMu sync.Mutex // serialises requests for a producer id
	identity   identity   // guarded by mu

	keeperWake chan struct{}
	reports    reportQueue
}

// identity is a producer id with its epoch; id -1 is none.
type identity struct {
	id    int64
	epoch int16
}

var noIdentity = identity{-1, -1}

// topicState is what placing records needs to know of a topic.
type topicState struct {
	partitions int32
	place      *javaPartitioner
}

const (
	// batchLimit bounds a batch before compression. Larger ones save next to nothing and exceed the
	// default of max.message.bytes.
	batchLimit = 1 << 20
	// requestLimit bounds the batches in one request, well below socket.request.max.bytes.
	requestLimit = 16 << 20
	// batchOverhead is what a batch costs besides its records.
	batchOverhead = 61
	// recordOverhead is the most that a record costs besides key, value and headers.
	recordOverhead = 36
	// headerOverhead is the most that a header costs besides its key and value.
	headerOverhead = 10
	// maxTimestamp is the last millisecond that sarama can write without overflow, in the year 2262.
	maxTimestamp = math.MaxInt64 / int64(time.Millisecond)
)

// NewProducer returns a producer that finds its brokers by the client and connects with cfg, which
// must be of RoleProducer. It does not touch the network. A producer with a transactional.id must call
// InitTransactions first.
func NewProducer(c *Client, cfg *Config, logger *slog.Logger) (*Producer, error) {
	if cfg.Role != RoleProducer {
		return nil, fmt.Errorf("a producer needs a producer's configuration, not a %v's", cfg.Role)
	}
	conf, err := cfg.sarama()
	if err != nil {
		return nil, fmt.Errorf("configuring a producer: %w", err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.Background())
	p := &Producer{
		client:     c,
		cfg:        cfg,
		logger:     logger,
		notices:    NewNotices(logger, c.Bootstrap()),
		codec:      conf.Producer.Compression,
		level:      conf.Producer.CompressionLevel,
		run:        run,
		cancel:     cancel,
		queues:     make(map[TopicPartition]*queue),
		topics:     make(map[string]*topicState),
		senders:    make(map[int32]*sender),
		parked:     make(map[*queue]struct{}),
		identity:   noIdentity,
		keeperWake: make(chan struct{}, 1),
		reports:    reportQueue{wake: make(chan struct{}, 1)},
	}
	p.wg.Go(p.keep)
	p.wg.Go(p.report)
	return p, nil
}

// Send queues one record. It blocks while buffer.memory is full or the partition count of the topic
// is not known, for max.block.ms at most. When it returns nil, done runs exactly once, on the
// producer's goroutine, in order within a partition; it must not block for long and must not call
// Flush, Close, Commit or Abort. When it returns an error, done never runs.
//
// The record and its bytes belong to the producer until done runs, which reads them when it sends; also what SendSync has given
// up waiting for. done may be nil: the record is the producer's for good then.
func (p *Producer) Send(ctx context.Context, rec *Record, done func(Metadata, error)) error {
	timestamp := rec.Timestamp
	switch {
	case rec.Batch != nil:
		return fmt.Errorf("a whole batch for %s cannot be written by a producer of records", rec.Topic)
	case timestamp == NoTimestamp:
		timestamp = time.Now().UnixMilli()
	case timestamp < 0 || timestamp > maxTimestamp:
		return fmt.Errorf("the timestamp %d of a record for %s cannot be written; it must be between 0 and %d", timestamp, rec.Topic, int64(maxTimestamp))
	}
	size := recordSize(rec)
	if limit := p.cfg.Producer.MaxRequestBytes; size+batchOverhead > limit {
		return &RecordTooLargeError{TopicPartition{rec.Topic, rec.Partition}, size + batchOverhead, limit}
	}
	if rec.Partition == AnyPartition {
		if err := p.awaitTopic(ctx, rec.Topic); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitRoom(ctx, int64(size)); err != nil {
		return err
	}
	if err := p.usable(); err != nil {
		return err
	}
	tp := TopicPartition{rec.Topic, rec.Partition}
	if tp.Partition == AnyPartition {
		var err error
		if tp.Partition, err = p.place(rec); err != nil {
			return err
		}
	}
	q := p.queues[tp]
	if q == nil {
		q = &queue{TopicPartition: tp, leader: -1, identity: noIdentity}
		p.queues[tp] = q
	}
	p.buffered += int64(size)
	b := q.open(p.batchMax(), size)
	b.add(rec, timestamp, size, done)
	p.schedule(q, b)
	return nil
}

// usable says why nothing may be sent now. The lock is held.
func (p *Producer) usable() error {
	switch {
	case p.closed:
		return ErrClosed
	case p.fatal != nil:
		return p.fatal
	case p.cfg.Producer.TransactionalID != "":
		return p.txn.Sendable()
	}
	return nil
}

// schedule makes sure that somebody looks after a queue that got a record in b. The lock is held.
func (p *Producer) schedule(q *queue, b *batch) {
	switch q.state {
	case idle:
		if q.leader < 0 {
			p.park(q, time.Time{})
			return
		}
		p.sender(q.leader).add(q)
	case pending:
		if b.size >= p.cfg.Producer.BatchBytes && !b.full {
			b.full = true
			p.sender(q.leader).signal()
		}
	case inFlight, parked: // its end schedules the queue
	}
}

func (p *Producer) batchMax() int { return min(batchLimit, p.cfg.Producer.MaxRequestBytes) }

func recordSize(rec *Record) int {
	n := recordOverhead + len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		n += headerOverhead + len(rec.Headers[i].Key) + len(rec.Headers[i].Value)
	}
	return n
}

// awaitRoom waits until size bytes fit into buffer.memory. The lock is held, and given up to wait. A
// record larger than all of the memory gets in when nothing else is there.
func (p *Producer) awaitRoom(ctx context.Context, size int64) error {
	if p.buffered == 0 || p.buffered+size <= p.cfg.Producer.BufferBytes {
		return nil
	}
	p.waiting++
	defer func() { p.waiting-- }()
	for _, s := range p.senders {
		s.signal() // what lingers may go now
	}
	limit := time.NewTimer(p.cfg.Producer.MaxBlock)
	defer limit.Stop()
	for p.buffered > 0 && p.buffered+size > p.cfg.Producer.BufferBytes && !p.closed && p.fatal == nil {
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		p.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-ctx.Done():
			err = ctx.Err()
		case <-limit.C:
			err = &TimeoutError{What: "waiting for room in buffer.memory", After: p.cfg.Producer.MaxBlock, Key: "max.block.ms"}
		}
		p.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// freed gives memory back. The lock is held.
func (p *Producer) freed(n int) {
	p.buffered -= int64(n)
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// awaitTopic makes sure that the partition count of a topic is known.
func (p *Producer) awaitTopic(ctx context.Context, topic string) error {
	p.mu.Lock()
	_, known := p.topics[topic]
	err := p.usable()
	p.mu.Unlock()
	if known || err != nil {
		return err
	}
	deadline := time.Now().Add(p.cfg.Producer.MaxBlock)
	for attempt := 0; ; attempt++ {
		leaders, failed, err := p.client.leaders(ctx, []string{topic}, OpWrite, !p.cfg.Producer.ExistingTopicsOnly)
		if err == nil {
			err = failed[topic]
		}
		if err == nil {
			p.mu.Lock()
			p.learn(leaders)
			_, known = p.topics[topic]
			p.mu.Unlock()
			if known {
				return nil
			}
			err = ErrUnknownTopicOrPartition
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !IsRetriable(err) {
			return fmt.Errorf("asking for the partitions of the topic %s: %w", topic, err)
		}
		pause := p.cfg.Backoff(attempt)
		if time.Now().Add(pause).After(deadline) {
			return &TimeoutError{What: "asking for the partitions of the topic " + topic, After: p.cfg.Producer.MaxBlock, Key: "max.block.ms", Err: err}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// learn takes over leaders and partition counts. The lock is held.
func (p *Producer) learn(leaders map[TopicPartition]partitionLeader) {
	counts := make(map[string]int32)
	for tp, l := range leaders {
		counts[tp.Topic]++
		if q := p.queues[tp]; q != nil && (q.state == idle || q.state == parked) {
			q.leader = l.leader
		}
	}
	for topic, n := range counts {
		t := p.topics[topic]
		if t == nil {
			t = &topicState{place: newJavaPartitioner(topic, p.cfg.Producer.BatchBytes)}
			p.topics[topic] = t
		}
		t.partitions = n
	}
}

// place picks a partition as Java does. The lock is held.
func (p *Producer) place(rec *Record) (int32, error) {
	t := p.topics[rec.Topic]
	if rec.Key == nil {
		return t.place.unkeyed(len(rec.Value), t.partitions), nil
	}
	m := &sarama.ProducerMessage{Topic: rec.Topic, Partition: AnyPartition, Key: sarama.ByteEncoder(rec.Key)}
	partition, err := t.place.Partition(m, t.partitions)
	if err != nil {
		return 0, fmt.Errorf("choosing a partition of %s: %w", rec.Topic, err)
	}
	return partition, nil
}

// SendSync sends records without lingering and waits until all are stored. The error is the first
// one; records before and after it may have been stored.
func (p *Producer) SendSync(ctx context.Context, recs ...*Record) error {
	results := make(chan error, len(recs))
	p.setHurry(1)
	defer p.setHurry(-1)
	for i, rec := range recs {
		if err := p.Send(ctx, rec, func(_ Metadata, err error) { results <- err }); err != nil {
			return errors.Join(err, firstOf(ctx, results, i))
		}
	}
	return firstOf(ctx, results, len(recs))
}

func firstOf(ctx context.Context, results <-chan error, n int) error {
	var first error
	for range n {
		select {
		case err := <-results:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return first
}

func (p *Producer) setHurry(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hurry += n
	for _, s := range p.senders {
		s.signal()
	}
}

// Flush waits until the done functions of all records sent before it have run. It returns ctx's error
// if that takes too long, and no error for records that failed: their done functions tell.
func (p *Producer) Flush(ctx context.Context) error {
	p.setHurry(1)
	defer p.setHurry(-1)
	w := &flushWait{done: make(chan struct{})}
	p.mu.Lock()
	for _, q := range p.queues {
		for _, b := range q.all() {
			b.closed = true
			b.waiters = append(b.waiters, w)
			w.left++
		}
	}
	none, pushed := w.left == 0, p.reports.mark()
	p.mu.Unlock()
	if !none {
		select {
		case <-w.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// Partitions are released before done functions run; those of earlier batches may be at it.
	return p.reports.handled(ctx, pushed)
}

// Close stops taking records, flushes as long as ctx allows, fails what is left with ErrClosed, and
// ends the goroutines. It returns ctx's error when records were left.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.freed(0)
	p.mu.Unlock()
	err := p.Flush(ctx)
	p.cancel()
	p.mu.Lock()
	for _, s := range p.senders {
		s.cut()
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.notices.Close()
	return err
}

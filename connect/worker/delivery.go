package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

// sendRetryPause is how long a sender waits after a refusal that may pass.
const sendRetryPause = 100 * time.Millisecond

// delivery hands a task's records to its producer and sees that each is
// acknowledged, whatever becomes of producers on the way.
//
// When a record fails and may succeed later, sending stops, everything in flight is
// awaited, the producer is replaced, and all that was not acknowledged is sent again
// in its original order. A record that was acknowledged after an earlier one of its
// target partition had failed counts as not acknowledged: it is sent again behind
// that one, so the partition's order holds (with a duplicate).
//
// One goroutine, run, owns opening and replacing the producer; the lane's goroutine
// calls send; the producer's goroutines call complete.
type delivery struct {
	spec   ProducerSpec
	open   ProducerFactory
	commit connect.RecordCommitter // nil if the task does not want to know
	// judge decides about records that cannot be written; nil leaves it to tolerance.
	judge     connect.RecordFailureHandler
	tolerance *tolerance
	metrics   *taskMetrics
	logger    *slog.Logger
	// topics hears of each topic once.
	topics *usedTopics
	// fail is called with the first failure that nothing here can mend.
	fail func(error)

	// sendMu is held while a record is handed to the producer, so that nobody
	// replaces the producer under a sender.
	sendMu   sync.Mutex
	producer Producer      // guarded by sendMu; nil while it is being opened or replaced
	ready    chan struct{} // guarded by sendMu; closed once producer is set

	// failing is set from a retriable failure until everything is sent again. It is
	// read without a lock: failures and acknowledgements of one target partition come
	// in order, so an acknowledgement behind a failure sees it set.
	failing atomic.Bool
	// trouble wakes run after a retriable failure.
	trouble chan struct{}
	redo    reopening // run's own

	// sealMu is held for reading while an acknowledgement is worked on.
	sealMu sync.RWMutex
	sealed bool

	mu       sync.Mutex
	tracker  tracker
	inFlight int                               // accepted by the producer, not resolved
	failed   map[kafka.TopicPartition]struct{} // target partitions with a failure since failing was set
	reason   error                             // the first of those failures
	closing  bool                              // the producer is being closed over records in flight
	dead     bool                              // fail was called
	waiters  map[chan struct{}]waitFor         // see await
	acks     uint64
	// rewound holds the instance of each source partition that was rewound last, by key:
	// its records are dropped.
	rewound map[string]*connect.SourcePartition
}

// waitFor says what a waiter waits for.
type waitFor int

const (
	resolved     waitFor = iota // nothing is in flight
	acknowledged                // nothing is unacknowledged, or nothing more will be
)

func newDelivery(spec ProducerSpec, open ProducerFactory) *delivery {
	return &delivery{
		spec: spec, open: open,
		ready:   make(chan struct{}),
		trouble: make(chan struct{}, 1),
		redo:    reopening{pause: firstReopenPause, ended: make(chan struct{})},
		tracker: newTracker(),
		failed:  map[kafka.TopicPartition]struct{}{},
		rewound: map[string]*connect.SourcePartition{},
		waiters: map[chan struct{}]waitFor{},
	}
}

// take fills free with blank entries for send or release.
func (d *delivery) take(free []*entry, n int) []*entry {
	d.mu.Lock()
	for range n {
		free = append(free, d.tracker.take())
	}
	d.mu.Unlock()
	for _, e := range free {
		if e.done == nil {
			e.done = func(md kafka.Metadata, err error) { d.complete(e, md, err) }
			e.stale = func() bool { return d.isDropped(e) }
		}
	}
	return free
}

// release gives back entries that were taken and not sent.
func (d *delivery) release(entries ...*entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range entries {
		d.tracker.release(e)
	}
}

// send submits e, whose record and out are set, and hands it to the producer. It
// waits for the producer and for room in its buffer until ctx ends. On an error e is
// withdrawn: it was not sent.
func (d *delivery) send(ctx context.Context, e *entry) error {
	if err := d.lockProducer(ctx); err != nil {
		d.release(e)
		return err
	}
	defer d.sendMu.Unlock()
	d.mu.Lock()
	if d.isRewoundLocked(e.record) {
		d.discardLocked(e)
		d.mu.Unlock()
		return nil
	}
	d.tracker.submit(e)
	d.inFlight++
	d.mu.Unlock()
	e.out.Stale = e.stale
	for {
		err := d.producer.Send(ctx, &e.out, e.done)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && isRetriable(err) && sleep(ctx, sendRetryPause) {
			continue
		}
		out := e.out
		if ctx.Err() == nil && d.judged(e, err) {
			return nil
		}
		d.mu.Lock()
		d.tracker.withdraw(e)
		d.resolveLocked()
		d.mu.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("Unrecoverable exception trying to send a record to topic %s: %w", out.Topic, err)
	}
}

// place submits e, whose record is a position without anything to write, behind all
// that was submitted before.
func (d *delivery) place(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isRewoundLocked(e.record) {
		d.tracker.release(e)
		return
	}
	d.tracker.submit(e)
	d.tracker.ack(e)
	d.wakeLocked()
}

// lockProducer locks sendMu once there is a producer.
func (d *delivery) lockProducer(ctx context.Context) error {
	d.sendMu.Lock()
	for d.producer == nil {
		ready := d.ready
		d.sendMu.Unlock()
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		d.sendMu.Lock()
	}
	return nil
}

// complete is called by the producer for every record that it accepted.
func (d *delivery) complete(e *entry, md kafka.Metadata, err error) {
	if e.dropped {
		d.forget(e)
		return
	}
	if err != nil {
		d.completeFailed(e, md, err)
		return
	}
	if d.failing.Load() {
		d.mu.Lock()
		again := d.hasFailedLocked(md.Topic, md.Partition)
		if again {
			d.resolveLocked()
		}
		d.mu.Unlock()
		if again {
			return
		}
	}
	d.acknowledge(e, &md)
}

// acknowledge tells the task and the tracker that e is done with; md is nil when it
// is not in Kafka.
func (d *delivery) acknowledge(e *entry, md *kafka.Metadata) {
	d.sealMu.RLock()
	defer d.sealMu.RUnlock()
	if d.sealed {
		d.resolve()
		return
	}
	if d.commit != nil {
		d.commitRecord(e.record, md)
	}
	record := e.record
	letGo(record)
	d.mu.Lock()
	d.tracker.ack(e)
	d.acks++
	newTopic := md != nil && d.topics.first(md.Topic)
	left := d.tracker.unacked
	d.resolveLocked()
	d.mu.Unlock()
	if md != nil {
		d.metrics.written.Add(float64(countOf(record)))
	}
	if left == 0 { // the lane may not come by for long
		d.metrics.active.Set(0)
	}
	if newTopic {
		d.topics.tell(md.Topic)
	}
}

// commitRecord calls the task. A panic there fails the task, not the worker.
func (d *delivery) commitRecord(record *connect.SourceRecord, md *kafka.Metadata) {
	defer recoverTo(func(err error) { d.die(fmt.Errorf("CommitRecord: %w", err)) })
	if md == nil {
		d.commit.CommitRecord(record, nil)
		return
	}
	d.commit.CommitRecord(record, &connect.RecordMetadata{Topic: md.Topic, Partition: md.Partition, Offset: md.Offset, First: md.First, Timestamp: md.Timestamp})
}

// completeFailed decides what becomes of a record that the producer gave up.
func (d *delivery) completeFailed(e *entry, md kafka.Metadata, err error) {
	if d.isSealed() {
		d.resolve()
		return
	}
	at := targetOf(e, md)
	if isOfPartition(err) && !d.failing.Load() && d.judged(e, err) {
		return
	}
	d.mu.Lock()
	if d.closing || isRetriable(err) || d.failing.Load() && d.hasFailedLocked(at.Topic, at.Partition) {
		if len(d.failed) == 0 {
			d.reason = err
		}
		d.failed[at] = struct{}{}
		d.failing.Store(true)
		d.resolveLocked()
		d.mu.Unlock()
		select {
		case d.trouble <- struct{}{}:
		default:
		}
		return
	}
	d.mu.Unlock()
	if d.judged(e, err) {
		return
	}
	if d.tolerance.skip {
		// Only tells and counts: with skip set the answer is known.
		_, _ = d.tolerance.failed(failurePoint{stage: stageKafkaProduce, class: producerClass, record: e.record}, err)
		d.acknowledge(e, nil)
		return
	}
	d.die(fmt.Errorf("Unrecoverable exception from producer send callback: %s: %w", describe(e, at), err))
	d.resolve()
}

// isOfPartition says that a record was not taken in time because of what brokers say of its partition, such as that it
// has no leader: others may well be written to. When no broker answers it is not.
func isOfPartition(err error) bool {
	late, ok := errors.AsType[*kafka.TimeoutError](err)
	if !ok {
		return false
	}
	_, answered := errors.AsType[*kafka.ServerError](late.Err)
	return answered
}

// producerClass is what Java names as the place of a failed send.
const producerClass = "org.apache.kafka.connect.runtime.WorkerSourceTask"

// targetOf is the partition that a failed record was bound for, with AnyPartition
// when only the topic is known.
func targetOf(e *entry, md kafka.Metadata) kafka.TopicPartition {
	at := kafka.TopicPartition{Topic: e.out.Topic, Partition: e.out.Partition}
	if at.Partition == kafka.AnyPartition && md.Topic != "" {
		at.Partition = md.Partition
	}
	return at
}

// describe names a record by where it was bound for and where it comes from, without
// its contents.
func describe(e *entry, at kafka.TopicPartition) string {
	out := fmt.Sprintf("record for topic-partition %s-%d", at.Topic, at.Partition)
	if at.Partition == kafka.AnyPartition {
		out = "record for topic " + at.Topic
	}
	if p := e.record.SourcePartition; p != nil {
		out += ", source partition " + p.Key()
	}
	if o := e.record.SourceOffset; o != nil {
		out += fmt.Sprintf(", source offset %v", o.OffsetFields())
	}
	return out
}

func (d *delivery) hasFailedLocked(topic string, partition int32) bool {
	if _, ok := d.failed[kafka.TopicPartition{Topic: topic, Partition: partition}]; ok {
		return true
	}
	_, ok := d.failed[kafka.TopicPartition{Topic: topic, Partition: kafka.AnyPartition}]
	return ok
}

// die fails the task.
func (d *delivery) die(err error) {
	d.fail(err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	d.wakeLocked()
}

// seal ends acknowledgements: whatever the producer reports from now on is neither
// told to the task nor counted, so that a commit after it covers all that was.
func (d *delivery) seal() {
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	d.sealed = true
}

func (d *delivery) isSealed() bool {
	d.sealMu.RLock()
	defer d.sealMu.RUnlock()
	return d.sealed
}

// committable is tracker.committable.
func (d *delivery) committable() []position {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tracker.committable()
}

// unacked returns how many records await acknowledgement.
func (d *delivery) unacked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tracker.unacked
}

// unwritable implements outlet.
func (d *delivery) unwritable() map[kafka.TopicPartition]error {
	if !d.sendMu.TryLock() {
		return nil // the producer is being replaced
	}
	defer d.sendMu.Unlock()
	if d.producer == nil {
		return nil
	}
	return d.producer.Unwritable()
}

func (d *delivery) resolve() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resolveLocked()
}

func (d *delivery) resolveLocked() {
	d.inFlight--
	d.wakeLocked()
}

func (d *delivery) wakeLocked() {
	for ch, what := range d.waiters {
		if d.holdsLocked(what) {
			close(ch)
			delete(d.waiters, ch)
		}
	}
}

func (d *delivery) holdsLocked(what waitFor) bool {
	if what == resolved {
		return d.inFlight == 0
	}
	return d.tracker.unacked == 0 || d.dead && d.inFlight == 0
}

// await waits for what until ctx ends.
func (d *delivery) await(ctx context.Context, what waitFor) error {
	d.mu.Lock()
	if d.holdsLocked(what) {
		d.mu.Unlock()
		return nil
	}
	ch := make(chan struct{})
	d.waiters[ch] = what
	d.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.waiters, ch)
		d.mu.Unlock()
		return context.Cause(ctx)
	}
}

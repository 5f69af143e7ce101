package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// ExactlyOnce is what a source task with exactly-once support (KIP-618) needs of the
// herder. Both functions may wait as long as ctx lasts; their errors fail the task.
type ExactlyOnce struct {
	// Fence is called before the task's producer is initialised: it ends the producers of
	// earlier divisions of the connector's work.
	Fence func(ctx context.Context) error
	// Confirm is called when the producer is initialised, and so has fenced others: it
	// fails when the task has been replaced or taken away meanwhile.
	Confirm func(ctx context.Context) error
}

// TransactionalProducer is a Producer of which all records are in transactions.
// *kafka.Producer with a transactional.id is one.
type TransactionalProducer interface {
	Producer
	InitTransactions(ctx context.Context) error
	Begin() error
	Commit(ctx context.Context) error
	Abort(ctx context.Context) error
}

var _ TransactionalProducer = (*kafka.Producer)(nil)

// TransactionalID is the transactional id of a task's producer, as in Java.
func TransactionalID(group string, task connect.TaskID) string {
	return fmt.Sprintf("%s-%s-%d", group, task.Connector, task.Task)
}

// recordTransactor is the Transactor over a producer of single records.
type recordTransactor struct{ TransactionalProducer }

// SendOffsets implements Transactor.
func (t recordTransactor) SendOffsets(ctx context.Context, topic string, records []storage.OffsetRecord) error {
	for _, r := range records {
		out := &kafka.Record{Topic: topic, Partition: kafka.AnyPartition, Timestamp: kafka.NoTimestamp, Key: r.Key, Value: r.Value}
		for {
			err := t.Send(ctx, out, nil)
			if err == nil {
				break
			}
			if !isRetriable(err) || !sleep(ctx, sendRetryPause) {
				return fmt.Errorf("offsets for the topic %s: %w", topic, err)
			}
		}
	}
	return nil
}

// exactlyOnce is the outlet of a task whose records and offsets are written in
// transactions, by the task's own producer. A record that cannot be written fails the
// task, whatever errors.tolerance says: its offset would be committed without it.
type exactlyOnce struct {
	transactions
	spec      ProducerSpec
	factory   ProducerFactory
	herder    ExactlyOnce
	commitRec connect.RecordCommitter // nil if the task does not want to know
	fail      func(error)
	topics    *usedTopics
	idle      time.Duration // the longest Poll outside of a transaction

	sender    TransactionalProducer // nil until open
	closeOnce func(ctx context.Context) error
	uncut     func() bool // ends the watch for the task's being cut off

	mu sync.Mutex
	// ledger holds, in order, what Poll returned since the last commit.
	ledger   []outcome
	free     []*entry
	inFlight int
}

// outcome is what became of a record.
type outcome struct {
	record *connect.SourceRecord
	md     kafka.Metadata
	stored bool
}

func newExactlyOnce(spec ProducerSpec, factory ProducerFactory, herder ExactlyOnce, b boundary) *exactlyOnce {
	x := &exactlyOnce{spec: spec, factory: factory, herder: herder}
	x.id, x.boundary, x.offsets, x.told = spec.Task, b, map[string]position{}, x.tell
	return x
}

// open fences, initialises the producer and makes sure that the task is still this
// worker's.
func (x *exactlyOnce) open(ctx, hard context.Context) error {
	x.hard = hard
	if err := x.herder.Fence(ctx); err != nil {
		return fmt.Errorf("Failed to perform round of zombie fencing: %w", err)
	}
	for pause := firstReopenPause; ; pause = min(2*pause, maxReopenPause) {
		err := x.openProducer(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !isRetriable(err) {
			return fmt.Errorf("the transactional producer cannot be made: %w", err)
		}
		x.logger.Warn("The transactional producer cannot be made yet; it is tried again", "error", err, "pause", pause)
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
	if err := x.herder.Confirm(ctx); err != nil {
		return err
	}
	x.boundary.begin(time.Now())
	x.logger.Info("The task writes records and offsets in transactions", "transactional_id", x.spec.TransactionalID)
	return nil
}

func (x *exactlyOnce) openProducer(ctx context.Context) error {
	p, err := x.factory(ctx, x.spec)
	if err != nil {
		return err
	}
	sender, ok := p.(TransactionalProducer)
	if !ok {
		return fmt.Errorf("a %T knows no transactions", p)
	}
	if err := sender.InitTransactions(ctx); err != nil {
		closed, cancel := context.WithCancel(ctx)
		cancel()
		// There is nothing that could be lost.
		_ = sender.Close(closed)
		return err
	}
	x.sender, x.producer = sender, recordTransactor{sender}
	// The task's goroutine may be stuck in the plugin when the task is cut off, and its
	// records must not be written then.
	var once sync.Once
	x.closeOnce = func(ctx context.Context) (err error) {
		once.Do(func() { err = sender.Close(ctx) })
		return err
	}
	x.uncut = context.AfterFunc(x.hard, func() {
		if err := x.closeOnce(x.hard); err != nil {
			x.logger.Debug("Closing the producer of a task that was cut off failed", "error", err)
		}
	})
	return nil
}

// unwritable implements outlet.
func (x *exactlyOnce) unwritable() map[kafka.TopicPartition]error {
	if x.sender == nil {
		return nil
	}
	return x.sender.Unwritable()
}

func (x *exactlyOnce) take(free []*entry, n int) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	for range n {
		if last := len(x.free) - 1; last >= 0 {
			free = append(free, x.free[last])
			x.free[last] = nil
			x.free = x.free[:last]
			continue
		}
		e := &entry{}
		e.done = func(md kafka.Metadata, err error) { x.resolve(e, md, err) }
		free = append(free, e)
	}
	return free
}

func (x *exactlyOnce) release(entries ...*entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		e.reset()
		x.free = append(x.free, e)
	}
}

// send implements outlet. The context is the task's; what it commits outlasts a stop.
func (x *exactlyOnce) send(ctx context.Context, e *entry) error {
	record, topic, bytes := e.record, e.out.Topic, int64(len(e.out.Key)+len(e.out.Value))
	if record.Batch != nil {
		bytes = int64(len(record.Batch.Data))
	}
	if topic == x.store.Topic() {
		x.release(e)
		return errors.New("Source tasks may not produce to their own offsets topics when exactly-once support is enabled")
	}
	if err := x.begin(); err != nil {
		x.release(e)
		return err
	}
	x.mu.Lock()
	e.seq = uint64(len(x.ledger))
	x.ledger = append(x.ledger, outcome{record: record})
	x.inFlight++
	x.mu.Unlock()
	for {
		err := x.sender.Send(ctx, &e.out, e.done)
		if err == nil {
			break
		}
		if ctx.Err() == nil && isRetriable(err) && sleep(ctx, sendRetryPause) {
			continue
		}
		x.mu.Lock()
		x.ledger = x.ledger[:len(x.ledger)-1]
		x.inFlight--
		x.mu.Unlock()
		x.release(e)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return x.explain("Unrecoverable exception trying to send a record to topic "+topic, err)
	}
	x.sent(position{record.SourcePartition, record.SourceOffset}, countOf(record), bytes)
	return x.afterRecord(record)
}

// resolve is called by the producer for every record that it accepted. A failure is the
// transaction's: its commit will tell.
func (x *exactlyOnce) resolve(e *entry, md kafka.Metadata, err error) {
	record, newTopic := e.record, false
	letGo(record)
	x.mu.Lock()
	x.inFlight--
	if err == nil {
		o := &x.ledger[e.seq]
		o.md, o.stored = md, true
		newTopic = x.topics.first(md.Topic)
	}
	e.reset()
	x.free = append(x.free, e)
	left := x.inFlight
	x.mu.Unlock()
	if err == nil {
		x.metrics.written.Add(float64(countOf(record)))
	}
	if left == 0 {
		x.metrics.active.Set(0)
	}
	if newTopic {
		x.topics.tell(md.Topic)
	}
}

func (x *exactlyOnce) skip(record *connect.SourceRecord) error {
	x.mu.Lock()
	x.ledger = append(x.ledger, outcome{record: record})
	x.mu.Unlock()
	return x.afterRecord(record)
}

// place implements outlet: the position is committed with the records before it.
func (x *exactlyOnce) place(e *entry) {
	at := position{e.record.SourcePartition, e.record.SourceOffset}
	x.release(e)
	if at.partition != nil {
		x.offsets[at.partition.Key()] = at
	}
}

// requestCommit implements outlet: where transactions end is the boundary's to say.
func (x *exactlyOnce) requestCommit() {}

// tell tells the task what became of its records. Nothing is in flight then: commits and
// aborts wait for that.
func (x *exactlyOnce) tell(aborted bool) {
	x.mu.Lock()
	ledger := x.ledger
	x.ledger = x.ledger[len(x.ledger):]
	x.mu.Unlock()
	if x.commitRec != nil {
		for i := range ledger {
			x.commitRecord(&ledger[i], aborted)
		}
	}
	clear(ledger)
	x.mu.Lock()
	x.ledger = ledger[:0]
	x.mu.Unlock()
}

// commitRecord calls the task. A panic there fails the task, not the worker.
func (x *exactlyOnce) commitRecord(o *outcome, aborted bool) {
	defer recoverTo(func(err error) { x.fail(fmt.Errorf("CommitRecord: %w", err)) })
	if aborted || !o.stored {
		x.commitRec.CommitRecord(o.record, nil)
		return
	}
	x.commitRec.CommitRecord(o.record, &connect.RecordMetadata{Topic: o.md.Topic, Partition: o.md.Partition, Offset: o.md.Offset, First: o.md.First, Timestamp: o.md.Timestamp})
}

func (x *exactlyOnce) polled() error { return x.afterBatch() }

// pollLimit lets a transaction end in time though the source has nothing more, and the
// task hear of commits where there is nothing to commit.
func (x *exactlyOnce) pollLimit() time.Duration {
	if left, matters := x.boundary.within(time.Now()); matters && x.begun {
		return max(left, time.Millisecond)
	}
	return x.idle
}

func (x *exactlyOnce) pausing(context.Context) error { return x.atEnd() }

func (x *exactlyOnce) resumed() { x.boundary.begin(time.Now()) }

// finish implements outlet. A task whose producer was never made has nothing to settle.
func (x *exactlyOnce) finish(failed bool) {
	if x.sender != nil {
		x.transactions.finish(failed)
	}
}

func (x *exactlyOnce) close(ctx context.Context) error {
	if x.sender == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, producerCloseLimit)
	defer cancel()
	err := x.closeOnce(ctx)
	x.uncut()
	return err
}

func (x *exactlyOnce) unacked() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.inFlight
}

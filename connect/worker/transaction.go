package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/internal/metrics"
	"tributary/storage"
)

// Transactor is a lane's own transactional producer, as far as its transactions go. One
// goroutine calls it. Errors that kafka.IsRetriable knows leave open whether the call took
// effect: it is made again. kafka.ErrFenced ends the producer for good; after another
// error the transaction can only be aborted.
type Transactor interface {
	// InitTransactions fences earlier producers with the same transactional id and ends
	// what they left open.
	InitTransactions(ctx context.Context) error
	// Begin opens a transaction. It does not wait for the network.
	Begin() error
	// SendOffsets puts records of an offsets topic into the open transaction. Each goes to
	// the partition that Java's default partitioner chooses by its key. It need not wait
	// for the brokers: a record that cannot be written fails Commit.
	SendOffsets(ctx context.Context, topic string, records []storage.OffsetRecord) error
	// Commit waits until everything sent is stored, and commits. If anything could not be
	// stored it fails, and nothing is committed.
	Commit(ctx context.Context) error
	// Abort drops what was not sent yet and aborts.
	Abort(ctx context.Context) error
}

// transactions puts a task's records and offsets into transactions (KIP-618): records
// that were sent since the last commit and the offset behind them become visible
// together, or never. It is used by the lane's goroutine alone, and is the same for
// every lane: what a lane adds is how records are sent.
//
// What ends a task decides about its open transaction: a stop commits it (with
// boundaries that the task defines, only if the task asked for it), a failure aborts it,
// and one that was cut off leaves it to the next start of the task, whose
// InitTransactions aborts it. So the offsets stored never lie before or behind the
// records stored.
type transactions struct {
	id       connect.TaskID
	producer Transactor
	store    storage.OffsetStore
	boundary boundary
	task     connect.Committer // nil if the task does not want to know
	// told is called after each commit, and with aborted set when the task had its records
	// aborted: the lane tells the task what became of them.
	told    func(aborted bool)
	metrics *taskMetrics
	size    *metrics.Window
	logger  *slog.Logger
	// hard ends when the task is cut off.
	hard context.Context

	begun   bool
	records int                 // in the open transaction
	bytes   int64               // of those
	offsets map[string]position // of records since the last commit, by partition key
}

const (
	// outcomeRetryPause lies between two attempts to end a transaction.
	outcomeRetryPause = 100 * time.Millisecond
	// abortLimit bounds the abort of a transaction at the end of a task: it is a courtesy
	// to those who read committed records, for what is left open is aborted anyhow.
	abortLimit = 10 * time.Second
)

// begin opens a transaction unless one is open. It is called before a record is sent.
func (x *transactions) begin() error {
	if x.begun {
		return nil
	}
	if err := x.producer.Begin(); err != nil {
		return x.explain("a transaction cannot be begun", err)
	}
	x.begun = true
	return nil
}

// sent notes a record, or a whole batch with the position of its last record, that the
// producer has accepted.
func (x *transactions) sent(at position, records int, bytes int64) {
	x.records += records
	x.bytes += bytes
	if at.partition != nil {
		x.offsets[at.partition.Key()] = at
	}
}

// afterRecord ends the transaction if that is what the boundary says.
func (x *transactions) afterRecord(record *connect.SourceRecord) error {
	v, err := x.boundary.afterRecord(record)
	return x.act(v, err)
}

// afterBatch is afterRecord for what a Poll returned.
func (x *transactions) afterBatch() error {
	v, err := x.boundary.afterBatch(time.Now(), x.bytes)
	return x.act(v, err)
}

// atEnd is afterRecord for a pause or stop.
func (x *transactions) atEnd() error {
	v, err := x.boundary.atEnd()
	return x.act(v, err)
}

func (x *transactions) act(v verdict, err error) error {
	switch {
	case err != nil:
		return err
	case v == goOn:
		return nil
	case v == abortHere:
		if err := x.abortRecords(); err != nil {
			return err
		}
	}
	return x.commit()
}

// abortRecords drops the records of the open transaction. Their offsets stay to be
// committed.
func (x *transactions) abortRecords() error {
	if !x.begun {
		x.logger.Warn("The task asks to abort its transaction, which is empty; that is ignored")
		return nil
	}
	x.logger.Info("The transaction is aborted because the task asks for it", "records", x.records)
	if err := x.until("aborted", x.producer.Abort); err != nil {
		return x.explain("the transaction cannot be aborted", err)
	}
	x.closed()
	x.told(true)
	return nil
}

func (x *transactions) closed() { x.begun, x.records, x.bytes = false, 0, 0 }

// commit commits the records sent and their offsets. Afterwards it tells the task, also
// when there was nothing to commit.
func (x *transactions) commit() error {
	began := time.Now()
	records, err := x.encode()
	if err == nil && (x.begun || len(records) > 0) {
		err = x.commitWith(records)
	}
	if err != nil {
		x.metrics.commitFailed()
		return err
	}
	x.metrics.committed(time.Since(began))
	x.told(false)
	if x.task == nil {
		return nil
	}
	if err := guard(func() error { return x.task.Commit(x.hard) }); err != nil {
		x.logger.Error("The task's Commit failed; its offsets are committed all the same", "error", err)
	}
	return nil
}

// encode makes the records of the offsets topic. Offsets that cannot be written fail the
// task: records must not be committed without them.
func (x *transactions) encode() ([]storage.OffsetRecord, error) {
	records := make([]storage.OffsetRecord, 0, len(x.offsets))
	for key, p := range x.offsets {
		var offset map[string]any
		if p.offset != nil {
			offset = p.offset.OffsetFields()
		}
		r, err := x.store.Record(x.id.Connector, p.partition.Fields(), offset)
		if err != nil {
			return nil, fmt.Errorf("Failed to flush offsets and/or records for task %s-%d: offset of source partition %s: %w", x.id.Connector, x.id.Task, key, err)
		}
		records = append(records, r)
	}
	return x.store.Expand(records), nil
}

func (x *transactions) commitWith(records []storage.OffsetRecord) error {
	what := fmt.Sprintf("Failed to flush offsets and/or records for task %s-%d", x.id.Connector, x.id.Task)
	echo, echoes := x.store.(storage.OffsetEcho)
	if echoes {
		if err := echo.Before(x.hard, records); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := x.begin(); err != nil { // after an abort there are offsets alone
		return err
	}
	if err := x.producer.SendOffsets(x.hard, x.store.Topic(), records); err != nil {
		return x.explain(what, err)
	}
	if err := x.until("committed", x.producer.Commit); err != nil {
		return x.explain(what, err)
	}
	x.size.Record(float64(x.records))
	x.closed()
	clear(x.offsets)
	if echoes {
		if err := echo.After(x.hard, records); err != nil {
			x.logger.Warn("Offsets were committed to the connector's offsets topic but could not be copied to the worker's", "error", err)
		}
	}
	return nil
}

// until tries to end the transaction until the brokers have said how it ended: as long
// as they have not, it may be either way.
func (x *transactions) until(done string, end func(context.Context) error) error {
	for {
		err := end(x.hard)
		if err == nil || x.hard.Err() != nil || !kafka.IsRetriable(err) {
			return err
		}
		x.logger.Warn("A transaction cannot be "+done+" yet; it is tried again", "error", err)
		if !sleep(x.hard, outcomeRetryPause) {
			return err
		}
	}
}

// finish ends the open transaction when the task ends.
func (x *transactions) finish(failed bool) {
	if x.hard.Err() != nil {
		return
	}
	if !failed {
		if err := x.atEnd(); err != nil {
			x.logger.Error("The last transaction of the task could not be committed; its records will be read and written again", "error", err)
		}
	}
	if !x.begun || x.hard.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(x.hard, abortLimit)
	defer cancel()
	if err := x.producer.Abort(ctx); err != nil && !errors.Is(err, kafka.ErrFenced) {
		x.logger.Warn("The open transaction could not be aborted; the brokers will do so when the task starts again, or at its time-out", "error", err)
	}
}

// explain says what a user can do about a producer that is not the task's any more.
func (x *transactions) explain(what string, err error) error {
	if !errors.Is(err, kafka.ErrFenced) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: The task %s-%d has lost its producer: either it was started a second time, or it was unable to finish writing records to Kafka before its producer transaction expired. "+
		"In the latter case make transactions shorter (transaction.boundary=poll, or a smaller transaction.boundary.interval.ms), tune the producer for throughput, "+
		"or raise producer.override.transaction.timeout.ms: %w", what, x.id.Connector, x.id.Task, err)
}

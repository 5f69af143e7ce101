package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

const (
	// pollRetryPause follows a Poll that failed and may succeed later.
	pollRetryPause = 100 * time.Millisecond
	// entryBatch is how many entries the lane takes from its outlet at a time.
	entryBatch = 128
)

// loop is the record lane: it polls, converts and sends until the task is to stop or
// fails. The result is the failure, or what the task's context ended with.
func (t *taskRun) loop() error {
	defer t.giveBackEntries()
	for {
		ctx, pause := t.pollContext()
		if pause {
			if err := t.pause(); err != nil {
				return err
			}
		}
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		if pause {
			continue
		}
		began := time.Now()
		records, err := t.poll(ctx)
		switch {
		case t.ctx.Err() != nil:
			// Records that came with the end are left to the next start.
			return context.Cause(t.ctx)
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			// The pause broke off the Poll.
		case asksAgain(err):
			t.logger.Warn("The task failed to poll and is asked again", "error", err)
			sleep(ctx, pollRetryPause)
		default:
			return err
		}
		if len(records) > 0 {
			t.metrics.batch(countAll(records), time.Since(began))
			if err := t.sendBatch(records); err != nil {
				return err
			}
		}
		if err := t.outlet.polled(); err != nil {
			return err
		}
	}
}

func (t *taskRun) poll(ctx context.Context) (records []*connect.SourceRecord, err error) {
	defer recoverTo(func(p error) { err = p })
	if limit := t.outlet.pollLimit(); limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		records, err = t.task.Poll(limited)
		if err != nil && ctx.Err() == nil && limited.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			err = nil // there was nothing in time
		}
		return records, err
	}
	return t.task.Poll(ctx)
}

// pause settles what is on its way, reports PAUSED and waits for the end of the pause.
func (t *taskRun) pause() error {
	if err := t.outlet.pausing(t.ctx); err != nil {
		return err
	}
	if t.ctx.Err() != nil {
		return nil
	}
	t.reports.is(storage.StatePaused, "")
	t.awaitResumption()
	if t.ctx.Err() == nil {
		t.outlet.resumed()
		t.reports.is(storage.StateRunning, "")
	}
	return nil
}

func (t *taskRun) sendBatch(records []*connect.SourceRecord) (err error) {
	defer recoverTo(func(p error) { err = p }) // a converter's or transformation's
	for i, record := range records {
		if len(t.free) == 0 {
			t.free = t.outlet.take(t.free, min(entryBatch, len(records)-i))
		}
		e := t.free[len(t.free)-1]
		if record.PositionOnly {
			t.free = t.free[:len(t.free)-1]
			e.record = record
			t.outlet.place(e)
			continue
		}
		if record.Batch != nil {
			t.free = t.free[:len(t.free)-1]
			if err := t.sendWhole(record, e); err != nil {
				return err
			}
			continue
		}
		switch err := t.pipeline.apply(t.ctx, record, &e.out); err {
		case nil:
			if err := t.creation.ensure(t.ctx, e.out.Topic); err != nil {
				t.wipe(e)
				return err
			}
			t.free = t.free[:len(t.free)-1]
			e.record = record
			if err := t.outlet.send(t.ctx, e); err != nil {
				return err
			}
		case errSkipped:
			t.wipe(e)
			// Java remembers no position for it, so where the rest of a source is left out
			// it reads that again after each restart.
			if record.SourcePartition != nil {
				t.free = t.free[:len(t.free)-1]
				e.record = record
				t.outlet.place(e)
			}
			if err := t.outlet.skip(record); err != nil {
				return err
			}
		default:
			return err
		}
	}
	t.metrics.sent(t.outlet.unacked())
	if t.lane != rawLane {
		processRoom.pass(len(records))
	}
	return nil
}

// sendWhole sends a whole batch.
func (t *taskRun) sendWhole(record *connect.SourceRecord, e *entry) error {
	if t.lane != rawLane {
		t.outlet.release(e)
		return fmt.Errorf("the task returned a whole batch for topic %s in the record lane", record.Topic)
	}
	e.record = record
	e.out.Topic, e.out.Partition = record.Topic, record.Partition
	e.batch = kafka.Batch{Data: record.Batch.Data, Records: int32(record.Batch.Records), Own: record.Batch.Own}
	e.out.Batch = &e.batch
	return t.outlet.send(t.ctx, e)
}

// countAll counts the records of what a Poll returned.
func countAll(records []*connect.SourceRecord) int {
	n := 0
	for _, record := range records {
		n += countOf(record)
	}
	return n
}

// countOf is how many records a record stands for.
func countOf(record *connect.SourceRecord) int {
	switch {
	case record.Batch != nil:
		return record.Batch.Records
	case record.PositionOnly:
		return 0
	}
	return 1
}

// letGo gives back the bytes of a batch that need not be sent again.
func letGo(record *connect.SourceRecord) {
	if record.Batch != nil && record.Batch.Release != nil {
		record.Batch.Release()
	}
}

// wipe blanks an entry that the pipeline has begun to fill, for the next record.
func (t *taskRun) wipe(e *entry) {
	headers := e.out.Headers
	clear(headers)
	e.out.Key, e.out.Value, e.out.Headers = nil, nil, headers[:0]
}

func (t *taskRun) giveBackEntries() {
	t.outlet.release(t.free...)
	t.free = nil
}

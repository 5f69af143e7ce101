package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tributary/connect"
	"tributary/internal/beat"
	"tributary/storage"
)

// committer writes the committable offsets of one source task, every interval and
// when it is asked to.
//
// The lane decides what may be committed (source), the offset store how it is
// written down (encoder), and the writer where it goes and what makes it durable:
// the store itself, or a producer that puts the offsets into the transaction of
// their records.
type committer struct {
	connector string
	source    func() []position
	encoder   offsetEncoder
	writer    storage.OffsetWriter
	task      connect.Committer // nil if the task does not want to know
	interval  time.Duration
	timeout   time.Duration
	metrics   *taskMetrics
	logger    *slog.Logger
	// level is that of the message about a failed commit at the moment.
	level func() slog.Level

	// asked holds a token when the task wants a commit before the interval is over.
	asked chan struct{}
	// turn is taken for the time of a commit.
	turn chan struct{}
	// pending is what the source gave and no commit has written yet, by partition
	// key: it outlives failures and newer offsets replace older ones.
	pending map[string]position
}

// offsetEncoder is the part of storage.OffsetStore that makes records.
type offsetEncoder interface {
	Record(connector string, partition, offset map[string]any) (storage.OffsetRecord, error)
}

func newCommitter() *committer {
	return &committer{asked: make(chan struct{}, 1), turn: make(chan struct{}, 1), pending: map[string]position{}, level: func() slog.Level { return slog.LevelError }}
}

// run commits every interval, counted from the end of the last commit, and when it is
// asked to, until ctx ends.
func (c *committer) run(ctx context.Context) {
	for {
		timer := time.NewTimer(beat.Until(c.interval))
		select {
		case <-timer.C:
		case <-c.asked:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		c.commitLogged(ctx)
	}
}

// request asks for a commit soon. It never waits.
func (c *committer) request() {
	select {
	case c.asked <- struct{}{}:
	default:
	}
}

// commitLogged is commit for callers that go on whatever happens.
func (c *committer) commitLogged(ctx context.Context) {
	if err := c.commit(ctx); err != nil && ctx.Err() == nil {
		c.logger.Log(ctx, c.level(), "Offsets could not be committed; they are kept for the next commit", "error", err)
	}
}

// commit writes what is committable and calls the task's Commit, also when there
// was nothing to write. It takes at most timeout, besides the task's Commit.
func (c *committer) commit(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the commit took longer than offset.flush.timeout.ms (%v)", c.timeout))
	defer cancel()
	select {
	case c.turn <- struct{}{}:
	case <-limited.Done():
		c.metrics.commitFailed()
		return context.Cause(limited)
	}
	defer func() { <-c.turn }()
	began := time.Now()
	if err := c.write(limited); err != nil {
		c.metrics.commitFailed()
		return err
	}
	c.metrics.committed(time.Since(began))
	if c.task == nil {
		return nil
	}
	if err := guard(func() error { return c.task.Commit(ctx) }); err != nil {
		c.logger.Error("The task's Commit failed; its offsets are committed all the same", "error", err)
	}
	return nil
}

func (c *committer) write(ctx context.Context) error {
	for _, p := range c.source() {
		c.pending[p.partition.Key()] = p
	}
	if len(c.pending) == 0 {
		return nil
	}
	records := make([]storage.OffsetRecord, 0, len(c.pending))
	for _, p := range c.pending {
		var offset map[string]any
		if p.offset != nil {
			offset = p.offset.OffsetFields()
		}
		r, err := c.encoder.Record(c.connector, p.partition.Fields(), offset)
		if err != nil {
			return fmt.Errorf("offset of source partition %s: %w", p.partition.Key(), err)
		}
		records = append(records, r)
	}
	if err := c.writer.WriteOffsets(ctx, records); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return err
	}
	clear(c.pending)
	return nil
}

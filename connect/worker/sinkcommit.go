package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tributary/connect"
)

// commitOutcome is what became of a commit.
type commitOutcome struct {
	offsets positions
	began   time.Time
	err     error
}

// commit asks the task what of the partitions may be committed and begins to commit it.
// With closing it also tells the task that the partitions are gone, and waits. The error
// is one that fails the task; failed commits do not.
func (s *sinkLane) commit(partitions []connect.TopicPartition, closing bool) error {
	if err := s.errors.await(s.run.hard, partitions); err != nil {
		return err
	}
	offsets, last := positions{}, positions{}
	for _, tp := range partitions {
		if offset, known := s.current[tp]; known {
			offsets[tp] = offset
		}
		if offset, known := s.committed[tp]; known {
			last[tp] = offset
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	s.sequence++
	s.metrics.sequence.Set(float64(s.sequence))
	outcome := commitOutcome{began: time.Now()}
	wanted, err := s.preCommit(offsets)
	if err != nil {
		if closing {
			s.run.logger.Warn("The task failed to flush what it has of partitions that go; their last records will be written again", "error", err)
		} else {
			s.run.logger.Error("The task failed to flush; records since the last commit are handed over again", "error", err)
			s.seek(last)
		}
		outcome.err = err
	}
	var closeErr error
	if closing {
		closeErr = s.closePartitions(partitions)
	}
	if err == nil {
		outcome.offsets = s.committable(wanted, offsets, last)
	}
	switch {
	case len(outcome.offsets) == 0:
		s.settleCommit(outcome)
	case s.run.hard.Err() != nil: // what is cut off does not commit
	case closing:
		s.awaitCommit() // lest an older one comes behind
		outcome.err = s.consumer.Commit(s.run.hard, kafkaOffsets(outcome.offsets))
		s.settleCommit(outcome)
	default:
		s.committing = make(chan commitOutcome, 1)
		go s.commitAside(outcome, s.committing)
	}
	return closeErr
}

// commitAside commits while the lane goes on. It ends before the lane's consumer is
// closed, since the lane awaits it.
func (s *sinkLane) commitAside(c commitOutcome, done chan<- commitOutcome) {
	limit := s.run.worker.options.Config.FlushTimeout
	ctx, cancel := context.WithTimeoutCause(s.run.hard, limit, fmt.Errorf("the commit took longer than offset.flush.timeout.ms (%v)", limit))
	defer cancel()
	if c.err = s.consumer.Commit(ctx, kafkaOffsets(c.offsets)); c.err != nil && ctx.Err() != nil {
		c.err = errors.Join(context.Cause(ctx), c.err)
	}
	done <- c
	s.context.wake()
}

// collectCommit takes the outcome of a commit, if there is one.
func (s *sinkLane) collectCommit() {
	select {
	case c := <-s.committing:
		s.committing = nil
		s.settleCommit(c)
	default:
	}
}

// awaitCommit waits for the commit under way.
func (s *sinkLane) awaitCommit() {
	if s.committing != nil {
		c := <-s.committing
		s.committing = nil
		s.settleCommit(c)
	}
}

// settleCommit notes what became of a commit; one without offsets had nothing to do.
func (s *sinkLane) settleCommit(c commitOutcome) {
	if c.err != nil {
		s.metrics.commitFailed()
		if len(c.offsets) > 0 {
			s.run.logger.Error("Offsets could not be committed; the next commit tries again", "error", c.err)
		}
		return
	}
	for tp, offset := range c.offsets {
		if _, assigned := s.committed[tp]; assigned {
			s.committed[tp] = offset
		}
	}
	s.metrics.commitSucceeded(time.Since(c.began), s.committed)
}

// preCommit lets the task flush, and say what may be committed.
func (s *sinkLane) preCommit(offsets positions) (wanted positions, err error) {
	wanted = offsets
	err = guard(func() (err error) {
		switch task := s.task.(type) {
		case connect.PreCommitter:
			wanted, err = task.PreCommit(s.run.hard, maps.Clone(offsets))
			return err
		case connect.Flusher:
			return task.Flush(s.run.hard, maps.Clone(offsets))
		}
		return nil
	})
	return wanted, err
}

// committable is what of the wanted offsets can be committed, with the last ones for
// partitions without; nothing if that changes nothing.
func (s *sinkLane) committable(wanted, current, last positions) positions {
	if len(wanted) == 0 {
		return nil // the task opted out
	}
	out := maps.Clone(last)
	for tp, offset := range wanted {
		limit, asked := current[tp]
		switch {
		case !asked:
			s.run.logger.Warn("The task wants to commit an offset of a partition that it was not asked about; it is ignored",
				"topic", tp.Topic, "partition", tp.Partition, "offset", offset)
		case offset > limit:
			s.run.logger.Warn("The task wants to commit an offset that it has not consumed yet; it is ignored",
				"topic", tp.Topic, "partition", tp.Partition, "offset", offset, "consumed", limit)
		default:
			out[tp] = offset
		}
	}
	if maps.Equal(out, last) {
		return nil
	}
	return out
}

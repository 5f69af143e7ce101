package rawkafka

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tributary/internal/kafka"
)

// Error codes of brokers that say something about the producer's own state.
var (
	errMessageTooLarge      = &kafka.ServerError{Code: 10}
	errRecordListTooLarge   = &kafka.ServerError{Code: 18}
	errOutOfOrderSequence   = &kafka.ServerError{Code: 45}
	errDuplicateSequence    = &kafka.ServerError{Code: 46}
	errInvalidProducerEpoch = &kafka.ServerError{Code: 47}
	errUnknownProducerID    = &kafka.ServerError{Code: 59}
)

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// requestError is why a whole request was not answered, or could not be made.
type requestError struct{ error }

func (e *requestError) Unwrap() error { return e.error }

// quietFailures is how often in a row a partition must fail to be logged: leaders move.
const quietFailures = 4

// mend decides what becomes of a stream whose first parcel was not stored, now that nothing of it is flying. It
// returns the parcels that are given up. The lock is held.
func (s *Sender) mend(st *stream) (given []*parcel) {
	p, err := st.refused, st.failure
	st.refused, st.failure = nil, nil
	switch {
	case s.closed && s.run.Err() != nil:
		s.txn.Fail(kafka.ErrClosed)
		return st.end(kafka.ErrClosed)
	case p.parts != nil && isAny(err, errsOfRecords...) && !(s.transactional() && s.txn.Aborting):
		if isAny(err, errMessageTooLarge, errRecordListTooLarge) {
			st.bundleLimit = p.bundled / 2
		}
		st.takeApart(p)
		return nil
	case s.transactional():
		if end := s.mendTransaction(err); end != nil {
			return st.end(end)
		}
	case isAny(err, errOutOfOrderSequence, errUnknownProducerID, errInvalidProducerEpoch, kafka.ErrFenced):
		// The broker has lost what it knew of this producer, or records that it had acknowledged. A new
		// identity begins anew.
		s.forgetIdentity(st)
		s.retry(st, err, false)
		return nil
	}
	switch limit := s.cfg.Producer.DeliveryTimeout; {
	case isAny(err, errMessageTooLarge, errRecordListTooLarge):
		return s.mendTooLarge(st, p)
	case !kafka.IsRetriable(err):
		return s.giveUp(st, err)
	case limit > 0 && time.Since(p.created) >= limit:
		what := fmt.Sprintf("writing a batch to %s-%d", st.Topic, st.Partition)
		return s.giveUp(st, &kafka.TimeoutError{What: what, After: limit, Key: "delivery.timeout.ms", Err: err})
	}
	s.retry(st, err, true)
	return nil
}

func (s *Sender) mendTooLarge(st *stream, p *parcel) []*parcel {
	if p.records() > 1 {
		err := st.split(p)
		if err == nil {
			return nil
		}
		return s.giveUp(st, fmt.Errorf("a batch for %s-%d is too large and cannot be split: %w", st.Topic, st.Partition, err))
	}
	return s.giveUp(st, &kafka.RecordTooLargeError{TopicPartition: st.TopicPartition, Size: len(p.data)})
}

// forgetIdentity lets a stream be numbered anew. Other streams keep the identity as long as brokers take it.
func (s *Sender) forgetIdentity(st *stream) {
	if s.identity == st.id {
		s.identity = noIdentity
	}
	st.renumber()
}

// giveUp fails all that is on its way to a partition. The lock is held.
func (s *Sender) giveUp(st *stream, err error) []*parcel {
	if s.transactional() {
		s.txn.Fail(err)
	} else {
		s.forgetIdentity(st) // what was numbered and is not stored leaves a gap
		st.settling = make(chan struct{})
	}
	return st.end(err)
}

// end takes out all parcels, as failed. Nothing may be flying.
func (st *stream) end(err error) []*parcel {
	given := st.parcels
	st.parcels = nil
	for _, p := range given {
		if !p.stored {
			p.err = err
		}
	}
	return given
}

// retry leaves a stream to the keeper until the time for another try; with look its leader is asked for again. The
// lock is held.
func (s *Sender) retry(st *stream, err error, look bool) {
	if look {
		st.leader = -1
	}
	pause := s.cfg.Backoff(st.failures)
	if errors.Is(err, kafka.ErrConcurrentTransactions) {
		pause = concurrentTransactionsPause
	} else {
		st.failures++
		st.lastErr = err
	}
	st.retryAt = time.Now().Add(pause)
	if st.stuck() {
		st.own()
	}
	if _, told := errors.AsType[*requestError](err); told {
		return // the writer tells of it, once for all partitions
	}
	if st.failures < quietFailures {
		return
	}
	level := slog.LevelWarn
	if kafka.Away(s.cfg.BootstrapServers) {
		level = slog.LevelDebug // it has been said of the whole cluster
	}
	text := err.Error()
	if st.logged == "" {
		st.troubled = time.Now()
	}
	if st.logged != text {
		st.logged = text
		s.notices.Say(level, kafka.UnwritableNotice, st.TopicPartition, text)
	}
	if !st.named && time.Since(st.troubled) >= longTrouble {
		st.named = true
		s.notices.Say(level, stillUnwritable, st.TopicPartition, text)
	}
}

// stillUnwritable is logged later than kafka.UnwritableNotice: new partitions of a target that makes thousands take some
// seconds.
var stillUnwritable = kafka.NoticeText{One: "partition still cannot be written to, trying on", Many: "partitions still cannot be written to, trying on", Names: 50}

// longTrouble is after how long a partition that cannot be written to is told by name, though it be one of many.
const longTrouble = 30 * time.Second

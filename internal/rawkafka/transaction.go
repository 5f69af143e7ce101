package rawkafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

// transaction is the state of a transactional sender; the sender's lock guards it. A stream's round tells whether it
// was added to this one.
type transaction struct {
	kafka.TransactionState
	implicit bool // brokers add partitions by themselves, and each end brings a new epoch (KIP-890)
}

// concurrentTransactionsPause is Java's, too: the coordinator still writes the markers of the transaction before,
// which is soon done.
const concurrentTransactionsPause = 20 * time.Millisecond

// featureTransactions is the cluster's level of the transaction protocol; from 2 on it is KIP-890's.
const featureTransactions = "transaction.version"

func implicitAdds(conn *connection) bool {
	return conn.features[featureTransactions] >= 2 && conn.versions[int16(kmsg.Produce)] >= implicitAddVersion
}

func (s *Sender) transactional() bool { return s.cfg.Producer.TransactionalID != "" }

// InitTransactions registers the transactional.id: it ends what another producer with the id left open, and fences
// that producer. It must succeed once before Begin. A transactional sender that learns that it was fenced fails
// with kafka.ErrFenced from then on.
func (s *Sender) InitTransactions(ctx context.Context) error {
	if !s.transactional() {
		return errors.New("transactions need a transactional.id")
	}
	if err := s.initIdentity(ctx, noIdentity); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txn.Registered()
	return nil
}

// initIdentity asks for an identity; current, if there is one, is to be followed by its next epoch (KIP-360).
func (s *Sender) initIdentity(ctx context.Context, current identity) error {
	id := s.cfg.Producer.TransactionalID
	return s.coordinator.try(ctx, "registering the transactional.id "+id, func(conn *connection) error {
		request := kmsg.NewPtrInitProducerIDRequest()
		request.Version = conn.version(kmsg.InitProducerID, 4)
		request.TransactionalID = &id
		request.TransactionTimeoutMillis = int32(s.cfg.Producer.TransactionTimeout / time.Millisecond)
		request.ProducerID, request.ProducerEpoch = current.id, current.epoch
		var resp kmsg.InitProducerIDResponse
		if err := conn.ask(ctx, request, &resp); err != nil {
			return err
		}
		if err := s.client.AnswerError(resp.ErrorCode, nil, kafka.OpUse, id); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.identity = identity{resp.ProducerID, resp.ProducerEpoch}
		s.txn.implicit = implicitAdds(conn)
		return nil
	})
}

// Begin opens a transaction. It does not touch the network.
func (s *Sender) Begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return kafka.ErrClosed
	case s.fatal != nil:
		return s.fatal
	}
	return s.txn.Begin()
}

// Commit awaits all batches and commits. If any of them failed it returns that error, and the transaction must be
// aborted. An error that kafka.IsRetriable leaves the outcome open: call Commit again.
func (s *Sender) Commit(ctx context.Context) error {
	if err := s.startEnd(false); err != nil {
		return err
	}
	if err := s.Flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	failed, fatal := s.txn.Failed(), s.fatal
	s.mu.Unlock()
	if fatal != nil {
		return fatal
	}
	if failed != nil {
		return failed
	}
	if err := s.endTransaction(ctx, true); err != nil {
		return err
	}
	s.transactionEnded()
	return nil
}

func (s *Sender) transactionEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txn.Ended()
}

// Abort drops what was not sent yet, awaits what is on its way, and aborts. It also mends a sender whose transaction
// failed; kafka.ErrFenced cannot be mended. After an error that kafka.IsRetriable, call it again.
func (s *Sender) Abort(ctx context.Context) error {
	if err := s.startEnd(true); err != nil {
		return err
	}
	s.dropUnsent()
	if err := s.Flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	failed, current := s.txn.Err, s.identity
	s.mu.Unlock()
	if err := s.endTransaction(ctx, false); err != nil {
		return err
	}
	s.mu.Lock()
	implicit := s.txn.implicit
	s.mu.Unlock()
	if failed != nil && !implicit {
		// Sequences may have gaps now; a new epoch starts them again.
		if err := s.initIdentity(ctx, current); err != nil {
			return err
		}
	}
	s.transactionEnded()
	return nil
}

// dropUnsent ends streams of which nothing is flying; the others are ended by mend.
func (s *Sender) dropUnsent() {
	s.outcomes.Lock()
	defer s.outcomes.Unlock()
	s.mu.Lock()
	var given []*parcel
	for _, st := range s.streams {
		if len(st.parcels) == 0 {
			continue
		}
		s.txn.Fail(kafka.ErrTransactionAborted)
		if st.flying == 0 {
			given = append(given, st.end(kafka.ErrTransactionAborted)...)
			continue
		}
		st.cutUnsent(&given)
	}
	s.mu.Unlock()
	for _, p := range given {
		s.tell(p)
	}
}

// cutUnsent takes the parcels behind those that are flying out, as failed.
func (st *stream) cutUnsent(given *[]*parcel) {
	last := 0
	for i, p := range st.parcels {
		if p.flying || p.stored {
			last = i + 1
		}
	}
	for _, p := range st.parcels[last:] {
		p.err = kafka.ErrTransactionAborted
		*given = append(*given, p)
	}
	st.parcels = st.parcels[:last:last]
}

func (s *Sender) startEnd(abort bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal != nil {
		return s.fatal
	}
	return s.txn.End(abort)
}

// mendTransaction says why a stream with a failure must be ended, nil when the failure may be retried. The lock is
// held.
func (s *Sender) mendTransaction(err error) error {
	switch {
	case kafka.IsFenced(err) || errors.Is(err, kafka.ErrFenced):
		s.fatal = kafka.ErrFenced
	case s.txn.Aborting:
		return kafka.ErrTransactionAborted
	case kafka.IsRetriable(err) || isAny(err, errMessageTooLarge, errRecordListTooLarge):
		return nil
	}
	s.txn.Fail(err)
	if s.fatal != nil {
		return s.fatal
	}
	return err
}

func (s *Sender) endTransaction(ctx context.Context, commit bool) error {
	s.mu.Lock()
	id, added := s.identity, s.txn.Partitions
	s.mu.Unlock()
	if added > 0 {
		what := "aborting"
		if commit {
			what = "committing"
		}
		if err := s.coordinator.try(ctx, what+" a transaction of "+s.cfg.Producer.TransactionalID, func(conn *connection) error {
			return s.askToEnd(ctx, conn, id, commit)
		}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txn.EndKnown()
	return nil
}

func (s *Sender) askToEnd(ctx context.Context, conn *connection, id identity, commit bool) error {
	request := kmsg.NewPtrEndTxnRequest()
	request.Version = conn.version(kmsg.EndTxn, 4)
	s.mu.Lock()
	if s.txn.implicit {
		request.Version = conn.version(kmsg.EndTxn, 5)
	}
	s.mu.Unlock()
	request.TransactionalID, request.ProducerID, request.ProducerEpoch, request.Commit = s.cfg.Producer.TransactionalID, id.id, id.epoch, commit
	var resp kmsg.EndTxnResponse
	if err := conn.ask(ctx, request, &resp); err != nil {
		return err
	}
	if err := s.client.AnswerError(resp.ErrorCode, nil, kafka.OpUse, s.cfg.Producer.TransactionalID); err != nil {
		return err
	}
	if request.Version >= 5 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.identity = identity{resp.ProducerID, resp.ProducerEpoch}
	}
	return nil
}

// addToTransaction tells the coordinator about partitions that are new in this transaction, unless the brokers do
// that by themselves.
func (s *Sender) addToTransaction(load []result, conn *connection) error {
	s.mu.Lock()
	id, fresh, n := s.identity, map[string][]int32{}, 0
	implicit := s.txn.implicit && implicitAdds(conn)
	for _, r := range load {
		if st := r.stream; st.round != s.txn.Round {
			n++
			fresh[st.Topic] = append(fresh[st.Topic], st.Partition)
			if implicit {
				st.round = s.txn.Round
			}
		}
	}
	s.txn.Partitions += n // counted first: the coordinator may take them and the answer get lost
	round := s.txn.Round
	s.mu.Unlock()
	if n == 0 || implicit {
		return nil
	}
	txnID := s.cfg.Producer.TransactionalID
	known := true // whether every attempt so far was refused
	err := s.coordinator.try(s.run, "adding partitions to a transaction of "+txnID, func(conn *connection) error {
		err := s.askToAdd(conn, fresh, id)
		known = known && (!kafka.IsRetriable(err) || errors.Is(err, kafka.ErrConcurrentTransactions))
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if known {
			s.txn.Refused(n, err)
		}
		return err
	}
	for _, r := range load {
		r.stream.round = round
	}
	return nil
}

func (s *Sender) askToAdd(conn *connection, fresh map[string][]int32, id identity) error {
	request := kmsg.NewPtrAddPartitionsToTxnRequest()
	request.Version = conn.version(kmsg.AddPartitionsToTxn, 3)
	request.TransactionalID, request.ProducerID, request.ProducerEpoch = s.cfg.Producer.TransactionalID, id.id, id.epoch
	for topic, partitions := range fresh {
		t := kmsg.NewAddPartitionsToTxnRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		request.Topics = append(request.Topics, t)
	}
	var resp kmsg.AddPartitionsToTxnResponse
	if err := conn.ask(s.run, request, &resp); err != nil {
		return err
	}
	const notAttempted = 55 // refused along with the one that caused the refusal
	var worst error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := s.client.AnswerError(p.ErrorCode, nil, kafka.OpWrite, t.Topic); err != nil && (worst == nil || isAny(worst, &kafka.ServerError{Code: notAttempted})) {
				worst = err
			}
		}
	}
	return worst
}

// coordinator is the way to the transaction coordinator of the sender's transactional.id.
type coordinator struct {
	sender *Sender
	mu     sync.Mutex // held for the time of a call
	conn   *connection
}

// try makes a call until it succeeds, fails for good, or takes longer than max.block.ms. A call that says that the
// sender was fenced ends the sender.
func (c *coordinator) try(ctx context.Context, what string, call func(*connection) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sender
	limit := min(max(s.cfg.APITimeout, s.cfg.RequestTimeout), time.Hour)
	deadline := time.Now().Add(limit)
	for attempt := 0; ; attempt++ {
		err := c.once(ctx, call)
		switch {
		case err == nil:
			return nil
		case kafka.IsFenced(err):
			s.mu.Lock()
			s.fatal = kafka.ErrFenced
			s.mu.Unlock()
			return kafka.ErrFenced
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case !kafka.IsRetriable(err):
			return fmt.Errorf("%s: %w", what, err)
		}
		pause := s.cfg.Backoff(attempt)
		if errors.Is(err, kafka.ErrConcurrentTransactions) {
			pause, attempt = concurrentTransactionsPause, -1
		}
		if time.Now().Add(pause).After(deadline) {
			return &kafka.TimeoutError{What: what, After: limit, Key: "max.block.ms", Err: err}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}

func (c *coordinator) once(ctx context.Context, call func(*connection) error) error {
	s := c.sender
	if c.conn == nil || c.conn.broken() || c.conn.expired() {
		c.drop()
		addr, err := s.client.TransactionCoordinator(ctx, s.cfg.Producer.TransactionalID)
		if err != nil {
			return err
		}
		if c.conn, err = dial(ctx, s.client, s.cfg, addr); err != nil {
			return err
		}
	}
	err := call(c.conn)
	if err != nil && (isAny(err, kafka.ErrNotCoordinator, kafka.ErrCoordinatorNotAvailable, kafka.ErrCoordinatorLoading) || c.conn.broken()) {
		c.drop()
	}
	return err
}

func (c *coordinator) drop() {
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
}

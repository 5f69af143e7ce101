package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// ErrTransactionAborted is given to records that were not sent yet when their transaction was aborted.
var ErrTransactionAborted = errors.New("the transaction was aborted before the record was sent")

type txnState int

const (
	txnNone   txnState = iota // InitTransactions has not succeeded
	txnReady                  // between transactions
	txnOpen                   // Begin was called
	txnEnding                 // Commit or Abort runs, or failed and must be tried again
)

// transaction is the state of a transactional producer; the producer's lock guards it.
type transaction struct {
	state txnState
	round int   // counts transactions; a queue's txnRound tells whether it belongs to this one
	parts int   // partitions added to it
	err   error // why it can only be aborted

	aborting bool // nothing is sent again
}

func (t *transaction) sendable() error {
	switch {
	case t.state == txnNone:
		return errors.New("InitTransactions must succeed before records are sent with a transactional.id")
	case t.state != txnOpen:
		return errors.New("records can only be sent between Begin and Commit or Abort with a transactional.id")
	case t.err != nil:
		return fmt.Errorf("the transaction can only be aborted: %w", t.err)
	}
	return nil
}

// fail notes the first failure of an open transaction.
func (t *transaction) fail(err error) {
	if (t.state == txnOpen || t.state == txnEnding) && t.err == nil {
		t.err = err
	}
}

// InitTransactions registers the transactional.id: it ends what another producer with the id left
// open, and fences that producer. It must succeed once before Begin.
func (p *Producer) InitTransactions(ctx context.Context) error {
	if p.cfg.Producer.TransactionalID == "" {
		return errors.New("transactions need a transactional.id")
	}
	if err := p.initIdentity(ctx, noIdentity); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.txn = transaction{state: txnReady}
	return nil
}

// initIdentity asks the coordinator for a producer id and epoch; current, if there is one, is to be
// followed by its next epoch (KIP-360).
func (p *Producer) initIdentity(ctx context.Context, current identity) error {
	txnID := p.cfg.Producer.TransactionalID
	var id identity
	err := p.client.retry(ctx, "registering the transactional.id "+txnID, func() error {
		return p.client.onCoordinator(ctx, sarama.CoordinatorTransaction, txnID, OpUse, func(b *sarama.Broker) error {
			resp, err := b.InitProducerID(&sarama.InitProducerIDRequest{
				Version: 4, TransactionalID: &txnID, TransactionTimeout: p.cfg.Producer.TransactionTimeout,
				ProducerID: current.id, ProducerEpoch: current.epoch,
			})
			if err != nil {
				return err
			}
			id = identity{resp.ProducerID, resp.ProducerEpoch}
			return fencing(p.cfg.answerError(resp.Err, nil, OpUse, txnID))
		})
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, ErrFenced) {
		p.fatal = ErrFenced
	}
	if err != nil {
		return err
	}
	p.identity = id
	return nil
}

// fencing turns the codes that mean it into ErrFenced.
func fencing(err error) error {
	switch codeOf(err) {
	case sarama.ErrProducerFenced, sarama.ErrInvalidProducerEpoch:
		return ErrFenced
	}
	return err
}

// Begin opens a transaction. It does not touch the network.
func (p *Producer) Begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case p.fatal != nil:
		return p.fatal
	case p.txn.state != txnReady:
		return fmt.Errorf("a transaction cannot begin %s", map[txnState]string{
			txnNone: "before InitTransactions", txnOpen: "inside another", txnEnding: "before the last one has ended",
		}[p.txn.state])
	}
	p.txn = transaction{state: txnOpen, round: p.txn.round + 1}
	return nil
}

// Commit flushes and commits. If any record of the transaction failed it returns that error and the
// transaction must be aborted. An error that IsRetriable leaves the outcome open: call Commit again.
func (p *Producer) Commit(ctx context.Context) error {
	if err := p.startEnd(); err != nil {
		return err
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	failed := p.txn.err
	p.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("the transaction can only be aborted: %w", failed)
	}
	return p.endTransaction(ctx, true)
}

// Abort drops records that were not sent yet, waits for those in flight, and aborts. It also mends a
// producer whose transaction failed; ErrFenced cannot be mended.
func (p *Producer) Abort(ctx context.Context) error {
	if err := p.startEnd(); err != nil {
		return err
	}
	p.mu.Lock()
	p.txn.aborting = true
	for _, q := range p.queues {
		rest := q.batches
		q.batches = nil
		for _, b := range rest {
			p.txn.fail(ErrTransactionAborted)
			if b.sequenced {
				q.identity = noIdentity // a retry that will not come; the new epoch starts afresh
			}
		}
		if len(rest) > 0 {
			p.reports.push(&reply{batches: rest, err: ErrTransactionAborted, final: true})
		}
		switch q.state {
		case pending:
			s := p.senders[q.leader]
			s.queues = without(s.queues, q)
			q.state = idle
		case parked:
			delete(p.parked, q)
			q.state = idle
		}
	}
	p.mu.Unlock()
	if err := p.Flush(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	failed, current := p.txn.err, p.identity
	p.mu.Unlock()
	if err := p.endTransaction(ctx, false); err != nil {
		return err
	}
	if failed != nil {
		// Sequences may have gaps now; a new epoch starts them again.
		return p.initIdentity(ctx, current)
	}
	return nil
}

func without(queues []*queue, q *queue) []*queue {
	left := queues[:0]
	for _, other := range queues {
		if other != q {
			left = append(left, other)
		}
	}
	clear(queues[len(left):])
	return left
}

func (p *Producer) startEnd() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fatal != nil {
		return p.fatal
	}
	if p.txn.state != txnOpen && p.txn.state != txnEnding {
		return errors.New("there is no transaction to end")
	}
	p.txn.state = txnEnding
	return nil
}

func (p *Producer) endTransaction(ctx context.Context, commit bool) error {
	p.mu.Lock()
	id, parts := p.identity, p.txn.parts
	p.mu.Unlock()
	var err error
	if parts > 0 {
		what := "aborting"
		if commit {
			what = "committing"
		}
		txnID := p.cfg.Producer.TransactionalID
		err = p.client.retry(ctx, what+" a transaction of "+txnID, func() error {
			return p.client.onCoordinator(ctx, sarama.CoordinatorTransaction, txnID, OpUse, func(b *sarama.Broker) error {
				resp, err := b.EndTxn(&sarama.EndTxnRequest{
					Version: 3, TransactionalID: txnID, ProducerID: id.id, ProducerEpoch: id.epoch, TransactionResult: commit,
				})
				if err != nil {
					return err
				}
				return fencing(p.cfg.answerError(resp.Err, nil, OpUse, txnID))
			})
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, ErrFenced) {
		p.fatal = ErrFenced
	}
	if err != nil {
		return err
	}
	p.txn = transaction{state: txnReady, round: p.txn.round}
	return nil
}

// addToTransaction tells the coordinator about partitions that are new in this transaction. Senders
// call it before they write to them.
func (p *Producer) addToTransaction(ctx context.Context, batches []*batch, id identity) error {
	p.mu.Lock()
	round := p.txn.round
	fresh := make(map[string][]int32)
	n := 0
	for _, b := range batches {
		if b.queue.txnRound != round {
			fresh[b.queue.Topic] = append(fresh[b.queue.Topic], b.queue.Partition)
			n++
		}
	}
	if n > 0 {
		p.txn.parts += n // counted first: the coordinator may take them and the answer get lost
	}
	p.mu.Unlock()
	if n == 0 {
		return nil
	}
	txnID := p.cfg.Producer.TransactionalID
	err := p.askToAdd(ctx, fresh, id)
	for deadline := time.Now().Add(p.cfg.RequestTimeout); errors.Is(err, ErrConcurrentTransactions) && time.Now().Before(deadline); {
		// The coordinator still writes the markers of the transaction before.
		if sleep(ctx, concurrentTransactionsPause) != nil {
			break
		}
		err = p.askToAdd(ctx, fresh, id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(err, ErrFenced) {
		p.fatal = ErrFenced
	}
	if err != nil {
		return fmt.Errorf("adding partitions to a transaction of %s: %w", txnID, err)
	}
	for _, b := range batches {
		b.queue.txnRound = round
	}
	return nil
}

// concurrentTransactionsPause is Java's, too: shorter than retry.backoff.ms, which every transaction
// would wait for otherwise.
const concurrentTransactionsPause = 20 * time.Millisecond

func (p *Producer) askToAdd(ctx context.Context, fresh map[string][]int32, id identity) error {
	txnID := p.cfg.Producer.TransactionalID
	return p.client.onCoordinator(ctx, sarama.CoordinatorTransaction, txnID, OpUse, func(b *sarama.Broker) error {
		resp, err := b.AddPartitionsToTxn(&sarama.AddPartitionsToTxnRequest{
			Version: 3, TransactionalID: txnID, ProducerID: id.id, ProducerEpoch: id.epoch, TopicPartitions: fresh,
		})
		if err != nil {
			return err
		}
		var worst error
		for topic, partitions := range resp.Errors {
			for _, e := range partitions {
				err := fencing(p.cfg.answerError(e.Err, nil, OpWrite, topic))
				// The one that caused the refusal, not the ones refused along with it.
				if err != nil && (worst == nil || codeOf(worst) == sarama.ErrOperationNotAttempted) {
					worst = err
				}
			}
		}
		return worst
	})
}

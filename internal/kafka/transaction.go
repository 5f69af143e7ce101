package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

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
	p.txn.Registered()
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
	}
	return p.txn.Begin()
}

// Commit flushes and commits. If any record of the transaction failed it returns that error and the
// transaction must be aborted. An error that IsRetriable leaves the outcome open: call Commit again.
func (p *Producer) Commit(ctx context.Context) error {
	if err := p.startEnd(false); err != nil {
		return err
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	failed := p.txn.Failed()
	p.mu.Unlock()
	if failed != nil {
		return failed
	}
	if err := p.endTransaction(ctx, true); err != nil {
		return err
	}
	p.transactionEnded()
	return nil
}

func (p *Producer) transactionEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.txn.Ended()
}

// Abort drops records that were not sent yet, waits for those in flight, and aborts. It also mends a
// producer whose transaction failed; ErrFenced cannot be mended. After an error that IsRetriable, call it again.
func (p *Producer) Abort(ctx context.Context) error {
	if err := p.startEnd(true); err != nil {
		return err
	}
	p.mu.Lock()
	for _, q := range p.queues {
		rest := q.batches
		q.batches = nil
		for _, b := range rest {
			p.txn.Fail(ErrTransactionAborted)
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
	failed, current := p.txn.Err, p.identity
	p.mu.Unlock()
	if err := p.endTransaction(ctx, false); err != nil {
		return err
	}
	if failed != nil {
		// Sequences may have gaps now; a new epoch starts them again.
		if err := p.initIdentity(ctx, current); err != nil {
			return err
		}
	}
	p.transactionEnded()
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

func (p *Producer) startEnd(abort bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fatal != nil {
		return p.fatal
	}
	return p.txn.End(abort)
}

func (p *Producer) endTransaction(ctx context.Context, commit bool) error {
	p.mu.Lock()
	id, parts := p.identity, p.txn.Partitions
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
	p.txn.EndKnown()
	return nil
}

// addToTransaction tells the coordinator about partitions that are new in this transaction. Senders
// call it before they write to them.
func (p *Producer) addToTransaction(ctx context.Context, batches []*batch, id identity) error {
	p.mu.Lock()
	round := p.txn.Round
	fresh := make(map[string][]int32)
	n := 0
	for _, b := range batches {
		if b.queue.txnRound != round {
			fresh[b.queue.Topic] = append(fresh[b.queue.Topic], b.queue.Partition)
			n++
		}
	}
	if n > 0 {
		p.txn.Partitions += n // counted first: the coordinator may take them and the answer get lost
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
		p.txn.Refused(n, err)
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

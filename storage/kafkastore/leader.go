package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tributary/internal/kafka"
	"tributary/storage"
)

// leader writes to the config topic in transactions. Claiming fences whoever held the
// same transactional id; any failed write gives the privileges up, since only a new
// claim can tell whether they are still held.
type leader struct {
	journal *journal
	config  *kafka.Config

	mu       sync.Mutex // one transaction at a time
	producer *kafka.Producer
}

func newLeader(j *journal, o ConfigOptions) (*leader, error) {
	config, err := parse(kafka.RoleProducer, o.Props, o.Producer, kafka.Props{
		"client.id": o.ClientIDBase + "configs-leader",
		"acks":      "all", "enable.idempotence": "true", "max.in.flight.requests.per.connection": "5",
		"transactional.id": o.TransactionalID,
	})
	if err != nil {
		return nil, fmt.Errorf("leader's producer for %s: %w", o.Topic.Key, err)
	}
	config.Producer.ExistingTopicsOnly = true
	return &leader{journal: j, config: config}, nil
}

// claim does nothing while the privileges are believed to be held.
func (l *leader) claim(ctx context.Context) error {
	c, err := l.journal.running()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer != nil {
		return nil
	}
	producer, err := kafka.NewProducer(c.client, l.config, l.journal.logger)
	if err != nil {
		return err
	}
	if err := producer.InitTransactions(ctx); err != nil {
		l.drop(producer)
		return fmt.Errorf("claiming the leader's write privileges for the topic %s: %w", l.journal.topic.Name, l.journal.orStopped(err))
	}
	l.producer = producer
	return nil
}

// write commits records in one transaction. Its error is an ErrNotPrivileged whatever
// went wrong, unless the topic is gone.
func (l *leader) write(ctx context.Context, records ...storage.Record) error {
	c, err := l.journal.running()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer == nil {
		return storage.ErrNotPrivileged
	}
	err = c.presence.during(ctx, func(ctx context.Context) error { return l.transact(ctx, l.journal.toKafka(records)) })
	if err != nil {
		l.drop(l.producer)
		l.producer = nil
		if errors.Is(err, storage.ErrTopicLost) {
			return err
		}
		return fmt.Errorf("%w any more: %w", storage.ErrNotPrivileged, err)
	}
	return nil
}

func (l *leader) transact(ctx context.Context, records []*kafka.Record) error {
	if err := l.producer.Begin(); err != nil {
		return err
	}
	if err := l.producer.SendSync(ctx, records...); err != nil {
		return err
	}
	return l.producer.Commit(ctx)
}

// drop closes a producer at once: what its transaction left open is ended by the next
// claim, or by the broker.
func (l *leader) drop(producer *kafka.Producer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := producer.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		l.journal.logger.Warn("Closing the leader's producer", "error", err)
	}
}

// relinquish gives the privileges up.
func (l *leader) relinquish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer != nil {
		l.drop(l.producer)
		l.producer = nil
	}
}

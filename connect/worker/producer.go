package worker

import (
	"context"
	"errors"

	"tributary/connect"
	"tributary/connect/provider"
	"tributary/internal/kafka"
)

// Producer writes a task's records. *kafka.Producer is one.
type Producer interface {
	// Send hands rec over and returns; it blocks while the buffer is full, at most
	// until ctx ends. If it returns nil, done is called exactly once, in the order of
	// sending within a partition, failures included. rec and what it refers to are
	// the producer's until done is called, and not after that. done returns soon.
	Send(ctx context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error
	// Unwritable returns the partitions of which several writes in a row have failed and are tried on, with the last
	// reason.
	Unwritable() map[kafka.TopicPartition]error
	// Close delivers what it can until ctx ends, then gives up the rest. When it
	// returns, every done was called.
	Close(ctx context.Context) error
}

// ProducerSpec says whose producer is wanted, so that its configuration can be
// made: framework defaults, then the worker's producer.*, then Overrides.
type ProducerSpec struct {
	Task     connect.TaskID
	ClientID string // default client.id
	// Overrides are the connector's producer.override.* settings without the prefix,
	// references resolved.
	Overrides map[string]string
	// TransactionalID, if set, asks for a TransactionalProducer with that transactional id.
	// Not to be overridden.
	TransactionalID string
	// Batches asks for a producer that takes whole batches (kafka.Record.Batch).
	Batches bool
	// Concealment is for what the client logs; nil conceals nothing.
	Concealment *provider.Concealment
}

// ProducerFactory makes the producer of a task. It may wait for the cluster as long
// as ctx lasts. A retriable error (see below) is tried again for ever; another one
// fails the task.
//
// A retriable error, here and from a Producer, is a *connect.RetriableError or one that
// kafka.IsRetriable knows.
type ProducerFactory func(ctx context.Context, spec ProducerSpec) (Producer, error)

var _ Producer = (*kafka.Producer)(nil)

// isRetriable judges what comes from a producer.
func isRetriable(err error) bool { return asksAgain(err) || kafka.IsRetriable(err) }

// asksAgain judges what comes from a plugin: it has to say so itself.
func asksAgain(err error) bool {
	_, ok := errors.AsType[*connect.RetriableError](err)
	return ok
}

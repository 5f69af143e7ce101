package kafkatest

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Produce writes records to the partitions they name and waits for acks=all. The records of one call become one
// batch a partition, if they fit into a megabyte. It returns them as written, with partition, offset and timestamp.
func (c *Client) Produce(topic string, records ...Record) []Record {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	written, err := produce(ctx, c.cl, topic, records)
	if err != nil {
		c.tb.Fatalf("produce to topic %s: %v", topic, err)
	}
	return written
}

// ProduceInTransaction writes records in one transaction of the given transactional id, and commits or aborts it.
func (c *Client) ProduceInTransaction(transactionalID string, commit bool, topic string, records ...Record) []Record {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	cl := c.open(kgo.TransactionalID(transactionalID))
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		c.tb.Fatalf("begin transaction %s: %v", transactionalID, err)
	}
	written, err := produce(ctx, cl, topic, records)
	if err != nil {
		c.tb.Fatalf("produce to topic %s in transaction %s: %v", topic, transactionalID, err)
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		c.tb.Fatalf("end transaction %s: %v", transactionalID, err)
	}
	return written
}

// produce lets franz-go sort all records into their partitions before it sends any, so that they share batches even
// when the client has yet to learn of the topic.
func produce(ctx context.Context, cl *kgo.Client, topic string, records []Record) ([]Record, error) {
	sorted := make(chan struct{}, 2*len(records)) // each record may be sorted and then fail
	ctx = context.WithValue(ctx, sortedKey{}, sorted)
	sent := make([]*kgo.Record, len(records))
	failures := make([]error, len(records))
	for i, record := range records {
		sent[i] = toWire(topic, record)
		cl.Produce(ctx, sent[i], func(_ *kgo.Record, err error) {
			failures[i] = err
			sorted <- struct{}{}
		})
	}
	for range records {
		select {
		case <-sorted:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := cl.Flush(ctx); err != nil {
		return nil, err
	}
	written := make([]Record, len(records))
	for i, record := range records {
		if failures[i] != nil {
			return nil, fmt.Errorf("record %d for partition %d: %w", i, record.Partition, failures[i])
		}
		record.Offset = sent[i].Offset
		record.Timestamp = sent[i].Timestamp
		written[i] = record
	}
	return written, nil
}

// sortedKey is where the context of a record holds the channel that hears when the record has a partition.
type sortedKey struct{}

// sortedHook tells that channel.
type sortedHook struct{}

func (sortedHook) OnProduceRecordPartitioned(record *kgo.Record, _ int32) {
	if sorted, ok := record.Context.Value(sortedKey{}).(chan struct{}); ok {
		sorted <- struct{}{}
	}
}

func toWire(topic string, record Record) *kgo.Record {
	wire := &kgo.Record{
		Topic:     topic,
		Partition: record.Partition,
		Timestamp: record.Timestamp,
		Key:       record.Key,
		Value:     record.Value,
	}
	for _, header := range record.Headers {
		wire.Headers = append(wire.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
	}
	return wire
}

package kafkastore

import (
	"context"
	"fmt"

	"tributary/internal/kafka"
	"tributary/storage"
)

// OffsetStore implements [storage.OffsetStore] over a worker's or a connector's offsets
// topic. It starts once.
type OffsetStore struct {
	journal *journal
	table   storage.OffsetTable
}

var _ storage.OffsetStore = (*OffsetStore)(nil)

// NewOffsetStore checks the properties.
func NewOffsetStore(o Options) (*OffsetStore, error) {
	j, err := newJournal(o, content{purpose: "source connector offsets", suffix: "offsets", replaceable: true,
		remedy: "What runs goes on, but offsets that are not committed anew are lost when the workers are started the next time. Restarting one worker makes a missing topic again"})
	if err != nil {
		return nil, err
	}
	return &OffsetStore{journal: j}, nil
}

// Start implements [storage.OffsetStore].
func (s *OffsetStore) Start(ctx context.Context) error {
	return s.journal.start(ctx, s.apply, anyPartitions)
}

func (s *OffsetStore) apply(record kafka.Record) {
	if err := s.table.Apply(storage.Record{Key: record.Key, Value: record.Value}); err != nil {
		s.journal.logger.Warn("Offsets topic: "+err.Error(), "partition", record.Partition, "offset", record.Offset)
	}
}

// Stop implements [storage.OffsetStore].
func (s *OffsetStore) Stop() { s.journal.stop() }

// Topic implements [storage.OffsetStore].
func (s *OffsetStore) Topic() string { return s.journal.topic.Name }

// WriteOffsets implements [storage.OffsetStore]: it returns nil when all records are
// acknowledged. When ctx ends before, records may still be written later, in order.
func (s *OffsetStore) WriteOffsets(ctx context.Context, records []storage.OffsetRecord) error {
	return s.journal.write(ctx, s.table.Expand(records)...)
}

// catchUp makes the table show all that anyone wrote before the call.
func (s *OffsetStore) catchUp(ctx context.Context) error {
	c, err := s.journal.running()
	if err != nil {
		return err
	}
	if err := c.producer.Flush(ctx); err != nil {
		return fmt.Errorf("awaiting writes to the topic %s: %w", s.Topic(), s.journal.orStopped(err))
	}
	return s.journal.refresh(ctx)
}

// Offsets implements [storage.OffsetStore].
func (s *OffsetStore) Offsets(ctx context.Context, connector string, partitions []map[string]any) ([]map[string]any, error) {
	if err := s.catchUp(ctx); err != nil {
		return nil, err
	}
	return s.table.Offsets(connector, partitions)
}

// Partitions implements [storage.OffsetStore].
func (s *OffsetStore) Partitions(ctx context.Context, connector string) ([]map[string]any, error) {
	if err := s.catchUp(ctx); err != nil {
		return nil, err
	}
	return s.table.Partitions(connector), nil
}

// Record implements [storage.OffsetStore].
func (s *OffsetStore) Record(connector string, partition, offset map[string]any) (storage.OffsetRecord, error) {
	return s.table.Record(connector, partition, offset)
}

// Expand implements [storage.OffsetStore].
func (s *OffsetStore) Expand(records []storage.OffsetRecord) []storage.OffsetRecord {
	return s.table.Expand(records)
}

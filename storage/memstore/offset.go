package memstore

import (
	"context"
	"log/slog"
	"sync"

	"tributary/storage"
)

// OffsetStore implements [storage.OffsetStore].
type OffsetStore struct {
	table  storage.OffsetTable
	topic  *Topic
	name   string
	logger *slog.Logger

	mu    sync.Mutex
	leave func() // nil: not running
}

var _ storage.OffsetStore = (*OffsetStore)(nil)

// NewOffsetStore returns a store over topic that calls itself name; a nil topic gives it
// one of its own.
func NewOffsetStore(topic *Topic, name string, logger *slog.Logger) *OffsetStore {
	if topic == nil {
		topic = NewTopic()
	}
	return &OffsetStore{topic: topic, name: name, logger: logger}
}

// Start implements [storage.OffsetStore].
func (s *OffsetStore) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	leave := s.topic.follow(func(record storage.Record, offset int64) {
		if err := s.table.Apply(record); err != nil {
			s.logger.Warn("Offsets topic: "+err.Error(), "offset", offset)
		}
	}, func() {})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = leave
	return nil
}

// Stop implements [storage.OffsetStore].
func (s *OffsetStore) Stop() {
	s.mu.Lock()
	leave := s.leave
	s.leave = nil
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
}

func (s *OffsetStore) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leave == nil {
		return storage.ErrStopped
	}
	return ctx.Err()
}

// Topic implements [storage.OffsetStore].
func (s *OffsetStore) Topic() string { return s.name }

// WriteOffsets implements [storage.OffsetStore].
func (s *OffsetStore) WriteOffsets(ctx context.Context, records []storage.OffsetRecord) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.topic.append(s.table.Expand(records)...)
	return nil
}

// Offsets implements [storage.OffsetStore].
func (s *OffsetStore) Offsets(ctx context.Context, connector string, partitions []map[string]any) ([]map[string]any, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return s.table.Offsets(connector, partitions)
}

// Partitions implements [storage.OffsetStore].
func (s *OffsetStore) Partitions(ctx context.Context, connector string) ([]map[string]any, error) {
	if err := s.usable(ctx); err != nil {
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

package storage

import (
	"context"
	"fmt"
	"log/slog"
)

// OffsetPair is the OffsetStore of a connector with an offsets topic of its own (KIP-618):
// the topic is what counts, and a second store, the worker's, keeps a copy, so that the
// connector finds its offsets when it leaves the topic or comes to it. Starting and
// stopping concern the first alone.
type OffsetPair struct {
	OffsetStore // the connector's
	copy        OffsetStore
	logger      *slog.Logger
}

var (
	_ OffsetStore = (*OffsetPair)(nil)
	_ OffsetEcho  = (*OffsetPair)(nil)
)

// NewOffsetPair returns a store over own with its copy in shared, which is running.
func NewOffsetPair(own, shared OffsetStore, logger *slog.Logger) *OffsetPair {
	return &OffsetPair{OffsetStore: own, copy: shared, logger: logger}
}

// Offsets implements OffsetStore: where own has none, the copy counts.
func (p *OffsetPair) Offsets(ctx context.Context, connector string, partitions []map[string]any) ([]map[string]any, error) {
	offsets, err := p.OffsetStore.Offsets(ctx, connector, partitions)
	if err != nil {
		return nil, err
	}
	copied, err := p.copy.Offsets(ctx, connector, partitions)
	if err != nil {
		return nil, err
	}
	for i := range offsets {
		if offsets[i] == nil {
			offsets[i] = copied[i]
		}
	}
	return offsets, nil
}

// Partitions implements OffsetStore.
func (p *OffsetPair) Partitions(ctx context.Context, connector string) ([]map[string]any, error) {
	partitions, err := p.OffsetStore.Partitions(ctx, connector)
	if err != nil {
		return nil, err
	}
	copied, err := p.copy.Partitions(ctx, connector)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, partition := range partitions {
		canonical, err := canonicalPartition(partition)
		if err != nil {
			return nil, err
		}
		known[canonical] = true
	}
	for _, partition := range copied {
		canonical, err := canonicalPartition(partition)
		if err != nil {
			return nil, err
		}
		if !known[canonical] {
			partitions = append(partitions, partition)
		}
	}
	return partitions, nil
}

// WriteOffsets implements OffsetStore. That the copy could not be brought up to date is
// logged and no error.
func (p *OffsetPair) WriteOffsets(ctx context.Context, records []OffsetRecord) error {
	if err := p.Before(ctx, records); err != nil {
		return err
	}
	if err := p.OffsetStore.WriteOffsets(ctx, records); err != nil {
		return err
	}
	if err := p.After(ctx, records); err != nil {
		p.logger.Warn("Offsets were written to the connector's offsets topic but could not be copied to the worker's", "topic", p.Topic(), "error", err)
	}
	return nil
}

// Before implements OffsetEcho.
func (p *OffsetPair) Before(ctx context.Context, records []OffsetRecord) error {
	if err := p.copyWhere(ctx, records, func(r OffsetRecord) bool { return r.Value == nil }); err != nil {
		return fmt.Errorf("removing offsets from the worker's offsets topic first: %w", err)
	}
	return nil
}

// After implements OffsetEcho.
func (p *OffsetPair) After(ctx context.Context, records []OffsetRecord) error {
	return p.copyWhere(ctx, records, func(r OffsetRecord) bool { return r.Value != nil })
}

func (p *OffsetPair) copyWhere(ctx context.Context, records []OffsetRecord, chosen func(OffsetRecord) bool) error {
	var some []OffsetRecord
	for _, r := range records {
		if chosen(r) {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return p.copy.WriteOffsets(ctx, some)
}

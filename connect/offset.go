package connect

import (
	"context"
	"encoding/json"
)

// SourcePartition identifies one independent stream inside a source, such as a
// file or a topic partition. Create it once and share it among the records read
// from that stream: the worker tracks offsets by its canonical key.
type SourcePartition struct {
	fields map[string]any
	key    string
}

// NewSourcePartition wraps a partition map. Values are restricted to what the
// offsets topic can hold: nil, booleans, numbers and strings. The map is copied.
func NewSourcePartition(fields map[string]any) *SourcePartition {
	own := make(map[string]any, len(fields))
	for k, v := range fields {
		own[k] = v
	}
	// Marshal sorts the keys, so equal maps have equal keys. It cannot fail for the
	// permitted values; for others the key is empty and the offset writer refuses
	// the map with a message of its own.
	key, _ := json.Marshal(own)
	return &SourcePartition{fields: own, key: string(key)}
}

// Fields returns the partition map. It is shared: read, don't write.
func (p *SourcePartition) Fields() map[string]any { return p.fields }

// Key is equal for two partitions exactly when their maps are equal.
func (p *SourcePartition) Key() string { return p.key }

// SourceOffset is a position inside a SourcePartition. It is an interface so that
// a task whose offset is one number pays for one number a record, not for a map;
// the map is only built for the offsets that are really committed.
type SourceOffset interface {
	// OffsetFields returns the map that the offsets topic stores. It is called on
	// the committer's goroutine, at most once per commit and partition.
	OffsetFields() map[string]any
}

// OffsetMap is a SourceOffset for tasks that are content with a map.
type OffsetMap map[string]any

// OffsetFields implements SourceOffset.
func (m OffsetMap) OffsetFields() map[string]any { return m }

// OffsetReader reads committed source offsets. Safe for concurrent use.
type OffsetReader interface {
	// Offsets returns the committed offset of each partition, nil where there is
	// none, in the order asked. It reads the offsets topic to its end first, so it
	// sees everything committed before the call, and blocks until then or until ctx
	// ends.
	Offsets(ctx context.Context, partitions []*SourcePartition) ([]map[string]any, error)
}

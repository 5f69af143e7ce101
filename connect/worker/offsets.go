package worker

import (
	"context"

	"tributary/connect"
	"tributary/storage"
)

// offsetReader is the connect.OffsetReader of one connector and its tasks.
type offsetReader struct {
	connector string
	store     storage.OffsetStore
}

// Offsets implements connect.OffsetReader.
func (r offsetReader) Offsets(ctx context.Context, partitions []*connect.SourcePartition) ([]map[string]any, error) {
	maps := make([]map[string]any, len(partitions))
	for i, p := range partitions {
		maps[i] = p.Fields()
	}
	return r.store.Offsets(ctx, r.connector, maps)
}

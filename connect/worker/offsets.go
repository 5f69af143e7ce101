package worker

import (
	"context"
	"errors"
	"sync"

	"tributary/connect"
	"tributary/connect/provider"
	"tributary/storage"
)

// OffsetStores opens the offset stores of connectors that do not (only) use the
// worker's. Safe for concurrent use.
type OffsetStores interface {
	// Open returns the store of a connector's source offsets, started, for as long as
	// release was not called. It may wait for the cluster as long as ctx lasts.
	Open(ctx context.Context, spec OffsetStoreSpec) (store storage.OffsetStore, release func(), err error)
}

// OffsetStoreSpec says whose offsets are wanted.
type OffsetStoreSpec struct {
	Connector string
	// ClientID ends the ids of the store's clients: the connector's name, or name-task.
	ClientID string
	// Config is the connector's configuration, references resolved.
	Config map[string]string
	// Concealment is for what the store's clients log; nil conceals nothing.
	Concealment *provider.Concealment
}

// offsetAccess opens an instance's offset store when it is first needed.
type offsetAccess struct {
	stores OffsetStores // nil: always the worker's
	shared storage.OffsetStore

	mu      sync.Mutex
	spec    OffsetStoreSpec
	opened  storage.OffsetStore
	release func()
	closed  bool
}

func newOffsetAccess(o *Options) *offsetAccess {
	return &offsetAccess{stores: o.OffsetStores, shared: o.Offsets}
}

// describe says whose store it is; it comes before the first use.
func (a *offsetAccess) describe(spec OffsetStoreSpec) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spec = spec
}

func (a *offsetAccess) store(ctx context.Context) (storage.OffsetStore, error) {
	if a.stores == nil {
		return a.shared, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil, errors.New("the instance has ended")
	case a.opened != nil:
		return a.opened, nil
	}
	store, release, err := a.stores.Open(ctx, a.spec)
	if err != nil {
		return nil, err
	}
	a.opened, a.release = store, release
	return store, nil
}

func (a *offsetAccess) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.release != nil {
		a.release()
	}
	a.opened, a.release = nil, nil
}

// offsetReader is the connect.OffsetReader of one connector and its tasks.
type offsetReader struct {
	connector string
	access    *offsetAccess
}

// Offsets implements connect.OffsetReader.
func (r offsetReader) Offsets(ctx context.Context, partitions []*connect.SourcePartition) ([]map[string]any, error) {
	store, err := r.access.store(ctx)
	if err != nil {
		return nil, err
	}
	maps := make([]map[string]any, len(partitions))
	for i, p := range partitions {
		maps[i] = p.Fields()
	}
	return store.Offsets(ctx, r.connector, maps)
}

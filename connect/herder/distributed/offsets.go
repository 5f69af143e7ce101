package distributed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/storage"
)

// Offsets of connectors (KIP-875): those of source connectors are here, for those of sink
// connectors see sinkoffsets.go.

// offsetsTimeout bounds reading and writing the offsets of one request, as in Java.
const offsetsTimeout = 90 * time.Second

// ConnectorOffsets implements herder.Herder.
func (h *Herder) ConnectorOffsets(ctx context.Context, connector string) (api.ConnectorOffsets, error) {
	out := api.ConnectorOffsets{Offsets: []api.ConnectorOffset{}}
	if err := h.awaitReady(ctx); err != nil {
		return out, err
	}
	state := h.snapshot()
	if !state.Contains(connector) {
		return out, herder.ConnectorNotFound(connector)
	}
	if h.isSink(state, connector) {
		offsets, err := h.sinkOffsets(ctx, state, connector)
		if err != nil {
			return out, fmt.Errorf("Failed to retrieve consumer group offsets for sink connector %s: %w", connector, err)
		}
		out.Offsets = append(out.Offsets, offsets...)
		return out, nil
	}
	offsets, err := h.sourceOffsets(ctx, state, connector)
	if err != nil {
		return out, fmt.Errorf("Failed to retrieve offsets for source connector %s: %w", connector, err)
	}
	out.Offsets = append(out.Offsets, offsets...)
	return out, nil
}

func (h *Herder) isSink(state *storage.ClusterState, connector string) bool {
	config, _ := state.RawConnectorConfig(connector)
	return h.kind(config) == string(plugin.Sink)
}

// resolved is a connector's configuration without references, and what puts these and the
// worker's own back where an error quotes them.
func (h *Herder) resolved(ctx context.Context, state *storage.ClusterState, connector string) (map[string]string, *provider.Concealment, error) {
	raw, _ := state.RawConnectorConfig(connector)
	written := withoutNulls(raw)
	concealment := &provider.Concealment{}
	concealment.Include(h.opts.Concealment)
	if h.opts.Validator == nil {
		return written, concealment, nil
	}
	config, err := h.opts.Validator.Resolved(ctx, connector, written)
	if err != nil {
		return nil, nil, err
	}
	concealment.Add(written, config)
	return config, concealment, nil
}

func (h *Herder) sourceOffsets(ctx context.Context, state *storage.ClusterState, connector string) (out []api.ConnectorOffset, err error) {
	config, concealment, err := h.resolved(ctx, state, connector)
	if err != nil {
		return nil, err
	}
	defer func() { err = concealment.Error(err) }()
	store, release, err := h.runner.OpenOffsets(ctx, connector, config, concealment)
	if err != nil {
		return nil, err
	}
	defer release()
	partitions, err := store.Partitions(ctx, connector)
	if err != nil {
		return nil, err
	}
	offsets, err := store.Offsets(ctx, connector, partitions)
	if err != nil {
		return nil, err
	}
	out = make([]api.ConnectorOffset, len(partitions))
	for i := range partitions {
		// As the record that says so: with the fields in Java's order and numbers in Java's
		// form.
		record, err := store.Record(connector, partitions[i], offsets[i])
		if err != nil {
			return nil, err
		}
		var key []json.RawMessage
		if err := json.Unmarshal(record.Key, &key); err != nil {
			return nil, fmt.Errorf("read a key of the offsets topic: %w", err)
		}
		out[i] = api.ConnectorOffset{Partition: key[len(key)-1], Offset: record.Value}
	}
	return out, nil
}

// AlterOffsets implements herder.Herder.
func (h *Herder) AlterOffsets(ctx context.Context, connector string, changes []connect.OffsetChange) (api.Message, error) {
	return h.modifyOffsets(ctx, connector, "altered", changes, func(storage.OffsetStore) ([]connect.OffsetChange, error) {
		var last []connect.OffsetChange
		index := map[string]int{}
		for _, change := range changes {
			for _, fields := range []map[string]any{change.Partition, change.Offset} {
				if err := requirePrimitives(fields); err != nil {
					return nil, err
				}
			}
			key := connect.NewSourcePartition(change.Partition).Key()
			if i, again := index[key]; again {
				last[i] = change
				continue
			}
			index[key] = len(last)
			last = append(last, change)
		}
		return last, nil
	})
}

// ResetOffsets implements herder.Herder.
func (h *Herder) ResetOffsets(ctx context.Context, connector string) (api.Message, error) {
	return h.modifyOffsets(ctx, connector, "reset", nil, func(store storage.OffsetStore) ([]connect.OffsetChange, error) {
		partitions, err := store.Partitions(ctx, connector)
		changes := make([]connect.OffsetChange, len(partitions))
		for i, partition := range partitions {
			changes[i].Partition = partition
		}
		return changes, err
	})
}

// requirePrimitives refuses what a source offset cannot hold.
func requirePrimitives(fields map[string]any) error {
	for name, value := range fields {
		kind := ""
		switch value.(type) {
		case nil, bool, string, int64, float64:
			continue
		case map[string]any:
			kind = "MAP"
		case []any:
			kind = "ARRAY"
		default:
			kind = "a number that is too large"
		}
		return fmt.Errorf("Offsets may only contain primitive types as values, but field %s contains %s", name, kind)
	}
	return nil
}

// modifyOffsets lets the connector see the changes and writes them. done is the word for
// it in messages.
func (h *Herder) modifyOffsets(ctx context.Context, connector, done string, requested []connect.OffsetChange, changesOf func(storage.OffsetStore) ([]connect.OffsetChange, error)) (message api.Message, err error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.Message{}, err
	}
	if err := h.requireStopped(ctx, connector); err != nil {
		return api.Message{}, err
	}
	if h.isSink(h.snapshot(), connector) {
		return h.modifySinkOffsets(ctx, connector, done, requested)
	}
	if h.opts.ExactlyOnce {
		// A task that was cut off may still be about to commit.
		if err := h.fenceZombies(ctx, connector); err != nil {
			return api.Message{}, fmt.Errorf("Failed to perform zombie fencing for source connector prior to modifying offsets: %w", err)
		}
		if err := h.requireStopped(ctx, connector); err != nil { // much may have happened
			return api.Message{}, err
		}
	}
	leave := h.stages.Enter("modifying offsets for connector " + connector)
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, offsetsTimeout)
	defer cancel()
	config, concealment, err := h.resolved(ctx, h.snapshot(), connector)
	if err != nil {
		return api.Message{}, fmt.Errorf("Failed to modify offsets for source connector %s: %w", connector, err)
	}
	defer func() { err = concealment.Error(err) }()
	store, release, err := h.runner.OpenOffsets(ctx, connector, config, concealment)
	if err != nil {
		return api.Message{}, fmt.Errorf("Failed to modify offsets for source connector %s: %w", connector, err)
	}
	defer release()
	changes, err := changesOf(store)
	if err != nil {
		return api.Message{}, err
	}
	// Encoded before the connector acts on them: what cannot be written is refused whole.
	records := make([]storage.OffsetRecord, len(changes))
	for i, change := range changes {
		if records[i], err = store.Record(connector, change.Partition, change.Offset); err != nil {
			return api.Message{}, err
		}
	}
	complete, err := h.tellConnector(ctx, connector, config, changes)
	if err != nil {
		return api.Message{}, err
	}
	if len(records) > 0 {
		if h.opts.ExactlyOnce {
			err = h.runner.CommitOffsets(ctx, connector, config, concealment, store, records)
		} else {
			err = store.WriteOffsets(ctx, records)
		}
		if err != nil {
			return api.Message{}, fmt.Errorf("Failed to modify offsets for source connector %s: %w", connector, err)
		}
	}
	h.log.Info("Offsets were "+done, "connector", connector, "partitions", len(changes))
	return offsetsMessage(done, complete), nil
}

// offsetsMessage says how far a change of offsets goes.
func offsetsMessage(done string, complete bool) api.Message {
	if complete {
		return api.Message{Message: "The offsets for this connector have been " + done + " successfully"}
	}
	return api.Message{Message: "The Connect framework-managed offsets for this connector have been " + done +
		" successfully. However, if this connector manages offsets externally, they will need to be manually " + done + " in the system that the connector uses."}
}

// requireStopped refuses changes of offsets that a running task would write over.
func (h *Herder) requireStopped(ctx context.Context, connector string) error {
	if err := h.requireSettled(); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	readCtx, cancel := context.WithTimeout(ctx, h.opts.SyncTimeout)
	defer cancel()
	if err := h.opts.Configs.Refresh(readCtx); err != nil {
		return fmt.Errorf("Failed to read to end of config topic before modifying connector offsets: %v", err)
	}
	state := h.snapshot()
	switch {
	case !state.Contains(connector):
		return herder.ConnectorNotFound(connector)
	case !isStopped(state, connector) || state.TaskCount(connector) != 0:
		return &herder.BadRequestError{Message: "Connectors must be in the STOPPED state before their offsets can be modified. This can be done " +
			"for the specified connector by issuing a 'PUT' request to the '/connectors/" + connector + "/stop' endpoint"}
	}
	return nil
}

// tellConnector lets the connector check the changes, or make them its own. The result
// is whether it knows that they are complete.
func (h *Herder) tellConnector(ctx context.Context, connector string, config map[string]string, changes []connect.OffsetChange) (complete bool, err error) {
	instance, _, err := h.opts.Plugins.NewConnector(config["connector.class"])
	if err != nil {
		return false, err
	}
	alterer, ok := instance.(connect.OffsetAlterer)
	if !ok {
		return false, nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("Failed to modify offsets for source connector %s: it panicked: %v", connector, cause)
		}
	}()
	return alterer.AlterOffsets(ctx, config, changes)
}

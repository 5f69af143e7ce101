package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/provider"
	"tributary/internal/kafka"
	"tributary/storage"
)

// OpenOffsets opens the offset store of a source connector that need not run here; config
// has its references resolved, concealment is for what the store's clients log. Call
// release when done.
func (w *Worker) OpenOffsets(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment) (store storage.OffsetStore, release func(), err error) {
	if w.options.OffsetStores == nil {
		return w.options.Offsets, func() {}, nil
	}
	return w.options.OffsetStores.Open(ctx, OffsetStoreSpec{Connector: connector, ClientID: connector, Config: config, Concealment: concealment})
}

// CommitOffsets writes offsets of a source connector in a transaction under the
// transactional id of its first task, which must not run: it is fenced. config has its
// references resolved, concealment is for what the producer logs.
func (w *Worker) CommitOffsets(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment, store storage.OffsetStore, records []storage.OffsetRecord) (err error) {
	task := connect.TaskID{Connector: connector}
	p, err := w.options.Producers(ctx, ProducerSpec{
		Task: task, ClientID: "connector-offset-producer-" + connector,
		Overrides: withPrefix(config, "producer.override."), TransactionalID: TransactionalID(w.options.Config.Properties["group.id"], task), Concealment: concealment,
	})
	if err != nil {
		return fmt.Errorf("the transactional producer cannot be made: %w", err)
	}
	defer func() {
		// What was to be written has been, or never will.
		closing, cancel := context.WithCancel(ctx)
		cancel()
		if cerr := p.Close(closing); err == nil && cerr != nil && !errors.Is(cerr, context.Canceled) {
			err = cerr
		}
	}()
	sender, ok := p.(TransactionalProducer)
	if !ok {
		return fmt.Errorf("a %T knows no transactions", p)
	}
	if err := sender.InitTransactions(ctx); err != nil {
		return err
	}
	records = store.Expand(records)
	echo, echoes := store.(storage.OffsetEcho)
	if echoes {
		if err := echo.Before(ctx, records); err != nil {
			return err
		}
	}
	if err := sender.Begin(); err != nil {
		return err
	}
	if err := (recordTransactor{sender}).SendOffsets(ctx, store.Topic(), records); err != nil {
		return err
	}
	for {
		err := sender.Commit(ctx)
		if err == nil {
			break
		}
		if !kafka.IsRetriable(err) || !sleep(ctx, outcomeRetryPause) {
			return err
		}
	}
	if echoes {
		if err := echo.After(ctx, records); err != nil {
			concealment.Logger(w.logger).Warn("Offsets were written to the connector's offsets topic but could not be copied to the worker's", "connector", connector, "error", err)
		}
	}
	return nil
}

// Fencer takes transactional ids over, so that producers that use them can write no more.
// config is the connector's, references resolved: its admin.override.* settings are the
// rights this is done with; concealment is for what the client logs. The map holds the
// ids that failed.
type Fencer func(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment, transactionalIDs []string) (map[string]error, error)

// FenceTasks fences the producers of a connector's tasks 0 to count-1, wherever they are.
func (w *Worker) FenceTasks(ctx context.Context, connector string, config map[string]string, count int) error {
	resolved, err := w.options.Transformer.Transform(ctx, connector, config)
	if err != nil {
		return fmt.Errorf("the configuration of connector %s cannot be resolved: %w", connector, err)
	}
	ids := make([]string, count)
	for i := range ids {
		ids[i] = TransactionalID(w.options.Config.Properties["group.id"], connect.TaskID{Connector: connector, Task: i})
	}
	concealment := w.newConcealment()
	concealment.Add(config, resolved)
	failed, err := w.options.Fence(ctx, connector, resolved, concealment, ids)
	if err != nil {
		return concealment.Error(err)
	}
	var errs *multierror.Error
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		errs = multierror.Append(errs, concealment.Error(failed[id]))
	}
	return errs.ErrorOrNil()
}

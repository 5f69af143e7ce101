package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// history reads the two topics that a checkpoint task builds on: the checkpoints
// written so far, once, and the offset syncs, for as long as the task lives.
type history struct {
	settings *settings
	logger   *slog.Logger
	troubles *troubles

	syncsClient, checkpointsClient *kafka.Client
	syncsConfig, checkpointsConfig *kafka.Config
	syncs                          *kafka.Log
	// newest is the time of the last offset sync read, in milliseconds since 1970.
	newest *atomic.Int64
}

func (t *CheckpointTask) openHistory() (*history, error) {
	s := t.settings
	h := &history{settings: s, logger: t.logger, troubles: t.troubles, newest: &t.newestSync}
	at := onTarget
	if s.syncsOnSource() {
		at = onSource
	}
	var err error
	if h.syncsClient, h.syncsConfig, err = h.client(at, "offset-syncs-"+string(at)+"-consumer"); err != nil {
		return nil, err
	}
	if h.checkpointsClient, h.checkpointsConfig, err = h.client(onTarget, "checkpoints-target-consumer"); err != nil {
		return nil, errors.Join(err, h.syncsClient.Close())
	}
	return h, nil
}

func (h *history) client(at side, purpose string) (*kafka.Client, *kafka.Config, error) {
	config, err := h.settings.clientConfig(at, kafka.RoleConsumer, purpose, nil, h.logger)
	if err != nil {
		return nil, nil, err
	}
	client, err := kafka.NewClient(config, h.logger)
	if err != nil {
		return nil, nil, fmt.Errorf("client for cluster %s: %w", h.settings.alias(at), err)
	}
	return client, config, nil
}

func (h *history) close() {
	if h.syncs != nil {
		h.syncs.Close()
	}
	if err := errors.Join(h.syncsClient.Close(), h.checkpointsClient.Close()); err != nil {
		h.logger.Warn("A client of the task did not close cleanly", "error", err)
	}
}

// loadCheckpoints hands over every checkpoint there is, oldest first. It tries until
// it succeeds (true), or until the topic turns out not to be readable for this
// principal (false): the task can do without. The error is that ctx ended.
func (h *history) loadCheckpoints(ctx context.Context, restore func(replica.Checkpoint)) (complete bool, err error) {
	topic := h.settings.checkpointsTopic()
	for failures := 0; ; failures++ {
		log, err := kafka.OpenLog(ctx, h.checkpointsClient, h.checkpointsConfig, topic, func(r kafka.Record) {
			if r.Partition != 0 {
				return
			}
			c, err := replica.DecodeCheckpoint(r.Key, r.Value)
			if err != nil {
				h.skipped(topic, r.Offset, err)
				return
			}
			restore(c)
		}, h.logger)
		if err == nil {
			log.Close()
			return true, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		var denied *kafka.AuthorizationError
		if errors.As(err, &denied) {
			h.logger.Warn("The checkpoints written so far cannot be read: for each partition only the newest offset sync is used, so that no group is taken back",
				"topic", topic, "cluster", h.settings.target, "error", err)
			return false, nil
		}
		h.troubles.report("load checkpoints", err, "The checkpoints written so far cannot be read; it is tried again", "topic", topic, "cluster", h.settings.target)
		if !sleep(ctx, retryPause(failures, 0)) {
			return false, ctx.Err()
		}
	}
}

// followSyncs reads the offset syncs to their end, then goes on following them. It
// tries until it succeeds; the error is that ctx ended.
func (h *history) followSyncs(ctx context.Context, keepHistory bool) (*replica.OffsetSyncStore, error) {
	topic := h.settings.syncsTopic()
	for failures := 0; ; failures++ {
		store := replica.NewOffsetSyncStore(keepHistory)
		log, err := kafka.OpenLog(ctx, h.syncsClient, h.syncsConfig, topic, func(r kafka.Record) {
			if r.Partition != 0 {
				return
			}
			offsetSync, err := replica.DecodeOffsetSync(r.Key, r.Value)
			if err != nil {
				h.skipped(topic, r.Offset, err)
				return
			}
			store.Add(offsetSync)
			h.newest.Store(r.Timestamp)
		}, h.logger)
		if ctx.Err() == nil {
			h.troubles.report("read offset syncs", err, "The offset syncs cannot be read, so no consumer group is translated; it is tried again", "topic", topic)
		}
		if err == nil {
			h.syncs = log
			store.Ready()
			return store, nil
		}
		if !sleep(ctx, retryPause(failures, 0)) {
			return nil, ctx.Err()
		}
	}
}

// skipped tells of records that are none of ours. Tombstones are expected: somebody
// cleaned up.
func (h *history) skipped(topic string, offset int64, err error) {
	if errors.Is(err, replica.ErrTombstone) {
		return
	}
	h.logger.Warn("A record of one of the mirror's own topics is not understood and skipped", "topic", topic, "offset", offset, "error", err)
}

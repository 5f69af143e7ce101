package memstore

import (
	"context"
	"log/slog"
	"sync"

	"tributary/connect"
	"tributary/storage"
)

// ConfigStore implements [storage.ConfigStore]. Its callbacks run on the goroutine of
// whoever writes to the topic.
type ConfigStore struct {
	topic      *Topic
	privileged bool
	logger     *slog.Logger

	mu     sync.Mutex
	replay storage.Replay
	leave  func() // nil: not running
	// claimed: the privileges are believed to be held.
	claimed bool
}

var _ storage.ConfigStore = (*ConfigStore)(nil)

// NewConfigStore returns a store over topic; nil gives it one of its own. With privileged
// set, the writes of a leader are refused to all but the store that called
// ClaimWritePrivileges last, as in an exactly-once group.
func NewConfigStore(topic *Topic, privileged bool, logger *slog.Logger) *ConfigStore {
	if topic == nil {
		topic = NewTopic()
	}
	return &ConfigStore{topic: topic, privileged: privileged, logger: logger}
}

// Start implements [storage.ConfigStore].
func (s *ConfigStore) Start(ctx context.Context, events storage.ConfigEvents) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	telling := false // guarded by the topic's lock
	leave := s.topic.follow(func(record storage.Record, offset int64) {
		s.mu.Lock()
		event, err := s.replay.Apply(record, offset)
		s.mu.Unlock()
		if err != nil {
			s.logger.Error("Config topic: "+err.Error(), "offset", offset)
		}
		if telling && event != nil {
			event.Tell(events)
		}
	}, func() { telling = true })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = leave
	return nil
}

// Stop implements [storage.ConfigStore]. No callback runs once it returned.
func (s *ConfigStore) Stop() {
	s.mu.Lock()
	leave := s.leave
	s.leave = nil
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// Snapshot implements [storage.ConfigStore].
func (s *ConfigStore) Snapshot() *storage.ClusterState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay.Snapshot()
}

func (s *ConfigStore) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leave == nil {
		return storage.ErrStopped
	}
	return ctx.Err()
}

// Refresh implements [storage.ConfigStore]; there is nothing to wait for.
func (s *ConfigStore) Refresh(ctx context.Context) error { return s.usable(ctx) }

// ClaimWritePrivileges implements [storage.ConfigStore].
func (s *ConfigStore) ClaimWritePrivileges(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed {
		s.topic.claim(s)
		s.claimed = true
	}
	return nil
}

func (s *ConfigStore) write(ctx context.Context, records ...storage.Record) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.topic.append(records...)
	return nil
}

func (s *ConfigStore) writeAsLeader(ctx context.Context, records ...storage.Record) error {
	if !s.privileged {
		return s.write(ctx, records...)
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	err := s.topic.appendAs(s, records...)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.claimed = false
	}
	return err
}

// PutConnectorConfig implements [storage.ConfigStore].
func (s *ConfigStore) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState) error {
	var records []storage.Record
	if initial != nil {
		records = append(records, storage.TargetStateRecord(connector, *initial))
	}
	return s.writeAsLeader(ctx, append(records, storage.ConnectorConfigRecord(connector, config))...)
}

// RemoveConnectorConfig implements [storage.ConfigStore].
func (s *ConfigStore) RemoveConnectorConfig(ctx context.Context, connector string) error {
	return s.writeAsLeader(ctx, storage.ConnectorRemovalRecord(connector), storage.TargetStateRemovalRecord(connector))
}

// PutTaskConfigs implements [storage.ConfigStore].
func (s *ConfigStore) PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string) error {
	records := make([]storage.Record, len(configs), len(configs)+1)
	for i, config := range configs {
		records[i] = storage.TaskConfigRecord(connect.TaskID{Connector: connector, Task: i}, config)
	}
	return s.writeAsLeader(ctx, append(records, storage.TaskCommitRecord(connector, len(configs)))...)
}

// PutTargetState implements [storage.ConfigStore].
func (s *ConfigStore) PutTargetState(ctx context.Context, connector string, state storage.TargetState) error {
	return s.write(ctx, storage.TargetStateRecord(connector, state))
}

// PutSessionKey implements [storage.ConfigStore].
func (s *ConfigStore) PutSessionKey(ctx context.Context, key storage.SessionKey) error {
	return s.writeAsLeader(ctx, storage.SessionKeyRecord(key))
}

// PutRestartRequest implements [storage.ConfigStore].
func (s *ConfigStore) PutRestartRequest(ctx context.Context, request storage.RestartRequest) error {
	return s.writeAsLeader(ctx, storage.RestartRecord(request))
}

// PutTaskCountRecord implements [storage.ConfigStore].
func (s *ConfigStore) PutTaskCountRecord(ctx context.Context, connector string, count int) error {
	return s.writeAsLeader(ctx, storage.TaskCountRecord(connector, count))
}

// PutLoggerLevel implements [storage.ConfigStore].
func (s *ConfigStore) PutLoggerLevel(ctx context.Context, namespace, level string) error {
	return s.write(ctx, storage.LoggerLevelRecord(namespace, level))
}

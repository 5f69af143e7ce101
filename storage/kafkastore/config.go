package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// writeBudget bounds one write of the config topic with all its reading back, as in Java.
const writeBudget = 30 * time.Second

// ConfigOptions are what a ConfigStore needs.
type ConfigOptions struct {
	Options
	// TransactionalID is set in groups whose leader writes in transactions, which fences
	// the leaders before it: those with exactly.once.source.support preparing or enabled.
	TransactionalID string
}

// ConfigStore implements [storage.ConfigStore] over the config topic. It starts once.
// Events are told on the goroutine that follows the topic.
type ConfigStore struct {
	journal *journal
	leader  *leader // nil: everyone may write everything

	mu     sync.Mutex
	replay storage.Replay
	events storage.ConfigEvents // nil until Start has read all there was
}

var _ storage.ConfigStore = (*ConfigStore)(nil)

// NewConfigStore checks the properties; Topic.Partitions is always 1.
func NewConfigStore(o ConfigOptions) (*ConfigStore, error) {
	o.Topic.Partitions = 1
	o.Producer = roomy(o.Props, o.Producer)
	j, err := newJournal(o.Options, content{purpose: "connector configurations", suffix: "configs",
		remedy: "Connectors and tasks run on as they were, but no change can be kept. Save the answer of GET /connectors?expand=info, " +
			"stop all workers of the group, start them, which makes the topic again, and create the connectors; their offsets are kept"})
	if err != nil {
		return nil, err
	}
	s := &ConfigStore{journal: j}
	if o.TransactionalID != "" {
		if s.leader, err = newLeader(j, o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// roomy adds to the producer's settings what lets a task have very many partitions. Its configuration lists them in one
// record, which for 10,000 topics and partitions with long names is more than the megabyte that producers and brokers
// allow; compressed it is a tenth. What the user has set stands.
func roomy(user, producer kafka.Props) kafka.Props {
	all := kafka.Props{"compression.type": "gzip", "max.request.size": "16777216"}
	for key := range all {
		if _, set := user[key]; set {
			delete(all, key)
		}
	}
	maps.Copy(all, producer)
	return all
}

// Start implements [storage.ConfigStore].
func (s *ConfigStore) Start(ctx context.Context, events storage.ConfigEvents) error {
	s.mu.Lock()
	if s.events == nil {
		s.replay = storage.Replay{} // a start that failed may have read some
	}
	s.mu.Unlock()
	err := s.journal.start(ctx, s.apply, func(partitions int) error {
		if partitions == 1 {
			return nil
		}
		return fmt.Errorf("%s=%s: the topic has %d partitions, but configurations need one partition to have one order; name another topic",
			s.journal.topic.Key, s.journal.topic.Name, partitions)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = events
	return nil
}

func (s *ConfigStore) apply(record kafka.Record) {
	s.mu.Lock()
	event, err := s.replay.Apply(storage.Record{Key: record.Key, Value: record.Value}, record.Offset)
	events := s.events
	s.mu.Unlock()
	if err != nil {
		s.journal.logger.Error("Config topic: "+err.Error(), "offset", record.Offset)
	}
	if event != nil && events != nil {
		event.Tell(events)
	}
}

// Stop implements [storage.ConfigStore].
func (s *ConfigStore) Stop() {
	if s.leader != nil {
		s.leader.relinquish()
	}
	s.journal.stop()
}

// Snapshot implements [storage.ConfigStore].
func (s *ConfigStore) Snapshot() *storage.ClusterState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay.Snapshot()
}

// Refresh implements [storage.ConfigStore].
func (s *ConfigStore) Refresh(ctx context.Context) error { return s.journal.refresh(ctx) }

// ClaimWritePrivileges implements [storage.ConfigStore].
func (s *ConfigStore) ClaimWritePrivileges(ctx context.Context) error {
	if s.leader == nil {
		return nil
	}
	return s.leader.claim(ctx)
}

// limited runs a write within its budget and gives its error a subject.
func limited(ctx context.Context, what string, write func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeBudget, fmt.Errorf("not done within %s", writeBudget))
	defer cancel()
	err := write(ctx)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("writing %s: %w: %w", what, cause, err)
	}
	return fmt.Errorf("writing %s: %w", what, err)
}

// asLeader writes records that only a leader may write, in one transaction if need be,
// and reads them back.
func (s *ConfigStore) asLeader(ctx context.Context, records ...storage.Record) error {
	var err error
	if s.leader != nil {
		err = s.leader.write(ctx, records...)
	} else {
		err = s.journal.write(ctx, records...)
	}
	if err != nil {
		return err
	}
	return s.journal.refresh(ctx)
}

// PutConnectorConfig implements [storage.ConfigStore].
func (s *ConfigStore) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState) error {
	var records []storage.Record
	if initial != nil {
		records = append(records, storage.TargetStateRecord(connector, *initial))
	}
	records = append(records, storage.ConnectorConfigRecord(connector, config))
	return limited(ctx, "the configuration of connector "+connector, func(ctx context.Context) error {
		return s.asLeader(ctx, records...)
	})
}

// RemoveConnectorConfig implements [storage.ConfigStore].
func (s *ConfigStore) RemoveConnectorConfig(ctx context.Context, connector string) error {
	return limited(ctx, "the removal of connector "+connector, func(ctx context.Context) error {
		return s.asLeader(ctx, storage.ConnectorRemovalRecord(connector), storage.TargetStateRemovalRecord(connector))
	})
}

// PutTaskConfigs implements [storage.ConfigStore]. The commit record is written only
// after the task configurations were read back: a reader that saw the commit first would
// take the connector for inconsistent.
func (s *ConfigStore) PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string) error {
	records := make([]storage.Record, len(configs))
	for i, config := range configs {
		records[i] = storage.TaskConfigRecord(connect.TaskID{Connector: connector, Task: i}, config)
	}
	return limited(ctx, "the task configurations of connector "+connector, func(ctx context.Context) error {
		if err := s.journal.refresh(ctx); err != nil {
			return err
		}
		if len(records) > 0 {
			if err := s.asLeader(ctx, records...); err != nil {
				return err
			}
		}
		return s.asLeader(ctx, storage.TaskCommitRecord(connector, len(configs)))
	})
}

// PutTargetState implements [storage.ConfigStore]; it is not read back.
func (s *ConfigStore) PutTargetState(ctx context.Context, connector string, state storage.TargetState) error {
	return limited(ctx, "the target state of connector "+connector, func(ctx context.Context) error {
		return s.journal.write(ctx, storage.TargetStateRecord(connector, state))
	})
}

// PutSessionKey implements [storage.ConfigStore].
func (s *ConfigStore) PutSessionKey(ctx context.Context, key storage.SessionKey) error {
	return limited(ctx, "a session key", func(ctx context.Context) error { return s.asLeader(ctx, storage.SessionKeyRecord(key)) })
}

// PutRestartRequest implements [storage.ConfigStore].
func (s *ConfigStore) PutRestartRequest(ctx context.Context, request storage.RestartRequest) error {
	return limited(ctx, "a restart request for connector "+request.Connector, func(ctx context.Context) error {
		return s.asLeader(ctx, storage.RestartRecord(request))
	})
}

// PutTaskCountRecord implements [storage.ConfigStore].
func (s *ConfigStore) PutTaskCountRecord(ctx context.Context, connector string, count int) error {
	return limited(ctx, "the task count of connector "+connector, func(ctx context.Context) error {
		return s.asLeader(ctx, storage.TaskCountRecord(connector, count))
	})
}

// PutLoggerLevel implements [storage.ConfigStore]; it is not read back.
func (s *ConfigStore) PutLoggerLevel(ctx context.Context, namespace, level string) error {
	return limited(ctx, "the log level of "+namespace, func(ctx context.Context) error {
		return s.journal.write(ctx, storage.LoggerLevelRecord(namespace, level))
	})
}

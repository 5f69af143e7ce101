package memstore

import (
	"context"
	"log/slog"
	"sync"

	"tributary/connect"
	"tributary/storage"
)

// StatusStore implements [storage.StatusStore]. Writes are done when they return.
type StatusStore struct {
	storage.StatusTable
	topic  *Topic
	logger *slog.Logger

	mu    sync.Mutex
	leave func() // nil: not running
}

var _ storage.StatusStore = (*StatusStore)(nil)

// NewStatusStore returns a store over topic; nil gives it one of its own.
func NewStatusStore(topic *Topic, logger *slog.Logger) *StatusStore {
	if topic == nil {
		topic = NewTopic()
	}
	return &StatusStore{topic: topic, logger: logger}
}

// Start implements [storage.StatusStore].
func (s *StatusStore) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	leave := s.topic.follow(func(record storage.Record, offset int64) {
		if err := s.Apply(record); err != nil {
			s.logger.Warn("Status topic: "+err.Error(), "offset", offset)
		}
	}, func() {})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave = leave
	return nil
}

// Stop implements [storage.StatusStore].
func (s *StatusStore) Stop() {
	s.mu.Lock()
	leave := s.leave
	s.leave = nil
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// Flush implements [storage.StatusStore]; there is nothing to wait for.
func (s *StatusStore) Flush(ctx context.Context) error { return ctx.Err() }

// SetGeneration implements [storage.StatusStore]; there are no retries to end.
func (s *StatusStore) SetGeneration(int) {}

// write drops the record of a store that is not running.
func (s *StatusStore) write(record storage.Record) {
	s.mu.Lock()
	running := s.leave != nil
	s.mu.Unlock()
	if running {
		s.topic.append(record)
	}
}

// PutConnector implements [storage.StatusStore].
func (s *StatusStore) PutConnector(connector string, status storage.Status) {
	s.write(storage.ConnectorStatusRecord(connector, &status))
}

// PutConnectorSafe implements [storage.StatusStore].
func (s *StatusStore) PutConnectorSafe(connector string, status storage.Status) {
	if s.SafeForConnector(connector, status) {
		s.PutConnector(connector, status)
	}
}

// RemoveConnector implements [storage.StatusStore].
func (s *StatusStore) RemoveConnector(connector string) {
	s.write(storage.ConnectorStatusRecord(connector, nil))
}

// PutTask implements [storage.StatusStore].
func (s *StatusStore) PutTask(task connect.TaskID, status storage.Status) {
	s.write(storage.TaskStatusRecord(task, &status))
}

// PutTaskSafe implements [storage.StatusStore].
func (s *StatusStore) PutTaskSafe(task connect.TaskID, status storage.Status) {
	if s.SafeForTask(task, status) {
		s.PutTask(task, status)
	}
}

// RemoveTask implements [storage.StatusStore].
func (s *StatusStore) RemoveTask(task connect.TaskID) { s.write(storage.TaskStatusRecord(task, nil)) }

// PutTopic implements [storage.StatusStore].
func (s *StatusStore) PutTopic(status storage.TopicStatus) {
	s.write(storage.TopicStatusRecord(status))
}

// RemoveTopic implements [storage.StatusStore].
func (s *StatusStore) RemoveTopic(topic, connector string) {
	s.write(storage.TopicStatusRemovalRecord(topic, connector))
}

package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// StatusStore implements [storage.StatusStore] over the status topic. It starts once.
// What is put before Start or after Stop is dropped.
type StatusStore struct {
	journal *journal
	table   storage.StatusTable

	mu     sync.Mutex
	mine   map[string]storage.Status // what this store last wrote of connectors that run here, by the record's key
	writer *statusWriter             // nil before Start
	cancel context.CancelFunc
	ended  chan struct{} // closed when the writer's goroutine has
}

var _ storage.StatusStore = (*StatusStore)(nil)

// NewStatusStore checks the properties.
func NewStatusStore(o Options) (*StatusStore, error) {
	// The store retries itself: it knows when a status is not true any more.
	j, err := newJournal(o, content{purpose: "connector and task statuses", suffix: "statuses", writes: kafka.Props{"retries": "0"}, replaceable: true,
		remedy: "What runs goes on, but states are shown as they were until they change. Restarting one worker makes a missing topic again"})
	if err != nil {
		return nil, err
	}
	return &StatusStore{journal: j, mine: make(map[string]storage.Status)}, nil
}

// Start implements [storage.StatusStore].
func (s *StatusStore) Start(ctx context.Context) error {
	if err := s.journal.start(ctx, s.apply, anyPartitions); err != nil {
		return err
	}
	c, err := s.journal.running()
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	writer := newStatusWriter(s.journal.logger, c.producer.Send, s.journal.producer.Backoff)
	ended := make(chan struct{})
	s.mu.Lock()
	s.writer, s.cancel, s.ended = writer, cancel, ended
	s.mu.Unlock()
	go func() {
		defer close(ended)
		writer.run(run)
	}()
	return nil
}

func (s *StatusStore) apply(record kafka.Record) {
	err := s.table.Apply(storage.Record{Key: record.Key, Value: record.Value})
	if stale, ok := errors.AsType[*storage.StaleStatusError](err); ok {
		s.repeat(stale)
	} else if err != nil {
		s.journal.logger.Warn("Status topic: "+err.Error(), "partition", record.Partition, "offset", record.Offset)
	}
	if record.Value == nil {
		s.tombstoneRead(string(record.Key))
	}
}

// tombstoneRead gives up what is to be written, and forgets what was, of what has been removed. A connector that was
// deleted before it could start again has RESTARTING as its last word.
func (s *StatusStore) tombstoneRead(key string) {
	s.mu.Lock()
	delete(s.mine, key)
	writer := s.writer
	s.mu.Unlock()
	if writer != nil {
		writer.tombstoneRead(key)
	}
}

// repeat writes a connector's status of this worker once more after a stale one: Java's
// readers take the last record, whatever its generation.
func (s *StatusStore) repeat(stale *storage.StaleStatusError) {
	s.mu.Lock()
	mine, ok := s.mine[connectorKey(stale.Connector)]
	s.mu.Unlock()
	if ok && mine == stale.Kept {
		s.journal.logger.Info("A connector's status was overwritten by a late record and is written again", "connector", stale.Connector, "state", string(mine.State))
		stands := func() bool {
			now, ok := s.table.Connector(stale.Connector)
			return ok && now == mine
		}
		s.put(storage.ConnectorStatusRecord(stale.Connector, &mine), statusWrite{connector: stale.Connector, timeless: true, safe: stands})
	}
}

// wrote notes what this store has written of a connector; nil is its removal. That a
// connector does not run here is never repeated, and nothing is kept of it.
func (s *StatusStore) wrote(connector string, status *storage.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == nil || status.State == storage.StateUnassigned {
		delete(s.mine, connectorKey(connector))
		return
	}
	s.mine[connectorKey(connector)] = *status
}

func connectorKey(connector string) string {
	return string(storage.ConnectorStatusRecord(connector, nil).Key)
}

func (s *StatusStore) current() *statusWriter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writer
}

// Stop implements [storage.StatusStore]. Statuses that are on their way are awaited
// shortly; those that wait to be retried are given up.
func (s *StatusStore) Stop() {
	s.mu.Lock()
	writer, cancel, ended := s.writer, s.cancel, s.ended
	s.mu.Unlock()
	if writer != nil {
		cancel()
		<-ended
		writer.stop()
	}
	s.journal.stop()
}

// Flush implements [storage.StatusStore].
func (s *StatusStore) Flush(ctx context.Context) error {
	writer := s.current()
	if writer == nil {
		return storage.ErrStopped
	}
	if err := writer.flush(ctx); err != nil {
		return fmt.Errorf("awaiting writes to the topic %s: %w", s.journal.topic.Name, err)
	}
	return nil
}

// SetGeneration implements [storage.StatusStore].
func (s *StatusStore) SetGeneration(generation int) {
	if writer := s.current(); writer != nil {
		writer.setGeneration(generation)
	}
}

func (s *StatusStore) put(record storage.Record, write statusWrite) {
	if writer := s.current(); writer != nil {
		write.record = s.journal.toKafka([]storage.Record{record})[0]
		writer.put(&write)
	}
}

// asLongAs is for what is written although it may not be safe, over what a group has left that counted other generations.
// What was safe at first and is so no more has been overtaken by the work's next owner.
func asLongAs(safe func() bool) func() bool {
	if safe() {
		return safe
	}
	return nil
}

// PutConnector implements [storage.StatusStore].
func (s *StatusStore) PutConnector(connector string, status storage.Status) {
	s.wrote(connector, &status)
	safe := func() bool { return s.table.SafeForConnector(connector, status) }
	s.put(storage.ConnectorStatusRecord(connector, &status), statusWrite{connector: connector, generation: status.Generation, safe: asLongAs(safe)})
}

// PutConnectorSafe implements [storage.StatusStore].
func (s *StatusStore) PutConnectorSafe(connector string, status storage.Status) {
	safe := func() bool { return s.table.SafeForConnector(connector, status) }
	if !safe() {
		s.wrote(connector, nil) // another worker has it
	} else {
		s.wrote(connector, &status)
		s.put(storage.ConnectorStatusRecord(connector, &status), statusWrite{connector: connector, generation: status.Generation, safe: safe})
	}
}

// RemoveConnector implements [storage.StatusStore].
func (s *StatusStore) RemoveConnector(connector string) {
	s.wrote(connector, nil)
	s.put(storage.ConnectorStatusRecord(connector, nil), statusWrite{connector: connector})
}

// PutTask implements [storage.StatusStore].
func (s *StatusStore) PutTask(task connect.TaskID, status storage.Status) {
	safe := func() bool { return s.table.SafeForTask(task, status) }
	s.put(storage.TaskStatusRecord(task, &status), statusWrite{connector: task.Connector, generation: status.Generation, safe: asLongAs(safe)})
}

// PutTaskSafe implements [storage.StatusStore].
func (s *StatusStore) PutTaskSafe(task connect.TaskID, status storage.Status) {
	safe := func() bool { return s.table.SafeForTask(task, status) }
	if safe() {
		s.put(storage.TaskStatusRecord(task, &status), statusWrite{connector: task.Connector, generation: status.Generation, safe: safe})
	}
}

// RemoveTask implements [storage.StatusStore].
func (s *StatusStore) RemoveTask(task connect.TaskID) {
	s.put(storage.TaskStatusRecord(task, nil), statusWrite{connector: task.Connector})
}

// PutTopic implements [storage.StatusStore].
func (s *StatusStore) PutTopic(status storage.TopicStatus) {
	s.put(storage.TopicStatusRecord(status), statusWrite{timeless: true})
}

// RemoveTopic implements [storage.StatusStore].
func (s *StatusStore) RemoveTopic(topic, connector string) {
	s.put(storage.TopicStatusRemovalRecord(topic, connector), statusWrite{timeless: true})
}

// Connector implements [storage.StatusStore].
func (s *StatusStore) Connector(connector string) (storage.Status, bool) {
	return s.table.Connector(connector)
}

// Task implements [storage.StatusStore].
func (s *StatusStore) Task(task connect.TaskID) (storage.Status, bool) { return s.table.Task(task) }

// Tasks implements [storage.StatusStore].
func (s *StatusStore) Tasks(connector string) map[connect.TaskID]storage.Status {
	return s.table.Tasks(connector)
}

// Connectors implements [storage.StatusStore].
func (s *StatusStore) Connectors() []string { return s.table.Connectors() }

// Topics implements [storage.StatusStore].
func (s *StatusStore) Topics(connector string) []storage.TopicStatus {
	return s.table.Topics(connector)
}

// TopicResets implements [storage.StatusStore].
func (s *StatusStore) TopicResets() int64 { return s.table.TopicResets() }

// HasTopic implements [storage.StatusStore].
func (s *StatusStore) HasTopic(topic, connector string) bool {
	return s.table.HasTopic(topic, connector)
}

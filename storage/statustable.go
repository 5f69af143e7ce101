package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tributary/connect"
)

// StatusTable is what the status topic says as far as its records were applied. The zero
// value is empty. Safe for concurrent use.
type StatusTable struct {
	mu         sync.RWMutex
	connectors map[string]Status
	tasks      map[string]map[int]Status         // by connector, task
	topics     map[string]map[string]TopicStatus // by connector, topic
	resets     atomic.Int64                      // removals of topics
}

// A StaleStatusError says that a record of a connector's status has come too late: it says
// that a worker does not run the connector, which another one, or the same in a later
// generation, has taken over since. Kept is what stands.
type StaleStatusError struct {
	Connector string
	Kept      Status
}

func (e *StaleStatusError) Error() string {
	return fmt.Sprintf("ignored record %q: worker %s has the connector since generation %d", connectorStatusPrefix+e.Connector, e.Kept.WorkerID, e.Kept.Generation)
}

// Apply applies the next record of the topic. An *IgnoredRecordError or *StaleStatusError
// explains a record without effect.
func (t *StatusTable) Apply(record Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := string(record.Key)
	switch {
	case strings.HasPrefix(key, connectorStatusPrefix):
		return t.applyConnector(key, record.Value)
	case strings.HasPrefix(key, taskStatusPrefix):
		return t.applyTask(key, record.Value)
	case strings.HasPrefix(key, topicStatusPrefix):
		return t.applyTopic(key, record.Value)
	}
	return &IgnoredRecordError{Key: key, Reason: "unknown kind of key"}
}

func (t *StatusTable) applyConnector(key string, value []byte) error {
	connector := key[len(connectorStatusPrefix):]
	if connector == "" {
		return &IgnoredRecordError{Key: key, Reason: "the key names no connector"}
	}
	if value == nil {
		delete(t.connectors, connector)
		delete(t.tasks, connector)
		return nil
	}
	status, err := parseStatus(key, value)
	if err != nil {
		return err
	}
	if old, ok := t.connectors[connector]; ok && late(old, status) {
		return &StaleStatusError{Connector: connector, Kept: old}
	}
	if t.connectors == nil {
		t.connectors = make(map[string]Status)
	}
	t.connectors[connector] = status
	return nil
}

// late says of a connector's status that it is UNASSIGNED and comes after the word of the
// next owner. A leader writes such for a worker that is gone, and a worker that was cut off
// for itself; either can take its time. A worker whose own generation has not changed is
// believed: it has stopped the connector.
func late(old, status Status) bool {
	if status.State != StateUnassigned || old.State == StateUnassigned {
		return false
	}
	return old.Generation > status.Generation || old.Generation == status.Generation && old.WorkerID != status.WorkerID
}

func (t *StatusTable) applyTask(key string, value []byte) error {
	task, ok := parseTaskKey(taskStatusPrefix, key)
	if !ok {
		return &IgnoredRecordError{Key: key, Reason: "the key does not end in a task number"}
	}
	if value == nil {
		if delete(t.tasks[task.Connector], task.Task); len(t.tasks[task.Connector]) == 0 {
			delete(t.tasks, task.Connector)
		}
		return nil
	}
	status, err := parseStatus(key, value)
	if err != nil {
		return err
	}
	// A worker that lost the task may say so only after the one that has it now runs it.
	if old := t.tasks[task.Connector][task.Task]; status.State == StateUnassigned &&
		old.State == StateRunning && old.Generation >= status.Generation {
		return nil
	}
	if t.tasks == nil {
		t.tasks = make(map[string]map[int]Status)
	}
	if t.tasks[task.Connector] == nil {
		t.tasks[task.Connector] = make(map[int]Status)
	}
	t.tasks[task.Connector][task.Task] = status
	return nil
}

func (t *StatusTable) applyTopic(key string, value []byte) error {
	topic, connector, ok := parseTopicKey(key)
	if !ok {
		return &IgnoredRecordError{Key: key, Reason: "the key does not name a topic and a connector"}
	}
	if value == nil {
		if delete(t.topics[connector], topic); len(t.topics[connector]) == 0 {
			delete(t.topics, connector)
		}
		t.resets.Add(1)
		return nil
	}
	status, err := parseTopicStatus(key, value)
	if err != nil {
		return err
	}
	if t.topics == nil {
		t.topics = make(map[string]map[string]TopicStatus)
	}
	if t.topics[connector] == nil {
		t.topics[connector] = make(map[string]TopicStatus)
	}
	t.topics[connector][topic] = status
	return nil
}

// SafeForConnector reports whether a "safe" write may be made: not if the entry belongs
// to another worker of a later generation.
func (t *StatusTable) SafeForConnector(connector string, status Status) bool {
	old, ok := t.Connector(connector)
	return !ok || safe(old, status)
}

// SafeForTask is SafeForConnector for a task.
func (t *StatusTable) SafeForTask(task connect.TaskID, status Status) bool {
	old, ok := t.Task(task)
	return !ok || safe(old, status)
}

func safe(old, status Status) bool {
	return old.WorkerID == status.WorkerID || old.Generation <= status.Generation
}

// Connector is [StatusStore.Connector].
func (t *StatusTable) Connector(connector string) (Status, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	status, ok := t.connectors[connector]
	return status, ok
}

// Task is [StatusStore.Task].
func (t *StatusTable) Task(task connect.TaskID) (Status, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	status, ok := t.tasks[task.Connector][task.Task]
	return status, ok
}

// Tasks is [StatusStore.Tasks].
func (t *StatusTable) Tasks(connector string) map[connect.TaskID]Status {
	t.mu.RLock()
	defer t.mu.RUnlock()
	tasks := make(map[connect.TaskID]Status, len(t.tasks[connector]))
	for n, status := range t.tasks[connector] {
		tasks[connect.TaskID{Connector: connector, Task: n}] = status
	}
	return tasks
}

// Connectors is [StatusStore.Connectors].
func (t *StatusTable) Connectors() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Sorted(maps.Keys(t.connectors))
}

// Topics is [StatusStore.Topics].
func (t *StatusTable) Topics(connector string) []TopicStatus {
	t.mu.RLock()
	defer t.mu.RUnlock()
	topics := make([]TopicStatus, 0, len(t.topics[connector]))
	for _, topic := range slices.Sorted(maps.Keys(t.topics[connector])) {
		topics = append(topics, t.topics[connector][topic])
	}
	return topics
}

// TopicResets is [StatusStore.TopicResets].
func (t *StatusTable) TopicResets() int64 { return t.resets.Load() }

// HasTopic is [StatusStore.HasTopic].
func (t *StatusTable) HasTopic(topic, connector string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.topics[connector][topic]
	return ok
}

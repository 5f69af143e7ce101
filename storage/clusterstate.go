package storage

import (
	"maps"
	"slices"

	"tributary/connect"
)

// ClusterState is what the config topic says up to some offset. It is immutable: keep it
// as long as you like, share it freely, and don't write to the maps it returns. The zero
// value is the state of an empty topic.
type ClusterState struct {
	next       int64 // Offset()+1, so that the zero value is an empty topic
	sessionKey *SessionKey
	connectors map[string]*connectorState
}

// connectorState is all that is known under one connector's name. Much of it outlives
// the connector.
type connectorState struct {
	owner *epoch // who may still change it, see Replay

	config    ConnectorConfig // nil: no such connector
	applied   ConnectorConfig // the config that tasks were made from; nil: none
	target    TargetState     // "": unknown
	taskCount int
	tasks     map[int]ConnectorConfig // committed; may hold more than taskCount
	// deferred are task configs without their commit record. It is nil until there was
	// one, then emptied: the generation counts commits for a connector that had any.
	deferred     map[int]ConnectorConfig
	inconsistent bool // the last commit record lacked task configs

	taskCountRecord    int
	hasTaskCountRecord bool
	pendingFencing     bool
	generation         int
	hasGeneration      bool
}

var unknownConnector = new(connectorState)

func (s *ClusterState) connector(name string) *connectorState {
	if c := s.connectors[name]; c != nil {
		return c
	}
	return unknownConnector
}

// Apply returns the state after one more record and the event it stands for, nil when
// there is none. An *IgnoredRecordError explains a record without effect; the returned
// state is valid then, too. To apply many, a [Replay] is cheaper.
func (s *ClusterState) Apply(record Record, offset int64) (*ClusterState, Event, error) {
	r := Replay{state: *s}
	event, err := r.Apply(record, offset)
	return r.Snapshot(), event, err
}

// Offset is what members of a group compare: one more than the offset of the last record
// whose value was valid JSON, or -1 when there was none.
func (s *ClusterState) Offset() int64 { return s.next - 1 }

// Connectors returns the names of all configured connectors, sorted.
func (s *ClusterState) Connectors() []string {
	names := make([]string, 0, len(s.connectors))
	for name, c := range s.connectors {
		if c.config != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Contains reports whether the connector is configured.
func (s *ClusterState) Contains(connector string) bool { return s.connector(connector).config != nil }

// RawConnectorConfig returns a connector's configuration as written.
func (s *ClusterState) RawConnectorConfig(connector string) (ConnectorConfig, bool) {
	config := s.connector(connector).config
	return config, config != nil
}

// AppliedConfig returns the connector configuration that its current task configurations
// were published under.
func (s *ClusterState) AppliedConfig(connector string) (ConnectorConfig, bool) {
	applied := s.connector(connector).applied
	return applied, applied != nil
}

// TargetState returns a connector's target state. It may be known for connectors that
// are not (or no longer) configured; one that is configured always has one.
func (s *ClusterState) TargetState(connector string) (TargetState, bool) {
	target := s.connector(connector).target
	return target, target != ""
}

// TaskCount is the number of tasks last committed, 0 for unknown connectors. Unlike
// Tasks it counts the tasks of an inconsistent connector.
func (s *ClusterState) TaskCount(connector string) int { return s.connector(connector).taskCount }

// Tasks returns the tasks that may run, ordered: none while the connector is
// inconsistent.
func (s *ClusterState) Tasks(connector string) []connect.TaskID {
	c := s.connector(connector)
	if c.inconsistent {
		return nil
	}
	tasks := make([]connect.TaskID, c.taskCount)
	for i := range tasks {
		tasks[i] = connect.TaskID{Connector: connector, Task: i}
	}
	return tasks
}

// RawTaskConfig returns a task's configuration as written.
func (s *ClusterState) RawTaskConfig(task connect.TaskID) (ConnectorConfig, bool) {
	config, ok := s.connector(task.Connector).tasks[task.Task]
	return config, ok
}

// RawTaskConfigs returns the configurations of Tasks(connector), in that order.
func (s *ClusterState) RawTaskConfigs(connector string) []ConnectorConfig {
	tasks := s.Tasks(connector)
	configs := make([]ConnectorConfig, len(tasks))
	for i, task := range tasks {
		configs[i] = s.connectors[connector].tasks[task.Task]
	}
	return configs
}

// IsInconsistent reports whether the last commit record of a connector came without all
// its task configurations, as compaction may leave it. Its tasks do not run until they
// are published anew.
func (s *ClusterState) IsInconsistent(connector string) bool {
	return s.connector(connector).inconsistent
}

// Inconsistent returns the names of all inconsistent connectors, sorted.
func (s *ClusterState) Inconsistent() []string {
	var names []string
	for name, c := range s.connectors {
		if c.inconsistent {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TaskCountRecord returns how many tasks the producers of earlier generations were last
// fenced for (KIP-618).
func (s *ClusterState) TaskCountRecord(connector string) (int, bool) {
	c := s.connector(connector)
	return c.taskCountRecord, c.hasTaskCountRecord
}

// PendingFencing reports whether tasks were committed since the last task count record.
func (s *ClusterState) PendingFencing(connector string) bool {
	return s.connector(connector).pendingFencing
}

// TaskConfigGeneration counts the commits of a connector's task configurations, from 0.
// It is local: another worker may count differently.
func (s *ClusterState) TaskConfigGeneration(connector string) (int, bool) {
	c := s.connector(connector)
	return c.generation, c.hasGeneration
}

// SessionKey returns the last session key.
func (s *ClusterState) SessionKey() (SessionKey, bool) {
	if s.sessionKey == nil {
		return SessionKey{}, false
	}
	return *s.sessionKey, true
}

// clone copies what a Replay changes in place; configurations are never changed.
func (c *connectorState) clone(owner *epoch) *connectorState {
	own := *c
	own.owner = owner
	own.tasks = maps.Clone(c.tasks)
	own.deferred = maps.Clone(c.deferred)
	return &own
}

package storage

import (
	"encoding/base64"
	"maps"
	"strings"
	"time"

	"tributary/internal/javajson"
)

// Replay applies records of the config topic one after the other. It copies only what
// changed since the last Snapshot, so that reading a long topic costs no more than its
// records. The zero value is ready. Not safe for concurrent use; its snapshots are.
type Replay struct {
	state ClusterState
	epoch *epoch // nil: everything is shared with a snapshot
}

// epoch marks what was made since the last snapshot and may be changed in place. It has
// a size, so that each has an address of its own.
type epoch struct{ _ byte }

// Snapshot returns the current state, at no cost.
func (r *Replay) Snapshot() *ClusterState {
	r.epoch = nil
	state := r.state
	return &state
}

// Apply is [ClusterState.Apply] in place.
func (r *Replay) Apply(record Record, offset int64) (Event, error) {
	key := string(record.Key)
	value, err := javajson.Parse(record.Value)
	if err != nil {
		return nil, &IgnoredRecordError{Key: key, Reason: err.Error()}
	}
	r.state.next = offset + 2
	name := func(prefix string) string { return key[len(prefix):] }
	switch {
	case strings.HasPrefix(key, targetStatePrefix):
		return r.targetState(key, name(targetStatePrefix), value)
	case strings.HasPrefix(key, connectorPrefix):
		return r.connectorConfig(key, name(connectorPrefix), value)
	case strings.HasPrefix(key, taskPrefix):
		return nil, r.taskConfig(key, value)
	case strings.HasPrefix(key, commitPrefix):
		return r.commit(key, name(commitPrefix), value)
	case strings.HasPrefix(key, restartPrefix):
		return restart(key, name(restartPrefix), value)
	case strings.HasPrefix(key, taskCountPrefix):
		return nil, r.taskCount(key, name(taskCountPrefix), value)
	case key == sessionKeyKey:
		return r.sessionKey(key, value)
	case strings.HasPrefix(key, loggerPrefix):
		return loggerLevel(key, name(loggerPrefix), value)
	}
	return nil, &IgnoredRecordError{Key: key, Reason: "unknown kind of key"}
}

// own returns the connector's state for writing.
func (r *Replay) own(connector string) *connectorState {
	if r.epoch == nil {
		r.epoch = new(epoch)
		r.state.connectors = maps.Clone(r.state.connectors)
		if r.state.connectors == nil {
			r.state.connectors = make(map[string]*connectorState)
		}
	}
	c := r.state.connector(connector)
	if c.owner != r.epoch {
		c = c.clone(r.epoch)
		r.state.connectors[connector] = c
	}
	return c
}

// A null value here and below is a tombstone or a JSON null: Java cannot tell either.
func (r *Replay) targetState(key, connector string, value any) (Event, error) {
	if value == nil {
		c := r.own(connector)
		c.target = ""
		if c.config != nil {
			c.target = Started
		}
		return nil, nil
	}
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	state, err := parseTargetState(key, f)
	if err != nil {
		return nil, err
	}
	c := r.own(connector)
	changed := c.target != state
	c.target = state
	if !changed || c.config == nil {
		return nil, nil
	}
	return TargetStateChanged{connector}, nil
}

func (r *Replay) connectorConfig(key, connector string, value any) (Event, error) {
	if value == nil {
		r.own(connector).remove()
		return ConnectorConfigRemoved{connector}, nil
	}
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	config, err := parseProperties(key, f)
	if err != nil {
		return nil, err
	}
	c := r.own(connector)
	c.config = config
	if c.target == "" {
		c.target = Started
	}
	return ConnectorConfigUpdated{connector}, nil
}

// remove forgets the connector. Target state, fencing and generation stay.
func (c *connectorState) remove() {
	c.config, c.applied, c.tasks, c.deferred = nil, nil, nil, nil
	c.taskCount = 0
}

func (r *Replay) taskConfig(key string, value any) error {
	task, ok := parseTaskKey(taskPrefix, key)
	if !ok {
		return &IgnoredRecordError{Key: key, Reason: "the key does not end in a task number"}
	}
	f, err := asFields(key, value)
	if err != nil {
		return err
	}
	config, err := parseProperties(key, f)
	if err != nil {
		return err
	}
	c := r.own(task.Connector)
	if c.deferred == nil {
		c.deferred = make(map[int]ConnectorConfig)
	}
	c.deferred[task.Task] = config
	return nil
}

func (r *Replay) commit(key, connector string, value any) (Event, error) {
	if r.state.connector(connector).config == nil {
		// Compaction keeps the task configs of deleted connectors: they must not come back
		// to life with a new connector of that name.
		r.own(connector).remove()
		return nil, nil
	}
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	count, err := parseCount(key, "tasks", f)
	if err != nil {
		return nil, err
	}
	c := r.own(connector)
	c.inconsistent = !complete(c.deferred, count)
	if !c.inconsistent {
		if c.deferred != nil {
			if c.tasks == nil {
				c.tasks = make(map[int]ConnectorConfig, len(c.deferred))
			}
			maps.Copy(c.tasks, c.deferred)
			if c.hasGeneration {
				c.generation++
			}
			c.hasGeneration = true
		}
		c.applied = c.config
	}
	clear(c.deferred)
	c.taskCount = count
	c.pendingFencing = true
	return TaskConfigsUpdated{connector}, nil
}

func complete(deferred map[int]ConnectorConfig, count int) bool {
	if len(deferred) < count {
		return false
	}
	for i := range count {
		if _, ok := deferred[i]; !ok {
			return false
		}
	}
	return true
}

func (r *Replay) taskCount(key, connector string, value any) error {
	f, err := asFields(key, value)
	if err != nil {
		return err
	}
	count, err := parseCount(key, "task-count", f)
	if err != nil {
		return err
	}
	c := r.own(connector)
	c.taskCountRecord, c.hasTaskCountRecord = count, true
	c.pendingFencing = false
	return nil
}

func (r *Replay) sessionKey(key string, value any) (Event, error) {
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	text, err := f.text(key, "key")
	if err != nil {
		return nil, err
	}
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, &IgnoredRecordError{Key: key, Reason: `field "key" is not base64`}
	}
	algorithm, err := f.text(key, "algorithm")
	if err != nil {
		return nil, err
	}
	created, err := f.integer(key, "creation-timestamp")
	if err != nil {
		return nil, err
	}
	session := SessionKey{Key: bytes, Algorithm: algorithm, Created: time.UnixMilli(created)}
	r.state.sessionKey = &session
	return SessionKeyUpdated{session}, nil
}

// restart takes what is no boolean for false.
func restart(key, connector string, value any) (Event, error) {
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	includeTasks, _ := f["include-tasks"].(bool)
	onlyFailed, _ := f["only-failed"].(bool)
	return RestartRequested{RestartRequest{Connector: connector, IncludeTasks: includeTasks, OnlyFailed: onlyFailed}}, nil
}

func loggerLevel(key, namespace string, value any) (Event, error) {
	f, err := asFields(key, value)
	if err != nil {
		return nil, err
	}
	level, err := f.text(key, "level")
	if err != nil {
		return nil, err
	}
	return LoggerLevelChanged{Namespace: namespace, Level: level}, nil
}

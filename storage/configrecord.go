package storage

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"tributary/connect"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// The keys of the config topic.
const (
	targetStatePrefix = "target-state-"
	connectorPrefix   = "connector-"
	taskPrefix        = "task-"
	commitPrefix      = "commit-"
	restartPrefix     = "restart-connector-"
	taskCountPrefix   = "tasks-fencing-"
	loggerPrefix      = "logger-cluster-"
	sessionKeyKey     = "session-key"
)

// ConnectorConfigRecord is the record of a connector's configuration.
func ConnectorConfigRecord(connector string, config ConnectorConfig) Record {
	return Record{Key: []byte(connectorPrefix + connector), Value: propertiesValue(config)}
}

// ConnectorRemovalRecord is the tombstone of a connector's configuration.
func ConnectorRemovalRecord(connector string) Record {
	return Record{Key: []byte(connectorPrefix + connector)}
}

// TaskConfigRecord is the record of one task's configuration. It takes effect with the
// next [TaskCommitRecord] of its connector.
func TaskConfigRecord(task connect.TaskID, config map[string]string) Record {
	raw := make(ConnectorConfig, len(config))
	for k, v := range config {
		raw[k] = &v
	}
	return Record{Key: fmt.Appendf(nil, "%s%s-%d", taskPrefix, task.Connector, task.Task), Value: propertiesValue(raw)}
}

// propertiesValue writes the map in the order of a java.util.HashMap, which is the
// order Java gives task configurations. A connector's come from Java in the order of
// the request; no reader minds.
func propertiesValue(config ConnectorConfig) []byte {
	b := []byte(`{"properties":{`)
	for i, key := range javatext.HashMapKeys(config) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(javajson.AppendString(b, key), ':')
		if value := config[key]; value == nil {
			b = append(b, "null"...)
		} else {
			b = javajson.AppendString(b, *value)
		}
	}
	return append(b, "}}"...)
}

// TaskCommitRecord makes the task configurations written before it take effect.
func TaskCommitRecord(connector string, tasks int) Record {
	return Record{Key: []byte(commitPrefix + connector), Value: new(object).integer("tasks", int64(tasks)).end()}
}

// TargetStateRecord is the record of a target state. Field state is what workers before
// 3.5 read: they know no STOPPED.
func TargetStateRecord(connector string, state TargetState) Record {
	old := state
	if old == Stopped {
		old = Paused
	}
	return Record{
		Key:   []byte(targetStatePrefix + connector),
		Value: new(object).text("state", string(old)).text("state.v2", string(state)).end(),
	}
}

// TargetStateRemovalRecord is the tombstone of a target state.
func TargetStateRemovalRecord(connector string) Record {
	return Record{Key: []byte(targetStatePrefix + connector)}
}

// SessionKeyRecord is the record of a session key.
func SessionKeyRecord(key SessionKey) Record {
	return Record{Key: []byte(sessionKeyKey), Value: new(object).
		text("key", base64.StdEncoding.EncodeToString(key.Key)).
		text("algorithm", key.Algorithm).
		integer("creation-timestamp", key.Created.UnixMilli()).end()}
}

// RestartRecord is the record of a restart request.
func RestartRecord(request RestartRequest) Record {
	return Record{Key: []byte(restartPrefix + request.Connector), Value: new(object).
		boolean("include-tasks", request.IncludeTasks).
		boolean("only-failed", request.OnlyFailed).end()}
}

// TaskCountRecord is the record that lets a leader fence the tasks of an earlier
// generation (KIP-618).
func TaskCountRecord(connector string, count int) Record {
	return Record{Key: []byte(taskCountPrefix + connector), Value: new(object).integer("task-count", int64(count)).end()}
}

// LoggerLevelRecord is the record of a log level for all workers (KIP-976).
func LoggerLevelRecord(namespace, level string) Record {
	return Record{Key: []byte(loggerPrefix + namespace), Value: new(object).text("level", level).end()}
}

// parseProperties reads what propertiesValue writes. Values are strings or null; what
// else an old or foreign writer left is kept as its JSON text.
func parseProperties(key string, f fields) (ConnectorConfig, error) {
	properties, err := f.object(key, "properties")
	if err != nil {
		return nil, err
	}
	config := make(ConnectorConfig, len(properties))
	for name, v := range properties {
		switch v := v.(type) {
		case nil:
			config[name] = nil
		case string:
			config[name] = &v
		default:
			b, err := javajson.AppendScalar(nil, v)
			if err != nil {
				return nil, &IgnoredRecordError{Key: key, Reason: fmt.Sprintf("property %q must be a string but is %s", name, jsonKind(v))}
			}
			text := string(b)
			config[name] = &text
		}
	}
	return config, nil
}

// parseTaskKey splits "<prefix><connector>-<task>" as Java does: dashes at the very end
// count for nothing.
func parseTaskKey(prefix, key string) (connect.TaskID, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(key, "-"), prefix)
	if !ok {
		return connect.TaskID{}, false
	}
	dash := strings.LastIndexByte(rest, '-')
	if dash < 0 {
		return connect.TaskID{}, false
	}
	n, err := strconv.ParseInt(rest[dash+1:], 10, 32)
	if err != nil {
		return connect.TaskID{}, false
	}
	return connect.TaskID{Connector: rest[:dash], Task: int(n)}, true
}

func parseTargetState(key string, f fields) (TargetState, error) {
	text, ok := f["state.v2"].(string)
	if !ok {
		var err error
		if text, err = f.text(key, "state"); err != nil {
			return "", err
		}
	}
	switch state := TargetState(text); state {
	case Started, Paused, Stopped:
		return state, nil
	}
	return "", &IgnoredRecordError{Key: key, Reason: fmt.Sprintf("unknown target state %q", text)}
}

// parseCount reads a number of tasks.
func parseCount(key, name string, f fields) (int, error) {
	n, err := f.integer(key, name)
	return int(max(0, int32(n))), err
}

package storage

import (
	"fmt"
	"strings"
	"time"

	"tributary/connect"
)

// The keys of the status topic.
const (
	connectorStatusPrefix = "status-connector-"
	taskStatusPrefix      = "status-task-"
	topicStatusPrefix     = "status-topic-"
	topicStatusSeparator  = ":connector-"
)

// ConnectorStatusRecord is the record of a connector's status; nil removes it.
func ConnectorStatusRecord(connector string, status *Status) Record {
	return Record{Key: []byte(connectorStatusPrefix + connector), Value: statusValue(status)}
}

// TaskStatusRecord is the record of a task's status; nil removes it.
func TaskStatusRecord(task connect.TaskID, status *Status) Record {
	return Record{Key: fmt.Appendf(nil, "%s%s-%d", taskStatusPrefix, task.Connector, task.Task), Value: statusValue(status)}
}

func statusValue(status *Status) []byte {
	if status == nil {
		return nil
	}
	return new(object).
		text("state", string(status.State)).
		textOrNull("trace", status.Trace).
		text("worker_id", status.WorkerID).
		integer("generation", int64(status.Generation)).
		textOrNull("version", status.Version).end()
}

// TopicStatusRecord is the record of a connector's use of a topic.
func TopicStatusRecord(status TopicStatus) Record {
	inner := new(object).
		text("name", status.Topic).
		text("connector", status.Connector).
		integer("task", int64(status.Task)).
		integer("discoverTimestamp", status.Discovered.UnixMilli()).end()
	outer := new(object).field("topic")
	outer.b = append(outer.b, inner...)
	record := TopicStatusRemovalRecord(status.Topic, status.Connector)
	record.Value = outer.end()
	return record
}

// TopicStatusRemovalRecord forgets a connector's use of a topic.
func TopicStatusRemovalRecord(topic, connector string) Record {
	return Record{Key: []byte(topicStatusPrefix + topic + topicStatusSeparator + connector)}
}

func parseStatus(key string, value []byte) (Status, error) {
	f, err := parseFields(key, value)
	if err != nil {
		return Status{}, err
	}
	state, err := f.text(key, "state")
	if err != nil {
		return Status{}, err
	}
	status := Status{State: State(state)}
	switch status.State {
	case StateUnassigned, StateRunning, StatePaused, StateStopped, StateFailed, StateRestarting:
	default:
		return Status{}, &IgnoredRecordError{Key: key, Reason: fmt.Sprintf("unknown state %q", state)}
	}
	if status.Trace, err = f.textOrNull(key, "trace"); err != nil {
		return Status{}, err
	}
	if status.WorkerID, err = f.textOrNull(key, "worker_id"); err != nil {
		return Status{}, err
	}
	if status.Version, err = f.textOrNull(key, "version"); err != nil {
		return Status{}, err
	}
	generation, err := f.integer(key, "generation")
	status.Generation = int(int32(generation))
	return status, err
}

func parseTopicStatus(key string, value []byte) (TopicStatus, error) {
	outer, err := parseFields(key, value)
	if err != nil {
		return TopicStatus{}, err
	}
	f, err := outer.object(key, "topic")
	if err != nil {
		return TopicStatus{}, err
	}
	var status TopicStatus
	if status.Topic, err = f.text(key, "name"); err != nil {
		return TopicStatus{}, err
	}
	if status.Connector, err = f.text(key, "connector"); err != nil {
		return TopicStatus{}, err
	}
	task, err := f.integer(key, "task")
	if err != nil {
		return TopicStatus{}, err
	}
	discovered, err := f.integer(key, "discoverTimestamp")
	status.Task, status.Discovered = int(int32(task)), time.UnixMilli(discovered)
	return status, err
}

// parseTopicKey splits "status-topic-<topic>:connector-<connector>" at its first colon.
// Neither name may be empty.
func parseTopicKey(key string) (topic, connector string, ok bool) {
	rest, _ := strings.CutPrefix(key, topicStatusPrefix)
	topic, rest, ok = strings.Cut(rest, ":")
	if !ok || topic == "" || len(rest) < len(topicStatusSeparator) {
		return "", "", false
	}
	return topic, rest[len(topicStatusSeparator)-1:], true
}

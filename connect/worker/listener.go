package worker

import (
	"tributary/connect"
	"tributary/storage"
)

// Listener hears what becomes of connectors and tasks. Calls come from the worker's
// goroutines, in order for one instance, and must return soon. Once an instance was
// cut off (it did not stop in time) nothing more is reported of it.
type Listener interface {
	// ConnectorState reports a change; trace is set for FAILED, version is the plugin's.
	ConnectorState(connector string, state storage.State, trace, version string)
	// TaskState is ConnectorState for a task.
	TaskState(task connect.TaskID, state storage.State, trace, version string)
	// TaskMade reports, before a task starts, that it could be made from its configuration,
	// or why not; then FAILED follows.
	TaskMade(task connect.TaskID, err error)
	// TaskConfigsRequested: the connector reached STARTED or asked for a
	// reconfiguration; the herder is to call TaskConfigs and publish what changed.
	TaskConfigsRequested(connector string)
	// StopRequested: the connector has done its work and asks for the target state
	// STOPPED; reason is for the log.
	StopRequested(connector, reason string)
	// TopicUsed reports the first record a task wrote to a topic, or read from it, once a
	// topic and task, and again after TopicResets has grown.
	TopicUsed(task connect.TaskID, topic string)
	// TopicResets grows when topics that connectors use were forgotten (KIP-558). It is
	// called for every record.
	TopicResets() int64
}

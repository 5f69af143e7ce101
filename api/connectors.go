// Package api holds the JSON documents of the Connect REST API, with the field order
// of Kafka Connect 4.3.1, and a client for it. It imports the standard library alone.
package api

// ServerInfo answers GET /.
type ServerInfo struct {
	Version        string `json:"version"`
	Commit         string `json:"commit"`
	KafkaClusterID string `json:"kafka_cluster_id"`
}

// WorkerHealth answers GET /health (KIP-1017).
type WorkerHealth struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// ConnectorTaskID names a task.
type ConnectorTaskID struct {
	Connector string `json:"connector"`
	Task      int    `json:"task"`
}

// ConnectorInfo describes a connector. A nil config value is null.
type ConnectorInfo struct {
	Name   string             `json:"name"`
	Config map[string]*string `json:"config"`
	Tasks  []ConnectorTaskID  `json:"tasks"`
	Type   string             `json:"type"` // source, sink or unknown
}

// InstanceStatus is the state of a connector instance. A nil Version is shown as null,
// UndefinedVersion not at all.
type InstanceStatus struct {
	State    string  `json:"state"`
	WorkerID string  `json:"worker_id"`
	Version  *string `json:"version"`
	Trace    string  `json:"trace,omitempty"`
}

// TaskStatus is the state of one task. Version is shown as in InstanceStatus.
type TaskStatus struct {
	ID       int     `json:"id"`
	State    string  `json:"state"`
	WorkerID string  `json:"worker_id"`
	Version  *string `json:"version"`
	Trace    string  `json:"trace,omitempty"`
}

// ConnectorStatus answers GET /connectors/{name}/status; tasks are sorted by id.
type ConnectorStatus struct {
	Name      string         `json:"name"`
	Connector InstanceStatus `json:"connector"`
	Tasks     []TaskStatus   `json:"tasks"`
	Type      string         `json:"type"`
}

// ConnectorExpansion is what GET /connectors?expand=… says of one connector; what was
// not asked for is nil.
type ConnectorExpansion struct {
	Status *ConnectorStatus `json:"status,omitempty"`
	Info   *ConnectorInfo   `json:"info,omitempty"`
}

// ActiveTopics are the topics that a connector has used (KIP-558). They are answered
// under the connector's name.
type ActiveTopics struct {
	Topics []string `json:"topics"`
}

// TaskInfo is one task's raw configuration.
type TaskInfo struct {
	ID     ConnectorTaskID   `json:"id"`
	Config map[string]string `json:"config"`
}

// CreateConnectorRequest is the body of POST /connectors.
type CreateConnectorRequest struct {
	Name         string             `json:"name"`
	Config       map[string]*string `json:"config"`
	InitialState string             `json:"initial_state,omitempty"`
}

// Config turns plain values into those of a request or an answer, where a value may
// be null.
func Config(values map[string]string) map[string]*string {
	config := make(map[string]*string, len(values))
	for k, v := range values {
		config[k] = &v
	}
	return config
}

// ErrorMessage is the body of every error.
type ErrorMessage struct {
	ErrorCode int    `json:"error_code"`
	Message   string `json:"message"`
}

// ForwardFailed is what the message begins with, as Java's does, of a worker that sent a request on to another one, such as
// the leader, and could not reach it.
const ForwardFailed = "IO Error trying to forward REST request: "

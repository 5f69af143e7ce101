package storage

import (
	"context"
	"errors"
	"time"

	"tributary/connect"
	"tributary/connect/group/protocol"
)

// TargetState is what an operator wants of a connector.
type TargetState string

// The target states of the config topic (KIP-875).
const (
	Started TargetState = "STARTED"
	Paused  TargetState = "PAUSED"
	Stopped TargetState = "STOPPED"
)

// ConnectorConfig is a connector's or task's raw configuration: ${provider:…}
// references unresolved. A nil value is a JSON null, which older writers left.
type ConnectorConfig map[string]*string

// SessionKey signs the requests between workers (KIP-507).
type SessionKey = protocol.SessionKey

// RestartRequest asks every worker to restart what it runs of a connector (KIP-745).
type RestartRequest struct {
	Connector    string
	IncludeTasks bool
	OnlyFailed   bool
}

// The errors of stores that callers tell apart.
var (
	// ErrNotPrivileged: a write marked "leader" needs ClaimWritePrivileges first, since this
	// worker never claimed them or another leader did since. Nothing was written.
	ErrNotPrivileged = errors.New("this worker does not hold the leader's write privileges for the config topic")
	// ErrTopicLost: the topic was deleted while the store ran. What was read of it stands, and
	// nothing is written to a topic that has been made anew.
	ErrTopicLost = errors.New("an internal topic is gone")
	// ErrStopped: the store was stopped, or never started.
	ErrStopped = errors.New("the store is not running")
)

// ConfigEvents is told of what the config topic says, in the order of its records, one
// call at a time, after the record was applied. Nothing is called for records read
// during Start. Callbacks may take snapshots; they must return soon and must call
// nothing else of the store: a write awaits that its own record was told.
type ConfigEvents interface {
	ConnectorConfigUpdated(connector string)
	ConnectorConfigRemoved(connector string)
	TaskConfigsUpdated(connector string)
	TargetStateChanged(connector string)
	SessionKeyUpdated(key SessionKey)
	RestartRequested(request RestartRequest)
	LoggerLevelChanged(namespace, level string)
}

// ConfigStore is the config topic. Reads are from memory. Writes return once the records
// were acknowledged and, where Java does so too, read back: then Snapshot shows them
// and the events were told. A write gives up after 30 seconds, or when ctx ends; its
// records may or may not be written then. Safe for concurrent use.
type ConfigStore interface {
	// Start reads everything there is, then calls events for what follows until Stop.
	Start(ctx context.Context, events ConfigEvents) error
	Stop()
	// Snapshot returns the state as far as it was read. It is immutable.
	Snapshot() *ClusterState
	// Refresh reads to the end of the topic as of the call.
	Refresh(ctx context.Context) error
	// ClaimWritePrivileges fences other leaders before the writes below marked
	// "leader"; only an exactly-once worker group has something to do here, and only while
	// the store does not believe to hold the privileges: a write that fails with
	// ErrNotPrivileged ends that.
	ClaimWritePrivileges(ctx context.Context) error

	PutConnectorConfig(ctx context.Context, connector string, config ConnectorConfig, initial *TargetState) error // leader
	RemoveConnectorConfig(ctx context.Context, connector string) error                                            // leader
	PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string) error                      // leader
	PutTargetState(ctx context.Context, connector string, state TargetState) error
	PutSessionKey(ctx context.Context, key SessionKey) error                   // leader
	PutRestartRequest(ctx context.Context, request RestartRequest) error       // leader
	PutTaskCountRecord(ctx context.Context, connector string, count int) error // leader
	PutLoggerLevel(ctx context.Context, namespace, level string) error
}

// State is the state of a connector or task in the status topic.
type State string

// The states that are ever written. A destroyed instance is a tombstone.
const (
	StateUnassigned State = "UNASSIGNED"
	StateRunning    State = "RUNNING"
	StatePaused     State = "PAUSED"
	StateStopped    State = "STOPPED"
	StateFailed     State = "FAILED"
	StateRestarting State = "RESTARTING"
)

// Status is what the status topic says of one connector or task.
type Status struct {
	State      State
	Trace      string // "" is none
	WorkerID   string
	Generation int
	Version    string // "" is unknown
}

// TopicStatus records that a connector has used a topic (KIP-558).
type TopicStatus struct {
	Topic, Connector string
	Task             int
	Discovered       time.Time
}

// StatusStore is the status topic. Reads are from memory, writes return at once and
// are retried in the background; Flush awaits them. "Safe" writes are skipped when
// the entry belongs to another worker of a later generation. Safe for concurrent use.
type StatusStore interface {
	Start(ctx context.Context) error
	Stop()
	Flush(ctx context.Context) error
	// SetGeneration says in which generation the worker is; what waits to be written, or to be
	// removed, of older ones is given up.
	SetGeneration(generation int)

	PutConnector(connector string, status Status)
	PutConnectorSafe(connector string, status Status)
	RemoveConnector(connector string)
	PutTask(task connect.TaskID, status Status)
	PutTaskSafe(task connect.TaskID, status Status)
	RemoveTask(task connect.TaskID)
	PutTopic(status TopicStatus)
	RemoveTopic(topic, connector string)

	Connector(connector string) (Status, bool)
	Task(task connect.TaskID) (Status, bool)
	Tasks(connector string) map[connect.TaskID]Status
	Connectors() []string
	Topics(connector string) []TopicStatus
	HasTopic(topic, connector string) bool
	// TopicResets grows whenever topics were removed: those that tasks go on using are to
	// be put again. It is cheap.
	TopicResets() int64
}

// OffsetRecord is one record of an offsets topic, ready to be written: Key is the JSON
// array of connector name and partition map, Value the JSON offset map, nil to remove
// it. It is placed by Java's default partitioner. Partition maps are written with the
// types that Go values have: float64(3) is 3.0, which is another key than 3.
type OffsetRecord = Record

// OffsetWriter puts offset records where they belong, all or none as far as the
// medium allows. A task in exactly-once mode uses one that writes to Topic with its
// own transactional producer.
type OffsetWriter interface {
	WriteOffsets(ctx context.Context, records []OffsetRecord) error
}

// OffsetStore is one offsets topic, or a standalone worker's file. Safe for
// concurrent use.
type OffsetStore interface {
	OffsetWriter
	Start(ctx context.Context) error
	Stop()
	// Topic is the offsets topic's name, "" for a store that has none.
	Topic() string
	// Offsets returns the current offset maps for the given partition maps of a
	// connector, nil where there is none, after reading to the end of the topic. Keys
	// are compared as parsed JSON, whatever the order of their fields; 1 and 1.0 differ.
	// Integers come back as int64, other numbers as float64. The maps are the caller's.
	Offsets(ctx context.Context, connector string, partitions []map[string]any) ([]map[string]any, error)
	// Partitions returns all partition maps with an offset that a connector has.
	Partitions(ctx context.Context, connector string) ([]map[string]any, error)
	// Record encodes one change: it reuses the key bytes that are already in the topic
	// for an equal partition map, so that compaction and Java's readers see one key; a
	// new key has the field order of a java.util.HashMap. A nil offset removes it.
	// Maps with values that the format cannot hold are an error.
	Record(connector string, partition, offset map[string]any) (OffsetRecord, error)
	// Expand adds to records those that must be written with them: one for each other key
	// that stands in the topic for an equal partition map. WriteOffsets does so itself.
	Expand(records []OffsetRecord) []OffsetRecord
}

// OffsetEcho is an OffsetStore of which another store holds a copy. Who writes its
// records himself, in a transaction, calls Before and, when they are committed, After.
type OffsetEcho interface {
	// Before removes from the copy what records remove; records must not be written
	// unless it succeeds, for the copy would bring the offsets back.
	Before(ctx context.Context, records []OffsetRecord) error
	// After brings the copy up to date. A failure costs the copy alone.
	After(ctx context.Context, records []OffsetRecord) error
}

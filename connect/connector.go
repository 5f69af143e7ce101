package connect

import (
	"context"
	"log/slog"
)

// TaskID names one task of a connector.
type TaskID struct {
	Connector string
	Task      int
}

// Connector divides a job into tasks and watches its source or sink for changes
// that need another division. The worker calls its methods from one goroutine, one
// at a time.
type Connector interface {
	// ConfigDef declares the connector's own configuration keys. It is called on
	// instances that are never started, too.
	ConfigDef() *ConfigDef
	// Start begins the work. config has its ${provider:…} references resolved. ctx
	// ends when the connector is to stop, or when the worker gives up waiting for
	// Start; goroutines begun here may live as long as ctx. An error makes the
	// connector FAILED.
	Start(ctx context.Context, cc ConnectorContext, config map[string]string) error
	// TaskConfigs returns one configuration a task, at most maxTasks. Values that
	// stand in the connector's configuration as ${provider:…} references are written
	// back as references by the worker. A *RetriableError is asked again later.
	TaskConfigs(ctx context.Context, maxTasks int) ([]map[string]string, error)
	// Stop ends the work and awaits the goroutines that Start began. It is called
	// only after a Start that returned nil. The same instance may be started again.
	Stop(ctx context.Context) error
}

// SourceConnector is a Connector whose tasks read from elsewhere and write to Kafka.
type SourceConnector interface {
	Connector
	NewTask() SourceTask
}

// ConnectorContext is what a running connector may ask of its worker. Safe for
// concurrent use.
type ConnectorContext interface {
	// Name is the connector's name.
	Name() string
	// Logger carries the connector's name.
	Logger() *slog.Logger
	// RequestTaskReconfiguration makes the worker call TaskConfigs and restart the
	// tasks whose configuration changed. It returns at once.
	RequestTaskReconfiguration()
	// RaiseError makes the connector FAILED with err as its trace.
	RaiseError(err error)
	// Offsets reads the source offsets this connector committed.
	Offsets() OffsetReader
	// Metrics registers metrics that are removed when the connector stops.
	Metrics() Metrics
}

// SourceTask reads records from a source. Start, Poll and Stop are called from one
// goroutine, one at a time.
type SourceTask interface {
	// Start opens what the task needs. An error makes the task FAILED. ctx ends when
	// the task is to stop.
	Start(ctx context.Context, tc TaskContext, config map[string]string) error
	// Poll returns the next records in the order they are to be written. It blocks
	// until there are some, until ctx ends, or until it is worth telling the worker
	// that there are none (nil, nil); it need not return within any time but must
	// return soon after ctx ends. A *RetriableError is logged and Poll called again;
	// another error makes the task FAILED.
	Poll(ctx context.Context) ([]*SourceRecord, error)
	// Stop closes what Start opened, after every outstanding acknowledgement was
	// delivered or given up. It is also called after a Start or Poll that failed.
	Stop(ctx context.Context) error
}

// TaskContext is what a running task may ask of its worker. Safe for concurrent use.
type TaskContext interface {
	ID() TaskID
	Logger() *slog.Logger
	Offsets() OffsetReader
	Metrics() Metrics
}

// RecordCommitter is a source task that wants to hear of each acknowledged record.
type RecordCommitter interface {
	// CommitRecord is called once for each record that Poll returned, in order within
	// a target partition: md says where it was stored; nil when it was filtered out,
	// its failure was tolerated, or the task had it aborted. It runs on the producer's
	// goroutine, concurrently with Poll, and must not block. With exactly-once delivery
	// it is called once the record's transaction is committed, on Poll's goroutine.
	CommitRecord(record *SourceRecord, md *RecordMetadata)
}

// Committer is a source task that wants to hear of committed offsets.
type Committer interface {
	// Commit is called after every successful offset commit, also when there was
	// nothing to write, on the committer's goroutine; with exactly-once delivery after
	// every transaction, on Poll's goroutine.
	Commit(ctx context.Context) error
}

// ExactlyOnceSupport is a connector's answer to whether it can take part in
// exactly-once delivery (KIP-618).
type ExactlyOnceSupport int

// The three answers. A connector that does not implement ExactlyOnceSupporter
// answers ExactlyOnceUnknown.
const (
	ExactlyOnceUnknown ExactlyOnceSupport = iota
	ExactlyOnceSupported
	ExactlyOnceUnsupported
)

// ExactlyOnceSupporter is a source connector that knows whether it supports
// exactly-once with a given configuration.
type ExactlyOnceSupporter interface {
	ExactlyOnceSupport(config map[string]string) ExactlyOnceSupport
}

// ConfigValidator is a connector with checks that span several keys.
type ConfigValidator interface {
	// ValidateConfig returns further errors by key. It gets configurations that
	// already violate the ConfigDef and must not fail on them.
	ValidateConfig(config map[string]string) map[string][]string
}

// OffsetChange is one requested change of a source offset; a nil Offset removes it.
type OffsetChange struct {
	Partition map[string]any
	Offset    map[string]any
}

// OffsetAlterer is a source connector that checks or applies changes of its offsets
// made through REST (KIP-875).
type OffsetAlterer interface {
	// AlterOffsets reports whether the connector knows that the change is complete; an
	// error refuses it.
	AlterOffsets(ctx context.Context, config map[string]string, changes []OffsetChange) (bool, error)
}

// Versioned is a plugin with a version of its own.
type Versioned interface {
	Version() string
}

// Metrics registers a plugin's metrics with the worker, which adds the labels
// connector and, for tasks, task, and removes them when the instance stops. Names
// are Prometheus names without a prefix; labels must be the same set for one name.
// Asking twice for the same name and labels returns the same metric. Safe for
// concurrent use.
type Metrics interface {
	Counter(name, help string, labels map[string]string) Counter
	Gauge(name, help string, labels map[string]string) Gauge
}

// GaugeFuncs is implemented by Metrics that can show what is computed when somebody looks.
// value is called from any goroutine, until the connector or task has ended.
type GaugeFuncs interface {
	GaugeFunc(name, help string, labels map[string]string, value func() float64)
}

// Counter only grows. Safe for concurrent use.
type Counter interface{ Add(delta float64) }

// Gauge goes up and down. Safe for concurrent use.
type Gauge interface{ Set(value float64) }

package connecttest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tributary/connect"
)

// Offsets is a connect.OffsetReader over offsets in memory: what a worker would have
// committed. Safe for concurrent use.
type Offsets struct {
	mu    sync.Mutex
	byKey map[string]map[string]any
}

var _ connect.OffsetReader = (*Offsets)(nil)

// Commit stores the positions of records, as a worker does when they are in Kafka.
func (o *Offsets) Commit(records ...*connect.SourceRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range records {
		if r.SourcePartition == nil {
			continue
		}
		var fields map[string]any
		if r.SourceOffset != nil {
			fields = r.SourceOffset.OffsetFields()
		}
		o.put(r.SourcePartition, fields)
	}
}

// Set stores one position.
func (o *Offsets) Set(partition, offset map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(connect.NewSourcePartition(partition), offset)
}

func (o *Offsets) put(p *connect.SourcePartition, offset map[string]any) {
	if o.byKey == nil {
		o.byKey = map[string]map[string]any{}
	}
	fields := map[string]any{}
	for name, value := range offset {
		fields[name] = asRead(value)
	}
	o.byKey[p.Key()] = fields
}

// asRead is a value as it comes back from the offsets topic, where all whole numbers are
// equal.
func asRead(value any) any {
	switch n := value.(type) {
	case int:
		return int64(n)
	case int8:
		return int64(n)
	case int16:
		return int64(n)
	case int32:
		return int64(n)
	case float32:
		return float64(n)
	}
	return value
}

// Offsets implements connect.OffsetReader.
func (o *Offsets) Offsets(_ context.Context, partitions []*connect.SourcePartition) ([]map[string]any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]map[string]any, len(partitions))
	for i, p := range partitions {
		out[i] = maps.Clone(o.byKey[p.Key()])
	}
	return out, nil
}

// instance is what the contexts of connectors and tasks have in common.
type instance struct{ logger *slog.Logger }

func (i instance) Logger() *slog.Logger {
	if i.logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return i.logger
}

func (i instance) Metrics() connect.Metrics { return noMetrics{} }

type noMetrics struct{}

func (noMetrics) Counter(string, string, map[string]string) connect.Counter { return noMetrics{} }
func (noMetrics) Gauge(string, string, map[string]string) connect.Gauge     { return noMetrics{} }
func (noMetrics) Add(float64)                                               {}
func (noMetrics) Set(float64)                                               {}

// ConnectorContext is a connect.ConnectorContext that keeps what the connector asked for.
// Safe for concurrent use.
type ConnectorContext struct {
	instance
	name    string
	offsets *Offsets

	mu       sync.Mutex
	requests int
	raised   error
}

var _ connect.ConnectorContext = (*ConnectorContext)(nil)

// NewConnectorContext returns the context of a connector with the given committed offsets,
// which may be nil.
func NewConnectorContext(name string, offsets *Offsets) *ConnectorContext {
	if offsets == nil {
		offsets = &Offsets{}
	}
	return &ConnectorContext{name: name, offsets: offsets}
}

// Name implements connect.ConnectorContext.
func (c *ConnectorContext) Name() string { return c.name }

// Offsets implements connect.ConnectorContext.
func (c *ConnectorContext) Offsets() connect.OffsetReader { return c.offsets }

// RequestTaskReconfiguration implements connect.ConnectorContext.
func (c *ConnectorContext) RequestTaskReconfiguration() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
}

// RaiseError implements connect.ConnectorContext.
func (c *ConnectorContext) RaiseError(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raised == nil {
		c.raised = err
	}
}

// Raised is the first error that the connector raised.
func (c *ConnectorContext) Raised() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raised
}

// Requests is how often the connector asked for a reconfiguration of its tasks.
func (c *ConnectorContext) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

type taskContext struct {
	instance
	id      connect.TaskID
	offsets *Offsets
}

// NewTaskContext returns the context of a source task with the given committed offsets,
// which may be nil.
func NewTaskContext(id connect.TaskID, offsets *Offsets) connect.TaskContext {
	if offsets == nil {
		offsets = &Offsets{}
	}
	return taskContext{id: id, offsets: offsets}
}

func (c taskContext) ID() connect.TaskID            { return c.id }
func (c taskContext) Offsets() connect.OffsetReader { return c.offsets }

// SinkTaskContext is a connect.SinkTaskContext that keeps what the task asked for. Safe for
// concurrent use.
type SinkTaskContext struct {
	instance
	id connect.TaskID

	mu         sync.Mutex
	assignment []connect.TopicPartition
	paused     map[connect.TopicPartition]bool
	rewound    map[connect.TopicPartition]int64
	retryAfter time.Duration
	commits    int
	errant     []ErrantRecord
	reports    bool
}

var _ connect.SinkTaskContext = (*SinkTaskContext)(nil)

// ErrantRecord is a record that a task reported.
type ErrantRecord struct {
	Record *connect.Record
	Cause  error
}

// NewSinkTaskContext returns the context of a sink task. With reports the task has an
// errant record reporter, which tolerates everything.
func NewSinkTaskContext(id connect.TaskID, reports bool) *SinkTaskContext {
	return &SinkTaskContext{id: id, reports: reports, paused: map[connect.TopicPartition]bool{}, rewound: map[connect.TopicPartition]int64{}}
}

// ID implements connect.SinkTaskContext.
func (c *SinkTaskContext) ID() connect.TaskID { return c.id }

// Assign sets what Assignment returns.
func (c *SinkTaskContext) Assign(partitions ...connect.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assignment = partitions
}

// Assignment implements connect.SinkTaskContext.
func (c *SinkTaskContext) Assignment() []connect.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.assignment)
}

// Pause implements connect.SinkTaskContext.
func (c *SinkTaskContext) Pause(partitions ...connect.TopicPartition) { c.setPaused(partitions, true) }

// Resume implements connect.SinkTaskContext.
func (c *SinkTaskContext) Resume(partitions ...connect.TopicPartition) {
	c.setPaused(partitions, false)
}

func (c *SinkTaskContext) setPaused(partitions []connect.TopicPartition, paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range partitions {
		c.paused[tp] = paused
	}
}

// Paused says whether the task paused a partition.
func (c *SinkTaskContext) Paused(tp connect.TopicPartition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused[tp]
}

// Rewind implements connect.SinkTaskContext.
func (c *SinkTaskContext) Rewind(offsets map[connect.TopicPartition]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.rewound, offsets)
}

// Rewound are the offsets that the task asked to rewind to, the latest of each partition.
func (c *SinkTaskContext) Rewound() map[connect.TopicPartition]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.rewound)
}

// RetryAfter implements connect.SinkTaskContext.
func (c *SinkTaskContext) RetryAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retryAfter = d
}

// Retry is what the task last gave to RetryAfter.
func (c *SinkTaskContext) Retry() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retryAfter
}

// RequestCommit implements connect.SinkTaskContext.
func (c *SinkTaskContext) RequestCommit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
}

// Commits is how often the task asked for a commit.
func (c *SinkTaskContext) Commits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// ErrantRecords implements connect.SinkTaskContext.
func (c *SinkTaskContext) ErrantRecords() connect.ErrantRecordReporter {
	if !c.reports {
		return nil
	}
	return (*errantRecords)(c)
}

// Errant are the records that the task reported, in order.
func (c *SinkTaskContext) Errant() []ErrantRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.errant)
}

type errantRecords SinkTaskContext

func (c *errantRecords) Report(_ context.Context, record *connect.Record, cause error) (<-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errant = append(c.errant, ErrantRecord{record, cause})
	done := make(chan struct{})
	close(done)
	return done, nil
}

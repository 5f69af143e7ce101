package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/plugin"
	"tributary/internal/kafka"
	"tributary/storage"
)

// cluster is a target cluster: it keeps what it acknowledged, and fails and holds
// records as told.
type cluster struct {
	mu     sync.Mutex
	logs   map[string][]string // by topic-partition
	sends  int
	opened []ProducerSpec
	closed int
	// judge decides about the n-th record sent, counted from 1; nil accepts all.
	judge func(n int, r *kafka.Record) error
	// hold keeps records of which it says so in flight until resume.
	hold    func(r *kafka.Record) bool
	resumed chan struct{}
	// refuse makes opening a producer fail.
	refuse func() error
}

func newCluster() *cluster {
	return &cluster{logs: map[string][]string{}, resumed: make(chan struct{})}
}

func (c *cluster) resume() { close(c.resumed) }

func (c *cluster) log(tp string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.logs[tp], " ")
}

func (c *cluster) open(ctx context.Context, spec ProducerSpec) (Producer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		if err := c.refuse(); err != nil {
			return nil, err
		}
	}
	c.opened = append(c.opened, spec)
	p := &producer{cluster: c, queue: make(chan sent, 4), abort: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p, nil
}

var errProducerClosed = errors.New("the producer is closed")

// producer resolves records in the order in which they were sent.
type producer struct {
	cluster *cluster
	queue   chan sent
	abort   chan struct{}
	ended   chan struct{}
}

type sent struct {
	record *kafka.Record
	done   func(kafka.Metadata, error)
}

func (p *producer) Send(ctx context.Context, r *kafka.Record, done func(kafka.Metadata, error)) error {
	select {
	case p.queue <- sent{r, done}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *producer) run() {
	defer close(p.ended)
	for s := range p.queue {
		md, err := p.resolve(s.record)
		s.done(md, err)
	}
}

func (p *producer) resolve(r *kafka.Record) (kafka.Metadata, error) {
	c := p.cluster
	if c.hold != nil && c.hold(r) {
		select {
		case <-c.resumed:
		case <-p.abort:
		}
	}
	select {
	case <-p.abort:
		return kafka.Metadata{}, errProducerClosed
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sends++
	if c.judge != nil {
		if err := c.judge(c.sends, r); err != nil {
			return kafka.Metadata{}, err
		}
	}
	tp := fmt.Sprintf("%s-%d", r.Topic, r.Partition)
	value := string(r.Value)
	if r.Batch != nil {
		value = fmt.Sprintf("batch(%d)", r.Batch.Records)
	}
	c.logs[tp] = append(c.logs[tp], value)
	return kafka.Metadata{Topic: r.Topic, Partition: r.Partition, Offset: int64(len(c.logs[tp]) - 1), Timestamp: r.Timestamp}, nil
}

func (*producer) Unwritable() map[kafka.TopicPartition]error { return nil }

func (p *producer) Close(ctx context.Context) error {
	close(p.queue)
	select {
	case <-p.ended:
	case <-ctx.Done():
		close(p.abort)
		<-p.ended
	}
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	p.cluster.closed++
	return nil
}

// offsets is an offset store that fails as told.
type offsets struct {
	storage.OffsetStore
	mu     sync.Mutex
	values map[string]string
	writes []string
	// fault is asked before each write; nil accepts all.
	fault func(ctx context.Context) error
}

func (o *offsets) Record(connector string, p, offset map[string]any) (storage.OffsetRecord, error) {
	if _, wrong := offset["wrong"]; wrong {
		return storage.OffsetRecord{}, errors.New("cannot be written down")
	}
	return storage.OffsetRecord{Key: fmt.Append(nil, connector, p["p"]), Value: fmt.Append(nil, offset["at"])}, nil
}

func (o *offsets) Expand(records []storage.OffsetRecord) []storage.OffsetRecord { return records }

func (o *offsets) Topic() string { return "offsets" }

func (o *offsets) WriteOffsets(ctx context.Context, records []storage.OffsetRecord) error {
	o.mu.Lock()
	fault := o.fault
	o.mu.Unlock()
	if fault != nil {
		if err := fault(ctx); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.values == nil {
		o.values = map[string]string{}
	}
	var write []string
	for _, r := range records {
		o.values[string(r.Key)] = string(r.Value)
		write = append(write, string(r.Key)+"="+string(r.Value))
	}
	slices.Sort(write)
	o.writes = append(o.writes, strings.Join(write, ","))
	return nil
}

func (o *offsets) Offsets(_ context.Context, connector string, partitions []map[string]any) ([]map[string]any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]map[string]any, len(partitions))
	for i, p := range partitions {
		if v, ok := o.values[fmt.Sprint(connector, p["p"])]; ok {
			out[i] = map[string]any{"at": v}
		}
	}
	return out, nil
}

func (o *offsets) written() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.writes, " ")
}

// events is a listener and more: whatever happens is appended as one line.
type events struct {
	mu     sync.Mutex
	lines  []string
	traces []string
	// made holds the tasks that were made, or could not be.
	made []string
	// resets is what TopicResets says.
	resets atomic.Int64
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

func (e *events) ConnectorState(connector string, state storage.State, trace, version string) {
	e.add("%s %s", connector, state)
	e.trace(trace)
}

func (e *events) TaskState(task connect.TaskID, state storage.State, trace, version string) {
	e.add("%s-%d %s", task.Connector, task.Task, state)
	e.trace(trace)
}

func (e *events) TaskMade(task connect.TaskID, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.made = append(e.made, fmt.Sprintf("%s-%d %t", task.Connector, task.Task, err == nil))
}

func (e *events) TaskConfigsRequested(connector string) { e.add("%s asks", connector) }

func (e *events) StopRequested(connector, reason string) {
	e.add("%s wants to stop: %s", connector, reason)
}

func (e *events) TopicResets() int64 { return e.resets.Load() }

func (e *events) TopicUsed(task connect.TaskID, topic string) {
	e.add("%s-%d uses %s", task.Connector, task.Task, topic)
}

func (e *events) trace(trace string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if trace != "" {
		e.traces = append(e.traces, trace)
	}
}

// take returns what happened since the last call.
func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := strings.Join(e.lines, ", ")
	e.lines = nil
	return out
}

func (e *events) lastTrace() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.traces) == 0 {
		return ""
	}
	return e.traces[len(e.traces)-1]
}

// source is a connector and its task in one, with hooks for all that they do. A hook
// that is nil does the obvious.
type source struct {
	events *events
	noisy  bool // tell events of each call

	start       func(ctx context.Context, cc connect.ConnectorContext, config map[string]string) error
	taskConfigs func(ctx context.Context, limit int) ([]map[string]string, error)
	stop        func(ctx context.Context) error

	taskStart func(ctx context.Context, tc connect.TaskContext, config map[string]string) error
	poll      func(ctx context.Context) ([]*connect.SourceRecord, error)
	taskStop  func(ctx context.Context) error
	batches   chan []*connect.SourceRecord
	refused   func(record *connect.SourceRecord, err error) connect.RecordFailureAction
	rewound   func(record *connect.SourceRecord)

	mu        sync.Mutex
	committed []string // value@offset, or value@- for records not in Kafka
	commits   int
}

func (s *source) Version() string { return "9.9" }

func (s *source) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

func (s *source) Start(ctx context.Context, cc connect.ConnectorContext, config map[string]string) error {
	s.tell("start")
	if s.start != nil {
		return s.start(ctx, cc, config)
	}
	return nil
}

func (s *source) TaskConfigs(ctx context.Context, limit int) ([]map[string]string, error) {
	return s.taskConfigs(ctx, limit)
}

func (s *source) Stop(ctx context.Context) error {
	s.tell("stop")
	if s.stop != nil {
		return s.stop(ctx)
	}
	return nil
}

func (s *source) NewTask() connect.SourceTask { return (*sourceTask)(s) }

func (s *source) tell(what string) {
	if s.noisy {
		s.events.add("%s", what)
	}
}

func (s *source) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.committed, " ")
}

type sourceTask source

func (s *sourceTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	(*source)(s).tell("start")
	if s.taskStart != nil {
		return s.taskStart(ctx, tc, config)
	}
	return nil
}

func (s *sourceTask) RecordFailed(record *connect.SourceRecord, err error) connect.RecordFailureAction {
	if s.refused != nil {
		return s.refused(record, err)
	}
	return connect.FailTask
}

func (s *sourceTask) PartitionRewound(record *connect.SourceRecord) { s.rewound(record) }

func (s *sourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if s.poll != nil {
		return s.poll(ctx)
	}
	select {
	case batch := <-s.batches:
		return batch, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *sourceTask) Stop(ctx context.Context) error {
	(*source)(s).tell("stop")
	if s.taskStop != nil {
		return s.taskStop(ctx)
	}
	return nil
}

func (s *sourceTask) CommitRecord(r *connect.SourceRecord, md *connect.RecordMetadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := "-"
	if md != nil {
		at = fmt.Sprint(md.Offset)
	}
	s.committed = append(s.committed, fmt.Sprintf("%s@%s", r.Value, at))
}

func (s *sourceTask) Commit(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	return nil
}

// bench is a worker among fakes.
type bench struct {
	*Worker
	cluster *cluster
	offsets *offsets
	events  *events
	source  *source
	logs    *logLines
	extra   []plugin.Plugin
	task    connect.TaskID
}

// newBench returns a worker with default settings and ByteArray converters; change
// its fields, then call begin.
func newBench(t testing.TB) *bench {
	b := &bench{cluster: newCluster(), offsets: &offsets{}, events: &events{}, logs: &logLines{}, task: connect.TaskID{Connector: "c"}}
	b.source = &source{events: b.events, batches: make(chan []*connect.SourceRecord, 100)}
	plugins := append(converter.Plugins("1"), plugin.Plugin{
		Class: "acme.FakeConnector", Kind: plugin.Source, TaskClass: "acme.FakeTask", Version: "1",
		New: func() any { return b.source },
	})
	config, err := ParseConfig(map[string]string{
		"key.converter": "ByteArray", "value.converter": "ByteArrayConverter", "header.converter": "ByteArrayConverter",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Worker = New(Options{
		ID: "w:8083", Config: config, Offsets: b.offsets, Listener: b.events,
		Producers: b.cluster.open, Logger: slog.New(b.logs),
	})
	b.with(t, plugins...)
	return b
}

// replaceSource puts another connector in the place of the bench's own.
func (b *bench) replaceSource(t testing.TB, instance any) {
	for i := range b.extra {
		if b.extra[i].Kind == plugin.Source {
			b.extra[i].New = func() any { return instance }
		}
	}
	b.with(t)
}

// with adds plugins.
func (b *bench) with(t testing.TB, plugins ...plugin.Plugin) {
	b.extra = append(b.extra, plugins...)
	registry, err := plugin.NewRegistry(b.extra...)
	if err != nil {
		t.Fatal(err)
	}
	b.options.Plugins = registry
}

func (b *bench) configWith(more ...string) map[string]string {
	config := map[string]string{"name": "c", "connector.class": "Fake", "tasks.max": "2"}
	for i := 0; i < len(more); i += 2 {
		config[more[i]] = more[i+1]
	}
	return config
}

// beginTask starts task c-0.
func (b *bench) beginTask(t testing.TB, more ...string) {
	if err := b.StartTask(b.task, b.configWith(more...), map[string]string{"k": "v", "topics": "t"}, storage.Started, 1); err != nil {
		t.Fatal(err)
	}
}

// record is a record for partition target of topic t, the at-th of source partition p.
func record(p string, at int, target int32) *connect.SourceRecord {
	return &connect.SourceRecord{
		Record:          connect.Record{Topic: "t", Partition: target, Timestamp: 1000, Value: fmt.Append(nil, p, at)},
		SourcePartition: partition(p), SourceOffset: offsetAt(at),
	}
}

// logLines keeps warnings and errors.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Enabled(context.Context, slog.Level) bool { return true }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

func (l *logLines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logLines) WithGroup(string) slog.Handler      { return l }

func (l *logLines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// meter is a Metrics that can be read.
type meter struct {
	mu     sync.Mutex
	values map[string]float64
	shown  map[string]func() float64
	gone   map[string]float64 // the last values of what was removed
}

type reading struct {
	m   *meter
	key string
}

func meterKey(name string, labels map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		name += " " + k + "=" + labels[k]
	}
	return name
}

func (m *meter) Counter(name, _ string, labels map[string]string) connect.Counter {
	return m.at(name, labels)
}

func (m *meter) Gauge(name, _ string, labels map[string]string) connect.Gauge {
	return m.at(name, labels)
}

func (m *meter) GaugeFunc(name, _ string, labels map[string]string, value func() float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown == nil {
		m.shown = map[string]func() float64{}
	}
	m.shown[meterKey(name, labels)] = value
}

func (m *meter) at(name string, labels map[string]string) reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string]float64{}
	}
	key := meterKey(name, labels)
	m.values[key] += 0
	return reading{m, key}
}

func (m *meter) Remove(name string, labels map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := meterKey(name, labels)
	if m.gone == nil {
		m.gone = map[string]float64{}
	}
	if v, had := m.values[key]; had {
		m.gone[key] = v
	}
	delete(m.values, key)
	delete(m.shown, meterKey(name, labels))
}

func (m *meter) read(key string) float64 {
	m.mu.Lock()
	value, shown := m.values[key], m.shown[key]
	m.mu.Unlock()
	if shown != nil {
		return shown()
	}
	return value
}

func (r reading) Add(d float64) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.values[r.key] += d
}

func (r reading) Set(v float64) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.values[r.key] = v
}

// expect compares what happened with what should have.
func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// settle stops what runs, within the graceful timeout.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	if err := b.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/internal/rawkafka"
	"tributary/test/cluster/kafkatest"
)

// patience is how long a test waits for what must happen; it is long for busy machines.
const patience = 30 * time.Second

// pair is two embedded clusters, A and B, and a client for each.
type pair struct {
	a, b     *localkafka.Cluster
	source   *kafkatest.Client
	target   *kafkatest.Client
	settings map[string]string
}

func startPair(t *testing.T, source, target localkafka.Options) *pair {
	t.Helper()
	p := &pair{}
	for _, c := range []struct {
		options localkafka.Options
		cluster **localkafka.Cluster
		client  **kafkatest.Client
	}{{source, &p.a, &p.source}, {target, &p.b, &p.target}} {
		started, err := localkafka.Start(c.options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(started.Close)
		*c.cluster, *c.client = started, kafkatest.Dial(t, started.Bootstrap())
	}
	p.settings = map[string]string{
		"source.cluster.alias": "A", "target.cluster.alias": "B",
		"source.cluster.bootstrap.servers": p.a.Bootstrap(),
		"target.cluster.bootstrap.servers": p.b.Bootstrap(),
	}
	return p
}

// with returns the pair's connector configuration with more keys, given as key=value.
func (p *pair) with(more ...string) map[string]string {
	config := maps.Clone(p.settings)
	for _, kv := range more {
		k, v, _ := strings.Cut(kv, "=")
		config[k] = v
	}
	return config
}

// logBook keeps log lines for tests to look at.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// lines returns the lines that hold all the given texts.
func (l *logBook) lines(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.SplitSeq(l.buf.String(), "\n") {
		if line != "" && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			found = append(found, line)
		}
	}
	return found
}

// meter keeps metrics by name and labels.
type meter struct {
	mu     sync.Mutex
	values map[string]float64
}

type metric struct {
	m  *meter
	id string
}

func (m metric) Add(v float64) {
	m.m.mu.Lock()
	defer m.m.mu.Unlock()
	m.m.values[m.id] += v
}

func (m metric) Set(v float64) {
	m.m.mu.Lock()
	defer m.m.mu.Unlock()
	m.m.values[m.id] = v
}

func metricID(name string, labels map[string]string) string { return fmt.Sprint(name, labels) }

func (m *meter) Counter(name, _ string, labels map[string]string) connect.Counter {
	return metric{m, metricID(name, labels)}
}

func (m *meter) Gauge(name, _ string, labels map[string]string) connect.Gauge {
	return metric{m, metricID(name, labels)}
}

func (m *meter) value(name string, labels map[string]string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[metricID(name, labels)]
}

// stored keeps source offsets, as a worker's offsets topic does.
type stored struct {
	mu      sync.Mutex
	offsets map[string]map[string]any
}

func (s *stored) Offsets(_ context.Context, partitions []*connect.SourcePartition) ([]map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]map[string]any, len(partitions))
	for i, p := range partitions {
		found[i] = s.offsets[p.Key()]
	}
	return found, nil
}

func (s *stored) put(p *connect.SourcePartition, o connect.SourceOffset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offsets[p.Key()] = o.OffsetFields()
}

func (s *stored) get(fields map[string]any) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offsets[connect.NewSourcePartition(fields).Key()]
}

// runner plays a worker for one connector: it keeps the connector's tasks running,
// writes their records, tells them of acknowledgements, and commits after each batch.
type runner struct {
	t         *testing.T
	log       *logBook
	logger    *slog.Logger
	meter     *meter
	stored    *stored
	name      string
	instance  connect.SourceConnector
	bootstrap string

	wanted   chan struct{} // holds a token when task configurations are to be asked for
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	maxTasks int
	live     map[string]string // of the connector's configuration

	mu      sync.Mutex
	configs []map[string]string
	tasks   []*runningTask
	rounds  int // how often tasks were replaced
	errs    []error

	stopReasons []string
}

func newRunner(t *testing.T, p *pair, name string, instance connect.SourceConnector) *runner {
	book := &logBook{}
	r := &runner{
		t: t, log: book, logger: slog.New(slog.NewTextHandler(book, nil)),
		meter: &meter{values: map[string]float64{}}, stored: &stored{offsets: map[string]map[string]any{}},
		name: name, instance: instance, bootstrap: p.settings["target.cluster.bootstrap.servers"], maxTasks: 1,
		wanted: make(chan struct{}, 1),
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, strings.Join(book.lines(), "\n"))
		}
	})
	return r
}

func (r *runner) Name() string                  { return r.name }
func (r *runner) Logger() *slog.Logger          { return r.logger }
func (r *runner) Offsets() connect.OffsetReader { return r.stored }
func (r *runner) Metrics() connect.Metrics      { return r.meter }
func (r *runner) RequestStop(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopReasons = append(r.stopReasons, reason)
}
func (r *runner) RaiseError(err error) { r.fail(err) }
func (r *runner) RequestTaskReconfiguration() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// start starts the connector, which must succeed.
func (r *runner) start(config map[string]string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.instance.Start(ctx, r, config); err != nil {
		cancel()
		r.t.Fatal(err)
	}
	r.cancel, r.live = cancel, r.instance.ConfigDef().Live(config)
	r.RequestTaskReconfiguration()
	r.ended.Go(func() { r.keep(ctx) })
}

// stop stops tasks and connector. It may be called twice.
func (r *runner) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	r.ended.Wait()
	if err := r.instance.Stop(context.Background()); err != nil {
		r.t.Errorf("stop connector: %v", err)
	}
}

func (r *runner) keep(ctx context.Context) {
	defer r.replace(ctx, nil)
	for {
		select {
		case <-r.wanted:
		case <-ctx.Done():
			return
		}
		configs, err := r.instance.TaskConfigs(ctx, r.maxTasks)
		var retriable *connect.RetriableError
		switch {
		case errors.As(err, &retriable):
			timer := time.AfterFunc(50*time.Millisecond, r.RequestTaskReconfiguration)
			defer timer.Stop()
		case err != nil:
			r.fail(err)
		default:
			r.replace(ctx, configs)
		}
	}
}

func (r *runner) replace(ctx context.Context, configs []map[string]string) {
	r.mu.Lock()
	before, tasks := r.configs, r.tasks
	r.mu.Unlock()
	if before != nil && slices.EqualFunc(before, configs, maps.Equal) {
		return
	}
	for _, task := range tasks {
		task.stop()
	}
	tasks = nil
	for i, config := range configs {
		tasks = append(tasks, r.startTask(ctx, i, config, len(configs)))
	}
	r.mu.Lock()
	r.configs, r.tasks = configs, tasks
	r.rounds++
	r.mu.Unlock()
}

func (r *runner) taskConfigs() []map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.configs
}

// await waits until the condition holds.
func (r *runner) await(what string, condition func() bool) {
	r.t.Helper()
	kafkatest.Await(r.t, patience, what, func() (bool, string) {
		r.mu.Lock()
		errs := errors.Join(r.errs...)
		r.mu.Unlock()
		return condition(), fmt.Sprintf("errors: %v", errs)
	})
}

// awaitAssigned waits until the tasks have exactly these lists of partitions.
func (r *runner) awaitAssigned(want ...string) {
	r.t.Helper()
	r.await("the assignment "+strings.Join(want, " | "), func() bool {
		var got []string
		for _, c := range r.taskConfigs() {
			got = append(got, c[assignedPartitions])
		}
		return slices.Equal(got, want)
	})
}

// row is what the tasks show of a partition.
func (r *runner) row(topic string, partition int32) connect.ReplicatedPartition {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, task := range r.tasks {
		for _, row := range task.task.(connect.ReplicationReporter).Replication().Partitions {
			if row.Topic == topic && row.Partition == partition {
				return row
			}
		}
	}
	return connect.ReplicatedPartition{}
}

// testProducer is what a lane writes with.
type testProducer interface {
	Send(ctx context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error
	Flush(ctx context.Context) error
	Close(ctx context.Context) error
}

// runningTask is a task and the goroutine that plays its worker.
type runningTask struct {
	r        *runner
	id       connect.TaskID
	task     connect.SourceTask
	client   *kafka.Client
	producer testProducer
	cancel   context.CancelFunc
	ended    sync.WaitGroup
}

func (t *runningTask) ID() connect.TaskID            { return t.id }
func (t *runningTask) Logger() *slog.Logger          { return t.r.logger }
func (t *runningTask) Offsets() connect.OffsetReader { return t.r.stored }
func (t *runningTask) Metrics() connect.Metrics      { return t.r.meter }

func (r *runner) startTask(ctx context.Context, i int, config map[string]string, count int) *runningTask {
	t := &runningTask{r: r, id: connect.TaskID{Connector: r.name, Task: i}, task: r.instance.NewTask()}
	ctx, t.cancel = context.WithCancel(ctx)
	cfg, err := kafka.ParseConfig(kafka.RoleProducer, kafka.Props{"bootstrap.servers": r.bootstrap, "linger.ms": "0"})
	if err == nil {
		t.client, err = kafka.NewClient(cfg, r.logger)
	}
	if live, ok := t.task.(connect.LiveTask); ok {
		live.UseLive(r.live, count)
	}
	task, batches := t.task.(connect.BatchTask)
	if batches {
		batches, _ = task.OffersBatches(config)
	}
	if batches && rawLane {
		task.TakeLane(true, "raw", "the test wants it")
		t.producer = rawkafka.Producer{Sender: rawkafka.NewSender(t.client, cfg, r.logger)}
	} else if err == nil {
		t.producer, err = kafka.NewProducer(t.client, cfg, r.logger)
	}
	if err != nil {
		panic(err)
	}
	t.ended.Go(func() {
		if err := t.task.Start(ctx, t, config); err != nil {
			r.fail(fmt.Errorf("start of task %d: %w", i, err))
			return
		}
		for ctx.Err() == nil {
			records, err := t.task.Poll(ctx)
			if err == nil {
				err = t.deliver(ctx, records)
			}
			if err != nil {
				if ctx.Err() == nil {
					r.fail(fmt.Errorf("task %d: %w", i, err))
				}
				return
			}
		}
	})
	return t
}

// deliver writes records, acknowledges each, and commits.
func (t *runningTask) deliver(ctx context.Context, records []*connect.SourceRecord) error {
	var mu sync.Mutex
	var failure error
	rewound := map[*connect.SourcePartition]*connect.SourceRecord{}
	judge, judges := t.task.(connect.RecordFailureHandler)
	for _, rec := range records {
		mu.Lock()
		dropped := rewound[rec.SourcePartition] != nil
		mu.Unlock()
		if dropped {
			continue
		}
		if rec.PositionOnly {
			if err := t.producer.Flush(ctx); err != nil {
				return err
			}
			t.r.stored.put(rec.SourcePartition, rec.SourceOffset)
			continue
		}
		out := &kafka.Record{Topic: rec.Topic, Partition: rec.Partition, Timestamp: rec.Timestamp}
		if b := rec.Batch; b != nil {
			out.Batch = &kafka.Batch{Data: b.Data, Records: int32(b.Records)}
		}
		out.Key, _ = rec.Key.([]byte)
		out.Value, _ = rec.Value.([]byte)
		for _, h := range rec.Headers {
			value, _ := h.Value.([]byte)
			out.Headers = append(out.Headers, kafka.Header{Key: h.Key, Value: value})
		}
		err := t.producer.Send(ctx, out, func(md kafka.Metadata, err error) {
			mu.Lock()
			defer mu.Unlock()
			if rewound[rec.SourcePartition] != nil {
				return
			}
			if err != nil {
				action := connect.FailTask
				if judges {
					action = judge.RecordFailed(rec, err)
				}
				switch action {
				case connect.SkipRecord:
					t.task.(connect.RecordCommitter).CommitRecord(rec, nil)
					t.r.stored.put(rec.SourcePartition, rec.SourceOffset)
				case connect.RewindPartition:
					rewound[rec.SourcePartition] = rec
				default:
					failure = errors.Join(failure, err)
				}
				return
			}
			if committer, ok := t.task.(connect.RecordCommitter); ok {
				committer.CommitRecord(rec, &connect.RecordMetadata{Topic: md.Topic, Partition: md.Partition, Offset: md.Offset, First: md.First, Timestamp: md.Timestamp})
			}
			if rec.Batch != nil {
				rec.Batch.Release()
			}
			t.r.stored.put(rec.SourcePartition, rec.SourceOffset)
		})
		if err != nil {
			return err
		}
	}
	if err := t.producer.Flush(ctx); err != nil {
		return err
	}
	for _, rec := range rewound {
		judge.PartitionRewound(rec)
	}
	if committer, ok := t.task.(connect.Committer); ok && len(records) > 0 {
		if err := committer.Commit(ctx); err != nil {
			return err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return failure
}

func (t *runningTask) stop() {
	t.cancel()
	t.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := t.producer.Close(ctx); err != nil {
		t.r.fail(fmt.Errorf("close producer: %w", err))
	}
	if err := t.client.Close(); err != nil {
		t.r.fail(err)
	}
	if err := t.task.Stop(ctx); err != nil {
		t.r.fail(fmt.Errorf("stop of task %d: %w", t.id.Task, err))
	}
}

// failures are the errors of the connector's tasks so far.
func (r *runner) failures() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

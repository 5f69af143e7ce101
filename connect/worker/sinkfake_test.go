package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/internal/kafka"
)

// turn is what a fakeConsumer's Poll does next, on the lane's goroutine.
type turn func(c *fakeConsumer) ([]kafka.Record, error)

// fakeConsumer is a group of one member whose rebalances and records a test hands out.
type fakeConsumer struct {
	spec     ConsumerSpec
	listener kafka.RebalanceListener
	events   *events
	turns    chan turn

	mu       sync.Mutex
	assigned []kafka.TopicPartition
	paused   map[kafka.TopicPartition]bool
	group    map[kafka.TopicPartition]int64
	// refuse is asked before each commit; nil accepts all.
	refuse func(ctx context.Context) error
	closed bool
}

func (c *fakeConsumer) Poll(ctx context.Context) ([]kafka.Record, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	select {
	case t := <-c.turns:
		return t(c)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *fakeConsumer) Assignment() []kafka.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.assigned)
}

func (c *fakeConsumer) Seek(offsets map[kafka.TopicPartition]int64) {
	c.events.add("seek %s", showOffsets(offsets))
}

func (c *fakeConsumer) Pause(partitions ...kafka.TopicPartition)  { c.setPaused(true, partitions) }
func (c *fakeConsumer) Resume(partitions ...kafka.TopicPartition) { c.setPaused(false, partitions) }

func (c *fakeConsumer) setPaused(paused bool, partitions []kafka.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range partitions {
		c.paused[tp] = paused
	}
}

func (c *fakeConsumer) rests() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for tp, paused := range c.paused {
		if paused {
			out = append(out, showPartition(tp))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (c *fakeConsumer) Commit(ctx context.Context, offsets map[kafka.TopicPartition]int64) error {
	c.mu.Lock()
	refuse := c.refuse
	c.mu.Unlock()
	if refuse != nil {
		if err := refuse(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.group, offsets)
	c.events.add("commit %s", showOffsets(offsets))
	return nil
}

func (c *fakeConsumer) Close(context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.events.add("leave")
}

// assigns is a turn that adds partitions, at what the group committed.
func assigns(partitions ...kafka.TopicPartition) turn {
	return func(c *fakeConsumer) ([]kafka.Record, error) {
		added := map[kafka.TopicPartition]int64{}
		c.mu.Lock()
		for _, tp := range partitions {
			c.assigned = append(c.assigned, tp)
			added[tp] = c.group[tp]
		}
		c.mu.Unlock()
		c.listener.Assigned(added)
		return nil, nil
	}
}

// takes is a turn that takes partitions away with one of the listener's methods.
func takes(how func(kafka.RebalanceListener, []kafka.TopicPartition), partitions ...kafka.TopicPartition) turn {
	return func(c *fakeConsumer) ([]kafka.Record, error) {
		how(c.listener, partitions)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.assigned = slices.DeleteFunc(c.assigned, func(tp kafka.TopicPartition) bool { return slices.Contains(partitions, tp) })
		return nil, nil
	}
}

func brings(records ...kafka.Record) turn {
	return func(*fakeConsumer) ([]kafka.Record, error) { return records, nil }
}

func fails(err error) turn {
	return func(*fakeConsumer) ([]kafka.Record, error) { return nil, err }
}

var t0, t1 = kafka.TopicPartition{Topic: "t", Partition: 0}, kafka.TopicPartition{Topic: "t", Partition: 1}

func at(tp kafka.TopicPartition, offset int64, value string) kafka.Record {
	return kafka.Record{
		Topic: tp.Topic, Partition: tp.Partition, Offset: offset, Timestamp: 1000 + offset, Value: []byte(value),
		Headers: []kafka.Header{{Key: "h", Value: []byte("v")}},
	}
}

func showPartition(tp kafka.TopicPartition) string {
	return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition)
}

func showOffsets[T connect.TopicPartition | kafka.TopicPartition](offsets map[T]int64) string {
	var out []string
	for tp, offset := range offsets {
		out = append(out, fmt.Sprintf("%s=%d", showPartition(kafka.TopicPartition(tp)), offset))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func showPartitions(partitions []connect.TopicPartition) string {
	var out []string
	for _, tp := range partitions {
		out = append(out, showPartition(kafka.TopicPartition(tp)))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// fakeSink is a connector and its task in one; hooks that are nil do the obvious.
type fakeSink struct {
	events  *events
	context connect.SinkTaskContext

	put       func(records []*connect.Record) error
	preCommit func(offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error)
	open      func(partitions []connect.TopicPartition) error
	stop      func() error
}

func (s *fakeSink) Version() string { return "9.9" }

func (s *fakeSink) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

func (s *fakeSink) Start(context.Context, connect.ConnectorContext, map[string]string) error {
	return nil
}

func (s *fakeSink) TaskConfigs(context.Context, int) ([]map[string]string, error) { return nil, nil }

func (s *fakeSink) Stop(context.Context) error { return nil }

func (s *fakeSink) NewTask() connect.SinkTask { return (*sinkTask)(s) }

type sinkTask fakeSink

func (s *sinkTask) Start(_ context.Context, sc connect.SinkTaskContext, _ map[string]string) error {
	s.context = sc
	return nil
}

func (s *sinkTask) Put(_ context.Context, records []*connect.Record) error {
	if len(records) > 0 {
		values := make([]string, len(records))
		for i, r := range records {
			values[i] = fmt.Sprintf("%s", r.Value)
		}
		s.events.add("put %s", strings.Join(values, " "))
	}
	if s.put != nil {
		return s.put(records)
	}
	return nil
}

func (s *sinkTask) PreCommit(_ context.Context, offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) {
	if s.preCommit != nil {
		return s.preCommit(offsets)
	}
	return offsets, nil
}

func (s *sinkTask) Open(_ context.Context, partitions []connect.TopicPartition) error {
	s.events.add("open %s", showPartitions(partitions))
	if s.open != nil {
		return s.open(partitions)
	}
	return nil
}

func (s *sinkTask) Close(_ context.Context, partitions []connect.TopicPartition) error {
	s.events.add("close %s", showPartitions(partitions))
	return nil
}

func (s *sinkTask) Stop(context.Context) error {
	s.events.add("stop")
	if s.stop != nil {
		return s.stop()
	}
	return nil
}

// topics is an admin client of a cluster that notes what is created.
type topics struct {
	events *events
	exist  map[string]kafka.TopicInfo
	fail   error
	judge  func() error // asked before topics are looked up; nil accepts all
}

func (a *topics) Topics(_ context.Context, names ...string) (map[string]kafka.TopicInfo, error) {
	if a.judge != nil {
		if err := a.judge(); err != nil {
			return nil, err
		}
	}
	found := map[string]kafka.TopicInfo{}
	for _, name := range names {
		if info, ok := a.exist[name]; ok {
			found[name] = info
		}
	}
	return found, nil
}

func (a *topics) CreateTopic(_ context.Context, spec kafka.TopicSpec) error {
	if a.fail != nil {
		return a.fail
	}
	a.events.add("create %s partitions=%d replicas=%d %v", spec.Name, spec.Partitions, spec.ReplicationFactor, spec.Configs)
	a.exist[spec.Name] = kafka.TopicInfo{Partitions: spec.Partitions, ReplicationFactor: spec.ReplicationFactor}
	return nil
}

func (a *topics) Close() error { return nil }

// sinkBench is a bench with a sink connector and its consumer.
type sinkBench struct {
	*bench
	sink     *fakeSink
	consumer *fakeConsumer
	topics   *topics
}

func newSinkBench(t testing.TB) *sinkBench {
	b := &sinkBench{bench: newBench(t)}
	b.sink = &fakeSink{events: b.events}
	b.consumer = &fakeConsumer{events: b.events, turns: make(chan turn, 100), paused: map[kafka.TopicPartition]bool{}, group: map[kafka.TopicPartition]int64{}}
	b.topics = &topics{events: b.events, exist: map[string]kafka.TopicInfo{}}
	b.options.Consumers = func(spec ConsumerSpec, listener kafka.RebalanceListener) (Consumer, error) {
		b.consumer.spec, b.consumer.listener = spec, listener
		return b.consumer, nil
	}
	b.options.Admins = func(AdminSpec) (Admin, error) { return b.topics, nil }
	b.with(t, plugin.Plugin{Class: "acme.FakeSinkConnector", Kind: plugin.Sink, TaskClass: "acme.FakeSinkTask", Version: "1", New: func() any { return b.sink }})
	return b
}

// beginSink starts task c-0 of a sink that reads topic t.
func (b *sinkBench) beginSink(t testing.TB, more ...string) {
	b.beginTask(t, append([]string{"connector.class", "FakeSink", "topics", "t"}, more...)...)
}

// polls hands out turns.
func (b *sinkBench) polls(turns ...turn) {
	for _, t := range turns {
		b.consumer.turns <- t
	}
}

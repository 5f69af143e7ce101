package connecttest

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"testing"

	"tributary/connect"
)

// Sink is a sink connector and what a suite needs to know of it.
type Sink struct {
	// New returns a fresh instance.
	New func() connect.SinkConnector
	// Config is the whole configuration of a connector, name and topics included.
	Config map[string]string
	// Records returns n records of one partition, at the offsets first, first+1, …
	Records func(tp connect.TopicPartition, first int64, n int) []*connect.Record
	// Stored returns all that the system on the other side has of records that were written
	// and flushed, as a text for each, in the order of writing; Text is that text for a
	// record.
	Stored func(t *testing.T) []string
	Text   func(r *connect.Record) string
}

// TestSink holds a sink connector to what the worker relies on.
func TestSink(t *testing.T, s Sink) {
	testConnector(t, func() connect.Connector { return s.New() }, s.Config)
	a, b := connect.TopicPartition{Topic: "a"}, connect.TopicPartition{Topic: "b", Partition: 3}
	t.Run("what is flushed is stored, in order", func(t *testing.T) {
		before := len(s.Stored(t))
		task := s.start(t)
		defer task.stop()
		task.open(a, b)
		task.put() // an empty batch is usual
		want := task.put(append(s.Records(a, 0, 3), s.Records(b, 7, 2)...)...)
		task.flush(map[connect.TopicPartition]int64{a: 3, b: 9})
		s.expectStored(t, before, want)
		want = append(want, task.put(s.Records(a, 3, 2)...)...)
		task.flush(map[connect.TopicPartition]int64{a: 5, b: 9})
		s.expectStored(t, before, want)
	})
	t.Run("partitions come and go", func(t *testing.T) {
		before := len(s.Stored(t))
		task := s.start(t)
		defer task.stop()
		task.open(a, b)
		want := task.put(append(s.Records(a, 0, 2), s.Records(b, 0, 2)...)...)
		task.flush(map[connect.TopicPartition]int64{b: 2})
		task.close(b)
		want = append(want, task.put(s.Records(a, 2, 1)...)...)
		task.open(b) // comes back
		want = append(want, task.put(s.Records(b, 2, 1)...)...)
		task.flush(map[connect.TopicPartition]int64{a: 3, b: 3})
		s.expectStored(t, before, want)
	})
	t.Run("stops without a record", func(t *testing.T) {
		before := runtime.NumGoroutine()
		task := s.start(t)
		task.put()
		task.stop()
		awaitGoroutines(t, before)
	})
	t.Run("several tasks work side by side", func(t *testing.T) {
		before := len(s.Stored(t))
		first, second := s.start(t), s.start(t)
		first.open(a)
		second.open(b)
		want := first.put(s.Records(a, 0, 2)...)
		want = append(want, second.put(s.Records(b, 0, 2)...)...)
		first.flush(map[connect.TopicPartition]int64{a: 2})
		second.flush(map[connect.TopicPartition]int64{b: 2})
		first.stop()
		second.stop()
		s.expectStored(t, before, want)
	})
}

// expectStored holds what was stored since there were before texts against want.
func (s Sink) expectStored(t *testing.T, before int, want []string) {
	t.Helper()
	if got := s.Stored(t); len(got) < before || !slices.Equal(got[before:], want) {
		t.Errorf("stored is %q, want %q", got[min(before, len(got)):], want)
	}
}

// runningSink is a task that was started.
type runningSink struct {
	t       *testing.T
	sink    Sink
	task    connect.SinkTask
	context *SinkTaskContext
	ctx     context.Context
	cancel  context.CancelFunc
}

func (s Sink) start(t *testing.T) *runningSink {
	t.Helper()
	c := s.New()
	stop := startConnector(t, c, s.Config, nil)
	configs := taskConfigs(t, c, 1)
	stop()
	if len(configs) != 1 {
		t.Fatalf("the connector has %d task configurations, want one", len(configs))
	}
	config := maps.Clone(configs[0])
	for _, key := range []string{"topics", "topics.regex"} { // which the worker adds
		if value, set := s.Config[key]; set {
			config[key] = value
		}
	}
	task := c.NewTask()
	ctx, cancel := context.WithCancel(t.Context())
	sc := NewSinkTaskContext(connect.TaskID{Connector: s.Config["name"]}, true)
	if err := task.Start(ctx, sc, config); err != nil {
		cancel()
		t.Fatalf("Start of the task: %v", err)
	}
	return &runningSink{t, s, task, sc, ctx, cancel}
}

func (r *runningSink) open(partitions ...connect.TopicPartition) {
	r.t.Helper()
	r.context.Assign(append(r.context.Assignment(), partitions...)...)
	if o, ok := r.task.(connect.PartitionOpener); ok {
		if err := o.Open(r.ctx, partitions); err != nil {
			r.t.Fatalf("Open: %v", err)
		}
	}
}

func (r *runningSink) close(partitions ...connect.TopicPartition) {
	r.t.Helper()
	if o, ok := r.task.(connect.PartitionOpener); ok {
		if err := o.Close(r.ctx, partitions); err != nil {
			r.t.Fatalf("Close: %v", err)
		}
	}
	r.context.Assign(slices.DeleteFunc(r.context.Assignment(), func(tp connect.TopicPartition) bool { return slices.Contains(partitions, tp) })...)
}

// put hands records over and returns their texts.
func (r *runningSink) put(records ...*connect.Record) []string {
	r.t.Helper()
	var texts []string
	for _, record := range records {
		texts = append(texts, r.sink.Text(record))
	}
	if err := r.task.Put(r.ctx, records); err != nil {
		r.t.Fatalf("Put: %v", err)
	}
	if errant := r.context.Errant(); len(errant) > 0 {
		r.t.Fatalf("the task reported a record of this suite: %v", errant[0].Cause)
	}
	return texts
}

// flush does what comes before a commit, and holds the answer to the offsets that were
// offered.
func (r *runningSink) flush(offsets map[connect.TopicPartition]int64) {
	r.t.Helper()
	switch task := r.task.(type) {
	case connect.PreCommitter:
		allowed, err := task.PreCommit(r.ctx, maps.Clone(offsets))
		if err != nil {
			r.t.Fatalf("PreCommit: %v", err)
		}
		for tp, offset := range allowed {
			if limit, asked := offsets[tp]; !asked || offset > limit {
				r.t.Errorf("PreCommit allows %d of %v, which was offered at %d (%v)", offset, tp, limit, asked)
			}
		}
	case connect.Flusher:
		if err := task.Flush(r.ctx, maps.Clone(offsets)); err != nil {
			r.t.Fatalf("Flush: %v", err)
		}
	}
}

// stop gives the partitions back and stops the task.
func (r *runningSink) stop() {
	r.t.Helper()
	if partitions := r.context.Assignment(); len(partitions) > 0 {
		r.close(partitions...)
	}
	r.cancel()
	if err := within(r.t, "Stop of the task", soon, func() error { return r.task.Stop(r.t.Context()) }); err != nil {
		r.t.Errorf("Stop of the task: %v", err)
	}
}

package connecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"testing"
	"time"

	"tributary/connect"
)

// Source is a source connector and what a suite needs to know of it.
type Source struct {
	// New returns a fresh instance.
	New func() connect.SourceConnector
	// Config is the whole configuration of a connector, name included, for one task.
	Config map[string]string
	// Feed puts something into the source from which at least Records records come. It is
	// called for each test anew, before a task starts; what was there before may stay.
	Feed    func(t *testing.T)
	Records int
	// Forgets says that a task begins anew with each start, whatever was committed.
	Forgets bool
}

// TestSource holds a source connector to what the worker relies on.
func TestSource(t *testing.T, s Source) {
	testConnector(t, func() connect.Connector { return s.New() }, s.Config)
	t.Run("a task returns well-formed records", func(t *testing.T) {
		s.Feed(t)
		task := s.start(t, &Offsets{})
		defer task.stop()
		for _, r := range task.take(s.Records) {
			checkSourceRecord(t, r)
		}
	})
	t.Run("a task that is stopped returns from Poll", func(t *testing.T) {
		before := runtime.NumGoroutine()
		s.Feed(t)
		task := s.start(t, &Offsets{})
		task.take(s.Records)
		task.stop()
		awaitGoroutines(t, before)
	})
	t.Run("a task goes on behind what was committed", func(t *testing.T) {
		if s.Forgets {
			return
		}
		s.Feed(t)
		first := s.start(t, &Offsets{})
		all := first.take(s.Records)
		first.stop()
		for _, n := range []int{1, len(all) / 2, len(all) - 1} {
			offsets := &Offsets{}
			offsets.Commit(all[:n]...)
			next := s.start(t, offsets)
			rest := next.take(len(all) - n)
			next.stop()
			for i, r := range rest[:len(all)-n] {
				if want := all[n+i]; !sameRecord(r, want) {
					t.Fatalf("after %d committed records came %s as number %d, want %s", n, describe(r), i, describe(want))
				}
			}
		}
	})
	t.Run("offsets can be altered", func(t *testing.T) {
		c, ok := s.New().(connect.OffsetAlterer)
		if !ok {
			return
		}
		s.Feed(t)
		task := s.start(t, &Offsets{})
		r := task.take(1)[0]
		task.stop()
		if r.SourcePartition == nil || r.SourceOffset == nil {
			return
		}
		own := connect.OffsetChange{Partition: r.SourcePartition.Fields(), Offset: map[string]any{}}
		for name, value := range r.SourceOffset.OffsetFields() {
			own.Offset[name] = asRead(value)
		}
		if _, err := c.AlterOffsets(t.Context(), maps.Clone(s.Config), []connect.OffsetChange{own}); err != nil {
			t.Errorf("the connector refuses its own offset %v of %v: %v", own.Offset, own.Partition, err)
		}
		if _, err := c.AlterOffsets(t.Context(), maps.Clone(s.Config), []connect.OffsetChange{{Partition: own.Partition}}); err != nil {
			t.Errorf("the connector refuses to remove its own offset of %v: %v", own.Partition, err)
		}
		strange := connect.OffsetChange{Partition: map[string]any{"strange": true}, Offset: map[string]any{"stranger": "x"}}
		if _, err := c.AlterOffsets(t.Context(), maps.Clone(s.Config), []connect.OffsetChange{strange}); err == nil {
			t.Error("the connector accepts an offset that it cannot have")
		}
	})
}

// runningSource is a task that was started.
type runningSource struct {
	t      *testing.T
	task   connect.SourceTask
	ctx    context.Context
	cancel context.CancelFunc
}

// start starts the connector for its one task configuration, and then the task.
func (s Source) start(t *testing.T, offsets *Offsets) *runningSource {
	t.Helper()
	c := s.New()
	stop := startConnector(t, c, s.Config, offsets)
	configs := taskConfigs(t, c, 1)
	stop()
	if len(configs) != 1 {
		t.Fatalf("the connector has %d task configurations, want one", len(configs))
	}
	task := c.NewTask()
	ctx, cancel := context.WithCancel(t.Context())
	if err := task.Start(ctx, NewTaskContext(connect.TaskID{Connector: s.Config["name"]}, offsets), configs[0]); err != nil {
		cancel()
		t.Fatalf("Start of the task: %v", err)
	}
	return &runningSource{t, task, ctx, cancel}
}

// take polls until there are n records, and acknowledges them.
func (r *runningSource) take(n int) []*connect.SourceRecord {
	r.t.Helper()
	var records []*connect.SourceRecord
	deadline := time.Now().Add(patience)
	for len(records) < n {
		ctx, cancel := context.WithDeadline(r.ctx, deadline)
		batch, err := r.task.Poll(ctx)
		expired := ctx.Err() != nil
		cancel()
		var again *connect.RetriableError
		switch {
		case expired:
			r.t.Fatalf("only %d of %d records came", len(records), n)
		case err != nil && !errors.As(err, &again):
			r.t.Fatalf("Poll: %v", err)
		}
		records = append(records, batch...)
	}
	if c, ok := r.task.(connect.RecordCommitter); ok {
		for i, record := range records {
			c.CommitRecord(record, &connect.RecordMetadata{Topic: record.Topic, Partition: max(record.Partition, 0), Offset: int64(i), Timestamp: record.Timestamp})
		}
	}
	if c, ok := r.task.(connect.Committer); ok {
		if err := c.Commit(r.ctx); err != nil {
			r.t.Errorf("Commit: %v", err)
		}
	}
	return records
}

// stop ends a Poll that waits, and stops the task.
func (r *runningSource) stop() {
	r.t.Helper()
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		for r.ctx.Err() == nil {
			_, _ = r.task.Poll(r.ctx) // what it returns at the end does not count
		}
	}()
	r.cancel()
	within(r.t, "Poll after its context has ended", soon, func() struct{} { <-polled; return struct{}{} })
	if err := within(r.t, "Stop of the task", soon, func() error { return r.task.Stop(r.t.Context()) }); err != nil {
		r.t.Errorf("Stop of the task: %v", err)
	}
}

func checkSourceRecord(t *testing.T, r *connect.SourceRecord) {
	t.Helper()
	switch {
	case r.Topic == "":
		t.Errorf("%s has no topic", describe(r))
	case r.Partition < connect.PartitionUnset:
		t.Errorf("%s has the partition %d", describe(r), r.Partition)
	case r.Timestamp < connect.NoTimestamp:
		t.Errorf("%s has the timestamp %d", describe(r), r.Timestamp)
	case (r.SourcePartition == nil) != (r.SourceOffset == nil):
		t.Errorf("%s has a source partition or a source offset, but not both", describe(r))
	case r.SourcePartition == nil:
		return
	}
	for _, fields := range []map[string]any{r.SourcePartition.Fields(), r.SourceOffset.OffsetFields()} {
		for name, value := range fields {
			switch value.(type) {
			case nil, bool, string, int, int8, int16, int32, int64, float32, float64:
			default:
				t.Errorf("the field %s of a source partition or offset is a %T; it must be null, a boolean, a number or a string", name, value)
			}
		}
	}
}

func sameRecord(a, b *connect.SourceRecord) bool {
	return a.Topic == b.Topic && sameValue(a.Key, b.Key) && sameValue(a.Value, b.Value) &&
		fmt.Sprint(a.SourceOffset.OffsetFields()) == fmt.Sprint(b.SourceOffset.OffsetFields())
}

func sameValue(a, b any) bool {
	if x, ok := a.([]byte); ok {
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func describe(r *connect.SourceRecord) string {
	return fmt.Sprintf("the record for %s with the value %v", r.Topic, r.Value)
}

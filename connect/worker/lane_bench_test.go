package worker

import (
	"context"
	"sync"
	"testing"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// sink is a producer that costs next to nothing: it acknowledges in batches, from a
// goroutine of its own.
type sink struct {
	batch []sent
	queue chan []sent
	ended sync.WaitGroup
}

func openSink(context.Context, ProducerSpec) (Producer, error) {
	s := &sink{queue: make(chan []sent, 8)}
	s.ended.Go(func() {
		var offset int64
		for batch := range s.queue {
			for _, r := range batch {
				offset++
				r.done(kafka.Metadata{Topic: r.record.Topic, Partition: r.record.Partition, Offset: offset}, nil)
			}
		}
	})
	return s, nil
}

func (s *sink) Send(_ context.Context, r *kafka.Record, done func(kafka.Metadata, error)) error {
	s.batch = append(s.batch, sent{r, done})
	if len(s.batch) == 500 {
		s.queue <- s.batch
		s.batch = make([]sent, 0, 500)
	}
	return nil
}

func (*sink) Unwritable() map[kafka.TopicPartition]error { return nil }

func (s *sink) Close(context.Context) error {
	s.queue <- s.batch
	close(s.queue)
	s.ended.Wait()
	return nil
}

// quietTask hands out the same batch over and over and ends with the last.
type quietTask struct {
	batch []*connect.SourceRecord
	left  int
	ended chan struct{}
}

func (*quietTask) Start(context.Context, connect.TaskContext, map[string]string) error { return nil }
func (*quietTask) Stop(context.Context) error                                          { return nil }

func (q *quietTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if q.left <= 0 {
		close(q.ended)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	q.left -= len(q.batch)
	return q.batch, nil
}

// hearingTask is a quietTask that hears of each record.
type hearingTask struct {
	quietTask
	heard int
}

func (h *hearingTask) CommitRecord(*connect.SourceRecord, *connect.RecordMetadata) { h.heard++ }

// BenchmarkLane measures the record lane with ByteArray converters and records of 1 kB
// with a header: one operation is one record from Poll to its acknowledgement.
func BenchmarkLane(b *testing.B) {
	for _, bench := range []struct {
		name  string
		mixed bool // source partitions alternate
		hear  bool
	}{{"runs", false, false}, {"mixed partitions", true, false}, {"CommitRecord", false, true}} {
		b.Run(bench.name, func(b *testing.B) {
			w := newBench(b)
			w.options.Producers = openSink
			w.source.events = nil
			id := connect.TaskID{Connector: "c"}
			config := w.configWith()
			t := newTaskRun(w.Worker, id, config, nil, 1)
			t.target = storage.Started
			if err := t.build(); err != nil {
				b.Fatal(err)
			}
			value, header := make([]byte, 1024), []byte("h")
			batch := make([]*connect.SourceRecord, 500)
			partitions := []*connect.SourcePartition{partition("a"), partition("b"), partition("c"), partition("d")}
			for i := range batch {
				p := i * 4 / len(batch)
				if bench.mixed {
					p = i % 4
				}
				batch[i] = record("a", i, int32(p))
				batch[i].SourcePartition = partitions[p]
				batch[i].Value = value
				batch[i].Headers = []connect.Header{{Key: "k", Value: header}}
			}
			quiet := quietTask{batch: batch, left: b.N, ended: make(chan struct{})}
			hearing := &hearingTask{quietTask: quiet}
			out := t.buildOutlet(w.offsets).(*atLeastOnce)
			t.outlet = out
			t.task, out.commit, out.committer.task = &quiet, nil, nil
			ended := quiet.ended
			if bench.hear {
				t.task, out.commit = hearing, hearing
			}
			out.start(t.hard)
			b.ReportAllocs()
			b.SetBytes(1024)
			b.ResetTimer()
			done := make(chan error)
			go func() { done <- t.loop() }()
			<-ended
			t.stop()
			<-done
			if err := out.close(t.hard); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if n := out.unacked(); n != 0 {
				b.Fatalf("%d records were not acknowledged", n)
			}
		})
	}
}

// BenchmarkTracker measures submission and acknowledgement alone.
func BenchmarkTracker(b *testing.B) {
	tr := newTracker()
	r := record("a", 1, 0)
	window := make([]*entry, 0, 1000)
	b.ReportAllocs()
	for n := 0; n < b.N; n++ {
		e := tr.take()
		e.record = r
		tr.submit(e)
		window = append(window, e)
		if len(window) == cap(window) {
			for _, e := range window {
				tr.ack(e)
			}
			window = window[:0]
		}
	}
}

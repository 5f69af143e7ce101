package mirror

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// deafProducer takes everything and says that it is written.
type deafProducer struct{}

func (deafProducer) Send(_ context.Context, _ *kafka.Record, done func(kafka.Metadata, error)) error {
	done(kafka.Metadata{}, nil)
	return nil
}
func (deafProducer) Close(context.Context) error { return nil }

type nothingMeasured struct{}

func (nothingMeasured) Counter(string, string, map[string]string) connect.Counter {
	return nothingMeasured{}
}
func (nothingMeasured) Gauge(string, string, map[string]string) connect.Gauge {
	return nothingMeasured{}
}
func (nothingMeasured) Add(float64) {}
func (nothingMeasured) Set(float64) {}

// handProducer holds records until the test answers them.
type handProducer struct {
	mu    sync.Mutex
	sent  []*kafka.Record
	dones []func(kafka.Metadata, error)
}

func (p *handProducer) Send(_ context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.dones = append(p.sent, rec), append(p.dones, done)
	return nil
}

func (p *handProducer) Close(context.Context) error { p.answer(kafka.ErrClosed); return nil }

func (p *handProducer) answer(err error) {
	p.mu.Lock()
	dones := p.dones
	p.dones = nil
	p.mu.Unlock()
	for _, done := range dones {
		done(kafka.Metadata{}, err)
	}
}

func (p *handProducer) syncs(t *testing.T) []replica.OffsetSync {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []replica.OffsetSync
	for _, r := range p.sent {
		s, err := replica.DecodeOffsetSync(r.Key, r.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func at(partition int32, up, down int64) replica.OffsetSync {
	return replica.OffsetSync{TopicPartition: replica.TopicPartition{Topic: "t", Partition: partition}, Upstream: up, Downstream: down}
}

// farProducer answers each record after the time that a line takes.
type farProducer struct {
	handProducer
	line time.Duration
}

func (p *farProducer) Send(ctx context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error {
	time.AfterFunc(p.line, func() { done(kafka.Metadata{}, nil) })
	return p.handProducer.Send(ctx, rec, func(kafka.Metadata, error) {})
}

// A mirror of many partitions is often divided anew while it starts, as when the topic of its heartbeats comes up.
func TestTheFirstSyncsOfManyPartitionsAreWrittenBeforeATaskStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 10_000
		producer := &farProducer{line: 80 * time.Millisecond}
		w := startSyncWriter(t.Context(), "syncs", 100, producer, newTroubles(discard()), newSourceTaskMetrics(nothingMeasured{}, &settings{}))
		for p := range int32(partitions) {
			w.acked(at(p, 0, 0).TopicPartition, 0, int64(p))
		}
		ctx, cancel := context.WithTimeout(t.Context(), drainTime)
		defer cancel()

		if unwritten := w.stop(ctx); unwritten != 0 {
			t.Errorf("%d syncs were not written", unwritten)
		}

		var want []replica.OffsetSync
		for p := range int32(partitions) {
			want = append(want, at(p, 0, int64(p)))
		}
		if diff := cmp.Diff(want, producer.syncs(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFirstRecordIsSyncedAtOnceLaterOnesWithTheNextCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		producer := &handProducer{}
		w := startSyncWriter(t.Context(), "syncs", 100, producer, newTroubles(discard()), newSourceTaskMetrics(nothingMeasured{}, &settings{}))
		w.acked(at(0, 0, 0).TopicPartition, 0, 5)
		synctest.Wait()
		producer.answer(nil)
		w.acked(at(0, 0, 0).TopicPartition, 1, 6)
		synctest.Wait()
		if diff := cmp.Diff([]replica.OffsetSync{at(0, 0, 5)}, producer.syncs(t)); diff != "" {
			t.Errorf("before the commit: %s", diff)
		}
		w.promote()
		time.Sleep(syncPause)
		synctest.Wait()
		producer.answer(nil)
		if diff := cmp.Diff([]replica.OffsetSync{at(0, 0, 5), at(0, 1, 6)}, producer.syncs(t)); diff != "" {
			t.Errorf("after the commit: %s", diff)
		}
		if left := w.stop(t.Context()); left != 0 {
			t.Errorf("%d left", left)
		}
	})
}

// Where much is mirrored a sync is always due: they are written every few milliseconds, not as fast as the brokers answer, and
// the last one soon.
func TestSyncsOfAFloodArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		producer := &farProducer{line: 100 * time.Microsecond}
		w := startSyncWriter(t.Context(), "syncs", 100, producer, newTroubles(discard()), newSourceTaskMetrics(nothingMeasured{}, &settings{}))
		const batches, records = 1000, 200 // of a partition in a second; each has a sync due
		for i := range int64(batches) {
			w.ackedRun(at(0, 0, 0).TopicPartition, i*records, i*records, records)
			time.Sleep(time.Millisecond)
		}
		rounds := int(batches * time.Millisecond / syncPause)
		if n := len(producer.syncs(t)); n < rounds/2 || n > rounds+1 {
			t.Errorf("%d syncs were written in a second", n)
		}
		w.promote()
		time.Sleep(500 * time.Millisecond)
		syncs := producer.syncs(t)
		if diff := cmp.Diff(at(0, batches*records-1, batches*records-1), syncs[len(syncs)-1]); diff != "" {
			t.Errorf("the last sync: %s", diff)
		}
		if left := w.stop(t.Context()); left != 0 {
			t.Errorf("%d left", left)
		}
	})
}

func TestStopWritesAllThatWaitsAndCountsWhatItCannot(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer error
		silent bool
		left   int
	}{{name: "answered", left: 0}, {name: "refused", answer: errors.New("no"), left: 20}, {name: "silent", silent: true, left: 20}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				producer := &handProducer{}
				w := startSyncWriter(t.Context(), "syncs", 100, producer, newTroubles(discard()), newSourceTaskMetrics(nothingMeasured{}, &settings{}))
				for p := range int32(20) { // twice as many as may be in flight
					w.acked(at(p, 0, 0).TopicPartition, 0, 0)
				}
				synctest.Wait()
				var answers sync.WaitGroup
				defer answers.Wait()
				if !test.silent {
					answers.Go(func() {
						for range 20 {
							time.Sleep(time.Millisecond)
							producer.answer(test.answer)
						}
					})
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if left := w.stop(ctx); left != test.left {
					t.Errorf("%d left, want %d", left, test.left)
				}
			})
		})
	}
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	latencyRate = 1000 // records a second
	// stampBytes are the record's number and its send time.
	stampBytes = 16
)

// straight is the way through one broker without a mirror.
const straight = "straight"

func latencyScenario() scenario {
	return scenario{
		name: "latency", tools: []string{straight, java, tributary}, byDefault: true, measure: (*bench).measureLatency,
		describe: func(o options) string {
			return fmt.Sprintf("%d records a second for %d s, %d partitions; straight is the source broker without a mirror", latencyRate, o.Seconds, partitions)
		},
		goals: map[string]goal{"latency p50, ms": atMost(1.5), "latency p99, ms": above(straight, 5)},
	}
}

// measureLatency sends stamped records to the source and takes the time at which they are read from the target.
// Straight is the part of the latency that is no mirror's: the same records, read from the source.
func (b *bench) measureLatency(s *scope, tool string, run int) measurement {
	topic := fmt.Sprintf("latency-%s-%d", tool, run)
	b.sourceKafka.CreateTopic(topic, partitions, nil)
	measured := measurement{Scenario: "latency", Tool: tool, Run: run}
	if tool == straight {
		measured.Figures = b.stampedFigures(s, topic, place{b.source.Bootstrap(), topic}, func() {}, func() {})
		return measured
	}
	m := b.startMirror(s, plan{scenario: "latency", tool: tool, run: run, topics: topic})
	b.targetKafka.AwaitTopic(m.remote, firstPatience)
	var before, after time.Duration
	figures := b.stampedFigures(s, topic, place{b.target.Bootstrap(), m.remote},
		func() { before = m.usage(s).CPU() }, func() { after = m.usage(s).CPU() })
	used := m.usage(s)
	m.stop(s)
	measured.Figures = append(figures,
		figure{"CPU", "% of a core", 100 * (after - before).Seconds() / float64(b.opts.Seconds)},
		figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte})
	return measured
}

// stampedFigures calls begin and end around the part that counts.
func (b *bench) stampedFigures(s *scope, topic string, from place, begin, end func()) []figure {
	producer, err := kgo.NewClient(kgo.SeedBrokers(b.source.Bootstrap()), kgo.ClientID("bench-stamp"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		s.Fatalf("make a producer: %v", err)
	}
	defer producer.Close()
	arrivals, err := listen(s.ctx, from)
	if err != nil {
		s.Fatalf("%v", err)
	}
	defer arrivals.close()
	stamps := &stamper{epoch: time.Now(), producer: producer, topic: topic, records: newPayload()}

	// One record shows that the way is open.
	if err := errors.Join(stamps.send(s.ctx, 1, time.Second), arrivals.await(s.ctx, 1, firstPatience)); err != nil {
		s.Fatalf("the first record: %v", err)
	}
	warm := int(b.opts.Settle.Seconds() * latencyRate)
	if err := stamps.send(s.ctx, warm, time.Second/latencyRate); err != nil {
		s.Fatalf("%v", err)
	}
	begin()
	if err := stamps.send(s.ctx, b.opts.Seconds*latencyRate, time.Second/latencyRate); err != nil {
		s.Fatalf("%v", err)
	}
	end()
	if err := errors.Join(producer.Flush(s.ctx), arrivals.await(s.ctx, stamps.sent, patience)); err != nil {
		s.Fatalf("%v", err)
	}
	latencies, err := latenciesOf(arrivals.close(), stamps.epoch, stamps.sent)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return latencyFigures(latencies[1+warm:])
}

func latencyFigures(latencies []time.Duration) []figure {
	latencies = slices.Clone(latencies)
	slices.Sort(latencies)
	var figures []figure
	for _, level := range []struct {
		name  string
		share float64
	}{{"latency p50", 0.5}, {"latency p99", 0.99}, {"latency max", 1}} {
		figures = append(figures, figure{level.name, "ms", percentile(latencies, level.share).Seconds() * 1000})
	}
	return figures
}

// percentile gives the smallest of the sorted values that at least the share of all are not above.
func percentile(sorted []time.Duration, share float64) time.Duration {
	rank := int(share*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// stamper sends numbered records that hold their send time, in turn to each partition.
type stamper struct {
	epoch    time.Time // its monotonic reading is what send times count from
	producer *kgo.Client
	topic    string
	records  *payload
	sent     int
}

// send sends count records, one each interval. A record that is late does not delay the next, and its stamp is the
// time at which it really went.
func (t *stamper) send(ctx context.Context, count int, interval time.Duration) error {
	begun := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range count {
		timer.Reset(time.Until(begun.Add(time.Duration(i) * interval)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		key, value := t.records.next()
		binary.BigEndian.PutUint64(value, uint64(t.sent))
		binary.BigEndian.PutUint64(value[8:], uint64(time.Since(t.epoch)))
		// A record that is lost here is missed at the other end.
		t.producer.Produce(ctx, &kgo.Record{Topic: t.topic, Partition: int32(t.sent % partitions), Key: key, Value: value}, nil)
		t.sent++
	}
	return nil
}

// arrival is a stamped record as it was read.
type arrival struct {
	stamp [stampBytes]byte
	at    time.Time
}

// listener reads a topic from its start and notes when each record came. It owns one goroutine, which close awaits.
type listener struct {
	client   *kgo.Client
	cancel   context.CancelFunc
	counted  chan int // how many have come so far; holds the newest number only
	done     chan struct{}
	arrivals []arrival // the goroutine's until done is closed
}

func listen(ctx context.Context, from place) (*listener, error) {
	offsets := map[int32]kgo.Offset{}
	for partition := range int32(partitions) {
		offsets[partition] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(from.bootstrap), kgo.ClientID("bench-listen"),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{from.topic: offsets}))
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &listener{client: client, cancel: cancel, counted: make(chan int, 1), done: make(chan struct{})}
	go l.run(ctx)
	return l, nil
}

func (l *listener) run(ctx context.Context) {
	defer close(l.done)
	for ctx.Err() == nil {
		fetches := l.client.PollFetches(ctx)
		now := time.Now()
		fetches.EachRecord(func(record *kgo.Record) {
			arrived := arrival{at: now}
			copy(arrived.stamp[:], record.Value)
			l.arrivals = append(l.arrivals, arrived)
		})
		select {
		case <-l.counted:
		default:
		}
		l.counted <- len(l.arrivals)
	}
}

// await waits until count records have come, and fails when the time passes without any.
func (l *listener) await(ctx context.Context, count int, within time.Duration) error {
	quiet := time.NewTimer(within)
	defer quiet.Stop()
	for seen := 0; seen < count; {
		select {
		case now := <-l.counted:
			if now > seen {
				quiet.Reset(within)
			}
			seen = now
		case <-quiet.C:
			return fmt.Errorf("nothing has come for %s; %d of %d records are there", within, seen, count)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close ends the listener and gives what it has noted; it may be called again.
func (l *listener) close() []arrival {
	l.cancel()
	<-l.done
	l.client.Close()
	return l.arrivals
}

// latenciesOf gives the time on the way of each of count records, by number. Each must have come exactly once.
func latenciesOf(arrivals []arrival, epoch time.Time, count int) ([]time.Duration, error) {
	if len(arrivals) != count {
		return nil, fmt.Errorf("%d records came and %d were sent", len(arrivals), count)
	}
	latencies := make([]time.Duration, count)
	seen := make([]bool, count)
	for _, arrived := range arrivals {
		number := binary.BigEndian.Uint64(arrived.stamp[:])
		if number >= uint64(count) || seen[number] {
			return nil, fmt.Errorf("record %d came twice or was never sent", number)
		}
		seen[number] = true
		latencies[number] = arrived.at.Sub(epoch) - time.Duration(binary.BigEndian.Uint64(arrived.stamp[8:]))
	}
	return latencies, nil
}

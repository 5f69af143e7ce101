package mirror

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestTheDelayOfARecordFollowsItsTimestampOrWhenItWasSeen(t *testing.T) {
	base := time.UnixMilli(1_700_000_000_000)
	const delay = 16 * time.Second
	at := func(seconds int) time.Time { return base.Add(time.Duration(seconds) * time.Second) }
	record := func(offset int64, timestamp int64) kafka.Record {
		return kafka.Record{Offset: offset, Timestamp: timestamp}
	}
	g := &delayGate{delay: delay}
	g.saw(3, at(0))
	g.saw(6, at(5))
	records := []kafka.Record{
		record(0, at(-20).UnixMilli()),  // long due
		record(1, at(-10).UnixMilli()),  // due at 6
		record(2, at(-15).UnixMilli()),  // out of order: older, behind a younger one
		record(3, kafka.NoTimestamp),    // seen at 5, due at 21
		record(4, at(10).UnixMilli()),   // of the near future when it was seen: due at 26
		record(5, at(1000).UnixMilli()), // of the far one: twice the delay after 5
	}
	for _, step := range []struct {
		now  int
		n    int
		next int // 0 for none
	}{
		{now: 5, n: 1, next: 6},
		{now: 6, n: 2, next: 21},
		{now: 20, n: 0, next: 21},
		{now: 21, n: 1, next: 26},
		{now: 36, n: 1, next: 37},
		{now: 37, n: 1},
	} {
		n, next := g.release(records, at(step.now))
		want := time.Time{}
		if step.next > 0 {
			want = at(step.next)
		}
		if n != step.n || !next.Equal(want) {
			t.Errorf("at second %d %d records leave and the next is due at %v, want %d and %v", step.now, n, next, step.n, want)
		}
		records = records[n:]
	}
}

func TestSightsAreFewAndStillLetEveryRecordLeave(t *testing.T) {
	base := time.UnixMilli(1_700_000_000_000)
	g := &delayGate{delay: 16 * time.Second}
	for i := range 16_000 { // a record and a look every millisecond
		g.saw(int64(i+1), base.Add(time.Duration(i)*time.Millisecond))
	}
	if len(g.sights) > sightsPerDelay+2 {
		t.Errorf("%d sights are kept", len(g.sights))
	}
	future := base.Add(time.Hour).UnixMilli()
	for _, offset := range []int64{0, 500, 7_777, 15_999} {
		seen := base.Add(time.Duration(offset) * time.Millisecond)
		late := g.due(&kafka.Record{Offset: offset, Timestamp: future}, base.Add(time.Hour)).Sub(seen.Add(2 * g.delay))
		if late < 0 || late > g.delay/sightsPerDelay {
			t.Errorf("record %d is due %v after its time, want 0 to a sixteenth of the delay", offset, late)
		}
	}
}

// arrivals waits for n records on A.t and gives how long after its timestamp each was
// handed to the target.
func arrivals(t *testing.T, p *pair, n int) (map[int32][]kafkatest.Record, []time.Duration) {
	t.Helper()
	at := map[string]time.Duration{}
	kafkatest.Await(t, patience, fmt.Sprintf("%d records on A.t", n), func() (bool, string) {
		seen := 0
		for _, r := range p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)[0] {
			seen++
			if _, known := at[string(r.Value)]; !known {
				at[string(r.Value)] = time.Since(r.Timestamp)
			}
		}
		return seen >= n, fmt.Sprintf("%d records", seen)
	})
	got := p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)
	var took []time.Duration
	for _, r := range got[0] {
		took = append(took, at[string(r.Value)])
	}
	return got, took
}

func TestNoRecordArrivesBeforeItsDelayIsOver(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	const delay = 2500 * time.Millisecond
	now := time.Now()
	p.source.Produce("t",
		kafkatest.Record{Value: []byte("old"), Timestamp: now.Add(-time.Hour)},
		kafkatest.Record{Value: []byte("now"), Timestamp: now},
		kafkatest.Record{Value: []byte("older"), Timestamp: now.Add(-2 * time.Hour)},
		kafkatest.Record{Value: []byte("later"), Timestamp: now.Add(500 * time.Millisecond)},
		kafkatest.Record{Value: []byte("future"), Timestamp: now.Add(24 * time.Hour)},
	)
	r := startSource(t, p, "replication.mode=delayed", fmt.Sprintf("replication.delay.ms=%d", delay.Milliseconds()))

	first := p.target.AwaitRecords("A.t", 1, patience)
	if since := time.Since(now); since < delay {
		if diff := cmp.Diff([]string{"old"}, values(first[0])); diff != "" {
			t.Errorf("%v after the second record: %s", since, diff)
		}
	}
	got, took := arrivals(t, p, 5)
	if diff := cmp.Diff([]string{"old", "now", "older", "later", "future"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	for i, value := range values(got[0]) {
		if value != "future" && took[i] < delay {
			t.Errorf("%s arrived %v after its timestamp, before %v", value, took[i], delay)
		}
	}
	if since := time.Since(now); since < 2*delay {
		t.Errorf("the record with a timestamp of the future arrived after %v", since)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestADelayedPartitionThatIsRestartedKeepsItsDelay(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	const delay = 3 * time.Second
	now := time.Now()
	// In batches of their own: in the raw lane one would wait for its youngest record.
	p.source.Produce("t", kafkatest.Record{Value: []byte("old"), Timestamp: now.Add(-time.Hour)})
	p.source.Produce("t", kafkatest.Record{Value: []byte("now"), Timestamp: now})
	config := p.with("replication.mode=delayed", fmt.Sprintf("replication.delay.ms=%d", delay.Milliseconds()))
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.start(config)
	p.target.AwaitRecords("A.t", 1, patience)
	r.await("the offset of the first record", func() bool {
		return cmp.Equal(r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}), map[string]any{"offset": int64(0)})
	})
	r.stop()

	again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	again.stored = r.stored
	again.start(config)
	got, took := arrivals(t, p, 2)
	if diff := cmp.Diff([]string{"old", "now"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	if took[1] < delay {
		t.Errorf("the record arrived %v after its timestamp, before %v", took[1], delay)
	}
}

// A thousand records a second, each with its own time. How late they are is told, not judged: this machine may be busy.
func TestDelayedRecordsOfASteadyStreamAreNeverEarly(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	const delay, partitions, count = 3 * time.Second, 4, 5000
	p.source.CreateTopic("t", partitions, nil)
	r := startSource(t, p, "replication.mode=delayed", fmt.Sprintf("replication.delay.ms=%d", delay.Milliseconds()))
	p.target.AwaitTopic("A.t", patience)

	producer, err := kgo.NewClient(kgo.SeedBrokers(p.a.Bootstrap()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(p.b.Bootstrap()), kgo.ConsumeTopics("A.t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		pace := time.NewTicker(time.Millisecond)
		defer pace.Stop()
		for i := range count {
			<-pace.C
			producer.Produce(ctx, &kgo.Record{Topic: "t", Partition: int32(i % partitions), Timestamp: time.Now(), Value: fmt.Append(nil, i)}, nil)
		}
	}()
	var late []time.Duration
	next := map[int32]int{}
	for len(late) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%d of %d records have come: %v", len(late), count, err)
		}
		now := time.Now()
		fetches.EachRecord(func(rec *kgo.Record) {
			by := now.Sub(rec.Timestamp.Add(delay))
			if by < 0 {
				t.Errorf("record %s came %v early", rec.Value, -by)
			}
			if want := next[rec.Partition]*partitions + int(rec.Partition); string(rec.Value) != fmt.Sprint(want) {
				t.Fatalf("partition %d gives %s, want %d", rec.Partition, rec.Value, want)
			}
			next[rec.Partition]++
			late = append(late, by)
		})
	}
	slices.Sort(late)
	t.Logf("raw lane %v: late by %v (half of them), %v (99 of 100), %v (all)", rawLane, late[count/2], late[count*99/100], late[count-1])
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

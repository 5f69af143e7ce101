package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

func TestRecordsArriveExactlyAsSent(t *testing.T) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
			p := newTestProducer(t, c.Bootstrap(), "compression.type", codec)
			sent := []*Record{
				{Topic: "a", Timestamp: 1_700_000_000_123, Key: []byte("k"), Value: []byte("v")},
				{Topic: "a", Timestamp: 0, Key: nil, Value: []byte{}},
				{Topic: "a", Timestamp: 1_600_000_000_001, Key: []byte{}, Value: nil},
				{Topic: "a", Timestamp: maxTimestamp, Key: []byte{0xff, 0}, Value: []byte(strings.Repeat("z", 5000)), Headers: []Header{
					{Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("1")}, {Key: "b", Value: nil}, {Key: "", Value: []byte{}},
				}},
			}

			mustSend(t, p, sent...)

			f := newTestFetcher(t, c.Bootstrap())
			tp := TopicPartition{"a", 0}
			f.Assign(map[TopicPartition]int64{tp: Earliest})
			got := readTo(t, f, tp, 4)
			want := make([]Record, len(sent))
			for i, r := range sent {
				want[i] = *r
				want[i].Offset = int64(i)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecordsWithoutATimestampGetThePresentTime(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	before := time.Now().UnixMilli()

	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Timestamp: NoTimestamp, Value: []byte("v")})

	f := newTestFetcher(t, c.Bootstrap())
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: 0})
	got := readTo(t, f, tp, 1)
	if ts := got[0].Timestamp; ts < before || ts > time.Now().UnixMilli() {
		t.Errorf("timestamp %d is not the time of sending", ts)
	}
}

func TestImpossibleTimestampsAreRefused(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap())
	for _, ts := range []int64{-2, maxTimestamp + 1} {
		if err := p.Send(testContext(t), &Record{Topic: "a", Timestamp: ts}, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint(ts)) {
			t.Errorf("timestamp %d: error %v, want one that names it", ts, err)
		}
	}
}

// The hashes are those that Java's murmur2 gives for the keys.
func TestKeysGoToJavasPartitions(t *testing.T) {
	const partitions = 7
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": partitions}})
	p := newTestProducer(t, c.Bootstrap())
	want, got := make(map[string]int32), make(map[string]int32)
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "abc": 479470107,
	} {
		want[key] = (hash & 0x7fffffff) % partitions
		err := p.Send(testContext(t), &Record{Topic: "a", Partition: AnyPartition, Key: []byte(key)}, func(m Metadata, err error) {
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
			got[key] = m.Partition
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// sendNumbered sends n numbered records round the partitions and returns what the done functions saw,
// by partition.
func sendNumbered(t *testing.T, p *Producer, topic string, partitions, n int) map[int32][]string {
	t.Helper()
	seen := make(map[int32][]string)
	var mu sync.Mutex
	for i := range n {
		value := fmt.Sprint(i)
		rec := &Record{Topic: topic, Partition: int32(i % partitions), Timestamp: int64(i), Value: []byte(value)}
		err := p.Send(testContext(t), rec, func(m Metadata, err error) {
			if err != nil {
				t.Errorf("record %s: %v", value, err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[m.Partition] = append(seen[m.Partition], value)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return seen
}

// checkNumbered compares partitions, and the order of done functions, with what sendNumbered sent.
func checkNumbered(t *testing.T, c *localkafka.Cluster, topic string, partitions, n int, seen map[int32][]string) {
	t.Helper()
	f := newTestFetcher(t, c.Bootstrap())
	for part := range int32(partitions) {
		var want []string
		for i := int(part); i < n; i += partitions {
			want = append(want, fmt.Sprint(i))
		}
		tp := TopicPartition{topic, part}
		f.Assign(map[TopicPartition]int64{tp: 0})
		if diff := cmp.Diff(want, valuesOf(readTo(t, f, tp, int64(len(want))))); diff != "" {
			t.Errorf("partition %d: %s", part, diff)
		}
		if diff := cmp.Diff(want, seen[part]); diff != "" {
			t.Errorf("done functions of partition %d: %s", part, diff)
		}
	}
}

func TestRetriesKeepTheOrderOfEveryPartition(t *testing.T) {
	for name, disturb := range map[string]func(*localkafka.Cluster){
		"not leader": func(c *localkafka.Cluster) {
			c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 6, Partitions: []int32{1}, Times: 3})
		},
		"not enough replicas": func(c *localkafka.Cluster) {
			c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 19, Times: 2})
		},
		"stored, but the answer says timed out": func(c *localkafka.Cluster) {
			c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 7, Times: 2})
		},
		"connection closed": func(c *localkafka.Cluster) { c.Refuse(localkafka.Produce, 3) },
		"unknown producer":  func(c *localkafka.Cluster) { c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 59, Times: 1}) },
		"no producer id":    func(c *localkafka.Cluster) { c.Refuse(localkafka.InitProducerID, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"a": 3}})
			p := newTestProducer(t, c.Bootstrap(), "linger.ms", "0", "batch.size", "200")
			disturb(c)

			seen := sendNumbered(t, p, "a", 3, 3000)

			checkNumbered(t, c, "a", 3, 3000, seen)
		})
	}
}

func TestAMovedLeaderIsFollowed(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 3, Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap())
	mustSend(t, p, &Record{Topic: "a", Value: []byte("0")})
	old := c.Leader("a", 0)
	if err := c.MoveLeader("a", 0, (old+1)%3); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Value: []byte("1")})
	if err := c.StopBroker((old + 1) % 3); err != nil {
		t.Fatal(err)
	}
	if err := c.MoveLeader("a", 0, old); err != nil {
		t.Fatal(err)
	}

	mustSend(t, p, &Record{Topic: "a", Value: []byte("2")})

	f := newTestFetcher(t, c.Bootstrap())
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: 0})
	if diff := cmp.Diff([]string{"0", "1", "2"}, valuesOf(readTo(t, f, tp, 3))); diff != "" {
		t.Error(diff)
	}
}

func TestABatchThatIsTooLargeIsSplitAndStaysInOrder(t *testing.T) {
	c := startCluster(t, localkafka.Options{BrokerConfigs: map[string]string{"message.max.bytes": "2000"}, Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "linger.ms", "1000", "batch.size", "1000000")

	seen := sendNumbered(t, p, "a", 1, 1000)

	checkNumbered(t, c, "a", 1, 1000, seen)
}

func TestARecordThatIsTooLargeFailsAlone(t *testing.T) {
	c := startCluster(t, localkafka.Options{BrokerConfigs: map[string]string{"message.max.bytes": "2000"}, Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "linger.ms", "50", "max.request.size", "100000")
	var failed []string
	done := func(name string) func(Metadata, error) {
		return func(_ Metadata, err error) {
			if large, ok := errors.AsType[*RecordTooLargeError](err); ok {
				failed = append(failed, fmt.Sprint(name, large.Limit))
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, r := range []struct {
		name string
		size int
	}{{"small", 10}, {"large", 5000}, {"small", 20}} {
		if err := p.Send(testContext(t), &Record{Topic: "a", Value: make([]byte, r.size)}, done(r.name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"large0"}, failed); diff != "" {
		t.Error(diff)
	}
	err := p.Send(testContext(t), &Record{Topic: "a", Value: make([]byte, 100_000)}, nil)
	if large, ok := errors.AsType[*RecordTooLargeError](err); !ok || large.Limit != 100_000 {
		t.Errorf("beyond max.request.size: %v", err)
	}
}

func TestSendBlocksWhileTheBufferIsFull(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "buffer.memory", "2000", "batch.size", "10")
	held := c.Hold(localkafka.Produce)
	if err := p.Send(testContext(t), &Record{Topic: "a", Value: make([]byte, 1900)}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Send(ctx, &Record{Topic: "a", Value: make([]byte, 1900)}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full buffer took a record: %v", err)
	}

	held.Undo()

	mustSend(t, p, &Record{Topic: "a", Value: make([]byte, 1900)})
}

func TestCloseGivesWhatIsLeftErrClosed(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	p := newTestProducer(t, c.Bootstrap(), "linger.ms", "0")
	held := c.Hold(localkafka.Produce)
	defer held.Undo()
	results := make(chan error, 2)
	for i := range int32(2) {
		if err := p.Send(testContext(t), &Record{Topic: "a", Partition: i}, func(_ Metadata, err error) { results <- err }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()

	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}

	for range 2 {
		if err := <-results; !errors.Is(err, ErrClosed) {
			t.Errorf("done got %v, want ErrClosed", err)
		}
	}
	if err := p.Send(t.Context(), &Record{Topic: "a"}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

func TestARecordThatCannotBeSentEndsWithDeliveryTimeout(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "delivery.timeout.ms", "300", "request.timeout.ms", "200", "linger.ms", "0")
	notEnough := c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 19, Times: -1})

	err := p.SendSync(testContext(t), &Record{Topic: "a", Value: []byte("lost")})

	timeout, ok := errors.AsType[*TimeoutError](err)
	if !ok || timeout.Key != "delivery.timeout.ms" || !IsRetriable(err) {
		t.Errorf("error %v", err)
	}
	notEnough.Undo()
	mustSend(t, p, &Record{Topic: "a", Value: []byte("kept")})
	f := newTestFetcher(t, c.Bootstrap())
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: 0})
	if diff := cmp.Diff([]string{"kept"}, valuesOf(readTo(t, f, tp, 1))); diff != "" {
		t.Error(diff)
	}
}

// A broker takes a batch whose sequence numbers it has seen for one that is sent again: it says that it is stored.
func TestNoRecordTakesTheSequenceOfOneThatMayBeStored(t *testing.T) {
	notEnoughAfterAppend := localkafka.Fault{API: localkafka.Produce, Code: 20, Times: -1}
	for name, test := range map[string]struct {
		faults []localkafka.Fault
		stored []string
	}{
		"timed out":                       {[]localkafka.Fault{{API: localkafka.Produce, Code: 7, Times: -1}}, []string{"before", "given up", "after"}},
		"not enough replicas to stay":     {[]localkafka.Fault{notEnoughAfterAppend}, []string{"before", "given up", "after"}},
		"the broker's own failure":        {[]localkafka.Fault{{API: localkafka.Produce, Code: -1}}, []string{"before", "after"}},
		"timed out, and now is too large": {[]localkafka.Fault{{API: localkafka.Produce, Code: 7}, {API: localkafka.Produce, Code: 10}}, []string{"before", "given up", "after"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
			p := newTestProducer(t, c.Bootstrap(), "delivery.timeout.ms", "300", "request.timeout.ms", "200", "linger.ms", "0")
			identities := c.Count(localkafka.InitProducerID)
			mustSend(t, p, &Record{Topic: "a", Value: []byte("before")})
			var disturbances []*localkafka.Disturbance
			for _, f := range test.faults {
				disturbances = append(disturbances, c.Fail(f))
			}
			if err := p.SendSync(testContext(t), &Record{Topic: "a", Value: []byte("given up")}); err == nil {
				t.Fatal("what was to be given up is told as stored")
			}
			for _, d := range disturbances {
				d.Undo()
			}

			mustSend(t, p, &Record{Topic: "a", Value: []byte("after")})

			f := newTestFetcher(t, c.Bootstrap())
			tp := TopicPartition{"a", 0}
			f.Assign(map[TopicPartition]int64{tp: 0})
			if diff := cmp.Diff(test.stored, valuesOf(readTo(t, f, tp, endOf(t, c, tp)))); diff != "" {
				t.Error(diff)
			}
			if n := identities.Hits(); n != 2 {
				t.Errorf("%d producer ids were asked for, want a new one after what may be stored", n)
			}
		})
	}
}

func TestAPartitionThatTakesNothingIsToldUntilItDoes(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	log := &logLines{}
	p := newLoggedProducer(t, slog.New(log), c.Bootstrap(), "linger.ms", "0")
	notEnough := c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 19, Topic: "a", Partitions: []int32{1}, Times: -1})
	done := make(chan error, 1)
	if err := p.Send(t.Context(), &Record{Topic: "a", Partition: 1, Value: []byte("late")}, func(_ Metadata, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Partition: 0, Value: []byte("at once")})

	tp := TopicPartition{"a", 1}
	for stuck := p.Unwritable(); codeOf(stuck[tp]) != 19 || len(stuck) != 1; stuck = p.Unwritable() {
		if err := sleep(testContext(t), 10*time.Millisecond); err != nil {
			t.Fatalf("%v: told are %v", err, stuck)
		}
	}
	notEnough.Undo()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if stuck := p.Unwritable(); len(stuck) != 0 {
		t.Errorf("told after it was written to: %v", stuck)
	}
	if err := p.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(log.all(), "\n")
	for _, line := range []string{"partition cannot be written to, trying on", "partition can be written to again"} {
		if strings.Count(said, line) != 1 {
			t.Errorf("%q is not said once in:\n%s", line, said)
		}
	}
}

func TestATopicCreatedLaterTakesItsRecords(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	p := newTestProducer(t, c.Bootstrap())
	result := make(chan error, 1)
	if err := p.Send(testContext(t), &Record{Topic: "late", Value: []byte("v")}, func(_ Metadata, err error) { result <- err }); err != nil {
		t.Fatal(err)
	}
	if err := newTestAdmin(t, c.Bootstrap()).CreateTopic(testContext(t), TopicSpec{Name: "late", Partitions: 1, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestAcksZeroIsDoneOnceWritten(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "acks", "0", "enable.idempotence", "false")

	seen := sendNumbered(t, p, "a", 1, 100)

	checkNumbered(t, c, "a", 1, 100, seen)
}

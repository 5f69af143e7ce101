package rawkafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// patience bounds what should take far less.
const patience = 60 * time.Second

func start(t *testing.T, o localkafka.Options) *localkafka.Cluster {
	t.Helper()
	c, err := localkafka.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t *testing.T, role kafka.Role, bootstrap string, pairs ...string) (*kafka.Client, *kafka.Config) {
	t.Helper()
	props := kafka.Props{"bootstrap.servers": bootstrap, "retry.backoff.ms": "5", "retry.backoff.max.ms": "20",
		"reconnect.backoff.ms": "1", "reconnect.backoff.max.ms": "10"}
	if role == kafka.RoleConsumer {
		props["fetch.max.wait.ms"], props["auto.offset.reset"] = "50", "earliest"
	}
	for i := 0; i < len(pairs); i += 2 {
		props[pairs[i]] = pairs[i+1]
	}
	cfg, err := kafka.ParseConfig(role, props)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, cfg
}

func newSender(t *testing.T, bootstrap string, pairs ...string) *Sender {
	t.Helper()
	client, cfg := connect(t, kafka.RoleProducer, bootstrap, pairs...)
	s := NewSender(client, cfg, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

func newReader(t *testing.T, memory *Memory, bootstrap string, pairs ...string) (*Reader, *kafka.Fetcher) {
	t.Helper()
	client, cfg := connect(t, kafka.RoleConsumer, bootstrap, pairs...)
	r := NewReader(client, cfg, memory, slog.New(slog.DiscardHandler))
	f := r.NewFetcher()
	t.Cleanup(f.Close)
	return r, f
}

// mapping is where one batch went.
type mapping struct {
	Partition   int32
	First, Last int64
	Base        int64
}

// copier mirrors topic t of one cluster to topic t of another, batch by batch.
type copier struct {
	fetcher *kafka.Fetcher
	sender  *Sender

	next map[int32]int64 // where each partition is read on

	mu    sync.Mutex
	done  []mapping
	fails []error
}

// until copies until every partition is read up to its end, and awaits all outcomes.
func (c *copier) until(t *testing.T, ends map[int32]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	behind := func() bool {
		for p, end := range ends {
			if c.next[p] < end {
				return true
			}
		}
		return false
	}
	for behind() {
		if err := c.poll(ctx, t); err != nil {
			t.Fatalf("read up to %v of %v: %v; problems %v", c.next, ends, err, c.fetcher.Problems())
		}
	}
	if err := c.sender.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func (c *copier) poll(ctx context.Context, t *testing.T) error {
	t.Helper()
	fetched, err := c.fetcher.Poll(ctx)
	if c.next == nil {
		c.next = map[int32]int64{}
	}
	for _, f := range fetched {
		for _, b := range f.Batches {
			c.send(t, f.TopicPartition, b)
		}
		c.next[f.Partition] = f.NextOffset
	}
	return err
}

func (c *copier) send(t *testing.T, tp kafka.TopicPartition, b kafka.Batch) {
	t.Helper()
	rec := &kafka.Record{Topic: tp.Topic, Partition: tp.Partition, Batch: &b}
	err := Producer{c.sender}.Send(t.Context(), rec, func(md kafka.Metadata, err error) {
		b.Release()
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.fails = append(c.fails, err)
			return
		}
		c.done = append(c.done, mapping{tp.Partition, b.First, b.Last, md.First})
	})
	if err != nil {
		b.Release()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fails = append(c.fails, err)
	}
}

func all(partitions int32) map[kafka.TopicPartition]int64 {
	positions := map[kafka.TopicPartition]int64{}
	for p := range partitions {
		positions[kafka.TopicPartition{Topic: "t", Partition: p}] = kafka.Earliest
	}
	return positions
}

func endsOf(c *kafkatest.Client) map[int32]int64 {
	ends := map[int32]int64{}
	for p, r := range c.Offsets("t") {
		ends[p] = r.End
	}
	return ends
}

// fill writes n records to each of some partitions, in batches of different sizes.
func fill(c *kafkatest.Client, partitions int32, n, size int) {
	for at := 0; at < n; {
		var records []kafkatest.Record
		for range min(1+at%37, n-at) {
			for p := range partitions {
				value := append(fmt.Appendf(nil, "%d-%d:", p, at), bytes.Repeat([]byte("x"), size)...)
				records = append(records, kafkatest.Record{Partition: p, Key: fmt.Append(nil, at), Value: value,
					Timestamp: time.UnixMilli(1700000000000 + int64(at)), Headers: []kafkatest.Header{{Key: "n", Value: fmt.Append(nil, at)}}})
			}
			at++
		}
		c.Produce("t", records...)
	}
}

func TestBatchesOfAllCodecsArriveAsTheyAre(t *testing.T) {
	a, b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}}), start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		fill(kafkatest.Dial(t, a.Bootstrap(), kgo.ProducerBatchCompression(codec)), 2, 200, 50)
	}
	source, target := kafkatest.Dial(t, a.Bootstrap()), kafkatest.Dial(t, b.Bootstrap())
	source.Produce("t", kafkatest.Record{Key: []byte("gone")}, kafkatest.Record{Partition: 1, Value: bytes.Repeat([]byte("big"), 300000)})
	memory := NewMemory(4 << 20)
	reader, fetcher := newReader(t, memory, a.Bootstrap())
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(2))

	c.until(t, endsOf(source))

	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
	for p := range int32(2) {
		from, to := codecsOf(source, p), codecsOf(target, p)
		if to["none"] > from["none"] {
			t.Errorf("partition %d: %d batches without compression became %d", p, from["none"], to["none"])
		}
		delete(from, "none") // these may be sent as one
		delete(to, "none")
		if diff := cmp.Diff(from, to); diff != "" || len(from) != 4 {
			t.Errorf("partition %d: batches by codec: %s", p, diff)
		}
	}
	for _, m := range c.done {
		if m.Base != m.First {
			t.Errorf("batch %+v: the target was empty, so offsets are equal", m)
		}
	}
	fetcher.Close()
	if memory.used != 0 || reader.Rebuilt() != 0 || len(c.fails) > 0 {
		t.Errorf("%d bytes still used, %d batches rebuilt, failures %v", memory.used, reader.Rebuilt(), c.fails)
	}
}

// codecsOf counts the batches of a partition by their codec.
func codecsOf(c *kafkatest.Client, partition int32) map[string]int {
	found := map[string]int{}
	for _, b := range c.ReadBatches("t", partition, kafkatest.ReadUncommitted) {
		found[b.Codec]++
	}
	return found
}

func TestNothingIsLostDoubledOrMixedUpWhenBrokersFail(t *testing.T) {
	faults := map[string]func(b *localkafka.Cluster) func() int{
		"leaders move": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 6, Topic: "t", Times: 5}).Hits
		},
		"one partition times out": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 7, Topic: "t", Partitions: []int32{1}, Times: 5}).Hits
		},
		"replicas are missing": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 19, Topic: "t", Partitions: []int32{0, 2}, Times: 9}).Hits
		},
		"connections are refused": func(b *localkafka.Cluster) func() int { return b.Refuse(localkafka.Produce, 5).Hits },
		"sequences are lost": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 45, Topic: "t", Partitions: []int32{1}, Times: 2}).Hits
		},
		"producers are unknown": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 59, Topic: "t", Partitions: []int32{2}, Times: 2}).Hits
		},
		"no producer id is given": func(b *localkafka.Cluster) func() int {
			return b.Fail(localkafka.Fault{API: localkafka.InitProducerID, Code: 14, TopLevel: true, Times: 3}).Hits
		},
	}
	for name, disturb := range faults {
		t.Run(name, func(t *testing.T) {
			a := start(t, localkafka.Options{Topics: map[string]int32{"t": 3}})
			b := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": 3}})
			source := kafkatest.Dial(t, a.Bootstrap())
			fill(source, 3, 300, 10)
			hits := disturb(b)
			memory := NewMemory(1 << 20)
			_, fetcher := newReader(t, memory, a.Bootstrap())
			c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
			fetcher.Assign(all(3))

			c.until(t, endsOf(source))

			if hits() == 0 {
				t.Fatal("nothing was disturbed")
			}
			kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
			fetcher.Close()
			if memory.used != 0 || len(c.fails) > 0 {
				t.Errorf("%d bytes still used, failures %v", memory.used, c.fails)
			}
			next := map[int32]int64{}
			for _, m := range c.done {
				if m.First != next[m.Partition] {
					t.Errorf("%+v was told out of order, expected from %d on", m, next[m.Partition])
				}
				next[m.Partition] = m.Last + 1
			}
		})
	}
}

func TestLeadersThatMoveAreFollowed(t *testing.T) {
	a := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": 2}})
	b := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": 2}})
	source := kafkatest.Dial(t, a.Bootstrap())
	_, fetcher := newReader(t, NewMemory(1<<20), a.Bootstrap())
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(2))
	for round := range 4 {
		fill(source, 2, 50, 10)
		c.until(t, endsOf(source))
		for p := range int32(2) {
			for _, cluster := range []*localkafka.Cluster{a, b} {
				if err := cluster.MoveLeader("t", p, 1-cluster.Leader("t", p)); err != nil {
					t.Fatal(err)
				}
			}
		}
		a.DropConnections()
		if round%2 == 0 {
			b.DropConnections()
		}
	}
	fill(source, 2, 50, 10)
	c.until(t, endsOf(source))
	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
}

func TestBatchesTooLargeAreSplitAndARecordTooLargeFailsWhatIsBehindIt(t *testing.T) {
	a := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	source, target := kafkatest.Dial(t, a.Bootstrap(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(100*time.Millisecond)), kafkatest.Dial(t, b.Bootstrap())
	target.DeleteTopic("t")
	target.CreateTopic("t", 2, map[string]string{"max.message.bytes": "2000"})
	fill(source, 2, 100, 100)
	ends := endsOf(source)
	_, fetcher := newReader(t, NewMemory(1<<20), a.Bootstrap())
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(2))
	c.until(t, ends)
	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
	if from, to := source.ReadBatches("t", 0, kafkatest.ReadUncommitted), target.ReadBatches("t", 0, kafkatest.ReadUncommitted); len(to) <= len(from) {
		t.Fatalf("%d batches became %d; nothing was split", len(from), len(to))
	}

	// One batch of which the second record is too large by itself.
	source.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("before")}, kafkatest.Record{Partition: 1, Value: make([]byte, 5000)},
		kafkatest.Record{Partition: 1, Value: []byte("behind")}, kafkatest.Record{Partition: 0, Value: []byte("still")})
	c.until(t, endsOf(source))

	var large *kafka.RecordTooLargeError
	var partial *kafka.PartialBatchError
	if len(c.fails) != 1 || !errors.As(c.fails[0], &large) || large.Partition != 1 || !errors.As(c.fails[0], &partial) || partial.Stored != 1 {
		t.Fatalf("failures %v", c.fails)
	}
	if got := target.ReadPartition("t", 0, kafkatest.ReadUncommitted); string(got[len(got)-1].Value) != "still" {
		t.Errorf("the other partition ends with %v", got[len(got)-1])
	}
	if got := target.ReadPartition("t", 1, kafkatest.ReadUncommitted); len(got) != 101 || string(got[100].Value) != "before" {
		t.Errorf("%d records; what lies behind the one too large must not be stored before it", len(got))
	}
	source.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("later")})
	c.until(t, endsOf(source))
	if got := target.ReadPartition("t", 1, kafkatest.ReadUncommitted); len(got) != 102 || string(got[101].Value) != "later" {
		t.Errorf("%d records; the partition goes on with what is sent later", len(got))
	}
}

func TestMemoryBoundsWhatIsHeld(t *testing.T) {
	a, b := start(t, localkafka.Options{Topics: map[string]int32{"t": 4}}), start(t, localkafka.Options{Topics: map[string]int32{"t": 4}})
	source := kafkatest.Dial(t, a.Bootstrap())
	fill(source, 4, 400, 4000)
	memory := NewMemory(256 << 10)
	_, fetcher := newReader(t, memory, a.Bootstrap())
	held := b.Hold(localkafka.Produce)
	var once sync.Once
	release := func() { once.Do(held.Undo) }
	defer release()
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(4))
	most := int64(0)
	kafkatest.Await(t, patience, "the memory to be full", func() (bool, string) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := c.poll(ctx, t)
		memory.mu.Lock()
		defer memory.mu.Unlock()
		most = max(most, memory.used)
		return err != nil && len(memory.queue) > 0, fmt.Sprint(memory.used, " of ", memory.limit)
	})
	// Answers hold whole batches, so they may be a little larger than asked for.
	if most > memory.limit+memory.limit/2 {
		t.Errorf("up to %d bytes were held, the limit is %d", most, memory.limit)
	}
	release()
	c.until(t, endsOf(source))
	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
}

const notEnoughReplicas = 19

// Small batches that the target does not take must not hold the answers that they came in: those fill the memory.
func TestWhatATargetDoesNotTakeHoldsNoMemoryButItsOwn(t *testing.T) {
	a, b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}}), start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	source, target := kafkatest.Dial(t, a.Bootstrap()), kafkatest.Dial(t, b.Bootstrap())
	const rounds, large = 40, 60 << 10
	stuck := b.Fail(localkafka.Fault{API: localkafka.Produce, Code: notEnoughReplicas, Topic: "t", Partitions: []int32{0}, Times: -1})
	memory := NewMemory(512 << 10)
	_, fetcher := newReader(t, memory, a.Bootstrap(), "max.partition.fetch.bytes", "100000")
	c := &copier{fetcher: fetcher, sender: newSender(t, b.Bootstrap())}
	fetcher.Assign(all(2))

	random := rand.NewChaCha8([32]byte{})
	for i := range int64(rounds) {
		value := make([]byte, large)
		_, _ = random.Read(value)
		source.Produce("t", kafkatest.Record{Partition: 0, Key: fmt.Append(nil, i)}, kafkatest.Record{Partition: 1, Value: value})
		kafkatest.Await(t, patience, "what the target takes", func() (bool, string) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if c.next[1] == i {
				_ = c.poll(ctx, t) // it may have nothing
			}
			end := target.Offsets("t")[1].End
			return end == i+1, fmt.Sprint(end)
		})
	}
	if end := target.Offsets("t")[0].End; end != 0 {
		t.Errorf("the other one holds %d records", end)
	}
	stuck.Undo()
	c.until(t, endsOf(source))
	kafkatest.CompareTopic(t, a.Bootstrap(), "t", b.Bootstrap(), "t")
	kafkatest.Await(t, patience, "all memory to be given back", func() (bool, string) {
		memory.mu.Lock()
		defer memory.mu.Unlock()
		return memory.used <= memory.limit/2, fmt.Sprint(memory.used) // what the next answer is reserved
	})
}

package rawkafka

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// A request that may wait for an hour is given up when a partition is to be read that it does not ask for. Nothing is
// lost or doubled by it, and all memory comes back.
func TestWhatIsAddedIsReadThoughTheOthersAreIdle(t *testing.T) {
	c := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	writer := kafkatest.Dial(t, c.Bootstrap())
	client, cfg := connect(t, kafka.RoleConsumer, c.Bootstrap())
	cfg.Consumer.IdleWait = time.Hour
	memory := NewMemory(1 << 20)
	f := NewReader(client, cfg, memory, slog.New(slog.DiscardHandler)).NewFetcher()
	t.Cleanup(f.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	read := func(partition int32, want string) {
		t.Helper()
		fetched, err := f.Poll(ctx)
		if err != nil {
			t.Fatalf("%v; problems %v", err, f.Problems())
		}
		for _, got := range fetched {
			if got.Partition != partition || len(got.Batches) != 1 || !bytes.Contains(got.Batches[0].Data, []byte(want)) {
				t.Errorf("got %d batches of partition %d, up to %d; want %q of partition %d", len(got.Batches), got.Partition, got.NextOffset, want, partition)
			}
			got.Release()
		}
	}
	at := func(partition int32) kafka.TopicPartition {
		return kafka.TopicPartition{Topic: "t", Partition: partition}
	}
	f.Assign(map[kafka.TopicPartition]int64{at(0): 0})
	writer.Produce("t", kafkatest.Record{Value: []byte("first")})
	read(0, "first")
	writer.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("beside")})
	f.Add(map[kafka.TopicPartition]int64{at(1): 0})
	read(1, "beside")
	f.Add(map[kafka.TopicPartition]int64{at(0): 0})
	read(0, "first")
	writer.Produce("t", kafkatest.Record{Value: []byte("second")})
	read(0, "second")
	f.Close()
	if memory.used != 0 {
		t.Errorf("%d bytes are held still", memory.used)
	}
}

package kafkastore

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// Tasks that write at the same time, and the look that comes now and then, ask once.
func TestThoseWhoLookAtTheSameTimeAskOnce(t *testing.T) {
	t.Parallel()
	cluster, err := localkafka.Start(localkafka.Options{Topics: map[string]int32{"offsets": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	config, err := kafka.ParseConfig(kafka.RoleAdmin, kafka.Props{"bootstrap.servers": cluster.Bootstrap()})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	p := &presence{topic: Topic{Name: "offsets"}, logger: slog.New(slog.DiscardHandler), admin: kafka.NewAdmin(client, config, nil), turn: make(chan struct{}, 1)}
	asked, held := cluster.Count(localkafka.Metadata), cluster.Hold(localkafka.Metadata)
	defer held.Undo()

	var looking sync.WaitGroup
	for i := range 8 {
		fresh := lookFresh
		if i%2 == 0 {
			fresh = lookShared
		}
		looking.Go(func() {
			if err := p.look(t.Context(), fresh); err != nil {
				t.Error(err)
			}
		})
	}
	kafkatest.Await(t, time.Minute, "somebody to ask", func() (bool, string) { return asked.Hits() > 0, "nobody asks" })
	held.Undo()
	looking.Wait()

	if asked.Hits() != 1 {
		t.Errorf("%d requests, want 1", asked.Hits())
	}
	if p.looked.IsZero() || p.id == [16]byte{} {
		t.Errorf("looked at %s, id %x", p.looked, p.id)
	}
}

// A broker that is not up to date still tells of the topic in whose place there is another.
func TestATopicMadeAnewIsReadAgainOnceThoughSomeBrokersStillKnowTheOldOne(t *testing.T) {
	before, after := [16]byte{1}, [16]byte{2}
	p := &presence{topic: Topic{Name: "offsets"}, content: content{replaceable: true}, logger: slog.New(slog.DiscardHandler)}
	times := 0
	for i, id := range [][16]byte{before, after, before, {}, after, before, after} {
		if err := p.seen(time.UnixMilli(int64(i)), id, true); err != nil {
			t.Fatal(err)
		}
		if p.again {
			times++
		}
		p.again = false
	}
	if times != 1 {
		t.Errorf("read again %d times, want once", times)
	}
}

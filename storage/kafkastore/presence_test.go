package kafkastore_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"tributary/internal/localkafka"
	"tributary/storage"
	"tributary/storage/kafkastore"
	"tributary/test/cluster/kafkatest"
)

// A config topic that is deleted under a running worker is missed, and told; what was read
// of it stands. Nothing is written to a topic that somebody makes anew, nor read from it.
func TestADeletedConfigTopicIsMissedAndNotReplaced(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, localkafka.Options{})
	client := kafkatest.Dial(t, cluster.Bootstrap())
	name, value := newName("configs"), "v"
	log := &logBuffer{}
	open := func(to io.Writer) *kafkastore.ConfigStore {
		o := options(cluster, name, 1)
		o.Topic.Key = "config.storage.topic"
		o.Logger = slog.New(slog.NewTextHandler(to, nil))
		store := must[*kafkastore.ConfigStore](t)(kafkastore.NewConfigStore(kafkastore.ConfigOptions{Options: o}))
		start(t, store, silent{})
		return store
	}
	put := func(store *kafkastore.ConfigStore, connector string) error {
		return store.PutConnectorConfig(t.Context(), connector, storage.ConnectorConfig{"k": &value}, nil)
	}
	old := open(log)
	for _, connector := range []string{"a", "b"} {
		if err := put(old, connector); err != nil {
			t.Fatal(err)
		}
	}
	holds := func() bool { return slices.Equal(old.Snapshot().Connectors(), []string{"a", "b"}) }
	eventually(t, "both are read", holds)

	// What is asked for from now on is answered when another topic has records where this one ended.
	reads := cluster.Hold(localkafka.Fetch)
	defer reads.Undo()
	client.DeleteTopic(name)
	eventually(t, "the topic is read on", func() bool { return reads.Hits() > 0 })
	missed := func(store *kafkastore.ConfigStore, words ...string) {
		t.Helper()
		eventually(t, "a write is refused because the topic "+words[0], func() bool {
			err := put(store, "c")
			return errors.Is(err, storage.ErrTopicLost) && strings.Contains(err.Error(), words[0])
		})
		for what, err := range map[string]error{"write": put(store, "c"), "target state": store.PutTargetState(t.Context(), "a", storage.Paused), "refresh": store.Refresh(t.Context())} {
			if !errors.Is(err, storage.ErrTopicLost) {
				t.Errorf("%s without the topic: %v", what, err)
				continue
			}
			for _, word := range append(words, "config.storage.topic="+name, "GET /connectors?expand=info") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s without the topic: %v; want %q in it", what, err, word)
				}
			}
		}
		if got := store.Snapshot().Connectors(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("connectors without the topic: %v", got)
		}
	}
	missed(old, "does not exist any more")
	if slices.Contains(client.Topics(), name) {
		t.Error("the topic was made by a write to it")
	}
	eventually(t, "the missing topic is told", func() bool { return strings.Contains(log.String(), "level=ERROR") })

	// Somebody makes it anew and fills it beyond where the old one was.
	client.CreateTopic(name, 1, map[string]string{"cleanup.policy": "compact"})
	for _, connector := range []string{"x", "y", "z", "a"} {
		client.Produce(name, kafkatest.Record{Key: []byte("connector-" + connector), Value: []byte(`{"properties":{"k":"v"}}`)})
	}
	asked := cluster.Count(localkafka.Fetch)
	reads.Undo()
	eventually(t, "the new topic is read on", func() bool { return asked.Hits() > 1 })
	missed(old, "another one")
	if old.Stop(); !holds() {
		t.Errorf("connectors after all was read: %v", old.Snapshot().Connectors())
	}
	anew := open(io.Discard)
	if got := anew.Snapshot().Connectors(); !slices.Equal(got, []string{"a", "x", "y", "z"}) {
		t.Errorf("connectors of the new topic: %v", got)
	}
}

// A topic of offsets that is made anew is used: each offset stands for itself.
func TestAnOffsetsTopicThatWasMadeAnewIsUsed(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, localkafka.Options{})
	client := kafkatest.Dial(t, cluster.Bootstrap())
	name := newName("offsets")
	log := &logBuffer{}
	o := options(cluster, name, 2)
	o.Topic.Key = "offset.storage.topic"
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	open := func() *kafkastore.OffsetStore {
		store := must[*kafkastore.OffsetStore](t)(kafkastore.NewOffsetStore(o))
		if err := store.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Stop)
		return store
	}
	write := func(store *kafkastore.OffsetStore, partition, offset int) error {
		record := must[storage.OffsetRecord](t)(store.Record("c", map[string]any{"p": partition}, map[string]any{"offset": offset}))
		return store.WriteOffsets(t.Context(), []storage.OffsetRecord{record})
	}
	old := open()
	for partition := range 4 {
		if err := write(old, partition, 1); err != nil {
			t.Fatal(err)
		}
	}

	client.DeleteTopic(name)
	eventually(t, "a write is refused because the topic is gone", func() bool { return errors.Is(write(old, 0, 2), storage.ErrTopicLost) })
	anew := open()
	if err := write(anew, 7, 7); err != nil {
		t.Fatal(err)
	}

	eventually(t, "the old store writes again", func() bool { return write(old, 0, 3) == nil })
	for _, store := range []*kafkastore.OffsetStore{old, anew} {
		eventually(t, "both stores know what is in the new topic", func() bool {
			got, err := store.Offsets(t.Context(), "c", []map[string]any{{"p": 0}, {"p": 7}})
			return err == nil && len(got) == 2 && maps.Equal(got[0], map[string]any{"offset": int64(3)}) && maps.Equal(got[1], map[string]any{"offset": int64(7)})
		})
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "another one") {
		t.Errorf("nothing is said of it:\n%s", log)
	}
}

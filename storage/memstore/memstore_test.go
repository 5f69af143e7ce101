package memstore_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"tributary/storage"
	"tributary/storage/memstore"
	"tributary/storage/storagetest"
)

func TestConfigStore(t *testing.T) {
	storagetest.TestConfigStore(t, func(*testing.T) func() storage.ConfigStore {
		topic := memstore.NewTopic()
		return func() storage.ConfigStore {
			return memstore.NewConfigStore(topic, false, slog.New(slog.DiscardHandler))
		}
	})
}

func TestPrivilegedConfigStore(t *testing.T) {
	storagetest.TestPrivilegedConfigStore(t, func(*testing.T) func() storage.ConfigStore {
		topic := memstore.NewTopic()
		return func() storage.ConfigStore { return memstore.NewConfigStore(topic, true, slog.New(slog.DiscardHandler)) }
	})
}

func TestStatusStore(t *testing.T) {
	storagetest.TestStatusStore(t, func(*testing.T) func() storage.StatusStore {
		topic := memstore.NewTopic()
		return func() storage.StatusStore { return memstore.NewStatusStore(topic, slog.New(slog.DiscardHandler)) }
	})
}

func TestOffsetStore(t *testing.T) {
	storagetest.TestOffsetStore(t, func(*testing.T) func() storage.OffsetStore {
		topic := memstore.NewTopic()
		return func() storage.OffsetStore {
			return memstore.NewOffsetStore(topic, "offsets", slog.New(slog.DiscardHandler))
		}
	})
}

// A standalone worker runs for months: its topics must not grow with the writes, and
// whoever reads a compacted topic must end where its writer is.
func TestTopicsAreCompacted(t *testing.T) {
	topic := memstore.NewTopic()
	store := memstore.NewOffsetStore(topic, "", slog.New(slog.DiscardHandler))
	if err := store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		partition := map[string]any{"p": i % 7}
		offset := map[string]any{"offset": i}
		if i%7 == 3 {
			offset = nil
		}
		record, err := store.Record("c", partition, offset)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.WriteOffsets(t.Context(), []storage.OffsetRecord{record}); err != nil {
			t.Fatal(err)
		}
	}
	if n := topic.Len(); n > 120 {
		t.Errorf("%d records are kept for 7 keys", n)
	}
	late := memstore.NewOffsetStore(topic, "", slog.New(slog.DiscardHandler))
	if err := late.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, _ := store.Partitions(t.Context(), "c")
	b, _ := late.Partitions(t.Context(), "c")
	if fmt.Sprint(a) != fmt.Sprint(b) || len(a) != 6 {
		t.Errorf("the writer knows %v, a late reader %v", a, b)
	}
	if slices.ContainsFunc(b, func(p map[string]any) bool { return p["p"] == int64(3) }) {
		t.Error("a removed partition came back")
	}
}

func TestLateReaderOfACompactedConfigTopicHasTheWritersOffset(t *testing.T) {
	topic := memstore.NewTopic()
	writer := memstore.NewConfigStore(topic, false, slog.New(slog.DiscardHandler))
	if err := writer.Start(t.Context(), silent{}); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		name := fmt.Sprint("c", i%3)
		if err := writer.PutConnectorConfig(t.Context(), name, storage.ConnectorConfig{}, nil); err != nil {
			t.Fatal(err)
		}
		if err := writer.RemoveConnectorConfig(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		late := memstore.NewConfigStore(topic, false, slog.New(slog.DiscardHandler))
		if err := late.Start(t.Context(), silent{}); err != nil {
			t.Fatal(err)
		}
		if got, want := late.Snapshot().Offset(), writer.Snapshot().Offset(); got != want {
			t.Fatalf("after %d rounds a late reader is at %d, the writer at %d", i, got, want)
		}
		late.Stop()
	}
}

type silent struct{}

func (silent) ConnectorConfigUpdated(string)           {}
func (silent) ConnectorConfigRemoved(string)           {}
func (silent) TaskConfigsUpdated(string)               {}
func (silent) TargetStateChanged(string)               {}
func (silent) SessionKeyUpdated(storage.SessionKey)    {}
func (silent) RestartRequested(storage.RestartRequest) {}
func (silent) LoggerLevelChanged(_, _ string)          {}

package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"tributary/storage"
)

// OpenOffset makes an empty offsets topic and returns how to open stores over it. The
// stores are not started.
type OpenOffset func(t *testing.T) (open func() storage.OffsetStore)

// TestOffsetStore runs the suite for offset stores.
func TestOffsetStore(t *testing.T, newTopic OpenOffset) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func() storage.OffsetStore)
	}{
		{"what was written is read, by every worker", offsetsReachEveryone},
		{"keys are compared as maps and keep their bytes", offsetKeys},
		{"removal", offsetRemoval},
		{"several keys of one partition are changed together", offsetVariants},
		{"concurrent writers", concurrentOffsets},
		{"a stopped store refuses", stoppedOffsetStore},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newTopic(t)) })
	}
}

func startOffset(t *testing.T, store storage.OffsetStore) storage.OffsetStore {
	t.Helper()
	must(t, store.Start(testContext(t)))
	t.Cleanup(store.Stop)
	return store
}

type fields = map[string]any

func partition(n int) fields { return fields{"cluster": "A", "partition": n, "topic": "t"} }

func write(t *testing.T, store storage.OffsetStore, connector string, partition, offset fields) storage.OffsetRecord {
	t.Helper()
	record, err := store.Record(connector, partition, offset)
	must(t, err)
	must(t, store.WriteOffsets(testContext(t), []storage.OffsetRecord{record}))
	return record
}

func read(t *testing.T, store storage.OffsetStore, connector string, partitions ...fields) []fields {
	t.Helper()
	offsets, err := store.Offsets(testContext(t), connector, partitions)
	must(t, err)
	return offsets
}

func list(t *testing.T, store storage.OffsetStore, connector string) []fields {
	t.Helper()
	partitions, err := store.Partitions(testContext(t), connector)
	must(t, err)
	return partitions
}

func offsetsReachEveryone(t *testing.T, open func() storage.OffsetStore) {
	a, b := startOffset(t, open()), startOffset(t, open())
	same(t, "offsets of an empty topic", read(t, a, "c", partition(0)), []fields{nil})
	same(t, "partitions of an empty topic", len(list(t, a, "c")), 0)
	must(t, a.WriteOffsets(testContext(t), nil))
	write(t, a, "c", partition(0), fields{"offset": 5})
	write(t, a, "c", partition(1), fields{"offset": int64(1) << 60, "f": 1.5, "s": "é😀<&>", "b": true, "n": nil})
	write(t, a, "other", partition(0), fields{"offset": 9})

	late := startOffset(t, open())
	for _, store := range []storage.OffsetStore{a, b, late} {
		same(t, "offsets", read(t, store, "c", partition(1), partition(7), partition(0)), []fields{
			{"offset": int64(1) << 60, "f": 1.5, "s": "é😀<&>", "b": true, "n": nil}, nil, {"offset": int64(5)},
		})
		same(t, "partitions", list(t, store, "c"), []fields{
			{"cluster": "A", "partition": int64(0), "topic": "t"}, {"cluster": "A", "partition": int64(1), "topic": "t"},
		})
	}
	write(t, b, "c", partition(0), fields{"offset": 6})
	same(t, "offset after another worker's write", read(t, a, "c", partition(0)), []fields{{"offset": int64(6)}})
}

func offsetKeys(t *testing.T, open func() storage.OffsetStore) {
	store := startOffset(t, open())
	fresh := write(t, store, "c", partition(0), fields{"offset": 1})
	same(t, "a new key", string(fresh.Key), `["c",{"cluster":"A","partition":0,"topic":"t"}]`)
	same(t, "a value", string(fresh.Value), `{"offset":1}`)

	odd := `["c", {"topic":"t", "partition":1, "cluster":"A"}]`
	must(t, store.WriteOffsets(testContext(t), []storage.OffsetRecord{{Key: []byte(odd), Value: []byte(`{"offset":2}`)}}))
	same(t, "offset", read(t, store, "c", partition(1)), []fields{{"offset": int64(2)}})
	again := write(t, store, "c", partition(1), fields{"offset": 3})
	same(t, "a known key", string(again.Key), odd)
	same(t, "offset", read(t, store, "c", partition(1)), []fields{{"offset": int64(3)}})

	if _, err := store.Record("c", fields{"p": []int{1}}, fields{"offset": 1}); err == nil {
		t.Error("a partition map with a list was accepted")
	}
	if _, err := store.Record("c", partition(0), fields{"offset": fields{}}); err == nil {
		t.Error("an offset map with a map was accepted")
	}
}

func offsetRemoval(t *testing.T, open func() storage.OffsetStore) {
	store := startOffset(t, open())
	write(t, store, "c", partition(0), fields{"offset": 1})
	write(t, store, "c", partition(1), fields{"offset": 1})
	removal := write(t, store, "c", partition(0), nil)
	same(t, "a removal has a null value", removal.Value == nil, true)
	same(t, "offsets", read(t, store, "c", partition(0), partition(1)), []fields{nil, {"offset": int64(1)}})
	same(t, "partitions", list(t, store, "c"), []fields{{"cluster": "A", "partition": int64(1), "topic": "t"}})
	late := startOffset(t, open())
	same(t, "offsets for a late reader", read(t, late, "c", partition(0), partition(1)), []fields{nil, {"offset": int64(1)}})
}

func offsetVariants(t *testing.T, open func() storage.OffsetStore) {
	store := startOffset(t, open())
	for i, key := range []string{`["c",{"topic":"t","partition":0,"cluster":"A"}]`, `["c",{"cluster":"A","partition":0,"topic":"t"}]`} {
		must(t, store.WriteOffsets(testContext(t), []storage.OffsetRecord{{Key: []byte(key), Value: fmt.Appendf(nil, `{"offset":%d}`, i)}}))
		read(t, store, "c", partition(0))
	}
	same(t, "partitions", len(list(t, store, "c")), 1)
	write(t, store, "c", partition(0), nil)
	same(t, "offset", read(t, store, "c", partition(0)), []fields{nil})
	late := startOffset(t, open())
	same(t, "offset for a late reader", read(t, late, "c", partition(0)), []fields{nil})
}

func concurrentOffsets(t *testing.T, open func() storage.OffsetStore) {
	store := startOffset(t, open())
	var group sync.WaitGroup
	for p := range 4 {
		group.Go(func() {
			for n := range 25 {
				record, err := store.Record("c", partition(p), fields{"offset": n})
				if err == nil {
					err = store.WriteOffsets(testContext(t), []storage.OffsetRecord{record})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	late := startOffset(t, open())
	want := fields{"offset": int64(24)}
	for _, s := range []storage.OffsetStore{store, late} {
		same(t, "offsets", read(t, s, "c", partition(0), partition(1), partition(2), partition(3)), []fields{want, want, want, want})
	}
}

func stoppedOffsetStore(t *testing.T, open func() storage.OffsetStore) {
	store := startOffset(t, open())
	record := write(t, store, "c", partition(0), fields{"offset": 1})
	store.Stop()
	store.Stop()
	if err := store.WriteOffsets(testContext(t), []storage.OffsetRecord{record}); !errors.Is(err, storage.ErrStopped) {
		t.Errorf("write after Stop: %v, want ErrStopped", err)
	}
	if _, err := store.Offsets(testContext(t), "c", []fields{partition(0)}); !errors.Is(err, storage.ErrStopped) {
		t.Errorf("read after Stop: %v, want ErrStopped", err)
	}
	if _, err := store.Partitions(testContext(t), "c"); !errors.Is(err, storage.ErrStopped) {
		t.Errorf("listing after Stop: %v, want ErrStopped", err)
	}
}

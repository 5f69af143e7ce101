package transform

import (
	"slices"

	"tributary/connect"
	"tributary/connect/internal/schemacache"
	"tributary/internal/javatext"
)

type cache[V any] = schemacache.Cache[V]

func newCache[V any]() *cache[V] { return schemacache.New[V](cacheSize) }

// hashMap builds a schemaless value and ends with the order that Java's HashMap gives it:
// where the value is a key, its bytes decide the partition.
type hashMap struct {
	built    connect.MapBuilder
	capacity int
	most     int // entries that there ever were: the table never shrinks
}

// newMap is new HashMap<>(size).
func newMap(size int) *hashMap { return &hashMap{capacity: javatext.CapacityFor(size)} }

// copyMap is new HashMap<>(map).
func copyMap(entries connect.MapEntries) *hashMap {
	return &hashMap{built: *connect.NewMapBuilder(slices.Clone(entries)), capacity: javatext.CopyCapacity(len(entries)), most: len(entries)}
}

func (m *hashMap) put(key string, value any) { m.built.Put(key, value) }

func (m *hashMap) remove(key string) {
	entries := m.built.Entries()
	m.most = max(m.most, len(entries))
	m.built = *connect.NewMapBuilder(slices.DeleteFunc(entries, func(e connect.MapEntry) bool { return e.Key == any(key) }))
}

func (m *hashMap) done() connect.MapEntries {
	entries := m.built.Entries()
	javatext.SortAsHashMap(entries, javatext.Grown(m.capacity, max(m.most, len(entries))))
	return entries
}

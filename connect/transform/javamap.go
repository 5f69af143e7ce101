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
	entries  connect.MapEntries
	capacity int
	most     int // entries that there ever were: the table never shrinks
}

// newMap is new HashMap<>(size).
func newMap(size int) *hashMap { return &hashMap{capacity: javatext.CapacityFor(size)} }

// copyMap is new HashMap<>(map).
func copyMap(entries connect.MapEntries) *hashMap {
	return &hashMap{entries: slices.Clone(entries), capacity: javatext.CopyCapacity(len(entries)), most: len(entries)}
}

func (m *hashMap) put(key string, value any) {
	m.entries.Put(key, value)
	m.most = max(m.most, len(m.entries))
}

func (m *hashMap) remove(key string) {
	m.entries = slices.DeleteFunc(m.entries, func(e connect.MapEntry) bool { return e.Key == any(key) })
}

func (m *hashMap) done() connect.MapEntries {
	if m.entries == nil {
		m.entries = connect.MapEntries{}
	}
	javatext.SortAsHashMap(m.entries, javatext.Grown(m.capacity, m.most))
	return m.entries
}

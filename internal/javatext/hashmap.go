package javatext

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"
	"unicode/utf16"

	"tributary/connect"
)

// HashCode is java.lang.String.hashCode of s.
func HashCode(s string) int32 {
	var h int32
	for _, r := range s {
		if r <= 0xFFFF {
			h = 31*h + r
			continue
		}
		hi, lo := utf16.EncodeRune(r)
		h = 31*(31*h+hi) + lo
	}
	return h
}

// hashOf is the hashCode of a map's key; false for keys whose hash code depends on more
// than their contents, or is too rare to care.
func hashOf(key any) (int32, bool) {
	switch k := key.(type) {
	case nil:
		return 0, true
	case string:
		return HashCode(k), true
	case bool:
		if k {
			return 1231, true
		}
		return 1237, true
	case int8:
		return int32(k), true
	case int16:
		return int32(k), true
	case int32:
		return k, true
	case int64:
		return fold(uint64(k)), true
	case float32:
		return int32(math.Float32bits(k)), true
	case float64:
		return fold(math.Float64bits(k)), true
	case time.Time:
		return fold(uint64(k.UnixMilli())), true
	}
	return 0, false
}

func fold(n uint64) int32 { return int32(uint32(n ^ n>>32)) }

// DefaultCapacity is that of a java.util.HashMap made without a size.
const DefaultCapacity = 16

// CapacityFor is the capacity of new HashMap<>(size): the next power of two.
func CapacityFor(size int) int {
	if size <= 1 {
		return 1
	}
	return 1 << bits.Len(uint(size-1))
}

// CopyCapacity is the capacity of a HashMap made as a copy of a map with size entries.
func CopyCapacity(size int) int {
	if size == 0 {
		return DefaultCapacity
	}
	return CapacityFor(int(float32(size)/0.75 + 1))
}

// Grown is the capacity of a HashMap of that initial capacity after size entries were
// put into it.
func Grown(capacity, size int) int {
	for float64(size) > float64(capacity)*0.75 {
		capacity *= 2
	}
	return capacity
}

// inBucket is an item with the place of its key in the table.
type inBucket[T any] struct {
	bucket uint32
	item   T
}

func bucketOf(hash int32, capacity int) uint32 {
	h := uint32(hash)
	return (h ^ h>>16) & uint32(capacity-1)
}

// HashMapKeys returns the keys of m in the order in which a java.util.HashMap that was
// filled by put iterates. Keys of one bucket are in the order of their insertion in
// Java; a Go map has none, so they are sorted.
func HashMapKeys[V any](m map[string]V) []string {
	capacity := Grown(DefaultCapacity, len(m))
	slots := make([]inBucket[string], 0, len(m))
	for key := range m {
		slots = append(slots, inBucket[string]{bucketOf(HashCode(key), capacity), key})
	}
	slices.SortFunc(slots, func(a, b inBucket[string]) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.item, b.item))
	})
	keys := make([]string, len(slots))
	for i, s := range slots {
		keys[i] = s.item
	}
	return keys
}

// SortAsHashMap puts entries, which are in the order of their insertion, into the order
// in which a java.util.HashMap with that initial capacity iterates. Entries stay as they
// are when a key's hash code is not known.
func SortAsHashMap(entries connect.MapEntries, capacity int) {
	capacity = Grown(capacity, len(entries))
	var few [32]inBucket[connect.MapEntry]
	slots := few[:0]
	for _, e := range entries {
		hash, ok := hashOf(e.Key)
		if !ok {
			return
		}
		slots = append(slots, inBucket[connect.MapEntry]{bucketOf(hash, capacity), e})
	}
	slices.SortStableFunc(slots, func(a, b inBucket[connect.MapEntry]) int { return cmp.Compare(a.bucket, b.bucket) })
	for i := range slots {
		entries[i] = slots[i].item
	}
}

// Entries returns the entries of either form of a map in the order in which Java
// iterates it; nil when value is no map.
func Entries(value any) connect.MapEntries {
	m, ok := value.(map[string]any)
	if !ok {
		return connect.EntriesOf(value)
	}
	out := make(connect.MapEntries, 0, len(m))
	for _, key := range HashMapKeys(m) {
		out = append(out, connect.MapEntry{Key: key, Value: m[key]})
	}
	return out
}

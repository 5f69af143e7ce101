package connect

import (
	"hash/maphash"
	"math"
	"time"
)

// MapBuilder puts many entries into a map: like MapEntries.Put, but the time that a put
// takes does not grow with the map.
type MapBuilder struct {
	entries MapEntries
	index   entryIndex
}

// NewMapBuilder begins with entries, which are the builder's from then on.
func NewMapBuilder(entries MapEntries) *MapBuilder { return &MapBuilder{entries: entries} }

// Put sets the value of a key: in its place, or at the end.
func (b *MapBuilder) Put(key, value any) {
	if at := b.index.find(b.entries, key); at >= 0 {
		b.entries[at].Value = value
		return
	}
	b.entries = append(b.entries, MapEntry{key, value})
}

// Entries returns the map; never nil. Nothing may be put afterwards.
func (b *MapBuilder) Entries() MapEntries {
	if b.entries == nil {
		return MapEntries{}
	}
	return b.entries
}

// entryIndex finds keys in entries to which others are only appended. A map that is
// small, or asked for a few keys, is searched from begin to end: that costs less than
// to hash all its keys.
type entryIndex struct {
	searches int
	// last is the place, plus one, of the last key of each hash, and before that of the
	// key of the same hash before it, 0 for none. Keys of the first len(before) entries
	// are in them.
	last   map[uint64]int
	before []int
}

const (
	smallMap    = 32
	fewSearches = 8
)

// find returns the place of a key, -1 when there is none.
func (x *entryIndex) find(entries MapEntries, key any) int {
	if len(entries) > smallMap {
		x.searches++
	}
	if x.searches <= fewSearches {
		for i := range entries {
			if EqualValues(entries[i].Key, key) {
				return i
			}
		}
		return -1
	}
	if x.last == nil {
		x.last, x.before = make(map[uint64]int, 2*len(entries)), make([]int, 0, 2*len(entries))
	}
	for i := len(x.before); i < len(entries); i++ {
		hash := hashOf(entries[i].Key)
		x.before = append(x.before, x.last[hash])
		x.last[hash] = i + 1
	}
	for at := x.last[hashOf(key)]; at > 0; at = x.before[at-1] {
		if EqualValues(entries[at-1].Key, key) {
			return at - 1
		}
	}
	return -1
}

// hashOf is equal for values that EqualValues finds equal, within one process.
func hashOf(value any) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	hashValue(&h, value)
	return h.Sum64()
}

func hashValue(h *maphash.Hash, value any) {
	switch v := value.(type) {
	case nil:
		_ = h.WriteByte(0)
	case bool, int8, int16, int32, int64:
		maphash.WriteComparable(h, v)
	case string:
		hashString(h, v)
	case []byte:
		hashNumber(h, len(v))
		_, _ = h.Write(v)
	case float32:
		hashFloat(h, float64(v))
	case float64:
		hashFloat(h, v)
	case time.Time:
		maphash.WriteComparable(h, v.Unix())
		hashNumber(h, v.Nanosecond())
	case Decimal:
		hashNumber(h, v.Sign())
		hashNumber(h, int(v.scale))
		_, _ = h.Write(v.number().Bytes())
	case *StructValue:
		if v != nil {
			hashList(h, v.values)
		}
	case []any:
		hashList(h, v)
	case map[string]any, MapEntries:
		sum := uint64(0) // whatever the order
		for _, e := range EntriesOf(v) {
			sum += hashOf([]any{e.Key, e.Value})
		}
		maphash.WriteComparable(h, sum)
	}
}

func hashList(h *maphash.Hash, list []any) {
	hashNumber(h, len(list))
	for _, v := range list {
		hashValue(h, v)
	}
}

func hashFloat(h *maphash.Hash, f float64) {
	if f != f {
		f = math.NaN() // there are many
	}
	maphash.WriteComparable(h, math.Float64bits(f))
}

package connect

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"
)

// Equal reports whether two schemas describe the same values in every respect, their
// documentation and defaults included. The order of parameters does not count.
func (s *Schema) Equal(other *Schema) bool {
	if s == other {
		return true
	}
	if s == nil || other == nil {
		return false
	}
	if s.Type != other.Type || s.Optional != other.Optional || s.Name != other.Name || s.Doc != other.Doc ||
		len(s.Fields) != len(other.Fields) || !equalVersion(s.Version, other.Version) || !s.Parameters.equal(other.Parameters) {
		return false
	}
	for i := range s.Fields {
		if s.Fields[i].Name != other.Fields[i].Name || !s.Fields[i].Schema.Equal(other.Fields[i].Schema) {
			return false
		}
	}
	return s.Keys.Equal(other.Keys) && s.Elements.Equal(other.Elements) && EqualValues(s.Default, other.Default)
}

func equalVersion(a, b *int) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

var hashSeed = maphash.MakeSeed()

// Hash is equal for equal schemas, within one process.
func (s *Schema) Hash() uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	s.hash(&h)
	return h.Sum64()
}

// hash leaves out what rarely tells schemas apart: parameters, documentation, defaults.
func (s *Schema) hash(h *maphash.Hash) {
	if s == nil {
		_ = h.WriteByte(0)
		return
	}
	flags := byte(1 + 2*s.Type) // there are twelve types
	if s.Optional {
		flags |= 0x80
	}
	_ = h.WriteByte(flags)
	hashString(h, s.Name)
	if s.Version != nil {
		hashNumber(h, *s.Version)
	}
	hashNumber(h, len(s.Fields))
	for i := range s.Fields {
		hashString(h, s.Fields[i].Name)
		s.Fields[i].Schema.hash(h)
	}
	s.Keys.hash(h)
	s.Elements.hash(h)
}

func hashString(h *maphash.Hash, text string) {
	hashNumber(h, len(text))
	_, _ = h.WriteString(text) // a hash takes all
}

func hashNumber(h *maphash.Hash, n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	_, _ = h.Write(b[:])
}

// EqualValues reports whether two values of the data model are the same: of one type,
// with the same contents. As in Java, NaN equals itself, 0.0 differs from -0.0, and
// 1.0 from 1.00 as Decimal.
func EqualValues(a, b any) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case float32:
		y, ok := b.(float32)
		return ok && (math.Float32bits(x) == math.Float32bits(y) || x != x && y != y)
	case float64:
		y, ok := b.(float64)
		return ok && (math.Float64bits(x) == math.Float64bits(y) || x != x && y != y)
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case Decimal:
		y, ok := b.(Decimal)
		return ok && x.Equal(y)
	case *StructValue:
		y, ok := b.(*StructValue)
		return ok && x.Equal(y)
	case []any:
		y, ok := b.([]any)
		return ok && equalLists(x, y)
	case map[string]any, MapEntries:
		return equalMaps(a, b)
	case nil, bool, string, int8, int16, int32, int64:
		switch b.(type) {
		case nil, bool, string, int8, int16, int32, int64:
			return a == b
		}
	}
	return false
}

func equalLists(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !EqualValues(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalMaps(a, b any) bool {
	x, y := EntriesOf(a), EntriesOf(b)
	if y == nil || len(x) != len(y) {
		return false
	}
	var index entryIndex
	for _, e := range x {
		if at := index.find(y, e.Key); at < 0 || !EqualValues(e.Value, y[at].Value) {
			return false
		}
	}
	return true
}

package javajson

import (
	"cmp"
	"slices"
	"unicode/utf16"
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

// HashMapKeys returns the keys of m in the order in which a java.util.HashMap that was
// filled by put iterates. Keys of one bucket are in the order of their insertion in
// Java; a Go map has none, so they are sorted.
func HashMapKeys[V any](m map[string]V) []string {
	capacity := 16
	for len(m) > capacity/4*3 {
		capacity *= 2
	}
	type slot struct {
		bucket int
		key    string
	}
	slots := make([]slot, 0, len(m))
	for key := range m {
		h := uint32(HashCode(key))
		slots = append(slots, slot{int((h ^ h>>16) & uint32(capacity-1)), key})
	}
	slices.SortFunc(slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.key, b.key))
	})
	keys := make([]string, len(slots))
	for i, s := range slots {
		keys[i] = s.key
	}
	return keys
}

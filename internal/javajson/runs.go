package javajson

import (
	"encoding/binary"
	"math/bits"
)

// Texts are mostly runs of bytes that stand for themselves. They are looked at, and copied,
// a word of eight bytes at a time: each mask below has the highest bit of the first byte set
// that ends a run. Bits above that one mean nothing.
const (
	wordSize = 8
	ones     = 0x0101010101010101
	highs    = 0x80 * ones
)

// quoteOrControl marks quotes, backslashes and control characters.
func quoteOrControl(w uint64) uint64 { return suspects(w) &^ w & highs }

// escapable marks what quoteOrControl does, and all that is not ASCII.
func escapable(w uint64) uint64 { return (suspects(w) | w) & highs }

func suspects(w uint64) uint64 {
	return (w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)
}

// firstOf is the place of the first byte that a mask marks.
func firstOf(mask uint64) int { return bits.TrailingZeros64(mask) / 8 }

// wordAt reads a word of a text that is long enough.
func wordAt(s string, at int) uint64 {
	s = s[at : at+wordSize]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// runEnd is the place of the first quote, backslash or control character at or behind from,
// or the end of the data.
func runEnd(data []byte, from int) int {
	for ; len(data)-from >= wordSize; from += wordSize {
		if mask := quoteOrControl(binary.LittleEndian.Uint64(data[from:])); mask != 0 {
			return from + firstOf(mask)
		}
	}
	for from < len(data) && data[from] >= ' ' && data[from] != '"' && data[from] != '\\' {
		from++
	}
	return from
}

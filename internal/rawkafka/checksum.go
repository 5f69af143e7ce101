package rawkafka

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// A checksum of two parts follows from those of the parts, so a batch whose header changes needs no pass over its records:
// they would come from memory for it, as the last time that they were looked at was a few megabytes ago. What is
// damaged in the records stays known by it.
//
// Checksums are polynomials over GF(2), the highest power in the lowest bit, modulo that of crc32.Castagnoli.

// powers are x^(8·2^k), by k: what a checksum is multiplied by when 2^k bytes follow.
var powers = func() (p [bits.UintSize - 1]uint32) {
	p[0] = 1 << (31 - 8)
	for k := 1; k < len(p); k++ {
		p[k] = product(p[k-1], p[k-1])
	}
	return p
}()

// product multiplies two polynomials.
func product(a, b uint32) (p uint32) {
	for range 32 {
		p ^= b & -(a >> 31) // by x to the power of how often it was around
		a <<= 1
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return p
}

// behind is what a difference between checksums becomes when n bytes follow that do not differ.
func behind(difference uint32, n int) uint32 {
	for k := 0; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			difference = product(powers[k], difference)
		}
	}
	return difference
}

// resum corrects a checksum that was right until the header changed, and with it its own checksum by difference.
func (b batch) resum(difference uint32) {
	sum := binary.BigEndian.Uint32(b[atChecksum:])
	putInt32(b[atChecksum:], int32(sum^behind(difference, len(b)-headerSize)))
}

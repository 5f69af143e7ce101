package rawkafka

import (
	"encoding/binary"
	"hash/crc32"
)

// A checksum of two parts follows from those of the parts, so a batch whose header changes needs no pass over its records:
// they would come from memory for it, as the last time that they were looked at was a few megabytes ago. What is
// damaged in the records stays known by it.
//
// Checksums are polynomials over GF(2), the highest power in the lowest bit, modulo that of crc32.Castagnoli.

// shifts are, by k, what four bits of a checksum, by where they stand and what they are, become when 2^k bytes follow it: their
// product with x^(8·2^k).
var shifts = func() (s [31][8][16]uint32) {
	power := uint32(1 << (31 - 8))
	for k := range s {
		for at := range s[k] {
			for bits := range s[k][at] {
				s[k][at][bits] = product(uint32(bits)<<(4*at), power)
			}
		}
		power = product(power, power)
	}
	return s
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

// behind is what a difference between checksums becomes when n bytes follow that do not differ, less than 2 GB.
func behind(difference uint32, n int) uint32 {
	for k := 0; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			difference = shift(difference, k)
		}
	}
	return difference
}

// shift is behind for 2^k bytes.
func shift(sum uint32, k int) uint32 {
	s := &shifts[k]
	return s[0][sum&15] ^ s[1][sum>>4&15] ^ s[2][sum>>8&15] ^ s[3][sum>>12&15] ^
		s[4][sum>>16&15] ^ s[5][sum>>20&15] ^ s[6][sum>>24&15] ^ s[7][sum>>28]
}

// resum corrects a checksum that was right until the header changed, and with it its own checksum by difference.
func (b batch) resum(difference uint32) {
	sum := binary.BigEndian.Uint32(b[atChecksum:])
	putInt32(b[atChecksum:], int32(sum^behind(difference, len(b)-headerSize)))
}

package rawkafka

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func randomBatch(size int, seed uint64) batch {
	random := rand.New(rand.NewPCG(seed, uint64(size)))
	b := make(batch, headerSize+size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	b.sum()
	return b
}

// A stamped batch has the checksum that it would have been given by looking at all of it.
func TestStampingKeepsTheChecksumRight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 2, 3, 7, 8, 255, 256, 257, 16 << 10, 1<<20 + 1}
	for range 200 {
		sizes = append(sizes, random.IntN(100_000))
	}
	for i, size := range sizes {
		b := randomBatch(size, uint64(i))
		b.stamp(identity{random.Int64(), int16(random.Uint32())}, int32(random.Uint32()), i%2 == 0)
		if !b.intact() {
			t.Fatalf("the checksum of a stamped batch with %d bytes of records is wrong", size)
		}
		b.stamp(noIdentity, noSequence, false)
		if !b.intact() {
			t.Fatalf("the checksum of a batch with %d bytes of records, stamped again, is wrong", size)
		}
	}
}

// Whatever was damaged before a batch was stamped is known by its checksum afterwards.
func TestStampingHidesNoDamage(t *testing.T) {
	for i, at := range []int{atAttributes, atSequence, headerSize, headerSize + 9_999, headerSize + 19_999} {
		b := randomBatch(20_000, uint64(i))
		b[at] ^= 0x10
		b.stamp(identity{7, 3}, 42, true)
		if b.intact() {
			t.Errorf("a batch that was damaged at byte %d has a right checksum once it is stamped", at)
		}
	}
}

func BenchmarkStamp(b *testing.B) {
	made := randomBatch(16_000, 1)
	b.SetBytes(int64(len(made)))
	for i := range b.N {
		made.stamp(identity{int64(i), 1}, int32(i), false)
	}
}

func BenchmarkSum(b *testing.B) {
	made := randomBatch(16<<10, 1)
	b.SetBytes(int64(len(made)))
	for i := range b.N {
		binary.BigEndian.PutUint64(made[atProducerID:], uint64(i))
		made.sum()
	}
}

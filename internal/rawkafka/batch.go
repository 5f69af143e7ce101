package rawkafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Where the fields of a record batch lie (format v2).
const (
	atBaseOffset     = 0
	atLength         = 8 // of all that follows it
	atLeaderEpoch    = 12
	atMagic          = 16
	atChecksum       = 17 // of all that follows it
	atAttributes     = 21
	atLastDelta      = 23
	atBaseTimestamp  = 27
	atMaxTimestamp   = 35
	atProducerID     = 43
	atProducerEpoch  = 51
	atSequence       = 53
	atCount          = 57
	headerSize       = 61
	lengthPrefix     = 12 // base offset and length
	noSequence       = -1
	noProducer       = -1
	noLeaderEpoch    = -1
	noTimestamp      = -1
	legacyHeaderSize = lengthPrefix + 5 // up to and with the magic byte, which older formats have in the same place
)

// Bits of the attributes.
const (
	codecBits         = 0x07
	appendTimeBit     = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	deleteHorizonBit  = 0x40
	keptAttributeBits = codecBits
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch are the bytes of one record batch, checked by splitBatch.
type batch []byte

// errPartial says that the bytes end inside a batch.
var errPartial = errors.New("the bytes end inside a record batch")

// splitBatch cuts the first batch off data. Its magic may be of any format; for v2 its header is whole. It does
// not look at the checksum.
func splitBatch(data []byte) (first batch, rest []byte, err error) {
	if len(data) < legacyHeaderSize {
		return nil, nil, errPartial
	}
	length := int64(int32(binary.BigEndian.Uint32(data[atLength:])))
	switch b := batch(data); {
	case length < legacyHeaderSize-lengthPrefix, b.magic() == 2 && length < headerSize-lengthPrefix:
		return nil, nil, fmt.Errorf("a record batch says that it is %d bytes long", length)
	case b.magic() > 2:
		return nil, nil, fmt.Errorf("a record batch is of format %d, which is not known", b.magic())
	case length > int64(len(data)-lengthPrefix):
		return nil, nil, errPartial
	}
	end := lengthPrefix + int(length)
	first = batch(data[:end:end])
	if first.magic() == 2 && (first.count() < 0 || first.lastDelta() < 0 || first.count() > int64(first.lastDelta())+1) {
		return nil, nil, fmt.Errorf("a record batch says that it has %d records at %d offsets", first.count(), int64(first.lastDelta())+1)
	}
	return first, data[end:], nil
}

func (b batch) int32At(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b batch) int64At(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

func (b batch) magic() int8          { return int8(b[atMagic]) }
func (b batch) baseOffset() int64    { return b.int64At(atBaseOffset) }
func (b batch) lastDelta() int32     { return b.int32At(atLastDelta) }
func (b batch) lastOffset() int64    { return b.baseOffset() + int64(b.lastDelta()) }
func (b batch) baseTimestamp() int64 { return b.int64At(atBaseTimestamp) }
func (b batch) maxTimestamp() int64  { return b.int64At(atMaxTimestamp) }
func (b batch) producerID() int64    { return b.int64At(atProducerID) }
func (b batch) count() int64         { return int64(b.int32At(atCount)) }
func (b batch) attributes() uint16   { return binary.BigEndian.Uint16(b[atAttributes:]) }
func (b batch) is(bit uint16) bool   { return b.attributes()&bit != 0 }
func (b batch) codec() int8          { return int8(b.attributes() & codecBits) }

// hasHoles says whether records are missing between the first and the last offset, as compaction leaves it.
// Brokers refuse such a batch from a producer.
func (b batch) hasHoles() bool { return b.count() != int64(b.lastDelta())+1 }

// intact says whether the checksum is right.
func (b batch) intact() bool {
	return binary.BigEndian.Uint32(b[atChecksum:]) == crc32.Checksum(b[atAttributes:], castagnoli)
}

// identity is what a producer says of itself in a batch; none of it is noIdentity.
type identity struct {
	id    int64
	epoch int16
}

var noIdentity = identity{noProducer, noProducer}

// stamp makes b, whose checksum is right, the batch of a producer: its offsets count from 0, as brokers want it, and its
// attributes keep nothing but the codec. sequence is the first record's, noSequence without an identity.
func (b batch) stamp(id identity, sequence int32, transactional bool) {
	header := b[atAttributes:headerSize]
	before := crc32.Checksum(header, castagnoli)
	b.label(id, sequence, transactional)
	b.resum(before ^ crc32.Checksum(header, castagnoli))
}

// label is stamp but for the checksum.
func (b batch) label(id identity, sequence int32, transactional bool) {
	attributes := b.attributes() & keptAttributeBits
	if transactional {
		attributes |= transactionalBit
	}
	binary.BigEndian.PutUint64(b[atBaseOffset:], 0)
	putInt32(b[atLeaderEpoch:], noLeaderEpoch)
	binary.BigEndian.PutUint16(b[atAttributes:], attributes)
	binary.BigEndian.PutUint64(b[atProducerID:], uint64(id.id))
	binary.BigEndian.PutUint16(b[atProducerEpoch:], uint16(id.epoch))
	putInt32(b[atSequence:], sequence)
}

// sum writes the checksum.
func (b batch) sum() {
	binary.BigEndian.PutUint32(b[atChecksum:], crc32.Checksum(b[atAttributes:], castagnoli))
}

func putInt32(b []byte, v int32) { binary.BigEndian.PutUint32(b, uint32(v)) }

// nextSequence is the sequence after n more records; sequences wrap around to 0.
func nextSequence(sequence, n int32) int32 { return int32((int64(sequence) + int64(n)) & 0x7fffffff) }

// abortMarker says whether a control batch marks the end of an aborted transaction. Control batches are never
// compressed; the key of their one record is a version and a type, 0 for abort.
func (b batch) abortMarker() bool {
	var r recordReader
	if !r.next(b[headerSize:]) {
		return false
	}
	key, ok := r.key()
	return ok && len(key) >= 4 && key[2] == 0 && key[3] == 0
}

package kafka

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/IBM/sarama"
)

// sarama makes the bytes of records from an object each, in two passes and into new memory. Where they are not compressed,
// they are made here instead, and left in the place where sarama keeps them when it has made them.

var encodedRecords = fieldOffset[sarama.RecordBatch]("compressedRecords", reflect.TypeFor[[]byte]())

// setEncoded gives sarama the bytes of count records, so that it makes none. It has no other way to be told.
func setEncoded(b *sarama.RecordBatch, data []byte, count int) {
	b.Records = make([]*sarama.Record, count) // only their number is looked at
	*(*[]byte)(unsafe.Add(unsafe.Pointer(b), encodedRecords)) = data
}

// appendRecords appends records as they are in a batch of format v2.
func appendRecords(data []byte, entries []entry) []byte {
	base := entries[0].timestamp
	for i := range entries {
		data = appendRecord(data, entries[i].rec, entries[i].timestamp-base, int64(i))
	}
	return data
}

func appendRecord(data []byte, rec *Record, timestampDelta, offsetDelta int64) []byte {
	length := 1 + varintSize(timestampDelta) + varintSize(offsetDelta) +
		bytesSize(rec.Key) + bytesSize(rec.Value) + varintSize(int64(len(rec.Headers)))
	for i := range rec.Headers {
		h := &rec.Headers[i]
		length += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	data = binary.AppendVarint(data, int64(length))
	data = append(data, 0) // no attributes
	data = binary.AppendVarint(data, timestampDelta)
	data = binary.AppendVarint(data, offsetDelta)
	data = appendBytes(data, rec.Key)
	data = appendBytes(data, rec.Value)
	data = binary.AppendVarint(data, int64(len(rec.Headers)))
	for i := range rec.Headers {
		h := &rec.Headers[i]
		data = binary.AppendVarint(data, int64(len(h.Key)))
		data = append(data, h.Key...)
		data = appendBytes(data, h.Value)
	}
	return data
}

// appendBytes appends bytes behind their length, which is -1 for nil.
func appendBytes(data, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(data, -1)
	}
	data = binary.AppendVarint(data, int64(len(b)))
	return append(data, b...)
}

func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

// varintSize is how many bytes binary.AppendVarint appends.
func varintSize(n int64) int {
	zigzag := uint64(n<<1) ^ uint64(n>>63)
	return (bits.Len64(zigzag|1) + 6) / 7
}

// saramaRecords are records for sarama to encode and compress.
func saramaRecords(entries []entry) []*sarama.Record {
	base := entries[0].timestamp
	records, all := make([]*sarama.Record, len(entries)), make([]sarama.Record, len(entries))
	for i := range entries {
		rec, r := entries[i].rec, &all[i]
		r.Key, r.Value = rec.Key, rec.Value
		r.TimestampDelta = time.Duration(entries[i].timestamp-base) * time.Millisecond
		r.OffsetDelta = int64(i)
		if n := len(rec.Headers); n > 0 {
			block := make([]sarama.RecordHeader, n)
			r.Headers = make([]*sarama.RecordHeader, n)
			for j := range rec.Headers {
				block[j] = sarama.RecordHeader{Key: []byte(rec.Headers[j].Key), Value: rec.Headers[j].Value}
				r.Headers[j] = &block[j]
			}
		}
		records[i] = r
	}
	return records
}

// buffers are those of batches that are at least half full: of smaller ones many may be on their way at once.
var buffers sync.Pool

func takeBuffer(size int) []byte {
	if size <= batchLimit/2 || size > batchLimit {
		return make([]byte, 0, size)
	}
	if b, ok := buffers.Get().(*[batchLimit]byte); ok {
		return b[:0]
	}
	return new([batchLimit]byte)[:0]
}

func giveBuffer(b []byte) {
	if cap(b) == batchLimit {
		buffers.Put((*[batchLimit]byte)(b[:batchLimit]))
	}
}

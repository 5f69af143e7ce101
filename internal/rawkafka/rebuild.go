package rawkafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/internal/kafka"
)

// rebuild encodes those records of b again that keep accepts, by their place in the batch and their offset:
// without gaps between their offsets, in the same codec, with the timestamps that a consumer of b sees.
// offsets are those that the records had. There is no batch when no record is kept.
func rebuild(b batch, keep func(index int, offset int64) bool) (made batch, offsets []int64, err error) {
	records, err := unpack(b)
	if err != nil {
		return nil, nil, err
	}
	plain := make([]byte, 0, len(records))
	base, latest := b.baseTimestamp(), int64(math.MinInt64)
	if b.is(appendTimeBit) {
		base, latest = b.maxTimestamp(), b.maxTimestamp()
	}
	var r recordReader
	r.rest = records
	for index := range int(b.count()) {
		if !r.next(r.rest) {
			return nil, nil, fmt.Errorf("record %d of the batch at offset %d cannot be decoded", index, b.baseOffset())
		}
		offset := b.baseOffset() + r.offsetDelta
		if !keep(index, offset) {
			continue
		}
		delta := r.timestampDelta
		if b.is(appendTimeBit) {
			delta = 0
		}
		latest = max(latest, base+delta)
		plain = appendRecord(plain, r.attributes, delta, int64(len(offsets)), r.body)
		offsets = append(offsets, offset)
	}
	if len(offsets) == 0 {
		return nil, nil, nil
	}
	made, err = pack(plain, int32(len(offsets)), base, latest, b.codec())
	return made, offsets, err
}

// encode makes a batch of records, whose topic, partition and offset do not count.
func encode(records []kafka.Record, codec int8) (batch, error) {
	base, latest := records[0].Timestamp, int64(noTimestamp)
	var plain, body []byte
	for i := range records {
		r := &records[i]
		body = appendBody(body[:0], r.Key, r.Value, len(r.Headers), func(i int) (string, []byte) { return r.Headers[i].Key, r.Headers[i].Value })
		plain = appendRecord(plain, 0, r.Timestamp-base, int64(i), body)
		latest = max(latest, r.Timestamp)
	}
	return pack(plain, int32(len(records)), base, latest, codec)
}

// pack makes a batch of encoded records. It is nobody's yet: it has to be stamped.
func pack(plain []byte, count int32, base, latest int64, codec int8) (batch, error) {
	packed, err := compress(plain, codec)
	if err != nil {
		return nil, err
	}
	if len(packed) > math.MaxInt32-headerSize {
		return nil, fmt.Errorf("%d records make a batch of %d bytes, which is more than a batch can have", count, len(packed))
	}
	b := make(batch, headerSize+len(packed))
	putInt32(b[atLength:], int32(len(b)-lengthPrefix))
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(codec))
	putInt32(b[atLastDelta:], count-1)
	binary.BigEndian.PutUint64(b[atBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(latest))
	putInt32(b[atCount:], count)
	copy(b[headerSize:], packed)
	b.label(noIdentity, noSequence, false)
	b.sum()
	return b, nil
}

// codecs are those of the attributes, by number.
var codecs = []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}

// Codecs are safe for concurrent use and pool what they need.
var (
	decompressor = sync.OnceValue(func() kgo.Decompressor { return kgo.DefaultDecompressor() })
	compressors  = func() (all [5]func() (kgo.Compressor, error)) {
		for i, c := range codecs {
			all[i] = sync.OnceValues(func() (kgo.Compressor, error) { return kgo.DefaultCompressor(c) })
		}
		return all
	}()
)

// unpack returns the encoded records of b, decompressed.
func unpack(b batch) ([]byte, error) {
	packed := b[headerSize:]
	if b.codec() == 0 {
		return packed, nil
	}
	plain, err := decompressor().Decompress(packed, kgo.CompressionCodecType(b.codec()))
	if err != nil {
		return nil, fmt.Errorf("the batch at offset %d cannot be decompressed: %w", b.baseOffset(), err)
	}
	return plain, nil
}

var errCodec = errors.New("the codec is not known")

func compress(plain []byte, codec int8) ([]byte, error) {
	if codec == 0 {
		return plain, nil
	}
	if int(codec) >= len(codecs) {
		return nil, fmt.Errorf("%w: %d", errCodec, codec)
	}
	c, err := compressors[codec]()
	if err != nil {
		return nil, fmt.Errorf("codec %d: %w", codec, err)
	}
	packed, used := c.Compress(new(bytes.Buffer), plain)
	if int8(used) != codec {
		return nil, fmt.Errorf("records could not be compressed with codec %d", codec)
	}
	return packed, nil
}

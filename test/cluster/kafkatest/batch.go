package kafkatest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Batch is one record batch as it lies in a partition, message format v2.
type Batch struct {
	// BaseOffset and LastOffset bound the batch; compaction may have removed records between them.
	BaseOffset, LastOffset int64
	// Codec is "none", "gzip", "snappy", "lz4" or "zstd".
	Codec         string
	Transactional bool
	// Control is true for a batch of transaction markers, whose records are not data.
	Control       bool
	ProducerID    int64 // -1: neither idempotent nor transactional
	ProducerEpoch int16
	BaseSequence  int32
	Records       []Record
}

// Bits of a batch's attributes.
const (
	codecBits         = 0x07
	logAppendTimeBit  = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	batchLengthPrefix = 12 // base offset and length, which the length does not count
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

var decompressor = kgo.DefaultDecompressor()

// decodeBatches reads the batches of a fetch response. A batch cut off at the end is left out, as brokers do cut.
func decodeBatches(raw []byte, partition int32) ([]Batch, error) {
	var batches []Batch
	for len(raw) > batchLengthPrefix {
		size := batchLengthPrefix + int(int32(binary.BigEndian.Uint32(raw[8:])))
		if size > len(raw) {
			break
		}
		batch, err := decodeBatch(raw[:size], partition)
		if err != nil {
			return nil, err
		}
		batches = append(batches, batch)
		raw = raw[size:]
	}
	return batches, nil
}

func decodeBatch(raw []byte, partition int32) (Batch, error) {
	const magicAt = 16
	if len(raw) <= magicAt || raw[magicAt] != 2 {
		return Batch{}, fmt.Errorf("a batch of partition %d is not in message format v2", partition)
	}
	var wire kmsg.RecordBatch
	if err := wire.ReadFrom(raw); err != nil {
		return Batch{}, fmt.Errorf("read batch of partition %d: %w", partition, err)
	}
	codec := int(wire.Attributes & codecBits)
	if codec >= len(codecNames) {
		return Batch{}, fmt.Errorf("batch %d of partition %d has the unknown codec %d", wire.FirstOffset, partition, codec)
	}
	batch := Batch{
		BaseOffset:    wire.FirstOffset,
		LastOffset:    wire.FirstOffset + int64(wire.LastOffsetDelta),
		Codec:         codecNames[codec],
		Transactional: wire.Attributes&transactionalBit != 0,
		Control:       wire.Attributes&controlBit != 0,
		ProducerID:    wire.ProducerID,
		ProducerEpoch: wire.ProducerEpoch,
		BaseSequence:  wire.FirstSequence,
	}
	records, err := decompressor.Decompress(wire.Records, kgo.CompressionCodecType(codec))
	if err != nil {
		return Batch{}, fmt.Errorf("decompress batch %d of partition %d: %w", wire.FirstOffset, partition, err)
	}
	batch.Records, err = decodeRecords(records, &wire, partition)
	if err != nil {
		return Batch{}, fmt.Errorf("batch %d of partition %d: %w", wire.FirstOffset, partition, err)
	}
	return batch, nil
}

func decodeRecords(raw []byte, wire *kmsg.RecordBatch, partition int32) ([]Record, error) {
	var records []Record
	for len(records) < int(wire.NumRecords) {
		length, used := binary.Varint(raw)
		if used <= 0 || length < 0 || length > int64(len(raw)-used) {
			return nil, errors.New("a record's length does not fit the batch")
		}
		var one kmsg.Record
		if err := one.ReadFrom(raw[:used+int(length)]); err != nil {
			return nil, fmt.Errorf("record %d: %w", len(records), err)
		}
		record := Record{
			Partition:     partition,
			Offset:        wire.FirstOffset + int64(one.OffsetDelta),
			Timestamp:     time.UnixMilli(wire.FirstTimestamp + one.TimestampDelta64),
			LogAppendTime: wire.Attributes&logAppendTimeBit != 0,
			Key:           one.Key,
			Value:         one.Value,
		}
		if record.LogAppendTime {
			record.Timestamp = time.UnixMilli(wire.MaxTimestamp)
		}
		for _, header := range one.Headers {
			record.Headers = append(record.Headers, Header{Key: header.Key, Value: header.Value})
		}
		records = append(records, record)
		raw = raw[used+int(length):]
	}
	return records, nil
}

package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrTombstone is returned by the decoders for a record with a null value: someone
// deleted an entry of a compacted topic. Skip it. (MirrorMaker 2 itself never writes
// tombstones to these topics, and stops reading when it meets one: never write any.)
var ErrTombstone = errors.New("record is a tombstone")

// ErrMalformed is wrapped by the decoders' errors for bytes that end too early or
// hold a negative length. Skip the record; the ones behind it are unaffected.
var ErrMalformed = errors.New("record is malformed")

// ErrTooLong is wrapped by the encoders' errors for a string of more than 32767
// bytes, which the format cannot hold.
var ErrTooLong = errors.New("string is longer than 32767 bytes")

// appendString appends Kafka's STRING: a 16-bit length, then UTF-8.
func appendString(dst []byte, field, s string) ([]byte, error) {
	if len(s) > math.MaxInt16 {
		return nil, fmt.Errorf("%s has %d bytes: %w", field, len(s), ErrTooLong)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...), nil
}

// appendTopicPartition appends a STRING and an INT32.
func appendTopicPartition(dst []byte, tp TopicPartition) ([]byte, error) {
	dst, err := appendString(dst, "topic", tp.Topic)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(dst, uint32(tp.Partition)), nil
}

// reader takes fields off the front of a key or value. The first failure sticks, so
// that a decoder checks once, at its end. Bytes left over are not an error: a newer
// writer may have added fields.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(field string, n int) []byte {
	if r.err != nil {
		return nil
	}
	if len(r.rest) < n {
		r.err = fmt.Errorf("%s needs %d bytes but %d are left: %w", field, n, len(r.rest), ErrMalformed)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) int16(field string) int16 {
	if b := r.take(field, 2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32(field string) int32 {
	if b := r.take(field, 4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64(field string) int64 {
	if b := r.take(field, 8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) string(field string) string {
	n := r.int16(field)
	if r.err == nil && n < 0 {
		r.err = fmt.Errorf("%s has length %d: %w", field, n, ErrMalformed)
	}
	if r.err != nil {
		return ""
	}
	return string(r.take(field, int(n)))
}

// checkPresent tells a tombstone and a record without key from one worth decoding.
func checkPresent(key, value []byte) error {
	if value == nil {
		return ErrTombstone
	}
	if key == nil {
		return fmt.Errorf("key is null: %w", ErrMalformed)
	}
	return nil
}

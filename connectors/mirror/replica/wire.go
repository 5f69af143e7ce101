package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tributary/internal/wire"
)

// ErrTombstone is returned by the decoders for a record with a null value: someone
// deleted an entry of a compacted topic. Skip it. (MirrorMaker 2 itself never writes
// tombstones to these topics, and stops reading when it meets one: never write any.)
var ErrTombstone = errors.New("record is a tombstone")

// ErrMalformed is wrapped by the decoders' errors for bytes that end too early or
// hold a negative length. Skip the record; the ones behind it are unaffected.
var ErrMalformed = wire.ErrMalformed

// ErrTooLong is wrapped by the encoders' errors for a string of more than 32767
// bytes, which the format cannot hold.
var ErrTooLong = wire.ErrTooLong

// appendTopicPartition appends a STRING and an INT32.
func appendTopicPartition(dst []byte, tp TopicPartition) ([]byte, error) {
	dst, err := wire.AppendString(dst, "topic", tp.Topic)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(dst, uint32(tp.Partition)), nil
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

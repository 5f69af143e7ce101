package replica

import (
	"encoding/binary"
	"fmt"
)

// OffsetSync says that one record stands at Upstream in a partition of the source
// and at Downstream in the partition of the same number on the target.
type OffsetSync struct {
	// TopicPartition is named as on the source.
	TopicPartition TopicPartition
	Upstream       int64
	Downstream     int64
}

// String is for logs.
func (s OffsetSync) String() string {
	return fmt.Sprintf("%s:%d==%d", s.TopicPartition, s.Upstream, s.Downstream)
}

// Key encodes the record key: source topic, partition.
func (s OffsetSync) Key() ([]byte, error) {
	key, err := appendTopicPartition(nil, s.TopicPartition)
	if err != nil {
		return nil, fmt.Errorf("encode offset sync key: %w", err)
	}
	return key, nil
}

// Value encodes the record value: both offsets, always 16 bytes, without version.
func (s OffsetSync) Value() []byte {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(s.Upstream))
	return binary.BigEndian.AppendUint64(value, uint64(s.Downstream))
}

// DecodeOffsetSync reads a record of an offset-syncs topic. A nil value is
// ErrTombstone; bytes that end too early wrap ErrMalformed; bytes left over are
// ignored. Nothing of key and value is kept.
func DecodeOffsetSync(key, value []byte) (OffsetSync, error) {
	if err := checkPresent(key, value); err != nil {
		return OffsetSync{}, fmt.Errorf("decode offset sync: %w", err)
	}
	k, v := reader{rest: key}, reader{rest: value}
	sync := OffsetSync{
		TopicPartition: TopicPartition{Topic: k.string("topic"), Partition: k.int32("partition")},
		Upstream:       v.int64("upstreamOffset"),
		Downstream:     v.int64("offset"),
	}
	if k.err != nil {
		return OffsetSync{}, fmt.Errorf("decode offset sync key: %w", k.err)
	}
	if v.err != nil {
		return OffsetSync{}, fmt.Errorf("decode offset sync value: %w", v.err)
	}
	return sync, nil
}

package replica

import (
	"encoding/binary"
	"fmt"

	"tributary/internal/wire"
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
	k, v := wire.NewReader(key), wire.NewReader(value)
	sync := OffsetSync{
		TopicPartition: TopicPartition{Topic: k.String("topic"), Partition: k.Int32("partition")},
		Upstream:       v.Int64("upstreamOffset"),
		Downstream:     v.Int64("offset"),
	}
	if k.Err() != nil {
		return OffsetSync{}, fmt.Errorf("decode offset sync key: %w", k.Err())
	}
	if v.Err() != nil {
		return OffsetSync{}, fmt.Errorf("decode offset sync value: %w", v.Err())
	}
	return sync, nil
}

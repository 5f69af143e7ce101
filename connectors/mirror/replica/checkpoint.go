package replica

import (
	"encoding/binary"
	"fmt"

	"tributary/internal/wire"
)

// recordVersion is the only version of checkpoint and heartbeat values there is.
// Readers do not check it: MirrorMaker 2 decodes any version as this one.
const recordVersion = 0

// Checkpoint says where a consumer group that committed Upstream on the source may
// go on reading on the target.
type Checkpoint struct {
	Group string
	// TopicPartition is named as on the target.
	TopicPartition TopicPartition
	// Upstream is what the group committed on the source.
	Upstream int64
	// Downstream is the translated offset on the target, never past the first record
	// that the group has not read.
	Downstream int64
	// Metadata is what the group committed beside the offset; empty for none.
	Metadata string
}

// Committed is what the group would commit on the target.
func (c Checkpoint) Committed() CommittedOffset {
	return CommittedOffset{Offset: c.Downstream, Metadata: c.Metadata}
}

// Key encodes the record key: group, target topic, partition.
func (c Checkpoint) Key() ([]byte, error) {
	key, err := wire.AppendString(nil, "group", c.Group)
	if err == nil {
		key, err = appendTopicPartition(key, c.TopicPartition)
	}
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint key: %w", err)
	}
	return key, nil
}

// Value encodes the record value: version, both offsets, metadata.
func (c Checkpoint) Value() ([]byte, error) {
	value := binary.BigEndian.AppendUint16(make([]byte, 0, 20+len(c.Metadata)), recordVersion)
	value = binary.BigEndian.AppendUint64(value, uint64(c.Upstream))
	value = binary.BigEndian.AppendUint64(value, uint64(c.Downstream))
	value, err := wire.AppendString(value, "metadata", c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint value: %w", err)
	}
	return value, nil
}

// DecodeCheckpoint reads a record of a checkpoints topic. It is as tolerant as
// DecodeOffsetSync, and takes any version for version 0.
func DecodeCheckpoint(key, value []byte) (Checkpoint, error) {
	if err := checkPresent(key, value); err != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: %w", err)
	}
	k, v := wire.NewReader(key), wire.NewReader(value)
	c := Checkpoint{
		Group:          k.String("group"),
		TopicPartition: TopicPartition{Topic: k.String("topic"), Partition: k.Int32("partition")},
	}
	v.Int16("version")
	c.Upstream = v.Int64("upstreamOffset")
	c.Downstream = v.Int64("offset")
	c.Metadata = v.String("metadata")
	if k.Err() != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint key: %w", k.Err())
	}
	if v.Err() != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint value: %w", v.Err())
	}
	return c, nil
}

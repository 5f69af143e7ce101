package replica

import (
	"encoding/json"
	"fmt"
	"math"
)

// Fields of the maps that the mirror connectors keep in Connect's offsets topic.
const (
	ClusterField     = "cluster"
	TopicField       = "topic"
	PartitionField   = "partition"
	GroupField       = "group"
	SourceAliasField = "sourceClusterAlias"
	TargetAliasField = "targetClusterAlias"
	OffsetField      = "offset"
)

// NoOffset is UnwrapOffset's answer when nothing has been committed.
const NoOffset int64 = -1

// SourcePartitionMap is the source partition of the source connector: a partition of
// the cluster called cluster.
//
// Java finds a stored offset by the bytes of its key, so whoever writes these maps as
// JSON must order the fields as a java.util.HashMap does: cluster, partition, topic
// here; partition, topic, group for checkpoints; source before target for heartbeats.
func SourcePartitionMap(cluster, topic string, partition int32) map[string]any {
	return map[string]any{ClusterField: cluster, PartitionField: int64(partition), TopicField: topic}
}

// CheckpointPartitionMap is the source partition of the checkpoint connector. tp is
// named as on the target.
func CheckpointPartitionMap(group string, tp TopicPartition) map[string]any {
	return map[string]any{GroupField: group, PartitionField: int64(tp.Partition), TopicField: tp.Topic}
}

// HeartbeatPartitionMap is the source partition of the heartbeat connector.
func HeartbeatPartitionMap(source, target string) map[string]any {
	return map[string]any{SourceAliasField: source, TargetAliasField: target}
}

// WrapOffset is the source offset of all three connectors. For the source connector
// it is the offset of the last record mirrored; for the others it is always 0.
func WrapOffset(offset int64) map[string]any {
	return map[string]any{OffsetField: offset}
}

// UnwrapOffset reads what WrapOffset made. It is NoOffset for a nil map and for one
// without offset; a value that is no integer is an error.
func UnwrapOffset(m map[string]any) (int64, error) {
	value := m[OffsetField]
	if value == nil {
		return NoOffset, nil
	}
	offset, ok := integer(value)
	if !ok {
		return 0, fmt.Errorf("stored source offset has %s %v of type %T: expected an integer", OffsetField, value, value)
	}
	return offset, nil
}

// UnwrapTopicPartition reads topic and partition from a map made by
// SourcePartitionMap or CheckpointPartitionMap.
func UnwrapTopicPartition(m map[string]any) (TopicPartition, error) {
	topic, ok := m[TopicField].(string)
	if !ok {
		return TopicPartition{}, fmt.Errorf("source partition %s: %q must be a string", describe(m), TopicField)
	}
	partition, ok := integer(m[PartitionField])
	if !ok || partition < 0 || partition > math.MaxInt32 {
		return TopicPartition{}, fmt.Errorf("source partition %s: %q must be an integer from 0 to %d", describe(m), PartitionField, math.MaxInt32)
	}
	return TopicPartition{Topic: topic, Partition: int32(partition)}, nil
}

// integer reads the integer types that JSON readers produce. A floating-point number
// is none: it cannot hold all offsets exactly, and Java refuses it too.
func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case int:
		return int64(n), true
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// describe shows a map in errors, as the JSON that the user wrote.
func describe(m map[string]any) string {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Sprint(m)
	}
	return string(b)
}

package replica

import "fmt"

// TargetGroupState is what is known of a consumer group on the target.
type TargetGroupState int

const (
	// TargetGroupUnknown: asking failed, or nobody has asked yet.
	TargetGroupUnknown TargetGroupState = iota
	// TargetGroupAbsent: the target has no such group (no group id, or state Dead).
	TargetGroupAbsent
	// TargetGroupEmpty: the group has no members; its offsets have been listed.
	TargetGroupEmpty
	// TargetGroupActive: the group has members, or is getting some.
	TargetGroupActive
)

// String is for logs.
func (s TargetGroupState) String() string {
	switch s {
	case TargetGroupUnknown:
		return "unknown"
	case TargetGroupAbsent:
		return "absent"
	case TargetGroupEmpty:
		return "empty"
	case TargetGroupActive:
		return "active"
	}
	return fmt.Sprintf("TargetGroupState(%d)", int(s))
}

// GroupOffsetsToSet gives the offsets to commit for a group on the target (KIP-545):
// translated holds those of its checkpoints, current what it has committed on the
// target, which counts only when it is empty. Nothing is to be done for an empty map.
//
//   - An absent group gets all of translated.
//   - An empty group is only taken forward, partition by partition.
//   - An active group is left alone: the broker would refuse the commit.
//   - A group of unknown state is left alone until it is known. (MirrorMaker 2 takes it
//     for a new one, and may so take an empty group back.)
func GroupOffsetsToSet(state TargetGroupState, translated, current map[TopicPartition]CommittedOffset) map[TopicPartition]CommittedOffset {
	toSet := make(map[TopicPartition]CommittedOffset)
	if state != TargetGroupAbsent && state != TargetGroupEmpty {
		return toSet
	}
	for tp, offset := range translated {
		if state == TargetGroupEmpty {
			if now, ok := current[tp]; ok && !takesForward(now, offset) {
				continue
			}
		}
		toSet[tp] = offset
	}
	return toSet
}

// takesForward reports whether translated may replace what the target has for a
// partition. A negative offset there counts as none.
func takesForward(current, translated CommittedOffset) bool {
	return current.Offset < 0 || translated.Offset > current.Offset
}

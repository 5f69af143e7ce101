package replica

import (
	"errors"
	"fmt"
	"math"
)

// The checks below serve the request to alter a connector's offsets (KIP-875). Each
// looks at one source partition and its new offset. A nil offset removes what is
// stored and is always right, whatever the partition: garbage must be removable.

// CheckSourceOffset checks a change for the source connector: cluster and topic are
// strings, partition is a partition number, and the offset is that of the last record
// taken as mirrored, 0 or more.
func CheckSourceOffset(partition, offset map[string]any) error {
	if offset == nil {
		return nil
	}
	if err := checkStrings(partition, ClusterField, TopicField); err != nil {
		return err
	}
	if err := checkPartitionNumber(partition); err != nil {
		return err
	}
	n, err := checkOffset(partition, offset)
	if err == nil && n < 0 {
		err = offsetError(partition, offset, "must be 0 or more")
	}
	return err
}

// CheckCheckpointOffset checks a change for the checkpoint connector: group and topic
// are strings, partition is a partition number, and the offset is 0, for the
// connector keeps its state elsewhere.
func CheckCheckpointOffset(partition, offset map[string]any) error {
	if offset == nil {
		return nil
	}
	if err := checkStrings(partition, GroupField, TopicField); err != nil {
		return err
	}
	if err := checkPartitionNumber(partition); err != nil {
		return err
	}
	return checkOffsetZero(partition, offset)
}

// CheckHeartbeatOffset checks a change for the heartbeat connector: both aliases are
// strings, and the offset is 0.
func CheckHeartbeatOffset(partition, offset map[string]any) error {
	if offset == nil {
		return nil
	}
	if err := checkStrings(partition, SourceAliasField, TargetAliasField); err != nil {
		return err
	}
	return checkOffsetZero(partition, offset)
}

func checkStrings(partition map[string]any, fields ...string) error {
	if partition == nil {
		return errors.New("source partition is null: only a null offset may go with it")
	}
	for _, field := range fields {
		value, ok := partition[field]
		if !ok {
			return fmt.Errorf("source partition %s lacks %q, which must be a string", describe(partition), field)
		}
		if _, ok := value.(string); !ok {
			return fmt.Errorf("source partition %s has %q %v, which must be a string", describe(partition), field, value)
		}
	}
	return nil
}

func checkPartitionNumber(partition map[string]any) error {
	value, ok := partition[PartitionField]
	if !ok {
		return fmt.Errorf("source partition %s lacks %q, which must be an integer", describe(partition), PartitionField)
	}
	if n, ok := integer(value); !ok || n < 0 || n > math.MaxInt32 {
		return fmt.Errorf("source partition %s has %q %v, which must be an integer from 0 to %d",
			describe(partition), PartitionField, value, math.MaxInt32)
	}
	return nil
}

func checkOffset(partition, offset map[string]any) (int64, error) {
	value, ok := offset[OffsetField]
	if !ok {
		return 0, fmt.Errorf("source offset %s for source partition %s lacks %q, which must be an integer",
			describe(offset), describe(partition), OffsetField)
	}
	n, ok := integer(value)
	if !ok {
		return 0, offsetError(partition, offset, "must be an integer")
	}
	return n, nil
}

func checkOffsetZero(partition, offset map[string]any) error {
	n, err := checkOffset(partition, offset)
	if err == nil && n != 0 {
		err = offsetError(partition, offset, "must be 0, the only offset that this connector stores")
	}
	return err
}

func offsetError(partition, offset map[string]any, want string) error {
	return fmt.Errorf("source offset %s for source partition %s has %q %v, which %s",
		describe(offset), describe(partition), OffsetField, offset[OffsetField], want)
}

package replica

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// TopicPartition names one partition of a topic on some cluster.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String gives "topic-partition", the form in which task configurations list
// partitions.
func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.FormatInt(int64(tp.Partition), 10)
}

// Compare orders by topic, then by partition. It fits slices.SortFunc.
func (tp TopicPartition) Compare(other TopicPartition) int {
	return cmp.Or(cmp.Compare(tp.Topic, other.Topic), cmp.Compare(tp.Partition, other.Partition))
}

// ParseTopicPartition reads what String wrote. A topic may hold dashes, so the last
// one separates.
func ParseTopicPartition(s string) (TopicPartition, error) {
	i := strings.LastIndexByte(s, '-')
	if i < 1 {
		return TopicPartition{}, fmt.Errorf("%q is not a topic partition: expected <topic>-<partition number>", s)
	}
	// "a--1" would give partition 1 of topic "a-", and a sign is never written.
	n, err := strconv.ParseUint(s[i+1:], 10, 31)
	if err != nil {
		return TopicPartition{}, fmt.Errorf("%q is not a topic partition: expected <topic>-<partition number>: %w", s, err)
	}
	return TopicPartition{Topic: s[:i], Partition: int32(n)}, nil
}

package kafkatest

import (
	"fmt"
	"maps"
	"slices"
)

// CompareTopic ends the test unless the mirrored topic holds exactly the committed records of its source: in each
// partition the same number, in the same order, with the same key, value, headers and timestamp. It looks once;
// wait with [Client.AwaitRecords] first.
func CompareTopic(tb TB, srcBootstrap, topic, dstBootstrap, remoteTopic string) {
	tb.Helper()
	src := Dial(tb, srcBootstrap).ReadTopic(topic, ReadCommitted)
	dst := Dial(tb, dstBootstrap).ReadTopic(remoteTopic, ReadCommitted)
	if difference := Diff(src, dst); difference != "" {
		tb.Fatalf("topic %s is not a mirror of %s: %s", remoteTopic, topic, difference)
	}
}

// CompareTopicAtLeastOnce is CompareTopic for a mirror that may deliver again after a restart: see
// [DiffAtLeastOnce] for what it allows. It returns how many records of each partition came more than once.
func CompareTopicAtLeastOnce(tb TB, srcBootstrap, topic, dstBootstrap, remoteTopic string) map[int32]int {
	tb.Helper()
	src := Dial(tb, srcBootstrap).ReadTopic(topic, ReadCommitted)
	dst := Dial(tb, dstBootstrap).ReadTopic(remoteTopic, ReadCommitted)
	duplicates, difference := DiffAtLeastOnce(src, dst)
	if difference != "" {
		tb.Fatalf("topic %s is not an at-least-once mirror of %s: %s", remoteTopic, topic, difference)
	}
	return duplicates
}

// Diff describes the first difference between a topic and its mirror, and is empty when there is none. Offsets may
// differ; all else, and the order, may not.
func Diff(src, dst map[int32][]Record) string {
	if difference := diffPartitions(src, dst); difference != "" {
		return difference
	}
	for _, partition := range slices.Sorted(maps.Keys(src)) {
		want, got := src[partition], dst[partition]
		for i := range min(len(want), len(got)) {
			if !sameContent(want[i], got[i]) {
				return fmt.Sprintf("partition %d, record %d differs in %s:\n source: %s\n mirror: %s",
					partition, i, whatDiffers(want[i], got[i]), want[i], got[i])
			}
		}
		switch {
		case len(want) > len(got):
			return fmt.Sprintf("partition %d: the mirror has %d of %d records; the first missing is\n source: %s",
				partition, len(got), len(want), want[len(got)])
		case len(want) < len(got):
			return fmt.Sprintf("partition %d: the mirror has %d records, the source %d; the first extra is\n mirror: %s",
				partition, len(got), len(want), got[len(want)])
		}
	}
	return ""
}

// DiffAtLeastOnce describes the first place where a mirror breaks the at-least-once promise. The mirror may go back
// to any record that it has already delivered and go on from there, as after a restart from an older offset;
// it may never skip a record, change one, or stop before the last. The map counts, for each partition, the records
// delivered more than once.
func DiffAtLeastOnce(src, dst map[int32][]Record) (duplicates map[int32]int, difference string) {
	if difference := diffPartitions(src, dst); difference != "" {
		return nil, difference
	}
	duplicates = make(map[int32]int, len(src))
	for _, partition := range slices.Sorted(maps.Keys(src)) {
		if difference := diffDelivery(src[partition], dst[partition]); difference != "" {
			return nil, fmt.Sprintf("partition %d: %s", partition, difference)
		}
		duplicates[partition] = len(dst[partition]) - len(src[partition])
	}
	return duplicates, ""
}

// diffDelivery walks through the mirror with the position of the next source record that is due. Among the positions
// that explain what was seen so far it keeps the highest: from there a step back reaches every lower one, so no
// explanation is lost when equal records make several possible.
func diffDelivery(src, dst []Record) string {
	delivered := map[string][]int{} // content → positions in src, below reached
	position, reached := 0, 0
	for i, record := range dst {
		if position < len(src) && sameContent(src[position], record) {
			if position == reached {
				key := contentKey(record)
				delivered[key] = append(delivered[key], position)
				reached++
			}
			position++
			continue
		}
		back := lastBelow(delivered[contentKey(record)], position)
		if back < 0 {
			due := "nothing"
			if position < len(src) {
				due = src[position].String()
			}
			return fmt.Sprintf("record %d of the mirror neither is the next one nor was delivered before:\n source, due: %s\n mirror:      %s",
				i, due, record)
		}
		position = back + 1
	}
	if reached < len(src) {
		return fmt.Sprintf("the mirror delivered %d of %d records; the first missing is\n source: %s", reached, len(src), src[reached])
	}
	return ""
}

// lastBelow gives the last of the ascending positions that is below limit, or -1.
func lastBelow(positions []int, limit int) int {
	i, _ := slices.BinarySearch(positions, limit)
	if i == 0 {
		return -1
	}
	return positions[i-1]
}

func diffPartitions(src, dst map[int32][]Record) string {
	want, got := slices.Sorted(maps.Keys(src)), slices.Sorted(maps.Keys(dst))
	if !slices.Equal(want, got) {
		return fmt.Sprintf("the source has the partitions %v, the mirror %v", want, got)
	}
	return ""
}

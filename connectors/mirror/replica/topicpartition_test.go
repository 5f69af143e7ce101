package replica

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTopicPartitionIsReadBackFromItsText(t *testing.T) {
	for _, tp := range []TopicPartition{{"t", 0}, {"a-b-1", 12}, {"a-", 1}, {"A.t_x", 2147483647}} {
		if got, err := ParseTopicPartition(tp.String()); err != nil || got != tp {
			t.Errorf("ParseTopicPartition(%q) = %v, %v", tp, got, err)
		}
	}
	for _, bad := range []string{"", "t", "t-", "-1", "t-x", "t-+1", "t-2147483648"} {
		if got, err := ParseTopicPartition(bad); err == nil {
			t.Errorf("ParseTopicPartition(%q) = %v, want an error", bad, got)
		}
	}
}

func TestTopicPartitionsSortByTopicThenNumber(t *testing.T) {
	tps := []TopicPartition{{"b", 0}, {"a", 10}, {"a", 2}}
	slices.SortFunc(tps, TopicPartition.Compare)
	if diff := cmp.Diff([]TopicPartition{{"a", 2}, {"a", 10}, {"b", 0}}, tps); diff != "" {
		t.Error(diff)
	}
}

package mirror

import (
	"fmt"
	"strings"
	"testing"

	"tributary/connectors/mirror/replica"
)

func topicPartitions(names string) []replica.TopicPartition {
	var tps []replica.TopicPartition
	for _, name := range strings.Fields(names) {
		tps = append(tps, replica.TopicPartition{Topic: name})
	}
	return tps
}

func shareText(shares [][]replica.TopicPartition) string {
	var texts []string
	for _, share := range shares {
		var names []string
		for _, tp := range share {
			names = append(names, tp.Topic)
		}
		texts = append(texts, strings.Join(names, " "))
	}
	return strings.Join(texts, " | ")
}

func TestStickySharesChangeOnlyWhereTheyMust(t *testing.T) {
	for _, c := range []struct{ before, partitions, want string }{
		{"", "a b c d e", "a d | b e | c"},
		{"a d | b e | c", "a aa b c d e", "a d | b e | aa c"}, // sorted would move all behind a
		{"a d | b e | c", "a b d e", "a d | b e | "},
		{"a d | b e | ", "a b d e f g", "a d | b e | f g"},
		{"a | b", "a b c", "a | b | c"},                                // as many tasks as before, or sorted anew
		{"a b c d e f g h | ", "a b c d e f g h", "a b c d e | f g h"}, // too much over its share
	} {
		var before [][]replica.TopicPartition
		if c.before != "" {
			for share := range strings.SplitSeq(c.before, "|") {
				before = append(before, topicPartitions(share))
			}
		}
		tasks := strings.Count(c.want, "|") + 1
		if got := shareText(dealSticky(topicPartitions(c.partitions), tasks, before)); got != c.want {
			t.Errorf("%s after %q: %q, want %q", c.partitions, c.before, got, c.want)
		}
	}
	if got := fmt.Sprint(shareText(dealSorted(topicPartitions("a b c"), 2))); got != "a c | b" {
		t.Errorf("sorted: %q", got)
	}
}

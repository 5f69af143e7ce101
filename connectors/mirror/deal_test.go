package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
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

func TestLoadSharesWeighTheSame(t *testing.T) {
	rates := func(text string) map[replica.TopicPartition]float64 {
		out := map[replica.TopicPartition]float64{}
		for item := range strings.FieldsSeq(text) {
			name, rate, _ := strings.Cut(item, "=")
			var r float64
			if _, err := fmt.Sscan(rate, &r); err != nil {
				t.Fatal(err)
			}
			out[replica.TopicPartition{Topic: name}] = r
		}
		return out
	}
	for _, c := range []struct{ name, before, partitions, rates, want string }{
		{"nothing is known: by number", "", "a b c d e", "", "a c e | b d"},
		{"one heavy", "", "a b c d", "a=90 b=30 c=30 d=30", "a | b c d"},
		{"idle ones are spread", "", "a b c d", "a=0 b=0 c=0 d=0", "a c | b d"},
		{"all stay while it is even enough", "a b | c d", "a b c d", "a=10 b=12 c=9 d=10", "a b | c d"},
		{"a new one goes to the lighter", "a b | c", "a aa b c", "a=10 b=10 c=5", "a b | aa c"},
		{"a heavy task gives away what fits", "a b c | d", "a b c d", "a=50 b=30 c=10 d=5", "b c | a d"},
		{"nothing can help one heavy partition", "a | b", "a b", "a=100 b=1", "a | b"},
		{"a gone one leaves its place", "a b | c d", "a b d", "a=10 b=10 d=15", "a b | d"},
		{"another number of tasks", "a b c", "a b c", "a=10 b=10 c=20", "c | a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before [][]replica.TopicPartition
			if c.before != "" {
				for share := range strings.SplitSeq(c.before, "|") {
					before = append(before, topicPartitions(share))
				}
			}
			partitions := topicPartitions(c.partitions)
			got := shareText(dealLoad(partitions, strings.Count(c.want, "|")+1, weights(partitions, rates(c.rates)), before))
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestLoadIsMeasuredBetweenLooksAndSmoothed(t *testing.T) {
	a, b := replica.TopicPartition{Topic: "a"}, replica.TopicPartition{Topic: "b"}
	at := time.UnixMilli(0)
	var l loads
	l.seen(map[replica.TopicPartition]int64{a: 100}, nil, at)
	l.seen(map[replica.TopicPartition]int64{a: 400, b: 7}, nil, at.Add(30*time.Second))
	if diff := cmp.Diff(map[replica.TopicPartition]float64{a: 10}, l.perSecond); diff != "" {
		t.Error(diff)
	}
	l.seen(map[replica.TopicPartition]int64{a: 400, b: 3}, nil, at.Add(60*time.Second)) // b was made anew
	if diff := cmp.Diff(map[replica.TopicPartition]float64{a: 5, b: 0}, l.perSecond); diff != "" {
		t.Error(diff)
	}
	l.seen(map[replica.TopicPartition]int64{b: 3}, map[kafka.TopicPartition]error{{Topic: "a"}: errors.New("no leader")}, at.Add(90*time.Second))
	if diff := cmp.Diff(map[replica.TopicPartition]float64{a: 5, b: 0}, l.perSecond); diff != "" {
		t.Errorf("while the end of a is not told: %s", diff)
	}
	l.seen(map[replica.TopicPartition]int64{a: 1000}, nil, at.Add(120*time.Second)) // 600 in two looks; b is gone
	if diff := cmp.Diff(map[replica.TopicPartition]float64{a: 7.5}, l.perSecond); diff != "" {
		t.Error(diff)
	}
}

func TestLoadIsMeasuredThoughAPartitionHasNoLeader(t *testing.T) {
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CreateTopic("u", 1, nil)
	p.source.Produce("t", text("0", "1")...)
	const leaderNotAvailable = 5
	p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "u", Times: -1})
	s, err := readSettings(sourceDef, "c", p.with("task.assignment=load"))
	if err != nil {
		t.Fatal(err)
	}
	c := &SourceConnector{settings: s, partitions: topicPartitions("t u")}
	if c.source, err = s.openCluster(onSource, "test", discard()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.source.close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.lookAtLoad(ctx); err != nil {
		t.Fatal(err)
	}
	if last := c.load.last[replica.TopicPartition{Topic: "t"}]; last.end != 2 || len(c.load.last) != 1 {
		t.Errorf("the ends are %v", c.load.last)
	}
}

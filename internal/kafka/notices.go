package kafka

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// noticeDelay is how long what befalls partitions is gathered before it is logged.
const noticeDelay = time.Second

// fewPartitions are told one by one.
const fewPartitions = 3

// Notices logs what befalls partitions of a cluster: a line for each of a few, and one line for many that the same
// befalls at about the same time, as when topics are made or a broker is gone. Safe for concurrent use.
type Notices struct {
	logger  *slog.Logger
	cluster string

	mu     sync.Mutex
	open   []notice
	of     map[notice][]TopicPartition
	timer  *time.Timer // runs while anything is open
	closed bool
}

// NoticeText is what a Notices says.
type NoticeText struct {
	One, Many string
	// Names is how many of many partitions are told by name; the first is in any case.
	Names int
}

type notice struct {
	level  slog.Level
	text   NoticeText
	reason string
}

// NewNotices returns notices for the log. Close it when done.
func NewNotices(logger *slog.Logger, cluster string) *Notices {
	return &Notices{logger: logger, cluster: cluster, of: map[notice][]TopicPartition{}}
}

// Say has something logged soon. It only takes note, and may be called with locks held; reason may be empty.
func (n *Notices) Say(level slog.Level, text NoticeText, tp TopicPartition, reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	what := notice{level, text, reason}
	if len(n.of[what]) == 0 {
		n.open = append(n.open, what)
	}
	n.of[what] = append(n.of[what], tp)
	if n.timer == nil {
		n.timer = time.AfterFunc(noticeDelay, n.tell)
	}
}

// Close logs what is left. What is said later is dropped.
func (n *Notices) Close() {
	n.mu.Lock()
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	n.mu.Unlock()
	n.tell()
}

func (n *Notices) tell() {
	n.mu.Lock()
	open, of := n.open, n.of
	n.open, n.of, n.timer = nil, map[notice][]TopicPartition{}, nil
	n.mu.Unlock()
	for _, what := range open {
		n.log(what, of[what])
	}
}

func (n *Notices) log(what notice, partitions []TopicPartition) {
	slices.SortFunc(partitions, func(a, b TopicPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	partitions = slices.Compact(partitions)
	rest := []any{"cluster", n.cluster}
	if what.reason != "" {
		rest = append(rest, "reason", what.reason)
	}
	if len(partitions) <= fewPartitions {
		for _, tp := range partitions {
			n.logger.Log(context.Background(), what.level, what.text.One, append([]any{"topic", tp.Topic, "partition", tp.Partition}, rest...)...)
		}
		return
	}
	of := []any{"partitions", len(partitions)}
	if named := min(what.text.Names, len(partitions)); named > 1 {
		names := make([]string, named, named+1)
		for i, tp := range partitions[:named] {
			names[i] = nameOf(tp)
		}
		if left := len(partitions) - named; left > 0 {
			names = append(names, fmt.Sprintf("and %d more", left))
		}
		of = append(of, "names", strings.Join(names, ", "))
	} else {
		of = append(of, "first", nameOf(partitions[0]))
	}
	n.logger.Log(context.Background(), what.level, what.text.Many, append(of, rest...)...)
}

func nameOf(tp TopicPartition) string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

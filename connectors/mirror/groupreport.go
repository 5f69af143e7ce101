package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// obstaclesShown bounds how many partitions of a group are named.
const obstaclesShown = 3

// groupReports say of each group of a checkpoint task why it cannot be moved safely.
// Safe for concurrent use.
type groupReports struct {
	mu      sync.Mutex
	reasons map[string]map[string]string // by group and by what was tried
}

// set takes the latest outcome of something that was tried for a group, "" for success.
func (r *groupReports) set(group, what, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason == "" {
		delete(r.reasons[group], what)
		if len(r.reasons[group]) == 0 {
			delete(r.reasons, group)
		}
		return
	}
	if r.reasons == nil {
		r.reasons = map[string]map[string]string{}
	}
	if r.reasons[group] == nil {
		r.reasons[group] = map[string]string{}
	}
	r.reasons[group][what] = reason
}

// only forgets groups that are not among these, for they are gone.
func (r *groupReports) only(groups []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.reasons, func(group string, _ map[string]string) bool { return !slices.Contains(groups, group) })
}

// unreadGroup is the reason why a group's positions are not known.
func unreadGroup(err error) string {
	return fmt.Sprintf("its offsets on the source cannot be read: %v", err)
}

// list gives the groups in order.
func (r *groupReports) list() []connect.UnmovableGroup {
	r.mu.Lock()
	defer r.mu.Unlock()
	var groups []connect.UnmovableGroup
	for group, reasons := range r.reasons {
		var texts []string
		for _, reason := range reasons {
			texts = append(texts, reason)
		}
		slices.Sort(texts)
		groups = append(groups, connect.UnmovableGroup{Group: group, Reason: strings.Join(texts, "; ")})
	}
	slices.SortFunc(groups, func(a, b connect.UnmovableGroup) int { return strings.Compare(a.Group, b.Group) })
	return groups
}

// Replication implements connect.ReplicationReporter: the groups that cannot be moved.
func (t *CheckpointTask) Replication() connect.Replication {
	return connect.Replication{UnmovableGroups: t.reports.list()}
}

// obstacleText is one sentence about partitions that cannot be translated.
func obstacleText(obstacles []replica.Obstacle) string {
	if len(obstacles) == 0 {
		return ""
	}
	slices.SortFunc(obstacles, func(a, b replica.Obstacle) int { return a.TopicPartition.Compare(b.TopicPartition) })
	var texts []string
	for _, o := range obstacles[:min(len(obstacles), obstaclesShown)] {
		texts = append(texts, fmt.Sprintf("%s: %s", o.TopicPartition, o.Reason))
	}
	if more := len(obstacles) - obstaclesShown; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d partitions more", more))
	}
	return strings.Join(texts, ", ")
}

// withinTarget removes offsets that lie beyond the end of their partition on the
// target, as they do when the target topic was deleted or truncated since: a group sent
// there would miss what is mirrored next; and offsets in partitions of which the end is not
// known at present. It returns what it removed.
func (t *CheckpointTask) withinTarget(ctx context.Context, offsets map[replica.TopicPartition]int64) ([]replica.Obstacle, error) {
	if len(offsets) == 0 {
		return nil, nil
	}
	tps := make([]kafka.TopicPartition, 0, len(offsets))
	for tp := range offsets {
		tps = append(tps, kafka.TopicPartition(tp))
	}
	// One partition without a leader must hold back neither the others nor other groups.
	ends, failed, err := t.target.admin.CurrentOffsets(ctx, tps, kafka.Latest, kafka.ReadUncommitted)
	if err != nil {
		return nil, fmt.Errorf("look up the ends of partitions on the target: %w", err)
	}
	var beyond []replica.Obstacle
	for tp, offset := range offsets {
		end, known := ends[kafka.TopicPartition(tp)]
		switch {
		case !known:
			beyond = append(beyond, replica.Obstacle{TopicPartition: tp, Reason: fmt.Sprintf("its end on the target is not known (%v)", failed[kafka.TopicPartition(tp)])})
		case offset > end:
			beyond = append(beyond, replica.Obstacle{TopicPartition: tp, Reason: fmt.Sprintf("it translates to offset %d, beyond the end %d on the target", offset, end)})
		default:
			continue
		}
		delete(offsets, tp)
	}
	return beyond, nil
}

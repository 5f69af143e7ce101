package mirror

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

const (
	refillKey = "refill.on.target.loss"

	// taskRefillKey tells a task which of its topics are to be mirrored from their
	// beginning, as topic=id: id is that of the new copy.
	taskRefillKey = "task.refill"
	// refillField marks, among the stored offsets, partitions of copies that have been
	// refilled or are being so: {"cluster":…,"partition":…,"topic":…,"refill":id}. Without a
	// partition, as it was once stored, it is for all of them. Java never looks for such a key.
	refillField = "refill"
	// bareField marks a stored offset up to which nothing was written to the copy: it is
	// empty without having lost anything. Java looks at the offset alone.
	bareField = "bare"
)

var refillKeys = []connect.ConfigKey{
	low(refillKey, connect.TypeBoolean, false, "Whether to mirror a topic again from its beginning when its copy on the target was deleted or made anew. Else the new copy gets what is written from then on."),
}

// compareCopies notices copies that are not the ones of the last look.
func (v *topicView) compareCopies(target map[string]kafka.TopicInfo) {
	for topic := range v.seen {
		remote := v.c.settings.remoteTopic(topic)
		id := target[remote].ID
		if id == [16]byte{} || v.former[id] {
			continue
		}
		if before, known := v.copies[topic]; known && before != id {
			v.former[before] = true
			v.lostCopy(topic, hex.EncodeToString(id[:]))
		}
		v.copies[topic] = id
	}
}

// dropCopy forgets a copy in whose place there is another, of which no id is known yet.
func (v *topicView) dropCopy(topic string) {
	if id, known := v.copies[topic]; known {
		v.former[id] = true
	}
	delete(v.copies, topic)
}

// lostCopy tells of a copy that was deleted and made anew, by this mirror or by somebody
// else; id is the new one's.
func (v *topicView) lostCopy(topic, id string) {
	s := v.c.settings
	v.c.logger.Warn("A remote topic was deleted and made anew: what it held is gone", "topic", topic, "remote_topic", s.remoteTopic(topic),
		"cluster", s.target, refillKey, s.Bool(refillKey))
	if s.Bool(refillKey) {
		v.refills[topic] = id
	}
}

// refillOf is the value of task.refill for a task with these partitions.
func refillOf(partitions []replica.TopicPartition, refills map[string]string) string {
	var items []string
	for _, tp := range partitions {
		if id, lost := refills[tp.Topic]; lost {
			if item := tp.Topic + "=" + id; !slices.Contains(items, item) {
				items = append(items, item)
			}
		}
	}
	return strings.Join(items, ",")
}

// refill puts the positions of partitions whose copy was lost back to the beginning:
// those that the connector names, unless that was done before, and those whose copy has
// never held a record though some were mirrored.
func (t *SourceTask) refill(ctx context.Context, tc connect.TaskContext, config map[string]string, positions map[kafka.TopicPartition]int64, source *kafka.Admin) error {
	if !t.settings.Bool(refillKey) || len(positions) == 0 {
		return nil
	}
	lost, err := t.namedLosses(ctx, tc, config[taskRefillKey])
	if err != nil {
		return err
	}
	empty, err := t.emptyCopies(ctx, positions)
	if err != nil {
		return err
	}
	stored := sortedPartitions(positions)
	begins, _, err := source.ListOffsets(ctx, stored, kafka.Earliest, kafka.ReadUncommitted)
	if err != nil {
		return fmt.Errorf("look up where partitions of cluster %s begin: %w", t.settings.source, err)
	}
	for _, tp := range stored {
		begin, known := begins[tp]
		if !known || begin >= positions[tp] || lost[tp] == nil && !empty[tp] {
			continue
		}
		t.logger.Warn("A partition is mirrored again from its beginning, because its copy was lost", "topic", tp.Topic, "partition", tp.Partition, "from", begin, "before", positions[tp])
		positions[tp] = begin
		t.partitions[tp].bare.Store(true)
		t.portions = append(t.portions, portion{partition: t.partitions[tp], position: begin - 1, placed: true})
	}
	for _, tp := range sortedPartitions(lost) {
		p := &sourcePartition{position: lost[tp]}
		t.portions = append(t.portions, portion{partition: p, position: 0, placed: true})
	}
	t.requestCommit()
	return nil
}

// namedLosses reads task.refill: the partitions of the task to refill, each with the mark to
// store for it. Other tasks store theirs when they start, which may be long before.
func (t *SourceTask) namedLosses(ctx context.Context, tc connect.TaskContext, list string) (map[kafka.TopicPartition]*connect.SourcePartition, error) {
	lost := map[kafka.TopicPartition]*connect.SourcePartition{}
	if list == "" {
		return lost, nil
	}
	ids := map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		topic, id, _ := strings.Cut(item, "=")
		ids[topic] = id
	}
	var named []kafka.TopicPartition
	var marks []*connect.SourcePartition // two for each of named
	for _, tp := range sortedPartitions(t.partitions) {
		id, isNamed := ids[tp.Topic]
		if !isNamed {
			continue
		}
		own := replica.SourcePartitionMap(t.settings.source, tp.Topic, tp.Partition)
		own[refillField] = id
		all := map[string]any{replica.ClusterField: t.settings.source, replica.TopicField: tp.Topic, refillField: id}
		named, marks = append(named, tp), append(marks, connect.NewSourcePartition(own), connect.NewSourcePartition(all))
	}
	found, err := tc.Offsets().Offsets(ctx, marks)
	if err != nil {
		return nil, fmt.Errorf("read which topics were refilled: %w", err)
	}
	for i, tp := range named {
		if found[2*i] == nil && found[2*i+1] == nil {
			lost[tp] = marks[2*i]
		}
	}
	return lost, nil
}

// emptyCopies finds the partitions whose copy has never held a record, though some were
// mirrored to it. Where transformations may send records elsewhere, or leave them out, an
// empty copy means nothing.
func (t *SourceTask) emptyCopies(ctx context.Context, positions map[kafka.TopicPartition]int64) (map[kafka.TopicPartition]bool, error) {
	byRemote := map[kafka.TopicPartition]kafka.TopicPartition{}
	for tp := range positions {
		if p := t.partitions[tp]; !p.bare.Load() {
			byRemote[kafka.TopicPartition{Topic: p.remote, Partition: tp.Partition}] = tp
		}
	}
	if len(byRemote) == 0 || t.settings.props["transforms"] != "" {
		return nil, nil
	}
	target, err := t.settings.openCluster(onTarget, "refill-target-admin", t.logger)
	if err != nil {
		return nil, err
	}
	ends, _, err := target.admin.ListOffsets(ctx, slices.Collect(maps.Keys(byRemote)), kafka.Latest, kafka.ReadUncommitted)
	if closing := target.close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("look up the ends of partitions on cluster %s: %w", t.settings.target, err)
	}
	empty := map[kafka.TopicPartition]bool{}
	for remote, end := range ends {
		empty[byRemote[remote]] = end == 0
	}
	return empty, nil
}

package mirror

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
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
// never held a record though some were mirrored. Partitions of which that cannot be told
// now lose their position, and get it late: read on, they would hide that the copy was empty.
func (t *SourceTask) refill(ctx context.Context, tc connect.TaskContext, config map[string]string, positions map[kafka.TopicPartition]int64, source *kafka.Admin) error {
	if !t.settings.Bool(refillKey) {
		return nil
	}
	lost, err := t.namedLosses(ctx, tc, config[taskRefillKey])
	if err != nil {
		return err
	}
	r := &refiller{settings: t.settings, logger: t.logger, source: source, stored: maps.Clone(positions), lost: lost, copies: map[kafka.TopicPartition]kafka.TopicPartition{}}
	for tp := range positions {
		// Where transformations may send records elsewhere, or leave them out, an empty copy means nothing.
		if p := t.partitions[tp]; !p.bare.Load() && t.settings.props["transforms"] == "" {
			r.copies[tp] = kafka.TopicPartition{Topic: p.remote, Partition: tp.Partition}
		}
	}
	for _, tp := range sortedPartitions(lost) {
		if _, mirrored := positions[tp]; !mirrored { // from its place on, the new copy gets everything
			t.markRefilled(lost[tp])
		}
	}
	keeps := func(tp kafka.TopicPartition, at int64) { t.keepRefill(r, tp, at) }
	found, failed, err := r.look(ctx, sortedPartitions(positions))
	if err != nil {
		return err
	}
	for _, tp := range sortedPartitions(found) {
		positions[tp] = found[tp]
		keeps(tp, found[tp])
	}
	if len(failed) > 0 {
		for tp := range failed {
			delete(positions, tp)
		}
		t.placeLate(ctx, "find out whether partitions are to be mirrored again", &latePlaces{ask: r.look, keeps: keeps, failed: failed})
	}
	return nil
}

// keepRefill has the place stored that was found for a partition.
func (t *SourceTask) keepRefill(r *refiller, tp kafka.TopicPartition, at int64) {
	if before := r.stored[tp]; at != before {
		t.logger.Warn("A partition is mirrored again from its beginning, because its copy was lost", "topic", tp.Topic, "partition", tp.Partition, "from", at, "before", before)
		t.partitions[tp].bare.Store(true)
		t.keepPlace(tp, at)
		t.requestCommit()
	}
	if mark := r.lost[tp]; mark != nil {
		t.markRefilled(mark)
	}
}

// markRefilled has it stored that what task.refill names was done for a partition. Without the
// mark it is done at the next start.
func (t *SourceTask) markRefilled(mark *connect.SourcePartition) {
	t.portions = append(t.portions, portion{partition: &sourcePartition{position: mark}, position: 0, placed: true})
	t.requestCommit()
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

// refiller finds out where partitions go on whose copies may have been lost.
type refiller struct {
	settings *settings
	logger   *slog.Logger
	source   *kafka.Admin
	stored   map[kafka.TopicPartition]int64                    // where they would go on
	lost     map[kafka.TopicPartition]*connect.SourcePartition // those that the connector names, with their marks
	copies   map[kafka.TopicPartition]kafka.TopicPartition     // of those that are lost if they are empty
}

// look finds where partitions go on, as far as both clusters tell now.
func (r *refiller) look(ctx context.Context, tps []kafka.TopicPartition) (found map[kafka.TopicPartition]int64, failed map[kafka.TopicPartition]error, err error) {
	empty, failed, err := r.emptyCopies(ctx, tps)
	if err != nil {
		return nil, nil, err
	}
	found = map[kafka.TopicPartition]int64{}
	var again []kafka.TopicPartition
	for _, tp := range tps {
		switch {
		case r.lost[tp] != nil || empty[tp]:
			again = append(again, tp)
		case failed[tp] == nil:
			found[tp] = r.stored[tp]
		}
	}
	begins, untold, err := r.source.CurrentOffsets(ctx, again, kafka.Earliest, kafka.ReadUncommitted)
	if err != nil {
		return nil, nil, fmt.Errorf("look up where partitions of cluster %s begin: %w", r.settings.source, err)
	}
	for tp, begin := range begins {
		found[tp] = min(begin, r.stored[tp])
	}
	for tp, err := range untold {
		failed[tp] = fmt.Errorf("its copy was lost, but where the source begins is not known: %w", err)
	}
	return found, failed, nil
}

// emptyCopies finds the partitions whose copy has never held a record, though some were
// mirrored to it. What the target refuses to tell counts as not empty.
func (r *refiller) emptyCopies(ctx context.Context, tps []kafka.TopicPartition) (map[kafka.TopicPartition]bool, map[kafka.TopicPartition]error, error) {
	empty, failed := map[kafka.TopicPartition]bool{}, map[kafka.TopicPartition]error{}
	var remotes []kafka.TopicPartition
	for _, tp := range tps {
		if remote, asked := r.copies[tp]; asked && r.lost[tp] == nil {
			remotes = append(remotes, remote)
		}
	}
	if len(remotes) == 0 {
		return empty, failed, nil
	}
	target, err := r.settings.openCluster(onTarget, "refill-target-admin", r.logger)
	if err != nil {
		return nil, nil, err
	}
	ends, untold, err := target.admin.CurrentOffsets(ctx, remotes, kafka.Latest, kafka.ReadUncommitted)
	if closing := target.close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up the ends of partitions on cluster %s: %w", r.settings.target, err)
	}
	for _, tp := range tps {
		end, known := ends[r.copies[tp]]
		empty[tp] = known && end == 0
		if err := untold[r.copies[tp]]; kafka.IsRetriable(err) {
			failed[tp] = fmt.Errorf("whether its copy was lost is not known: %w", err)
		}
	}
	return empty, failed, nil
}

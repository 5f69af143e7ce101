package replica

import (
	"fmt"
	"slices"
)

// CommittedOffset is what a consumer group committed for a partition.
type CommittedOffset struct {
	// Offset of the next record that the group reads. Negative means none: clients
	// other than Java's can reset a group to that.
	Offset int64
	// Metadata is the text stored beside it; empty for none.
	Metadata string
}

// Translator turns an offset on the source into one on the target, and knows which
// translations no longer count, as OffsetSyncStore does.
type Translator interface {
	TranslateDownstream(tp TopicPartition, upstream int64) (downstream int64, ok bool)
	Outlived(tp TopicPartition, upstream, downstream int64, newCopies int) bool
}

// Checkpointer computes checkpoints for one mirror. It holds no state.
type Checkpointer struct {
	SourceAlias, TargetAlias string
	Policy                   Policy
	// Filter is asked about topics as named on the source.
	Filter     TopicFilter
	Translator Translator
}

// Checkpoints gives those that are to be written for group, by target partition in
// order: committed is what the group committed on the source, last holds the newest
// checkpoint of the group for each target partition, without those that are Outlived:
// they would keep back the ones that are true.
//
// Let last advance when a checkpoint has been acknowledged, not before; then one that
// could not be written is given again. (MirrorMaker 2 advances at once and loses it.)
func (c Checkpointer) Checkpoints(group string, committed map[TopicPartition]CommittedOffset, last map[TopicPartition]Checkpoint) []Checkpoint {
	var checkpoints []Checkpoint
	for tp, offset := range committed {
		if !c.Filter.ShouldReplicateTopic(tp.Topic) {
			continue
		}
		checkpoint, ok := c.checkpoint(group, tp, offset)
		if !ok {
			continue
		}
		previous, found := last[checkpoint.TopicPartition]
		if !found || MoreRecent(checkpoint, previous) {
			checkpoints = append(checkpoints, checkpoint)
		}
	}
	slices.SortFunc(checkpoints, func(a, b Checkpoint) int { return a.TopicPartition.Compare(b.TopicPartition) })
	return checkpoints
}

// Obstacle is why a partition of a group cannot be moved to the target.
type Obstacle struct {
	TopicPartition TopicPartition
	// Reason is a clause without the partition's name.
	Reason string
}

// Obstacles gives the partitions in committed that cannot be translated now, in any
// order, named as on the source.
func (c Checkpointer) Obstacles(committed map[TopicPartition]CommittedOffset) []Obstacle {
	var obstacles []Obstacle
	for tp, offset := range committed {
		if offset.Offset < 0 || !c.Filter.ShouldReplicateTopic(tp.Topic) {
			continue
		}
		if _, obstacle := c.translate(tp, offset.Offset); obstacle != "" {
			obstacles = append(obstacles, Obstacle{TopicPartition: tp, Reason: obstacle})
		}
	}
	return obstacles
}

// translate gives the offset on the target, or why there is none.
func (c Checkpointer) translate(tp TopicPartition, upstream int64) (downstream int64, obstacle string) {
	downstream, ok := c.Translator.TranslateDownstream(tp, upstream)
	switch {
	case !ok:
		return 0, "nothing of it has been mirrored yet, so there is no offset sync to translate by"
	case downstream < 0:
		return 0, fmt.Sprintf("its position %d lies before all offset syncs that are kept", upstream)
	}
	return downstream, ""
}

// checkpoint translates one committed offset. It is false when there is nothing to
// translate, or it cannot be done without guessing.
func (c Checkpointer) checkpoint(group string, tp TopicPartition, committed CommittedOffset) (Checkpoint, bool) {
	if committed.Offset < 0 {
		return Checkpoint{}, false
	}
	downstream, obstacle := c.translate(tp, committed.Offset)
	if obstacle != "" {
		return Checkpoint{}, false
	}
	return Checkpoint{
		Group:          group,
		TopicPartition: c.TargetPartition(tp),
		Upstream:       committed.Offset,
		Downstream:     downstream,
		Metadata:       committed.Metadata,
	}, true
}

// TargetPartition names a partition of the source as the target knows it: a topic
// that came from the target goes home ("B.t" read on A is "t" on B), any other is
// where the mirror puts it ("t" of A is "A.t" on B).
func (c Checkpointer) TargetPartition(tp TopicPartition) TopicPartition {
	if source, ok := c.Policy.TopicSource(tp.Topic); ok && source == c.TargetAlias {
		return TopicPartition{Topic: c.Policy.OriginalTopic(tp.Topic), Partition: tp.Partition}
	}
	return TopicPartition{Topic: c.Policy.FormatRemoteTopic(c.SourceAlias, tp.Topic), Partition: tp.Partition}
}

// Outlived reports whether checkpoint belongs to a copy that was deleted or truncated
// since; newCopies is OffsetSyncStore.NewCopies from before it was computed, 0 if it was
// loaded.
func (c Checkpointer) Outlived(checkpoint Checkpoint, newCopies int) bool {
	tp, known := c.sourcePartition(checkpoint.TopicPartition)
	return known && c.Translator.Outlived(tp, checkpoint.Upstream, checkpoint.Downstream, newCopies)
}

// sourcePartition is the inverse of TargetPartition. It is false for a topic that went
// home: which way it went its name does not tell, and the mirror writes no syncs for it.
func (c Checkpointer) sourcePartition(tp TopicPartition) (TopicPartition, bool) {
	topic, remote := c.Policy.UpstreamTopic(tp.Topic)
	source := TopicPartition{Topic: topic, Partition: tp.Partition}
	return source, remote && c.TargetPartition(source) == tp
}

// MoreRecent reports whether next is worth writing after last, both of one group and
// partition. The downstream offset must rise, so that a coarser translation never
// takes a group back; unless the group itself went back on the source.
func MoreRecent(next, last Checkpoint) bool {
	return next.Upstream < last.Upstream || next.Downstream > last.Downstream
}

package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// requestsAtOnce is how many requests of one kind a cluster gets at a time.
const requestsAtOnce = 8

// forEach runs do for each name, some at a time, until all are done or ctx ends.
func forEach(ctx context.Context, names []string, do func(ctx context.Context, i int, name string)) {
	var workers sync.WaitGroup
	next := make(chan int)
	for range min(requestsAtOnce, len(names)) {
		workers.Go(func() {
			for i := range next {
				do(ctx, i, names[i])
			}
		})
	}
	for i := range names {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
}

// consumerGroups lists the groups of consumers: those that have, or had, the protocol
// type "consumer", or none, which is a group that only ever committed offsets.
func consumerGroups(ctx context.Context, admin *kafka.Admin) ([]string, error) {
	listed, err := admin.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, g := range listed {
		ofConsumers := g.ProtocolType == "" || g.ProtocolType == "consumer"
		known := g.Type == "" || strings.EqualFold(g.Type, "classic") || strings.EqualFold(g.Type, "consumer")
		if ofConsumers && known {
			groups = append(groups, g.ID)
		}
	}
	return groups, nil
}

// committedOffsets is what a group has committed.
func committedOffsets(ctx context.Context, admin *kafka.Admin, group string) (map[replica.TopicPartition]replica.CommittedOffset, error) {
	listed, err := admin.ListGroupOffsets(ctx, group)
	if err != nil {
		return nil, err
	}
	offsets := make(map[replica.TopicPartition]replica.CommittedOffset, len(listed))
	for tp, o := range listed {
		offsets[replica.TopicPartition(tp)] = replica.CommittedOffset{Offset: o.Offset, Metadata: o.Metadata}
	}
	return offsets, nil
}

// stateOf asks for the state of a group on the target.
func stateOf(ctx context.Context, admin *kafka.Admin, group string) (replica.TargetGroupState, error) {
	described, failed, err := admin.DescribeGroups(ctx, group)
	if err == nil {
		err = failed[group]
	}
	if errors.Is(err, kafka.ErrGroupNotFound) {
		return replica.TargetGroupAbsent, nil
	}
	if err != nil {
		return replica.TargetGroupUnknown, err
	}
	switch described[group].State {
	case "Dead":
		return replica.TargetGroupAbsent, nil
	case "Empty":
		return replica.TargetGroupEmpty, nil
	}
	return replica.TargetGroupActive, nil
}

// commitOffsets commits for a group without members.
func commitOffsets(ctx context.Context, admin *kafka.Admin, group string, offsets map[replica.TopicPartition]replica.CommittedOffset) error {
	commit := make(map[kafka.TopicPartition]kafka.OffsetAndMetadata, len(offsets))
	for tp, o := range offsets {
		commit[kafka.TopicPartition(tp)] = kafka.OffsetAndMetadata{Offset: o.Offset, LeaderEpoch: -1, Metadata: o.Metadata}
	}
	failed, err := admin.AlterGroupOffsets(ctx, group, commit)
	if err != nil {
		return err
	}
	// They usually fail for one reason; one partition, always the same, stands for all.
	var first kafka.TopicPartition
	for tp := range failed {
		if first.Topic == "" || replica.TopicPartition(tp).Compare(replica.TopicPartition(first)) < 0 {
			first = tp
		}
	}
	if first.Topic != "" {
		return fmt.Errorf("%d of %d partitions failed, the first being %s-%d: %w", len(failed), len(commit), first.Topic, first.Partition, failed[first])
	}
	return nil
}

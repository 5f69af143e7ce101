package kafka

import (
	"context"
	"errors"

	"github.com/IBM/sarama"
)

// CommitOffsets commits offsets for a member of the group. It tries again while that may help, until ctx
// ends. ErrRebalanceInProgress, ErrIllegalGeneration and ErrUnknownMemberID mean that the membership has
// to be renewed first.
func (g *GroupConn) CommitOffsets(ctx context.Context, generation int32, memberID string, offsets map[TopicPartition]int64) error {
	req := &sarama.OffsetCommitRequest{
		Version: 8, ConsumerGroup: g.group, ConsumerGroupGeneration: generation, ConsumerID: memberID,
		GroupInstanceId: g.instanceID, RetentionTime: -1,
	}
	for tp, offset := range offsets {
		req.AddBlockWithLeaderEpoch(tp.Topic, tp.Partition, offset, -1, 0, "")
	}
	return g.offsetsCall(ctx, func(b *sarama.Broker) error {
		resp, err := b.CommitOffset(req)
		if err != nil {
			return err
		}
		for topic, partitions := range resp.Errors {
			for _, code := range partitions {
				resource := topic
				if code == sarama.ErrGroupAuthorizationFailed {
					resource = g.group
				}
				if err := g.cfg.answerError(code, nil, OpCommitOffsets, resource); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// CommittedOffsets returns what the group committed for the partitions; those without an offset are left
// out. With stable it waits for offsets in open transactions. It tries again while that may help, until
// ctx ends.
func (g *GroupConn) CommittedOffsets(ctx context.Context, partitions []TopicPartition, stable bool) (map[TopicPartition]int64, error) {
	byTopic := make(map[string][]int32)
	for _, tp := range partitions {
		byTopic[tp.Topic] = append(byTopic[tp.Topic], tp.Partition)
	}
	var offsets map[TopicPartition]int64
	err := g.offsetsCall(ctx, func(b *sarama.Broker) error {
		req := sarama.NewOffsetFetchRequest(sarama.MaxVersion, g.group, byTopic)
		req.RequireStable = stable
		resp, err := b.FetchOffset(req)
		if err != nil {
			return err
		}
		code, blocks := resp.Err, resp.Blocks
		if len(resp.Groups) > 0 {
			code, blocks = resp.Groups[0].Err, resp.Groups[0].Blocks
		}
		if err := g.cfg.answerError(code, nil, OpReadOffsets, g.group); err != nil {
			return err
		}
		offsets = make(map[TopicPartition]int64)
		for topic, parts := range blocks {
			for p, o := range parts {
				if err := g.cfg.answerError(o.Err, nil, OpReadOffsets, topic); err != nil {
					return err
				}
				if o.Offset >= 0 {
					offsets[TopicPartition{topic, p}] = o.Offset
				}
			}
		}
		return nil
	})
	return offsets, err
}

// offsetsCall runs a request on the line for offsets, again and again while it fails retriably.
func (g *GroupConn) offsetsCall(ctx context.Context, request func(*sarama.Broker) error) error {
	var last error // what a broker said, which is more than that the time is over
	for attempt := 0; ; attempt++ {
		err := g.call(ctx, &g.offsets, 0, request)
		if last != nil && errors.Is(err, context.DeadlineExceeded) {
			return last
		}
		last = err
		if err == nil || ctx.Err() != nil || !IsRetriable(err) {
			return err
		}
		if lacksCoordinator(err) {
			if err := g.FindCoordinator(ctx); err == nil && attempt == 0 {
				continue
			}
		}
		if sleep(ctx, g.cfg.Backoff(attempt)) != nil {
			return err // which says more than that ctx ended
		}
	}
}

// lacksCoordinator says that the coordinator has to be looked up before the next try.
func lacksCoordinator(err error) bool {
	return errors.Is(err, ErrCoordinatorNotAvailable) || errors.Is(err, ErrNotCoordinator) || broken(err)
}

package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// Positions that stand for an offset to look up. ListOffsets takes timestamps (milliseconds) as well.
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

// Isolation says which records of transactions count.
type Isolation int8

// The isolation levels.
const (
	ReadUncommitted Isolation = 0
	ReadCommitted   Isolation = 1
)

// ListOffsets looks up one offset for every partition: Earliest, Latest, or the first at or after a
// timestamp in milliseconds, which is Latest when there is none. The second map holds partitions
// whose look-up failed for a reason of their own. It waits for partitions that have no leader at present.
func (a *Admin) ListOffsets(ctx context.Context, partitions []TopicPartition, spec int64, isolation Isolation) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	return a.client.listOffsets(ctx, allAt(partitions, spec), isolation, true)
}

// CurrentOffsets is ListOffsets as far as it can be told at once: partitions without a leader are not waited for, and are in
// the second map.
func (a *Admin) CurrentOffsets(ctx context.Context, partitions []TopicPartition, spec int64, isolation Isolation) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	return a.client.listOffsets(ctx, allAt(partitions, spec), isolation, false)
}

func allAt(partitions []TopicPartition, spec int64) map[TopicPartition]int64 {
	want := make(map[TopicPartition]int64, len(partitions))
	for _, tp := range partitions {
		want[tp] = spec
	}
	return want
}

func (c *Client) listOffsets(ctx context.Context, want map[TopicPartition]int64, isolation Isolation, patient bool) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	got, failed, err := byLeader(ctx, c, "looking up offsets", OpDescribe, want, patient, c.offsetsAsker(isolation))
	if err != nil {
		return nil, nil, err
	}
	// No record is that young: the end, as Java's callers take it.
	ends := make(map[TopicPartition]int64)
	for tp, offset := range got {
		if offset < 0 && want[tp] >= 0 {
			ends[tp] = Latest
		}
	}
	if len(ends) > 0 {
		latest, alsoFailed, err := c.listOffsets(ctx, ends, isolation, patient)
		if err != nil {
			return nil, nil, err
		}
		for tp, offset := range latest {
			got[tp] = offset
		}
		for tp, err := range alsoFailed {
			delete(got, tp)
			failed[tp] = err
		}
	}
	return got, failed, nil
}

func (c *Client) offsetsAsker(isolation Isolation) func(*sarama.Broker, map[TopicPartition]int64) (map[TopicPartition]outcome[int64], error) {
	return func(b *sarama.Broker, part map[TopicPartition]int64) (map[TopicPartition]outcome[int64], error) {
		return c.askOffsets(b, part, isolation, OpDescribe)
	}
}

// askOffsets sends one ListOffsets request to a leader; op is what the offsets are for.
func (c *Client) askOffsets(b *sarama.Broker, want map[TopicPartition]int64, isolation Isolation, op Operation) (map[TopicPartition]outcome[int64], error) {
	req := sarama.NewOffsetRequest(sarama.MaxVersion)
	req.IsolationLevel = sarama.IsolationLevel(isolation)
	for tp, spec := range want {
		req.AddBlock(tp.Topic, tp.Partition, spec, 1)
	}
	resp, err := b.GetAvailableOffsets(req)
	if err != nil {
		return nil, err
	}
	got := make(map[TopicPartition]outcome[int64], len(want))
	for topic, partitions := range resp.Blocks {
		for p, block := range partitions {
			got[TopicPartition{topic, p}] = outcome[int64]{block.Offset, c.cfg.answerError(block.Err, nil, op, topic)}
		}
	}
	return got, nil
}

// outcome is what a broker answered about one partition.
type outcome[T any] struct {
	value T
	err   error
}

// byLeader runs a request that goes to the leaders of partitions, each leader getting its own part,
// and repeats it for the partitions that failed retriably, if it is to be patient. The result has an entry for every
// partition in one of the two maps; the error is for the cluster as a whole.
func byLeader[In, Out any](ctx context.Context, c *Client, what string, op Operation, want map[TopicPartition]In, patient bool,
	ask func(*sarama.Broker, map[TopicPartition]In) (map[TopicPartition]outcome[Out], error),
) (map[TopicPartition]Out, map[TopicPartition]error, error) {
	got, given := make(map[TopicPartition]Out, len(want)), make(map[TopicPartition]error)
	if len(want) == 0 {
		return got, given, nil
	}
	todo := make(map[TopicPartition]In, len(want))
	for tp, in := range want {
		todo[tp] = in
	}
	unknownUntil := time.Now().Add(unknownTopicPatience)
	err := c.retry(ctx, what, func() error {
		failed := make(map[TopicPartition]error)
		leaders, topicErrs, err := c.leaders(ctx, topicsOf(todo), op, false)
		if err != nil {
			return err
		}
		byBroker := make(map[int32]map[TopicPartition]In)
		for tp, in := range todo {
			l, ok := leaders[tp]
			switch {
			case topicErrs[tp.Topic] != nil:
				failed[tp] = topicErrs[tp.Topic]
			case !ok:
				failed[tp] = c.cfg.answerError(sarama.ErrUnknownTopicOrPartition, nil, op, tp.Topic)
			case l.err != nil:
				failed[tp] = l.err
			default:
				if byBroker[l.leader] == nil {
					byBroker[l.leader] = make(map[TopicPartition]In)
				}
				byBroker[l.leader][tp] = in
			}
		}
		for id, part := range byBroker {
			var answers map[TopicPartition]outcome[Out]
			err := c.onBroker(ctx, id, func(b *sarama.Broker) (err error) {
				answers, err = ask(b, part)
				return err
			})
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for tp := range part {
				answer, ok := answers[tp]
				switch {
				case err != nil:
					failed[tp] = err
				case !ok:
					failed[tp] = c.cfg.answerError(sarama.ErrUnknownTopicOrPartition, nil, op, tp.Topic)
				case answer.err != nil:
					failed[tp] = answer.err
				default:
					got[tp] = answer.value
					delete(todo, tp)
				}
			}
		}
		var again error
		for tp, err := range failed {
			if !patient || !IsRetriable(err) || errors.Is(err, ErrUnknownTopicOrPartition) && time.Now().After(unknownUntil) {
				delete(todo, tp)
				given[tp] = err
				continue
			}
			again = err
		}
		return again
	})
	if err != nil {
		return nil, nil, err
	}
	return got, given, nil
}

// unknownTopicPatience is how long an unknown topic may still turn up: metadata of a new topic takes
// a moment to reach all brokers.
const unknownTopicPatience = 2 * time.Second

func topicsOf[V any](m map[TopicPartition]V) []string {
	seen := make(map[string]struct{})
	var topics []string
	for tp := range m {
		if _, ok := seen[tp.Topic]; !ok {
			seen[tp.Topic] = struct{}{}
			topics = append(topics, tp.Topic)
		}
	}
	return topics
}

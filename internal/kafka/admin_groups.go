package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
)

// Group is one entry of a listing of groups.
type Group struct {
	ID           string
	ProtocolType string // consumer, connect, or empty for groups that only hold offsets
	Type         string // Classic, Consumer, Share; empty on brokers older than 3.8
	State        string // empty on brokers older than 2.6
}

// ListGroups asks every broker for its groups.
func (a *Admin) ListGroups(ctx context.Context) ([]Group, error) {
	var groups []Group
	err := a.client.retry(ctx, "listing groups", func() error {
		groups = nil
		resp, err := a.client.askMetadata(ctx, nil, true)
		if err != nil {
			return err
		}
		for _, broker := range resp.Brokers {
			err := a.client.onBroker(ctx, broker.ID(), func(b *sarama.Broker) error {
				resp, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 5})
				if err != nil {
					return err
				}
				if err := a.cfg.answerError(resp.Err, nil, OpListGroups, ""); err != nil {
					return err
				}
				for id, protocolType := range resp.Groups {
					data := resp.GroupsData[id]
					groups = append(groups, Group{id, protocolType, data.GroupType, data.GroupState})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return groups, err
}

// GroupDescription is what a coordinator knows of a group.
type GroupDescription struct {
	Group
	Members []GroupMember
}

// GroupMember is one member. Metadata and Assignment are the bytes of the classic protocol; members of
// the protocol of KIP-848 have Partitions instead.
type GroupMember struct {
	ID         string
	InstanceID string
	ClientID   string
	Host       string
	Metadata   []byte
	Assignment []byte
	Partitions []TopicPartition
}

// DescribeGroups describes groups of both protocols. A group that does not exist has the state Dead, as
// in Java. The second map holds groups that could not be described.
func (a *Admin) DescribeGroups(ctx context.Context, ids ...string) (map[string]GroupDescription, map[string]error, error) {
	return eachGroup(ctx, ids, func(ctx context.Context, id string) (GroupDescription, error) {
		var d GroupDescription
		err := a.onGroup(ctx, "describing the group "+id, id, OpDescribe, func(b *sarama.Broker) (err error) {
			// A group of the new protocol looks dead to the classic request, so the new one goes first.
			d, err = a.describeConsumerGroup(b, id)
			if errors.Is(err, ErrGroupNotFound) || errors.Is(err, ErrUnsupportedVersion) {
				d, err = a.describeClassicGroup(b, id)
			}
			return err
		})
		return d, err
	})
}

func (a *Admin) describeConsumerGroup(b *sarama.Broker, id string) (GroupDescription, error) {
	req := sarama.NewConsumerGroupDescribeRequest(sarama.MaxVersion)
	req.GroupIDs = []string{id}
	resp, err := b.ConsumerGroupDescribe(req)
	if err != nil {
		return GroupDescription{}, a.unsupported(err)
	}
	if len(resp.Groups) == 0 {
		return GroupDescription{}, ErrGroupNotFound
	}
	g := resp.Groups[0]
	if err := a.cfg.answerError(g.ErrorCode, g.ErrorMessage, OpDescribe, id); err != nil {
		return GroupDescription{}, err
	}
	d := GroupDescription{Group: Group{ID: id, ProtocolType: "consumer", Type: "Consumer", State: g.GroupState}}
	for _, m := range g.Members {
		member := GroupMember{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, InstanceID: deref(m.InstanceID)}
		for _, t := range m.Assignment.TopicPartitions {
			for _, p := range t.Partitions {
				member.Partitions = append(member.Partitions, TopicPartition{t.TopicName, p})
			}
		}
		d.Members = append(d.Members, member)
	}
	return d, nil
}

func (a *Admin) describeClassicGroup(b *sarama.Broker, id string) (GroupDescription, error) {
	resp, err := b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{id}})
	if err != nil {
		return GroupDescription{}, err
	}
	if len(resp.Groups) == 0 {
		return GroupDescription{}, ErrGroupNotFound
	}
	g := resp.Groups[0]
	if g.Err == sarama.ErrGroupIDNotFound { // Kafka 4 says so, older brokers say Dead
		return GroupDescription{Group: Group{ID: id, State: "Dead"}}, nil
	}
	if err := a.cfg.answerError(g.Err, nil, OpDescribe, id); err != nil {
		return GroupDescription{}, err
	}
	d := GroupDescription{Group: Group{ID: id, ProtocolType: g.ProtocolType, Type: "Classic", State: g.State}}
	for _, m := range g.Members {
		d.Members = append(d.Members, GroupMember{
			ID: m.MemberId, ClientID: m.ClientId, Host: m.ClientHost, InstanceID: deref(m.GroupInstanceId),
			Metadata: m.MemberMetadata, Assignment: m.MemberAssignment,
		})
	}
	return d, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// eachGroup runs one call for every group, a few at a time.
func eachGroup[T any](ctx context.Context, ids []string, call func(context.Context, string) (T, error)) (map[string]T, map[string]error, error) {
	const atOnce = 4
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		got    = make(map[string]T, len(ids))
		failed = make(map[string]error)
		slots  = make(chan struct{}, atOnce)
	)
	for _, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			v, err := call(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[id] = err
				return
			}
			got[id] = v
		})
	}
	wg.Wait()
	return got, failed, ctx.Err()
}

// onGroup retries a call on the coordinator of a group.
func (a *Admin) onGroup(ctx context.Context, what, group string, op Operation, call func(*sarama.Broker) error) error {
	return a.client.retry(ctx, what, func() error {
		return a.client.onCoordinator(ctx, sarama.CoordinatorGroup, group, op, call)
	})
}

// OffsetAndMetadata is a committed offset. LeaderEpoch is -1 when not known.
type OffsetAndMetadata struct {
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// ListGroupOffsets returns all committed offsets of a group; none for a group that does not exist.
func (a *Admin) ListGroupOffsets(ctx context.Context, group string) (map[TopicPartition]OffsetAndMetadata, error) {
	var offsets map[TopicPartition]OffsetAndMetadata
	err := a.onGroup(ctx, "listing the offsets of the group "+group, group, OpReadOffsets, func(b *sarama.Broker) error {
		resp, err := b.FetchOffset(sarama.NewOffsetFetchRequest(sarama.MaxVersion, group, nil))
		if err != nil {
			return err
		}
		code, blocks := resp.Err, resp.Blocks
		if len(resp.Groups) > 0 {
			code, blocks = resp.Groups[0].Err, resp.Groups[0].Blocks
		}
		if code == sarama.ErrGroupIDNotFound {
			offsets = map[TopicPartition]OffsetAndMetadata{}
			return nil
		}
		if err := a.cfg.answerError(code, nil, OpReadOffsets, group); err != nil {
			return err
		}
		offsets = make(map[TopicPartition]OffsetAndMetadata)
		for topic, partitions := range blocks {
			for p, o := range partitions {
				if err := a.cfg.answerError(o.Err, nil, OpReadOffsets, topic); err != nil {
					return err
				}
				if o.Offset >= 0 {
					offsets[TopicPartition{topic, p}] = OffsetAndMetadata{o.Offset, o.LeaderEpoch, o.Metadata}
				}
			}
		}
		return nil
	})
	return offsets, err
}

// AlterGroupOffsets commits offsets for a group from outside. The group must have no members. The map
// holds the partitions that failed.
func (a *Admin) AlterGroupOffsets(ctx context.Context, group string, offsets map[TopicPartition]OffsetAndMetadata) (map[TopicPartition]error, error) {
	return a.changeOffsets(ctx, "altering offsets of the group "+group, group, OpCommitOffsets, func(b *sarama.Broker) (map[string]map[int32]sarama.KError, error) {
		req := &sarama.OffsetCommitRequest{Version: 8, ConsumerGroup: group, ConsumerGroupGeneration: -1, RetentionTime: -1}
		for tp, o := range offsets {
			req.AddBlockWithLeaderEpoch(tp.Topic, tp.Partition, o.Offset, o.LeaderEpoch, 0, o.Metadata)
		}
		resp, err := b.CommitOffset(req)
		if err != nil {
			return nil, err
		}
		return resp.Errors, nil
	})
}

// DeleteGroupOffsets forgets committed offsets of a group that does not use their topics now. The map
// holds the partitions that failed.
func (a *Admin) DeleteGroupOffsets(ctx context.Context, group string, partitions ...TopicPartition) (map[TopicPartition]error, error) {
	return a.changeOffsets(ctx, "deleting offsets of the group "+group, group, OpDeleteOffsets, func(b *sarama.Broker) (map[string]map[int32]sarama.KError, error) {
		req := &sarama.DeleteOffsetsRequest{Group: group}
		for _, tp := range partitions {
			req.AddPartition(tp.Topic, tp.Partition)
		}
		resp, err := b.DeleteOffsets(req)
		if err != nil {
			return nil, err
		}
		return resp.Errors, a.cfg.answerError(resp.ErrorCode, nil, OpDeleteOffsets, group)
	})
}

func (a *Admin) changeOffsets(ctx context.Context, what, group string, op Operation, change func(*sarama.Broker) (map[string]map[int32]sarama.KError, error)) (map[TopicPartition]error, error) {
	failed := make(map[TopicPartition]error)
	err := a.onGroup(ctx, what, group, op, func(b *sarama.Broker) error {
		codes, err := change(b)
		if err != nil {
			return err
		}
		clear(failed)
		for topic, partitions := range codes {
			for p, code := range partitions {
				resource := topic
				if code == sarama.ErrGroupAuthorizationFailed {
					resource = group
				}
				err := a.cfg.answerError(code, nil, op, resource)
				switch code {
				case sarama.ErrNoError:
				case sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
					return err // of the group, not of this partition
				default:
					failed[TopicPartition{topic, p}] = err
				}
			}
		}
		return nil
	})
	return failed, err
}

// DeleteGroups deletes groups without members. The map holds those that failed: ErrGroupNotEmpty,
// ErrGroupNotFound, an *AuthorizationError and so on.
func (a *Admin) DeleteGroups(ctx context.Context, ids ...string) (map[string]error, error) {
	_, failed, err := eachGroup(ctx, ids, func(ctx context.Context, id string) (struct{}, error) {
		return struct{}{}, a.onGroup(ctx, "deleting the group "+id, id, OpDelete, func(b *sarama.Broker) error {
			resp, err := b.DeleteGroups(&sarama.DeleteGroupsRequest{Version: 2, Groups: []string{id}})
			if err != nil {
				return err
			}
			return a.cfg.answerError(resp.GroupErrorCodes[id], nil, OpDelete, id)
		})
	})
	return failed, err
}

// FenceProducers takes transactional ids over: producers that use them are fenced, and what they left
// open is aborted. The map holds the ids that failed.
func (a *Admin) FenceProducers(ctx context.Context, transactionalIDs ...string) (map[string]error, error) {
	_, failed, err := eachGroup(ctx, transactionalIDs, func(ctx context.Context, id string) (struct{}, error) {
		return struct{}{}, a.client.retry(ctx, "fencing the transactional.id "+id, func() error {
			return a.client.onCoordinator(ctx, sarama.CoordinatorTransaction, id, OpFence, func(b *sarama.Broker) error {
				resp, err := b.InitProducerID(&sarama.InitProducerIDRequest{
					Version: 4, TransactionalID: &id, TransactionTimeout: fenceTimeout, ProducerID: -1, ProducerEpoch: -1,
				})
				if err != nil {
					return fmt.Errorf("fencing: %w", err)
				}
				return a.cfg.answerError(resp.Err, nil, OpFence, id)
			})
		})
	})
	return failed, err
}

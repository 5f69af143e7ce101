package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopic makes a topic with the cluster's default replication factor and waits until every partition has a
// leader. Configs may be nil.
func (c *Client) CreateTopic(topic string, partitions int32, configs map[string]string) {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	values := make(map[string]*string, len(configs))
	for key, value := range configs {
		values[key] = &value
	}
	created, err := c.admin.CreateTopics(ctx, partitions, -1, values, topic)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		c.tb.Fatalf("create topic %s: %v", topic, err)
	}
	c.AwaitTopic(topic, callTimeout)
}

// PlaceTopic makes a topic with one partition, whose replicas are on these brokers. Configs may be nil.
func (c *Client) PlaceTopic(topic string, brokers []int32, configs map[string]string) {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	placement := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	placement.Partition, placement.Replicas = 0, brokers
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, -1, -1
	wanted.ReplicaAssignment = append(wanted.ReplicaAssignment, placement)
	for key, value := range configs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, &value
		wanted.Configs = append(wanted.Configs, config)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = int32(callTimeout / time.Millisecond)
	request.Topics = append(request.Topics, wanted)
	answer, err := request.RequestWith(ctx, c.cl)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		c.tb.Fatalf("create topic %s on brokers %v: %v", topic, brokers, err)
	}
	c.AwaitTopic(topic, callTimeout)
}

// DeleteTopic deletes a topic and waits until the cluster no longer lists it.
func (c *Client) DeleteTopic(topic string) {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	if _, err := c.admin.DeleteTopic(ctx, topic); err != nil {
		c.tb.Fatalf("delete topic %s: %v", topic, err)
	}
	Await(c.tb, callTimeout, "topic "+topic+" to be gone", func() (bool, string) {
		topics := c.Topics()
		return !slices.Contains(topics, topic), strings.Join(topics, ", ")
	})
}

// AwaitTopic waits until the topic exists and every partition of it has a leader.
func (c *Client) AwaitTopic(topic string, timeout time.Duration) {
	c.tb.Helper()
	Await(c.tb, timeout, "topic "+topic+" with a leader for every partition", func() (bool, string) {
		ctx, cancel := c.callContext()
		defer cancel()
		_, err := c.leaders(ctx, topic)
		return err == nil, fmt.Sprint(err)
	})
}

// Topics lists every topic by name, internal ones included, in order.
func (c *Client) Topics() []string {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	details, err := c.admin.ListTopicsWithInternal(ctx)
	if err != nil {
		c.tb.Fatalf("list topics: %v", err)
	}
	return details.Names()
}

// Partitions counts the partitions of a topic.
func (c *Client) Partitions(topic string) int {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	leaders, err := c.leaders(ctx, topic)
	if err != nil {
		c.tb.Fatalf("describe topic %s: %v", topic, err)
	}
	return len(leaders)
}

// TopicConfigs gives every setting of a topic, defaults included; secret values are left out.
func (c *Client) TopicConfigs(topic string) map[string]string {
	c.tb.Helper()
	return c.configs(topic, func(kadm.Config) bool { return true })
}

// TopicOverrides gives the settings made on the topic itself.
func (c *Client) TopicOverrides(topic string) map[string]string {
	c.tb.Helper()
	return c.configs(topic, func(config kadm.Config) bool { return config.Source == kmsg.ConfigSourceDynamicTopicConfig })
}

func (c *Client) configs(topic string, wanted func(kadm.Config) bool) map[string]string {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	described, err := c.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		c.tb.Fatalf("describe configs of topic %s: %v", topic, err)
	}
	resource, err := described.On(topic, nil)
	if err == nil {
		err = resource.Err
	}
	if err != nil {
		c.tb.Fatalf("describe configs of topic %s: %v", topic, err)
	}
	values := map[string]string{}
	for _, config := range resource.Configs {
		if config.Value != nil && wanted(config) {
			values[config.Key] = *config.Value
		}
	}
	return values
}

// OffsetRange is where a partition begins and ends.
type OffsetRange struct {
	Start int64 // of the first record that may still be there
	// End is the offset the next record gets; Stable is where a read_committed consumer stops, at most End.
	End, Stable int64
}

// Offsets gives the range of every partition of a topic.
func (c *Client) Offsets(topic string) map[int32]OffsetRange {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	ranges, err := c.offsets(ctx, topic)
	if err != nil {
		c.tb.Fatalf("list offsets of topic %s: %v", topic, err)
	}
	return ranges
}

func (c *Client) offsets(ctx context.Context, topic string) (map[int32]OffsetRange, error) {
	ranges := map[int32]OffsetRange{}
	for _, ask := range []struct {
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
		set  func(*OffsetRange, int64)
	}{
		{c.admin.ListStartOffsets, func(r *OffsetRange, at int64) { r.Start = at }},
		{c.admin.ListCommittedOffsets, func(r *OffsetRange, at int64) { r.Stable = at }},
		{c.admin.ListEndOffsets, func(r *OffsetRange, at int64) { r.End = at }},
	} {
		listed, err := ask.list(ctx, topic)
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			return nil, err
		}
		for partition, offset := range listed[topic] {
			r := ranges[partition]
			ask.set(&r, offset.Offset)
			ranges[partition] = r
		}
	}
	return ranges, nil
}

// CommittedOffsets gives the offsets that a consumer group has committed, by topic and partition.
func (c *Client) CommittedOffsets(group string) map[string]map[int32]int64 {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	var fetched kadm.OffsetResponses
	Await(c.tb, callTimeout, "the offsets of group "+group, func() (bool, string) {
		var err error
		if fetched, err = c.admin.FetchOffsets(ctx, group); err == nil {
			err = fetched.Error()
		}
		switch {
		case errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.CoordinatorLoadInProgress): // of a cluster that has just begun
			return false, err.Error()
		case err != nil && !errors.Is(err, kerr.GroupIDNotFound):
			c.tb.Fatalf("fetch offsets of group %s: %v", group, err)
		}
		return true, ""
	})
	committed := map[string]map[int32]int64{}
	fetched.Each(func(response kadm.OffsetResponse) {
		if response.At < 0 {
			return
		}
		if committed[response.Topic] == nil {
			committed[response.Topic] = map[int32]int64{}
		}
		committed[response.Topic][response.Partition] = response.At
	})
	return committed
}

// CommitOffset commits one offset for a consumer group without members.
func (c *Client) CommitOffset(group, topic string, partition int32, offset int64) {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, offset, -1)
	if err := c.admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		c.tb.Fatalf("commit offset %d of %s-%d for group %s: %v", offset, topic, partition, group, err)
	}
}

// leaders gives the leader of every partition, and an error as long as one is missing.
func (c *Client) leaders(ctx context.Context, topic string) (map[int32]int32, error) {
	details, err := c.admin.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return nil, err
	}
	detail, found := details[topic]
	if !found {
		return nil, fmt.Errorf("topic %s: %w", topic, kerr.UnknownTopicOrPartition)
	}
	if detail.Err != nil {
		return nil, fmt.Errorf("topic %s: %w", topic, detail.Err)
	}
	leaders := map[int32]int32{}
	for number, partition := range detail.Partitions {
		if partition.Err != nil {
			return nil, fmt.Errorf("partition %s-%d: %w", topic, number, partition.Err)
		}
		if partition.Leader < 0 {
			return nil, fmt.Errorf("partition %s-%d: %w", topic, number, kerr.LeaderNotAvailable)
		}
		leaders[number] = partition.Leader
	}
	return leaders, nil
}

package kafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The assignors are franz-go's: pure functions on the bytes that members exchange, compatible with
// Java's. Each key is the class name in Java without its package.
var assignors = map[string]func() kgo.GroupBalancer{
	"RangeAssignor":             kgo.RangeBalancer,
	"RoundRobinAssignor":        kgo.RoundRobinBalancer,
	"StickyAssignor":            kgo.StickyBalancer,
	"CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

// assignorPackage is where Java keeps its assignors.
const assignorPackage = "org.apache.kafka.clients.consumer."

// balancersOf returns the assignors of a list of class names. Rebalancing is cooperative when all of
// them are, as in Java.
func balancersOf(names []string) (balancers []kgo.GroupBalancer, cooperative bool, err error) {
	cooperative = true
	for _, name := range names {
		assignor, known := assignors[strings.TrimPrefix(name, assignorPackage)]
		if !known {
			return nil, false, fmt.Errorf("partition.assignment.strategy names %q: it must be one of %s", name, strings.Join(slices.Sorted(maps.Keys(assignors)), ", "))
		}
		b := assignor()
		balancers = append(balancers, b)
		cooperative = cooperative && b.IsCooperative()
	}
	if len(balancers) == 0 {
		return nil, false, fmt.Errorf("partition.assignment.strategy names no assignor")
	}
	return balancers, cooperative, nil
}

// assign divides the partitions of all members' topics. It returns what to sync, and the partition counts
// that it went by.
func (c *Consumer) assign(ctx context.Context, balancer kgo.GroupBalancer, joined JoinResult) (map[string][]byte, map[string]int32, error) {
	members := make([]kmsg.JoinGroupResponseMember, 0, len(joined.Members))
	for id, metadata := range joined.Members {
		member := kmsg.JoinGroupResponseMember{MemberID: id, ProtocolMetadata: metadata}
		if instance, static := joined.InstanceIDs[id]; static {
			member.InstanceID = &instance
		}
		members = append(members, member)
	}
	slices.SortFunc(members, func(a, b kmsg.JoinGroupResponseMember) int {
		// Static members first: their ids outlive restarts, and so do their partitions.
		if static := cmp.Compare(isNil(a.InstanceID), isNil(b.InstanceID)); static != 0 {
			return static
		}
		return cmp.Or(strings.Compare(deref(a.InstanceID), deref(b.InstanceID)), strings.Compare(a.MemberID, b.MemberID))
	})
	group, topics, err := balancer.MemberBalancer(members)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the subscriptions of the consumer group %s: %w", c.group, err)
	}
	infos, err := c.admin.DescribeTopics(ctx, slices.Sorted(maps.Keys(topics))...)
	if err != nil {
		return nil, nil, err
	}
	counts, existing := make(map[string]int32, len(topics)), make(map[string]int32, len(topics))
	for topic := range topics {
		counts[topic] = infos[topic].Partitions
		if infos[topic].Partitions > 0 {
			existing[topic] = infos[topic].Partitions
		}
	}
	divided, err := balance(group, existing)
	if err != nil {
		return nil, nil, fmt.Errorf("assigning partitions in the consumer group %s: %w", c.group, err)
	}
	plan := make(map[string][]byte, len(members))
	for _, a := range divided.IntoSyncAssignment() {
		plan[a.MemberID] = a.MemberAssignment
	}
	return plan, counts, nil
}

// balance prefers the method that may fail: franz-go's own assignors have no other.
func balance(group kgo.GroupMemberBalancer, topics map[string]int32) (kgo.IntoSyncAssignment, error) {
	if g, ok := group.(kgo.GroupMemberBalancerOrError); ok {
		return g.BalanceOrError(topics)
	}
	return group.Balance(topics), nil
}

func isNil(s *string) int {
	if s == nil {
		return 1
	}
	return 0
}

func parseAssignment(balancer kgo.GroupBalancer, data []byte) (map[TopicPartition]struct{}, error) {
	assigned := map[TopicPartition]struct{}{}
	if len(data) == 0 {
		return assigned, nil
	}
	topics, err := balancer.ParseSyncAssignment(data)
	if err != nil {
		return nil, fmt.Errorf("reading the assignment: %w", err)
	}
	for topic, partitions := range topics {
		for _, p := range partitions {
			assigned[TopicPartition{topic, p}] = struct{}{}
		}
	}
	return assigned, nil
}

func byTopic(partitions []TopicPartition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, tp := range partitions {
		topics[tp.Topic] = append(topics[tp.Topic], tp.Partition)
	}
	return topics
}

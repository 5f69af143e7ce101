package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// join joins the group and syncs, as often as it takes, and leaves the outcome for Poll.
func (c *Consumer) join(ctx context.Context, reason string, owned []TopicPartition) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		assigned, err := c.joinOnce(ctx, reason, owned)
		var again *MemberIDRequiredError
		switch {
		case err == nil:
			c.settle(ctx, assigned)
			return
		case ctx.Err() != nil:
			return
		case errors.As(err, &again):
			c.membership.mu.Lock()
			c.membership.memberID = again.MemberID
			c.membership.mu.Unlock()
			continue
		case errors.Is(err, ErrUnknownMemberID), errors.Is(err, ErrIllegalGeneration):
			m := &c.membership
			m.mu.Lock()
			m.joining = false
			m.loseLocked("the membership had ended: "+err.Error(), errors.Is(err, ErrUnknownMemberID))
			m.mu.Unlock()
			wake(c.changed)
			return
		case errors.Is(err, ErrRebalanceInProgress):
			reason = "the group rebalanced again"
			continue
		case lacksCoordinator(err):
			err = c.conn.FindCoordinator(ctx)
			if err == nil && attempt == 0 {
				continue
			}
			if err != nil && !IsRetriable(err) {
				c.fail(err)
				return
			}
		case !IsRetriable(err):
			c.fail(fmt.Errorf("joining the consumer group %s: %w", c.group, err))
			return
		}
		if err != nil {
			c.logger.Debug("joining the consumer group failed, trying on", "error", err)
		}
		_ = sleep(ctx, c.cfg.Backoff(min(attempt, settlingTries)))
	}
}

// joinOnce is one round: join, assign if this member leads, sync.
func (c *Consumer) joinOnce(ctx context.Context, reason string, owned []TopicPartition) (map[TopicPartition]struct{}, error) {
	topics, err := c.subscribedTopics(ctx)
	if err != nil {
		return nil, err
	}
	memberID, generation := c.membership.identity()
	request := JoinRequest{
		MemberID: memberID, Reason: reason,
		SessionTimeout: c.cfg.Group.SessionTimeout, RebalanceTimeout: c.cfg.Group.RebalanceTimeout,
	}
	for _, b := range c.balancers {
		// The balancers may keep or change what they get.
		metadata := b.JoinGroupMetadata(slices.Clone(topics), byTopic(owned), generation)
		request.Protocols = append(request.Protocols, GroupProtocol{Name: b.ProtocolName(), Metadata: metadata})
	}
	joined, err := c.conn.Join(ctx, request)
	if err != nil {
		return nil, err
	}
	m := &c.membership
	m.mu.Lock()
	m.memberID, m.generation, m.subscribed, m.counts = joined.MemberID, joined.Generation, topics, nil
	m.mu.Unlock()
	balancer := c.balancers[0]
	for _, b := range c.balancers {
		if b.ProtocolName() == joined.Protocol {
			balancer = b
		}
	}
	var plan map[string][]byte
	if joined.IsLeader() {
		var counts map[string]int32
		if plan, counts, err = c.assign(ctx, balancer, joined); err != nil {
			return nil, err
		}
		m.mu.Lock()
		m.counts = counts
		m.mu.Unlock()
	}
	data, err := c.conn.Sync(ctx, joined.Generation, joined.MemberID, joined.Protocol, plan)
	if err != nil {
		return nil, err
	}
	return parseAssignment(balancer, data)
}

// settle leaves the assignment for Poll and begins the heartbeats of the generation.
func (c *Consumer) settle(ctx context.Context, assigned map[TopicPartition]struct{}) {
	beats, end := context.WithCancel(ctx)
	m := &c.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.endBeats == nil { // the first time
		c.wg.Go(func() { c.watchTopics(c.run) })
	}
	m.joining, m.assigned, m.endBeats = false, assigned, end
	generation, id := m.generation, m.memberID
	c.wg.Go(func() { c.beat(beats, generation, id) })
	wake(c.changed)
}

// beat sends heartbeats until ctx ends or the membership does.
func (c *Consumer) beat(ctx context.Context, generation int32, memberID string) {
	pause := c.cfg.Group.HeartbeatInterval
	for sleep(ctx, pause) == nil {
		pause = c.cfg.Group.HeartbeatInterval
		c.membership.mu.Lock()
		silent := time.Since(c.membership.lastPoll)
		c.membership.mu.Unlock()
		if silent > c.cfg.Group.RebalanceTimeout {
			c.logger.Warn("this member leaves the group, since it has not asked for records for longer than max.poll.interval.ms",
				"max.poll.interval.ms", c.cfg.Group.RebalanceTimeout.Milliseconds())
			c.giveUp(ctx, memberID)
			return
		}
		// Not under ctx: ending a request under way costs the connection.
		err := c.conn.Heartbeat(c.run, generation, memberID)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
		case errors.Is(err, ErrRebalanceInProgress):
			c.membership.mu.Lock()
			if ctx.Err() == nil && c.membership.rejoin == "" && !c.membership.joining {
				c.membership.rejoin = "the group rebalances"
			}
			c.membership.mu.Unlock()
			wake(c.changed)
		case errors.Is(err, ErrIllegalGeneration), errors.Is(err, ErrUnknownMemberID):
			c.lose(ctx, "the membership has ended: "+err.Error(), errors.Is(err, ErrUnknownMemberID))
			return
		case lacksCoordinator(err):
			_ = c.conn.FindCoordinator(ctx) // the next beat tells
			pause = min(pause, c.cfg.RetryBackoffMax)
		case !IsRetriable(err):
			c.fail(fmt.Errorf("heartbeat to the consumer group %s: %w", c.group, err))
			return
		}
	}
}

// giveUp ends a membership that has been too slow: from the request to leave on, others may have the partitions. The
// group is joined anew after the answer, for the coordinator works on one request of a connection at a time.
func (c *Consumer) giveUp(ctx context.Context, memberID string) {
	if !c.lose(ctx, "", true) {
		return
	}
	c.leave(c.run, memberID, "no poll within max.poll.interval.ms")
	c.askRejoin("the member was too slow")
}

// subscribedTopics are the topics to join with, sorted.
func (c *Consumer) subscribedTopics(ctx context.Context) ([]string, error) {
	if c.sub.Matches == nil {
		topics := slices.Clone(c.sub.Topics)
		slices.Sort(topics)
		return slices.Compact(topics), nil
	}
	all, err := c.admin.ListTopics(ctx, false)
	if err != nil {
		return nil, err
	}
	topics := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(t string) bool { return !c.sub.Matches(t) })
	return topics, nil
}

// missingTopicsInterval is how soon a subscribed topic that does not exist is looked for again.
const missingTopicsInterval = time.Second

// watchTopics asks for another round when topics or partitions came or went: for topics by pattern any
// member does, for partition counts the leader.
func (c *Consumer) watchTopics(ctx context.Context) {
	pause := missingTopicsInterval
	for c.awaitTopics(ctx, pause) == nil {
		reason, missing, err := c.newsOfTopics(ctx)
		switch {
		case err != nil:
			c.logger.Debug("looking for new topics and partitions failed, trying on", "error", err)
			pause = missingTopicsInterval
			continue
		case reason != "":
			c.askRejoin(reason)
		}
		pause = c.cfg.MetadataMaxAge
		if missing {
			pause = min(pause, missingTopicsInterval)
		}
	}
}

// awaitTopics waits until topics are to be looked for: after a pause, or when a broker does not know one that is read.
func (c *Consumer) awaitTopics(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.fetcher.missing:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// newsOfTopics says why another round is due, and whether topics are missing that may yet come.
func (c *Consumer) newsOfTopics(ctx context.Context) (reason string, missing bool, err error) {
	topics, err := c.subscribedTopics(ctx)
	if err != nil {
		return "", false, err
	}
	m := &c.membership
	m.mu.Lock()
	subscribed, counts := m.subscribed, m.counts
	m.mu.Unlock()
	if !slices.Equal(topics, subscribed) {
		return "topics came or went: " + strings.Join(topics, ","), false, nil
	}
	if counts == nil {
		return "", false, nil
	}
	now, err := c.admin.DescribeTopics(ctx, slices.Sorted(maps.Keys(counts))...)
	if err != nil {
		return "", false, err
	}
	for topic, before := range counts {
		info, exists := now[topic]
		missing = missing || !exists
		if info.Partitions != before {
			reason = fmt.Sprintf("%s has %d partitions instead of %d", topic, info.Partitions, before)
		}
	}
	return reason, missing, nil
}

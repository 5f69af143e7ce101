package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// advance brings Poll's side up to date with the membership: it tells the listener what came and went,
// looks positions up, and begins to join when that is due.
func (c *Consumer) advance(ctx context.Context) error {
	for {
		m := &c.membership
		m.mu.Lock()
		fatal, lost, assigned := m.fatal, m.lost, m.assigned
		m.lost, m.assigned = false, nil
		reason := m.rejoin
		begin := reason != "" && !m.joining && fatal == nil
		if begin {
			m.joining, m.rejoin = true, ""
		}
		m.mu.Unlock()
		if fatal != nil {
			return fatal
		}
		if lost {
			c.remove(c.owned, c.listener.Lost)
		}
		if assigned != nil {
			c.apply(assigned)
		}
		if begin {
			c.begin(reason)
		}
		if !c.unopened && (len(c.opening) == 0 || time.Now().Before(c.reopenAt)) {
			return nil
		}
		if err := c.open(ctx); err != nil || !c.unopened {
			return err
		}
	}
}

// begin starts to join. With eager rebalancing everything is given back first.
func (c *Consumer) begin(reason string) {
	c.logger.Debug("joining the consumer group", "reason", reason)
	if !c.cooperative {
		c.remove(c.owned, c.listener.Revoked)
	}
	owned := sortedPartitions(c.owned)
	// The beats went on until here, so that nobody is thrown out over a slow flush.
	m := &c.membership
	m.mu.Lock()
	if m.endBeats != nil {
		m.endBeats()
	}
	m.mu.Unlock()
	c.wg.Go(func() { c.join(c.run, reason, owned) })
}

// apply makes the assignment of a finished join this member's.
func (c *Consumer) apply(assigned map[TopicPartition]struct{}) {
	gone := map[TopicPartition]struct{}{}
	for tp := range c.owned {
		if _, stays := assigned[tp]; !stays {
			gone[tp] = struct{}{}
		}
	}
	if len(gone) > 0 {
		c.remove(gone, c.listener.Revoked)
		c.askRejoin("partitions were given back")
	}
	for tp := range assigned {
		if _, had := c.owned[tp]; !had {
			c.owned[tp], c.opening[tp] = struct{}{}, struct{}{}
		}
	}
	c.unopened, c.reopens = true, 0
	c.logger.Debug("partitions assigned", "assigned", len(assigned), "added", len(c.opening), "given_back", len(gone))
}

// remove takes partitions away and tells the listener of those that it knows, before that.
func (c *Consumer) remove(partitions map[TopicPartition]struct{}, tell func([]TopicPartition)) {
	if len(partitions) == 0 {
		return
	}
	gone := sortedPartitions(partitions)
	known := slices.DeleteFunc(slices.Clone(gone), func(tp TopicPartition) bool {
		_, opening := c.opening[tp]
		return opening
	})
	c.fetcher.Pause(gone...)
	if len(known) > 0 {
		tell(known)
	}
	c.fetcher.Remove(gone...)
	for _, tp := range gone {
		delete(c.owned, tp)
		delete(c.opening, tp)
		delete(c.paused, tp)
		delete(c.positions, tp)
	}
	c.pending = slices.DeleteFunc(c.pending, func(f Fetched) bool {
		_, owned := c.owned[f.TopicPartition]
		return !owned
	})
}

// open looks up where to read the added partitions, and tells the listener. It gives up without an error
// when the membership changes meanwhile, and with ctx's when ctx ends: the next call goes on. Partitions of which that
// cannot be told now hold back no others: they are asked for again at reopenAt, and stay in opening.
func (c *Consumer) open(ctx context.Context) error {
	c.reopenAt = time.Now().Add(c.cfg.Backoff(c.reopens))
	c.reopens++
	positions, untold, err := c.startingPositions(ctx, sortedPartitions(c.opening))
	switch retriable := IsRetriable(err); {
	case err == nil:
	case ctx.Err() != nil && (retriable || errors.Is(err, ctx.Err())):
		return ctx.Err()
	case retriable:
		c.logger.Warn("where to begin cannot be looked up yet, trying on", "error", err)
		if !c.unopened {
			return nil
		}
		return c.pauseOpening(ctx)
	default:
		return err
	}
	c.fetcher.Add(positions)
	maps.Copy(c.positions, positions)
	for tp := range positions {
		delete(c.opening, tp)
	}
	c.reportUntold(untold)
	owed := c.unopened
	c.unopened = false
	if owed || len(positions) > 0 {
		c.listener.Assigned(positions)
	}
	return nil
}

// reportUntold says of partitions that they cannot be begun with, once for each cause.
func (c *Consumer) reportUntold(untold map[TopicPartition]error) {
	text := ""
	if len(untold) > 0 {
		first := sortedPartitions(untold)[0]
		text = fmt.Sprintf("%s-%d: %v", first.Topic, first.Partition, untold[first])
	}
	if text != "" && text != c.untold {
		c.logger.Warn("where to begin cannot be looked up yet for some partitions, trying on", "partitions", len(untold), "error", text)
	}
	c.untold = text
}

// pauseOpening waits a moment before positions are looked up again, or until there is news.
func (c *Consumer) pauseOpening(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.RetryBackoffMax, errors.New("pause"))
	defer cancel()
	select {
	case <-c.changed:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
	}
	return nil
}

// NoOffsetError means that the group has no offset for a partition, and auto.offset.reset is none.
type NoOffsetError struct {
	TopicPartition
	Group string
}

func (e *NoOffsetError) Error() string {
	return fmt.Sprintf("the consumer group %s has committed no offset for %s-%d, and auto.offset.reset = none", e.Group, e.Topic, e.Partition)
}

// startingPositions looks up where to begin. Partitions of which that cannot be told now are in the second map.
func (c *Consumer) startingPositions(ctx context.Context, partitions []TopicPartition) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	if len(partitions) == 0 {
		return map[TopicPartition]int64{}, nil, nil
	}
	positions, err := c.conn.CommittedOffsets(ctx, partitions, c.cfg.Consumer.ReadCommitted)
	if err != nil {
		return nil, nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(partitions), func(tp TopicPartition) bool {
		_, has := positions[tp]
		return has
	})
	if len(missing) == 0 {
		return positions, nil, nil
	}
	spec, ok := c.cfg.Consumer.OffsetReset.spec(time.Now())
	if !ok {
		return nil, nil, &NoOffsetError{missing[0], c.group}
	}
	isolation := ReadUncommitted
	if c.cfg.Consumer.ReadCommitted {
		isolation = ReadCommitted
	}
	found, failed, err := c.admin.CurrentOffsets(ctx, missing, spec, isolation)
	if err != nil {
		return nil, nil, err
	}
	for _, err := range failed {
		if !IsRetriable(err) {
			return nil, nil, err
		}
	}
	maps.Copy(positions, found)
	return positions, failed, nil
}

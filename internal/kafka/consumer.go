package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Subscription says what a Consumer reads: Topics by name, or every topic that Matches accepts. Topics
// that the brokers keep for themselves are not offered to Matches.
type Subscription struct {
	Topics  []string
	Matches func(topic string) bool
}

// RebalanceListener hears of partitions that come and go. Its methods run inside Poll, on the goroutine
// that called it.
type RebalanceListener interface {
	// Assigned tells which partitions were added, with the offset that is read next of each; there may be
	// none. Seek may be called.
	Assigned(positions map[TopicPartition]int64)
	// Revoked tells which partitions are about to be taken away: their offsets can still be committed.
	Revoked(partitions []TopicPartition)
	// Lost tells which partitions are another member's already: nothing can be committed for them.
	Lost(partitions []TopicPartition)
}

// Consumer reads topics as a member of a consumer group, in the classic protocol (KIP-62), with eager or
// cooperative rebalancing (KIP-429) as partition.assignment.strategy says, and with static membership
// (KIP-345) where group.instance.id is set. It begins where the group committed last, else as
// auto.offset.reset says, and commits nothing by itself.
//
// Poll drives it: rebalances take effect there, and a member that does not poll for
// max.poll.interval.ms leaves the group. Poll, Seek, Pause and Resume are for one goroutine; Commit may
// be called from others.
//
// Goroutines: the Fetcher's, one that joins while the group rebalances, one that sends heartbeats in
// between, one that looks for new topics and partitions. Close awaits all.
type Consumer struct {
	client      *Client
	cfg         *Config
	logger      *slog.Logger
	group       string
	conn        *GroupConn
	admin       *Admin
	fetcher     *Fetcher
	balancers   []kgo.GroupBalancer
	cooperative bool
	sub         Subscription
	listener    RebalanceListener

	run     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	changed chan struct{} // holds a token when the membership has news for Poll

	// Poll's own:
	owned     map[TopicPartition]struct{}
	opening   map[TopicPartition]struct{} // owned, but the listener does not know yet
	unopened  bool                        // the listener is owed a call
	reopenAt  time.Time                   // when to ask again about what is opening
	reopens   int                         // how often that was asked
	untold    string                      // why something is still opening, as it was said last
	paused    map[TopicPartition]struct{}
	positions map[TopicPartition]int64 // after what Poll returned
	pending   []Fetched                // what Poll has not returned yet, in order

	membership membership
}

// NewConsumer returns a consumer that joins the group with the first Poll. cfg must be of RoleConsumer and
// have a group.id. It does not touch the network.
func NewConsumer(cfg *Config, sub Subscription, listener RebalanceListener, logger *slog.Logger) (*Consumer, error) {
	if cfg.Role != RoleConsumer || cfg.Group.ID == "" {
		return nil, fmt.Errorf("a member of a consumer group needs a consumer's configuration with a group.id")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	balancers, cooperative, err := balancersOf(cfg.Consumer.Assignors)
	if err != nil {
		return nil, err
	}
	client, err := NewClient(cfg, logger)
	if err != nil {
		return nil, err
	}
	conn, err := NewGroupConn(cfg, cfg.Group.ID, logger)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	return &Consumer{
		client: client, cfg: cfg, logger: logger.With("group", cfg.Group.ID), group: cfg.Group.ID,
		conn: conn, admin: NewAdmin(client, cfg, logger), fetcher: NewFetcher(client, cfg, logger),
		balancers: balancers, cooperative: cooperative, sub: sub, listener: listener,
		run: run, cancel: cancel, changed: make(chan struct{}, 1),
		owned: map[TopicPartition]struct{}{}, opening: map[TopicPartition]struct{}{}, paused: map[TopicPartition]struct{}{},
		positions:  map[TopicPartition]int64{},
		membership: membership{generation: noGeneration, rejoin: "the consumer starts"},
	}, nil
}

// Poll returns the next records, in order within a partition and at most max.poll.records. It waits for
// the first, and returns ctx's error when ctx ends before. Another error is final: missing rights,
// positions without auto.offset.reset, a member that was fenced.
func (c *Consumer) Poll(ctx context.Context) ([]Record, error) {
	c.membership.polls()
	for {
		if err := c.advance(ctx); err != nil {
			return nil, err
		}
		if records, err := c.next(); err != nil || len(records) > 0 {
			return records, err
		}
		if err := c.await(ctx); err != nil {
			return nil, err
		}
	}
}

// await returns when there may be something for Poll to do.
func (c *Consumer) await(ctx context.Context) error {
	var again <-chan time.Time
	if len(c.opening) > 0 {
		timer := time.NewTimer(time.Until(c.reopenAt))
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-c.fetcher.news:
	case <-c.changed:
	case <-again:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.run.Done():
		return ErrClosed
	}
	return nil
}

// next takes records from what was fetched, leaving paused partitions aside. An error waits until the records that
// came with it are returned: their positions have moved.
func (c *Consumer) next() ([]Record, error) {
	if !slices.ContainsFunc(c.pending, c.isReadable) {
		c.pending = append(c.pending, c.fetcher.take()...)
	}
	var out []Record
	kept := c.pending[:0]
	for i, f := range c.pending {
		room := c.cfg.Consumer.MaxPollRecords - len(out)
		if _, owned := c.owned[f.TopicPartition]; !owned {
			continue
		}
		if !c.isReadable(f) || room == 0 || f.Err != nil && len(out) > 0 {
			kept = append(kept, f)
			continue
		}
		if f.Err != nil {
			c.pending = slices.Delete(c.pending, len(kept), i+1)
			return nil, f.Err
		}
		n := min(room, len(f.Records))
		if len(out) == 0 && n == len(f.Records) {
			out = f.Records // the usual case needs no copy
		} else {
			out = append(slices.Clip(out), f.Records[:n]...)
		}
		if n == len(f.Records) {
			c.positions[f.TopicPartition] = f.NextOffset
			continue
		}
		c.positions[f.TopicPartition] = f.Records[n].Offset
		f.Records = f.Records[n:]
		kept = append(kept, f)
	}
	clear(c.pending[len(kept):])
	c.pending = kept
	return out, nil
}

func (c *Consumer) isReadable(f Fetched) bool {
	_, paused := c.paused[f.TopicPartition]
	return !paused
}

// Assignment lists the partitions that this member has, sorted.
func (c *Consumer) Assignment() []TopicPartition { return sortedPartitions(c.owned) }

// Position is the offset that Poll returns next of a partition, false for one that is not assigned.
func (c *Consumer) Position(tp TopicPartition) (int64, bool) {
	offset, ok := c.positions[tp]
	return offset, ok
}

// Seek sets the next offset of assigned partitions; others are ignored.
func (c *Consumer) Seek(offsets map[TopicPartition]int64) {
	known := make(map[TopicPartition]int64, len(offsets))
	for tp, offset := range offsets {
		if _, ok := c.positions[tp]; ok {
			known[tp] = offset
		}
	}
	c.drop(known)
	c.fetcher.Add(known)
	maps.Copy(c.positions, known)
}

// drop forgets what was fetched of partitions.
func (c *Consumer) drop(partitions map[TopicPartition]int64) {
	c.pending = slices.DeleteFunc(c.pending, func(f Fetched) bool {
		_, gone := partitions[f.TopicPartition]
		return gone
	})
}

// Pause keeps Poll from returning records of assigned partitions; others are ignored.
func (c *Consumer) Pause(partitions ...TopicPartition) {
	for _, tp := range partitions {
		if _, owned := c.owned[tp]; owned {
			c.paused[tp] = struct{}{}
		}
	}
	c.fetcher.Pause(partitions...)
}

// Resume undoes Pause.
func (c *Consumer) Resume(partitions ...TopicPartition) {
	for _, tp := range partitions {
		delete(c.paused, tp)
	}
	c.fetcher.Resume(partitions...)
}

// Commit commits offsets for the group. It tries again while that may help, for default.api.timeout.ms, or until ctx
// ends. What the broker took stays committed when it refuses the rest, such as the partitions of a deleted topic.
func (c *Consumer) Commit(ctx context.Context, offsets map[TopicPartition]int64) error {
	what := "committing offsets of the group " + c.group
	limited, cancel := context.WithTimeout(ctx, c.cfg.APITimeout)
	defer cancel()
	id, generation := c.membership.identity()
	err := c.conn.CommitOffsets(limited, generation, id, offsets)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && limited.Err() != nil:
		return &TimeoutError{What: what, After: c.cfg.APITimeout, Key: "default.api.timeout.ms", Err: dropContext(err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Close leaves the group, unless this is a static member, and ends all goroutines. The listener hears
// nothing of it. Waiting for the coordinator's answer ends with ctx.
func (c *Consumer) Close(ctx context.Context) {
	c.cancel()
	c.wg.Wait()
	if id, _ := c.membership.identity(); id != "" && c.cfg.Group.InstanceID == "" {
		c.leave(ctx, id, "the consumer is being closed")
	}
	c.conn.Close()
	c.fetcher.Close()
	_ = c.client.Close()
}

func (c *Consumer) leave(ctx context.Context, memberID, reason string) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	err := c.conn.Leave(ctx, memberID, reason)
	if lacksCoordinator(err) && ctx.Err() == nil && c.conn.FindCoordinator(ctx) == nil {
		err = c.conn.Leave(ctx, memberID, reason)
	}
	if err != nil {
		c.logger.Debug("leaving the consumer group failed; the broker notices by the session time-out", "error", err)
	}
}

func sortedPartitions[V any](set map[TopicPartition]V) []TopicPartition {
	return slices.SortedFunc(maps.Keys(set), comparePartitions)
}

func comparePartitions(a, b TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// membership is where a consumer stands in its group: what its goroutines tell each other.
type membership struct {
	mu         sync.Mutex
	memberID   string
	generation int32
	// rejoin is why the group has to be joined again, "" if it has not.
	rejoin string
	// lost says that the partitions are not this member's any more.
	lost bool
	// assigned is the outcome of a join that Poll has not seen yet.
	assigned map[TopicPartition]struct{}
	joining  bool
	fatal    error
	// subscribed are the topics of the last join, counts the partitions of the topics that this member
	// assigned as the leader (nil if it does not lead).
	subscribed []string
	counts     map[string]int32
	endBeats   context.CancelFunc // ends the heartbeats of the generation
	lastPoll   time.Time
}

// noGeneration is the generation of those that are no members.
const noGeneration = -1

func (m *membership) identity() (string, int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memberID, m.generation
}

func (m *membership) polls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastPoll = time.Now()
}

// askRejoin makes Poll join again.
func (c *Consumer) askRejoin(reason string) {
	c.membership.mu.Lock()
	defer c.membership.mu.Unlock()
	if c.membership.rejoin == "" {
		c.membership.rejoin = reason
	}
	wake(c.changed)
}

// lose notes that the membership whose heartbeats ctx is for ended, and has to be begun anew for that reason; without one,
// later. It does not when another membership is on its way already.
func (c *Consumer) lose(ctx context.Context, reason string, forgetID bool) (ended bool) {
	m := &c.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	m.loseLocked(reason, forgetID)
	wake(c.changed)
	return true
}

func (m *membership) loseLocked(reason string, forgetID bool) {
	m.lost, m.generation, m.assigned = true, noGeneration, nil
	if !m.joining {
		m.rejoin = reason
	}
	if forgetID {
		m.memberID = ""
	}
}

func (c *Consumer) fail(err error) {
	c.membership.mu.Lock()
	defer c.membership.mu.Unlock()
	c.membership.fatal = err
	wake(c.changed)
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
)

// Log is a whole topic, read from its beginning and then followed, such as Connect's config, offset and
// status topics. One goroutine reads and calls apply; Close ends it.
type Log struct {
	client  *Client
	topic   string
	apply   func(Record)
	fetcher *Fetcher
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu        sync.Mutex
	positions map[TopicPartition]int64 // after what was applied
	moved     chan struct{}            // closed and replaced when positions move
	err       error                    // why reading ended
	beyond    error                    // an *OffsetOutOfRangeError: a partition rests for it
}

// OpenLog reads all partitions of a topic to their ends as of now, also past transactions that are
// still open unless isolation.level hides those, and then goes on reading in the background. apply is
// called from one goroutine at a time, in offset order within a partition; it must not call ReadToEnd
// or Close. The topic must exist; it may be created a moment ago.
func OpenLog(ctx context.Context, c *Client, cfg *Config, topic string, apply func(Record), logger *slog.Logger) (*Log, error) {
	op := OpRead // which brings what is needed to look
	if c.cfg.principal() != cfg.principal() {
		op = OpDescribe // another one reads
	}
	var leaders map[TopicPartition]partitionLeader
	err := c.retry(ctx, "opening the topic "+topic, func() error {
		found, failed, err := c.leaders(ctx, []string{topic}, op, false)
		if err == nil {
			err = failed[topic]
		}
		leaders = found
		return err
	})
	if err != nil {
		return nil, err
	}
	starts := make(map[TopicPartition]int64, len(leaders))
	for tp := range leaders {
		starts[tp] = Earliest
	}
	starts, failed, err := c.listOffsets(ctx, starts, ReadUncommitted, true)
	for _, e := range failed {
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the topic %s: %w", topic, err)
	}
	run, cancel := context.WithCancel(context.Background())
	patient := *cfg
	patient.Consumer.IdleWait = cfg.idleWait() // whatever fetch.max.wait.ms the worker has for its sinks
	l := &Log{
		client: c, topic: topic, apply: apply, fetcher: NewFetcher(c, &patient, logger), cancel: cancel,
		positions: starts,
		moved:     make(chan struct{}),
	}
	l.fetcher.Assign(maps.Clone(starts))
	l.wg.Go(func() { l.follow(run) })
	if err := l.ReadToEnd(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) follow(ctx context.Context) {
	for {
		batch, err := l.fetcher.Poll(ctx)
		for _, f := range batch {
			for _, r := range f.Records {
				l.apply(r)
			}
			err = errors.Join(err, f.Err)
		}
		l.advance(batch, err)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
	}
}

// advance notes how far the log is applied and wakes those who wait for it.
func (l *Log) advance(batch []Fetched, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range batch {
		if f.Err != nil {
			continue
		}
		// Not what was handed out: a Restart meanwhile has begun anew.
		if at, ok := l.fetcher.Position(f.TopicPartition); ok {
			l.positions[f.TopicPartition] = at
		}
	}
	if errors.Is(err, ErrOffsetOutOfRange) {
		l.beyond = err
	}
	if l.err = err; err == nil {
		l.err = l.beyond
	}
	close(l.moved)
	l.moved = make(chan struct{})
}

// Partitions is how many partitions the topic had when it was opened.
func (l *Log) Partitions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.positions)
}

// ReadToEnd waits until everything has been applied that the topic held at the time of the call. It
// fails with ctx, when the log is closed, or when the topic may not be read.
func (l *Log) ReadToEnd(ctx context.Context) error {
	l.mu.Lock()
	want := make(map[TopicPartition]int64, len(l.positions))
	for tp := range l.positions {
		want[tp] = Latest
	}
	l.mu.Unlock()
	ends, failed, err := l.client.listOffsets(ctx, want, ReadUncommitted, true)
	for _, e := range failed {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("reading the topic %s to its end: %w", l.topic, err)
	}
	for {
		l.mu.Lock()
		behind, problem, moved := l.behind(ends), l.err, l.moved
		l.mu.Unlock()
		switch {
		case !behind:
			return nil
		case problem != nil:
			return fmt.Errorf("reading the topic %s to its end: %w", l.topic, problem)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("reading the topic %s to its end: %w", l.topic, ctx.Err())
		}
	}
}

// behind says whether any partition is not applied up to its end. The lock is held.
func (l *Log) behind(ends map[TopicPartition]int64) bool {
	for tp, end := range ends {
		if l.positions[tp] < end {
			return true
		}
	}
	return false
}

// Err is why reading has stopped at a partition, such as an *OffsetOutOfRangeError with
// auto.offset.reset=none, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Restart reads the topic from its beginning again; apply gets what it had before once more.
// After an error it goes on as before.
func (l *Log) Restart(ctx context.Context) error {
	l.mu.Lock()
	starts := make(map[TopicPartition]int64, len(l.positions))
	for tp := range l.positions {
		starts[tp] = Earliest
	}
	l.mu.Unlock()
	// A partition without records never hands out how far it is.
	found, _, err := l.client.listOffsets(ctx, starts, ReadUncommitted, true)
	if err != nil {
		return fmt.Errorf("reading the topic %s again: %w", l.topic, err)
	}
	maps.Copy(starts, found)
	l.mu.Lock()
	defer l.mu.Unlock()
	for tp, start := range starts {
		l.positions[tp] = max(start, 0)
	}
	l.err, l.beyond = nil, nil
	l.fetcher.Assign(starts)
	return nil
}

// Close ends reading and waits for a running apply. ReadToEnd fails from then on.
func (l *Log) Close() {
	l.cancel()
	l.fetcher.Close()
	l.wg.Wait()
}

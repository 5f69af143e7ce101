package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"tributary/internal/beat"
)

// brokerFetcher reads from one broker, in one goroutine, with a puller of its own.
type brokerFetcher struct {
	f      *Fetcher
	node   int32
	wake   chan struct{}
	puller Puller // owned by the goroutine
	// muted is until when the broker's quotas silence the connection. sarama would wait for that inside the next
	// call, where no context ends the wait.
	muted time.Time
	// round counts the requests; parts are marked with the one that asks for them.
	round uint64
	// begun is when the last request was made. cut ends it if it waits for longer than fetch.max.wait.ms, else it
	// is nil. Both are guarded by the fetcher's lock.
	begun time.Time
	cut   context.CancelFunc
}

// broker makes sure that a broker's goroutine runs, and has it look at what it can read now. The lock is held.
func (f *Fetcher) broker(node int32) {
	b := f.brokers[node]
	if b == nil {
		b = &brokerFetcher{f: f, node: node, wake: make(chan struct{}, 1), puller: f.pullers(node)}
		f.brokers[node] = b
		f.wg.Go(b.loop)
	}
	wake(b.wake)
	b.hurry()
}

// hurry has the broker asked anew because there is more to be read from it: a request that is on its way with patience
// has no more of it than fetch.max.wait.ms. The lock is held.
func (b *brokerFetcher) hurry() {
	if b.cut != nil {
		time.AfterFunc(time.Until(b.begun.Add(b.f.cfg.Consumer.FetchMaxWait)), b.cut)
		b.cut = nil
	}
}

func (b *brokerFetcher) loop() {
	defer b.puller.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for b.f.run.Err() == nil {
		next, rest := b.choose()
		if len(next.asks) > 0 {
			b.fetch(next)
			continue
		}
		timer.Reset(rest)
		select {
		case <-b.wake:
		case <-timer.C:
		case <-b.f.run.Done():
		}
	}
}

// request is what a broker is asked for.
type request struct {
	asks []Ask
	ctx  context.Context // of the request
	wait time.Duration   // how long the broker may hold it back
}

// choose makes the next request, or says how long to rest: it asks for nothing while something of this broker waits for
// Poll, since a fetch without those partitions would keep them out until it times out.
func (b *brokerFetcher) choose() (next request, rest time.Duration) {
	f, c := b.f, &b.f.cfg.Consumer
	f.mu.Lock()
	defer f.mu.Unlock()
	next, rest = request{ctx: f.run, wait: c.FetchMaxWait}, time.Hour
	for _, p := range f.readyOf {
		if p.node() == b.node {
			return next, rest
		}
	}
	now := time.Now()
	b.round++
	all := true // that is to be read from this broker, or may be soon, is asked for
	for _, p := range f.parts {
		switch due := p.retryAt.Sub(now); {
		case p.stopped:
		case p.leader < 0 || p.next < 0:
			all = false
		case p.node() != b.node:
		case p.paused || p.held != nil:
			all = false
		case p.problem != nil && due > 0:
			rest, all = min(rest, due), false
		case p.follower >= 0 && now.After(p.followUntil):
			p.follower, all = -1, false // the leader may know a nearer one by now
			f.broker(p.leader)
		default:
			p.round = b.round
			next.asks = append(next.asks, Ask{p.TopicPartition, p.next})
		}
	}
	if muted := b.muted.Sub(now); len(next.asks) > 0 && muted > 0 {
		next.asks, rest = nil, muted
	}
	if len(next.asks) == 0 {
		return next, rest
	}
	// Where the last request was answered soon there is no need of patience, which has its cost.
	if all && c.IdleWait > c.FetchMaxWait && now.Sub(b.begun) >= c.FetchMaxWait/5 {
		next.wait = max(c.FetchMaxWait, beat.Next(now, c.IdleWait).Sub(now))
		next.ctx, b.cut = context.WithCancel(f.run)
	}
	b.begun = now
	return next, rest
}

// asked is the partition that the current request asked for, nil if it was assigned anew meanwhile. The
// lock is held.
func (b *brokerFetcher) asked(tp TopicPartition) *part {
	if p := b.f.parts[tp]; p != nil && p.node() == b.node && p.round == b.round {
		return p
	}
	return nil
}

// fetch sends one request and hands out what it brought.
func (b *brokerFetcher) fetch(next request) {
	f := b.f
	answers, throttle, err := b.puller.Pull(next.ctx, next.asks, next.wait)
	if err == nil && throttle > 0 {
		b.muted = time.Now().Add(throttle)
	}
	over := next.ctx.Err() != nil
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.cut != nil {
		b.cut()
		b.cut = nil
	}
	if err != nil {
		if over { // the fetcher is being closed, or there is more to ask for
			return
		}
		if broken(err) {
			f.client.forget(b.node)
		}
		for _, a := range next.asks {
			if p := b.asked(a.TopicPartition); p != nil {
				p.leader, p.follower = -1, -1 // may have moved with the broker gone
				f.setProblem(p, err)
			}
		}
		wake(f.resolver)
		return
	}
	for i := range answers {
		if p := b.asked(answers[i].TopicPartition); p != nil {
			f.settle(p, &answers[i])
		} else {
			answers[i].Release()
		}
	}
}

// settle takes over what a fetch brought for one partition. The lock is held.
func (f *Fetcher) settle(p *part, a *Answer) {
	switch {
	case a.Refusal == nil && a.Replica >= 0 && a.Replica != p.node():
		if p.refusal != nil { // the leader does not know yet
			f.setProblem(p, p.refusal)
		}
		p.follower, p.followUntil = a.Replica, time.Now().Add(f.cfg.MetadataMaxAge)
		f.broker(a.Replica)
	case a.Refusal == nil:
		p.refusal, p.resets = nil, 0
		f.setProblem(p, a.Err)
		if a.Err != nil {
			return
		}
		p.ends = partEnds{a.HighWatermark, a.LastStableOffset, a.LogStartOffset}
		if a.NextOffset == p.next {
			return
		}
		p.next = a.NextOffset
		if p.paused {
			p.held = &a.Fetched
		} else {
			f.deliver(p, &a.Fetched)
		}
	case p.follower >= 0:
		p.refusal = a.Refusal
		if errors.Is(a.Refusal, ErrOffsetOutOfRange) {
			p.refusal = &ServerError{Code: int16(sarama.ErrReplicaNotAvailable), Message: fmt.Sprintf(
				"broker %d, to which the leader sends the readers of client.rack, does not have the position %d", p.follower, p.next)}
		}
		p.follower = -1 // only what the leader says counts
		f.broker(p.leader)
	case errors.Is(a.Refusal, ErrOffsetOutOfRange):
		f.outOfRange(p)
	default:
		p.leader = -1
		f.setProblem(p, a.Refusal)
		wake(f.resolver)
	}
}

// askOffsetsOf makes a call of askOffsets that stores its result.
func (f *Fetcher) askOffsetsOf(want map[TopicPartition]int64, isolation Isolation, got *map[TopicPartition]outcome[int64]) func(*sarama.Broker) error {
	return func(b *sarama.Broker) (err error) {
		*got, err = f.client.askOffsets(b, want, isolation, OpRead)
		return err
	}
}

package kafka

import (
	"errors"
	"time"

	"github.com/IBM/sarama"
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
}

// broker makes sure that a broker's goroutine runs, and wakes it. The lock is held.
func (f *Fetcher) broker(node int32) {
	b := f.brokers[node]
	if b == nil {
		b = &brokerFetcher{f: f, node: node, wake: make(chan struct{}, 1), puller: f.pullers(node)}
		f.brokers[node] = b
		f.wg.Go(b.loop)
	}
	wake(b.wake)
}

func (b *brokerFetcher) loop() {
	defer b.puller.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for b.f.run.Err() == nil {
		asks, wait := b.choose()
		if rest := time.Until(b.muted); len(asks) > 0 && rest > 0 {
			asks, wait = nil, rest
		}
		if len(asks) > 0 {
			b.fetch(asks)
			continue
		}
		timer.Reset(wait)
		select {
		case <-b.wake:
		case <-timer.C:
		case <-b.f.run.Done():
		}
	}
}

// choose lists what to fetch now: nothing while something of this broker waits for Poll, since a fetch
// without those partitions would keep them out until it times out.
func (b *brokerFetcher) choose() (asks []Ask, wait time.Duration) {
	f := b.f
	f.mu.Lock()
	defer f.mu.Unlock()
	wait = time.Hour
	for _, p := range f.readyOf {
		if p.node() == b.node {
			return nil, wait
		}
	}
	now := time.Now()
	b.round++
	for _, p := range f.parts {
		if p.node() != b.node || p.paused || p.stopped || p.held != nil || p.next < 0 {
			continue
		}
		if due := p.retryAt.Sub(now); p.problem != nil && due > 0 {
			wait = min(wait, due)
			continue
		}
		if p.follower >= 0 && now.After(p.followUntil) {
			p.follower = -1 // the leader may know a nearer one by now
			f.broker(p.leader)
			continue
		}
		p.round = b.round
		asks = append(asks, Ask{p.TopicPartition, p.next})
	}
	return asks, wait
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
func (b *brokerFetcher) fetch(asks []Ask) {
	f := b.f
	answers, throttle, err := b.puller.Pull(f.run, asks)
	if err == nil && throttle > 0 {
		b.muted = time.Now().Add(throttle)
	}
	if err != nil {
		if f.run.Err() != nil {
			return
		}
		if broken(err) {
			f.client.forget(b.node)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, a := range asks {
			if p := b.asked(a.TopicPartition); p != nil {
				p.leader, p.follower = -1, -1 // may have moved with the broker gone
				f.setProblem(p, err)
			}
		}
		wake(f.resolver)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
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
		p.follower, p.followUntil = a.Replica, time.Now().Add(f.cfg.MetadataMaxAge)
		f.broker(a.Replica)
	case a.Refusal == nil:
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

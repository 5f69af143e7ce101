package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// brokerFetcher reads from one broker, in one goroutine, on a connection of its own: sarama's Broker is
// locked while a fetch waits for data.
type brokerFetcher struct {
	f    *Fetcher
	node int32
	wake chan struct{}
	conn *connection // owned by the goroutine
	// muted is until when the broker's quotas silence the connection. sarama would wait for that inside the next
	// call, where no context ends the wait.
	muted time.Time
}

// broker makes sure that a broker's goroutine runs, and wakes it. The lock is held.
func (f *Fetcher) broker(node int32) {
	b := f.brokers[node]
	if b == nil {
		b = &brokerFetcher{f: f, node: node, wake: make(chan struct{}, 1)}
		f.brokers[node] = b
		f.wg.Go(b.loop)
	}
	wake(b.wake)
}

func (b *brokerFetcher) loop() {
	defer b.drop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for b.f.run.Err() == nil {
		parts, wait := b.choose()
		if rest := time.Until(b.muted); len(parts) > 0 && rest > 0 {
			parts, wait = nil, rest
		}
		if len(parts) > 0 {
			b.fetch(parts)
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

func (b *brokerFetcher) drop() {
	if b.conn != nil {
		b.conn.close()
		b.conn = nil
	}
}

// asked is a partition and the position it was asked for.
type asked struct {
	*part
	offset int64
}

// choose lists what to fetch now: nothing while something of this broker waits for Poll, since a fetch
// without those partitions would keep them out until it times out.
func (b *brokerFetcher) choose() (parts []asked, wait time.Duration) {
	f := b.f
	f.mu.Lock()
	defer f.mu.Unlock()
	wait = time.Hour
	for _, p := range f.readyOf {
		if p.leader == b.node {
			return nil, wait
		}
	}
	now := time.Now()
	for _, p := range f.parts {
		if p.leader != b.node || p.paused || p.stopped || p.held != nil || p.next < 0 {
			continue
		}
		if due := p.retryAt.Sub(now); p.problem != nil && due > 0 {
			wait = min(wait, due)
			continue
		}
		parts = append(parts, asked{p, p.next})
	}
	return parts, wait
}

// fetch sends one request and takes its answer apart.
func (b *brokerFetcher) fetch(parts []asked) {
	resp, err := b.ask(parts)
	if err == nil {
		err = serverError(sarama.KError(resp.ErrorCode), nil, "")
	}
	if err != nil {
		if b.f.run.Err() != nil {
			return
		}
		if broken(err) {
			b.drop()
			b.f.client.forget(b.node)
		}
		b.f.mu.Lock()
		defer b.f.mu.Unlock()
		for _, a := range parts {
			if b.f.parts[a.TopicPartition] == a.part {
				a.leader = -1 // may have moved with the broker gone
				b.f.setProblem(a.part, err)
			}
		}
		wake(b.f.resolver)
		return
	}
	// Records are made before the lock is taken: this is where the work is.
	fetched := make([]*Fetched, len(parts))
	for i, a := range parts {
		if block := resp.GetBlock(a.Topic, a.Partition); block != nil && block.Err == sarama.ErrNoError {
			fetched[i] = decodeBlock(a.TopicPartition, a.offset, block, b.f.cfg.Consumer.ReadCommitted)
		}
	}
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	for i, a := range parts {
		if b.f.parts[a.TopicPartition] == a.part {
			b.f.settle(a.part, resp.GetBlock(a.Topic, a.Partition), fetched[i])
		}
	}
}

// settle takes over what a fetch brought for one partition. The lock is held.
func (f *Fetcher) settle(p *part, block *sarama.FetchResponseBlock, got *Fetched) {
	if block == nil {
		return
	}
	switch block.Err {
	case sarama.ErrNoError:
		f.setProblem(p, got.Err)
		if got.Err != nil {
			return
		}
		p.ends = partEnds{block.HighWaterMarkOffset, block.LastStableOffset, block.LogStartOffset}
		if got.NextOffset == p.next {
			return
		}
		p.next = got.NextOffset
		if p.paused {
			p.held = got
		} else {
			f.deliver(p, got)
		}
	case sarama.ErrOffsetOutOfRange:
		f.outOfRange(p)
	default:
		p.leader = -1
		f.setProblem(p, withOperation(serverError(block.Err, nil, p.Topic), "read"))
		wake(f.resolver)
	}
}

func (b *brokerFetcher) ask(parts []asked) (*sarama.FetchResponse, error) {
	f, c := b.f, b.f.cfg.Consumer
	if b.conn == nil {
		ctx, cancel := context.WithTimeout(f.run, f.cfg.RequestTimeout)
		defer cancel()
		addr, err := f.client.brokerAddr(ctx, b.node)
		if err != nil {
			return nil, err
		}
		if b.conn, err = open(f.cfg, addr, 1, f.cfg.RequestTimeout+c.FetchMaxWait); err != nil {
			return nil, err
		}
	}
	req := &sarama.FetchRequest{
		Version:      12,
		MaxWaitTime:  int32(c.FetchMaxWait / time.Millisecond),
		MinBytes:     int32(c.FetchMinBytes),
		MaxBytes:     int32(c.FetchMaxBytes),
		RackID:       f.cfg.ClientRack,
		SessionEpoch: -1, // no fetch session
	}
	if c.ReadCommitted {
		req.Isolation = sarama.ReadCommitted
	}
	for _, a := range parts {
		req.AddBlock(a.Topic, a.Partition, a.offset, int32(c.MaxPartitionFetchBytes), -1)
	}
	var resp *sarama.FetchResponse
	err := b.conn.do(f.run, func(broker *sarama.Broker) (err error) {
		resp, err = broker.Fetch(req)
		return err
	})
	if err == nil && resp.ThrottleTime > 0 {
		b.muted = time.Now().Add(resp.ThrottleTime)
	}
	return resp, err
}

// askOffsetsOf makes a call of askOffsets that stores its result.
func askOffsetsOf(want map[TopicPartition]int64, isolation Isolation, got *map[TopicPartition]outcome[int64]) func(*sarama.Broker) error {
	return func(b *sarama.Broker) (err error) {
		*got, err = askOffsets(b, want, isolation)
		return err
	}
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// park leaves a queue to the keeper until at. The lock is held.
func (p *Producer) park(q *queue, at time.Time) {
	q.state, q.retryAt = parked, at
	p.parked[q] = struct{}{}
	select {
	case p.keeperWake <- struct{}{}:
	default:
	}
}

// keep looks after queues that cannot be sent now: it finds their leaders, retries, and ends what took
// longer than delivery.timeout.ms. It also refreshes partition counts every metadata.max.age.ms.
func (p *Producer) keep() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	refresh := time.Now().Add(p.cfg.MetadataMaxAge)
	for p.run.Err() == nil {
		now := time.Now()
		if now.After(refresh) {
			p.refreshTopics()
			refresh = now.Add(p.cfg.MetadataMaxAge)
		}
		due, wait := p.dueQueues(now)
		if len(due) > 0 {
			p.revive(due)
			continue
		}
		timer.Reset(min(wait, time.Until(refresh)+time.Millisecond))
		select {
		case <-p.keeperWake:
		case <-timer.C:
		case <-p.run.Done():
		}
	}
}

// dueQueues takes out the queues whose time has come, after ending batches that waited too long.
func (p *Producer) dueQueues(now time.Time) (due []*queue, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = time.Hour
	for q := range p.parked {
		for len(q.batches) > 0 && now.Sub(q.batches[0].created) >= p.cfg.Producer.DeliveryTimeout {
			p.expire(q)
		}
		switch {
		case len(q.batches) == 0:
			q.state = idle
			delete(p.parked, q)
		case !q.retryAt.After(now):
			due = append(due, q)
		default:
			wait = min(wait, q.retryAt.Sub(now), p.cfg.Producer.DeliveryTimeout-now.Sub(q.batches[0].created))
		}
	}
	return due, max(wait, time.Millisecond)
}

// expire fails the first batch of a parked queue. The lock is held.
func (p *Producer) expire(q *queue) {
	b := q.batches[0]
	q.batches = q.batches[1:]
	if b.sequenced && b.uncertain {
		p.forgetIdentity(q.identity)
		q.identity = noIdentity
	} else {
		b.unnumber()
	}
	p.reports.push(&reply{batches: []*batch{b}, err: p.expiredError(q, q.lastErr), final: true})
}

// revive asks for the leaders of queues and hands them to their senders.
func (p *Producer) revive(due []*queue) {
	topics := make(map[TopicPartition]struct{}, len(due))
	p.mu.Lock()
	for _, q := range due {
		topics[q.TopicPartition] = struct{}{}
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.run, p.cfg.RequestTimeout)
	leaders, failed, err := p.client.leaders(ctx, topicsOf(topics), OpWrite, !p.cfg.Producer.ExistingTopicsOnly)
	cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learn(leaders)
	for _, q := range due {
		l, known := leaders[q.TopicPartition]
		switch {
		case q.state != parked || len(q.batches) == 0:
			continue
		case err == nil && known && l.err == nil:
			delete(p.parked, q)
			p.sender(q.leader).add(q)
			continue
		case err != nil:
			q.lastErr = err
		case failed[q.Topic] != nil:
			q.lastErr = failed[q.Topic]
		case !known:
			q.lastErr = fmt.Errorf("the topic %s has no partition %d: %w", q.Topic, q.Partition, ErrUnknownTopicOrPartition)
		default:
			q.lastErr = l.err
		}
		if !IsRetriable(q.lastErr) && p.run.Err() == nil {
			p.giveUp(q, q.lastErr)
			continue
		}
		q.failures++
		q.retryAt = time.Now().Add(p.cfg.Backoff(q.failures - 1))
		p.tellUnwritable(q)
	}
}

// Unwritable returns the partitions of which several writes in a row have failed and are tried on, with the last reason.
func (p *Producer) Unwritable() map[TopicPartition]error {
	p.mu.Lock()
	defer p.mu.Unlock()
	stuck := map[TopicPartition]error{}
	for tp, q := range p.queues {
		if q.failures >= quietFailures && q.lastErr != nil && len(q.all()) > 0 {
			stuck[tp] = q.lastErr
		}
	}
	return stuck
}

// What producers log of partitions that cannot be written to for a while.
var (
	UnwritableNotice = NoticeText{One: "partition cannot be written to, trying on", Many: "partitions cannot be written to, trying on"}
	WritableNotice   = NoticeText{One: "partition can be written to again", Many: "partitions can be written to again"}
)

// tellUnwritable logs, once for each reason, that a partition takes nothing. When no broker answers at all that is said of the
// cluster, not of each partition. The lock is held.
func (p *Producer) tellUnwritable(q *queue) {
	if _, answered := errors.AsType[*ServerError](q.lastErr); !answered || q.failures < quietFailures || q.logged == q.lastErr.Error() {
		return
	}
	q.logged = q.lastErr.Error()
	level := slog.LevelWarn
	if Away(p.cfg.BootstrapServers) {
		level = slog.LevelDebug // it has been said of the whole cluster
	}
	p.notices.Say(level, UnwritableNotice, q.TopicPartition, q.logged)
}

// tellWritable ends what tellUnwritable said. The lock is held.
func (p *Producer) tellWritable(q *queue) {
	if q.logged != "" {
		q.logged = ""
		p.notices.Say(slog.LevelInfo, WritableNotice, q.TopicPartition, "")
	}
}

// giveUp fails all batches of a parked queue. The lock is held.
func (p *Producer) giveUp(q *queue, err error) {
	rest := q.batches
	q.batches, q.state = nil, idle
	delete(p.parked, q)
	p.reports.push(&reply{batches: rest, err: err, final: true})
}

// refreshTopics keeps the partition counts of topics in use up to date.
func (p *Producer) refreshTopics() {
	p.mu.Lock()
	topics := make([]string, 0, len(p.topics))
	for t := range p.topics {
		topics = append(topics, t)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.run, p.cfg.RequestTimeout)
	defer cancel()
	leaders, _, err := p.client.leaders(ctx, topics, OpWrite, false)
	if err != nil {
		return // the next refresh, or the next failure to send, asks again
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learn(leaders)
}

// reportQueue passes replies to the goroutine that handles them. Pushing never blocks: it is done on
// sarama's reading goroutine, which closing a connection waits for.
type reportQueue struct {
	wake chan struct{}

	mu      sync.Mutex
	replies []*reply
	pushed  int64
	done    int64
	moved   chan struct{} // closed when done grows; nil while nobody waits
}

func (r *reportQueue) push(a *reply) {
	r.mu.Lock()
	r.replies = append(r.replies, a)
	r.pushed++
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reportQueue) take() []*reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.replies
	r.replies = nil
	return got
}

// finished says that the oldest reply is handled.
func (r *reportQueue) finished() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// mark is how many replies there have been.
func (r *reportQueue) mark() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushed
}

// handled waits until the first n replies are handled.
func (r *reportQueue) handled(ctx context.Context, n int64) error {
	for {
		r.mu.Lock()
		if r.done >= n {
			r.mu.Unlock()
			return nil
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

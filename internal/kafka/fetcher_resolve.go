package kafka

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/IBM/sarama"
)

// unresolvedParts groups partitions by what is to be looked up for them.
type unresolvedParts struct {
	leaderless []*part
	positions  map[int32]map[TopicPartition]int64 // by leader: what to ask ListOffsets
	wait       time.Duration
}

// resolve looks up leaders, and offsets for positions that are not numbers yet.
func (f *Fetcher) resolve() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for f.run.Err() == nil {
		todo := f.unresolved()
		if len(todo.leaderless) > 0 {
			f.findLeaders(todo.leaderless)
		}
		if len(todo.positions) > 0 {
			f.findOffsets(todo.positions)
		}
		if len(todo.leaderless)+len(todo.positions) > 0 {
			continue
		}
		timer.Reset(todo.wait)
		select {
		case <-f.resolver:
		case <-timer.C:
		case <-f.run.Done():
		}
	}
}

func (f *Fetcher) unresolved() unresolvedParts {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	todo := unresolvedParts{positions: make(map[int32]map[TopicPartition]int64), wait: time.Hour}
	for tp, p := range f.parts {
		if p.stopped || p.leader >= 0 && p.next >= 0 {
			continue
		}
		if due := p.retryAt.Sub(now); due > 0 {
			todo.wait = min(todo.wait, due)
			continue
		}
		if p.leader < 0 {
			todo.leaderless = append(todo.leaderless, p)
			continue
		}
		spec := p.next
		if spec == resetByDuration {
			spec = now.Add(-f.cfg.Consumer.OffsetReset.Duration).UnixMilli()
		}
		if todo.positions[p.leader] == nil {
			todo.positions[p.leader] = make(map[TopicPartition]int64)
		}
		todo.positions[p.leader][tp] = spec
	}
	return todo
}

// resetByDuration stands for the position of auto.offset.reset=by_duration.
const resetByDuration int64 = -3

func (f *Fetcher) findLeaders(parts []*part) {
	topics := make(map[TopicPartition]struct{}, len(parts))
	for _, p := range parts {
		topics[p.TopicPartition] = struct{}{}
	}
	ctx, cancel := context.WithTimeout(f.run, f.cfg.RequestTimeout)
	leaders, failed, err := f.client.leaders(ctx, topicsOf(topics), OpRead, false)
	cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range parts {
		l, known := leaders[p.TopicPartition]
		switch {
		case f.parts[p.TopicPartition] != p:
		case err != nil:
			f.setProblem(p, err)
		case failed[p.Topic] != nil:
			f.setProblem(p, failed[p.Topic])
		case !known:
			f.setProblem(p, fmt.Errorf("the topic %s has no partition %d: %w", p.Topic, p.Partition, ErrUnknownTopicOrPartition))
		case l.err != nil:
			f.setProblem(p, l.err)
		default:
			p.leader, p.follower = l.leader, -1
			f.broker(l.leader)
		}
	}
}

func (f *Fetcher) findOffsets(byLeader map[int32]map[TopicPartition]int64) {
	isolation := ReadUncommitted
	if f.cfg.Consumer.ReadCommitted {
		isolation = ReadCommitted
	}
	for leader, want := range byLeader {
		var got map[TopicPartition]outcome[int64]
		ctx, cancel := context.WithTimeout(f.run, f.cfg.RequestTimeout)
		err := f.client.onBroker(ctx, leader, f.askOffsetsOf(want, isolation, &got))
		if err == nil {
			ends := make(map[TopicPartition]int64)
			for tp, o := range got {
				if o.err == nil && o.value < 0 {
					ends[tp] = Latest // no record is that young
				}
			}
			if len(ends) > 0 {
				var latest map[TopicPartition]outcome[int64]
				if err = f.client.onBroker(ctx, leader, f.askOffsetsOf(ends, isolation, &latest)); err == nil {
					maps.Copy(got, latest)
				}
			}
		}
		cancel()
		f.setOffsets(want, got, err)
	}
}

func (f *Fetcher) setOffsets(want map[TopicPartition]int64, got map[TopicPartition]outcome[int64], err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tp := range want {
		p := f.parts[tp]
		if p == nil || p.next >= 0 {
			continue // assigned anew meanwhile
		}
		o, known := got[tp]
		switch {
		case err != nil:
			p.leader = -1
			f.setProblem(p, err)
		case !known:
			p.leader = -1
			f.setProblem(p, ErrUnknownTopicOrPartition)
		case o.err != nil:
			p.leader = -1
			f.setProblem(p, o.err)
		default:
			p.next = o.value
			if p.position < 0 {
				p.position = o.value
			} else {
				f.logger.Warn("position is out of range and was reset as auto.offset.reset says",
					"topic", p.Topic, "partition", p.Partition, "from", p.from, "to", o.value,
					"auto.offset.reset", f.cfg.Consumer.OffsetReset.Strategy)
				f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: o.value, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1})
			}
			if p.resets < 2 { // else whether it can be read now is not known
				f.setProblem(p, nil)
			}
			f.broker(p.leader)
		}
	}
}

// outOfRange decides what becomes of a partition whose position does not exist. The lock is held.
func (f *Fetcher) outOfRange(p *part) {
	switch f.cfg.Consumer.OffsetReset.Strategy {
	case "earliest":
		p.from, p.next = p.next, Earliest
	case "latest":
		p.from, p.next = p.next, Latest
	case "by_duration":
		p.from, p.next = p.next, resetByDuration
	default:
		p.stopped = true
		p.problem = &OffsetOutOfRangeError{p.TopicPartition, p.next}
		f.deliver(p, &Fetched{TopicPartition: p.TopicPartition, NextOffset: p.next, Err: p.problem})
		return
	}
	if p.resets++; p.resets > 1 {
		f.setProblem(p, &ServerError{Code: int16(sarama.ErrOffsetNotAvailable), Message: fmt.Sprintf(
			"the position %d, to which the partition was reset, is out of range as well", p.from)})
	}
	wake(f.resolver)
}

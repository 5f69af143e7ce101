package rawkafka

import (
	"context"
	"maps"
	"time"

	"tributary/internal/kafka"
)

// park leaves a stream to the keeper, until its time for a retry or until it has a leader. The lock is held.
func (s *Sender) park(st *stream) {
	st.state = parked
	s.parked[st] = struct{}{}
	signal(s.keeperWake)
}

// signal leaves a token for whoever waits.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// keep looks after parked streams.
func (s *Sender) keep() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for s.run.Err() == nil {
		leaderless, wait := s.due(time.Now())
		if len(leaderless) > 0 {
			s.findLeaders(leaderless)
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.keeperWake:
		case <-timer.C:
		case <-s.run.Done():
		}
	}
}

// due hands the streams whose time has come to their writers, and returns those that need a leader first.
func (s *Sender) due(now time.Time) (leaderless []*stream, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	for st := range s.parked {
		switch rest := st.retryAt.Sub(now); {
		case len(st.parcels) == 0:
			s.unpark(st)
		case rest > 0:
			wait = min(wait, rest)
		case st.leader < 0:
			leaderless = append(leaderless, st)
		default:
			s.unpark(st)
			s.schedule(st)
		}
	}
	return leaderless, wait
}

func (s *Sender) unpark(st *stream) {
	st.state = quiet
	delete(s.parked, st)
}

// createAfter is how long a batch waits for its topic before brokers are asked for it in the way that has them make it,
// where their configuration allows that, and how long until the next such question. Whoever made the topic may just have
// done so: a broker that makes the logs of thousands of partitions knows none of the others meanwhile, and each such
// question would have its controller try.
const createAfter = 30 * time.Second

// sortOut says which partitions to ask for, and which of them in the way that has brokers make their topics.
func (s *Sender) sortOut(streams []*stream, now time.Time) (ask, create []kafka.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range streams {
		if len(st.parcels) > 0 && now.Sub(st.parcels[0].created) >= createAfter && now.Sub(st.created) >= createAfter {
			st.created = now
			create = append(create, st.TopicPartition)
		} else {
			ask = append(ask, st.TopicPartition)
		}
	}
	return ask, create
}

// laneTo chooses the connection for a stream that begins with p. What is not compressed takes a broker so little that a second
// connection gains nothing, and costs memory: one partition gets ahead of another. The lock is held.
func (s *Sender) laneTo(node int32, p *parcel) int {
	if p.parts != nil || p.data.codec() == 0 {
		return 0
	}
	s.led[node]++
	return s.led[node] % maxWays
}

func (s *Sender) findLeaders(streams []*stream) {
	ask, create := s.sortOut(streams, time.Now())
	ctx, cancel := context.WithTimeout(s.run, s.cfg.RequestTimeout)
	nodes, failed, err := s.client.FindLeaders(ctx, ask, false)
	if err == nil && len(create) > 0 {
		var more map[kafka.TopicPartition]int32
		var moreFailed map[kafka.TopicPartition]error
		more, moreFailed, err = s.client.FindLeaders(ctx, create, true)
		maps.Copy(nodes, more)
		maps.Copy(failed, moreFailed)
	}
	cancel()
	var failures []result
	s.mu.Lock()
	for _, st := range streams {
		if st.state != parked || len(st.parcels) == 0 {
			continue // aborted meanwhile
		}
		s.unpark(st)
		if node, ok := nodes[st.TopicPartition]; ok {
			st.leader, st.lane = node, s.laneTo(node, st.parcels[0])
			s.schedule(st)
			continue
		}
		reason := failed[st.TopicPartition]
		if err != nil {
			reason = err
		}
		// As if the first parcel had been sent and refused.
		p := st.parcels[0]
		st.takeOff(p)
		failures = append(failures, result{stream: st, parcel: p, err: reason})
	}
	s.mu.Unlock()
	if err != nil && s.run.Err() == nil {
		s.client.Report(err)
	}
	s.handle(failures)
}

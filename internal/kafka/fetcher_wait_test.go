package kafka

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/internal/localkafka"
)

// pull is a request that a fetcher has made of a broker.
type pull struct {
	asks   []TopicPartition
	wait   time.Duration
	ctx    context.Context
	answer chan struct{} // closed for an answer without anything new
}

// slowBroker is the puller of a broker that has nothing new.
type slowBroker chan pull

func (slowBroker) Close() {}

func (b slowBroker) Pull(ctx context.Context, asks []Ask, wait time.Duration) ([]Answer, time.Duration, error) {
	p := pull{wait: wait, ctx: ctx, answer: make(chan struct{})}
	for _, a := range asks {
		p.asks = append(p.asks, a.TopicPartition)
	}
	slices.SortFunc(p.asks, func(x, y TopicPartition) int {
		return cmp.Or(strings.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	select {
	case b <- p:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	select {
	case <-p.answer:
		return nil, 0, nil
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// next is the next request that asks for these partitions; others are answered.
func (b slowBroker) next(t *testing.T, want ...TopicPartition) pull {
	t.Helper()
	ctx := testContext(t)
	for {
		select {
		case p := <-b:
			if slices.Equal(p.asks, want) {
				return p
			}
			close(p.answer)
		case <-ctx.Done():
			t.Fatalf("no request for %v", want)
		}
	}
}

// waitsLong reports whether a request is on its way that may wait for long.
func waitsLong(f *Fetcher) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.brokers {
		if b.cut != nil {
			return true
		}
	}
	return false
}

// A request that asks for all there is to read may wait for long. When there is more, it has had no more time than
// fetch.max.wait.ms, and the next one asks for everything.
func TestOnlyARequestForEverythingWaitsForLong(t *testing.T) {
	a, b, c := TopicPartition{"a", 0}, TopicPartition{"a", 1}, TopicPartition{"b", 0}
	cluster := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2, "b": 1}})
	broker := make(slowBroker)
	cfg := testConfig(t, RoleConsumer, cluster.Bootstrap())
	cfg.Consumer.IdleWait = 5 * time.Second
	f := NewFetcherOf(newTestClient(t, cluster.Bootstrap()), cfg, nil, func(int32) Puller { return broker })
	t.Cleanup(f.Close)
	long := func(p pull) {
		t.Helper()
		if p.wait <= cfg.Consumer.FetchMaxWait || p.wait > cfg.Consumer.IdleWait {
			t.Errorf("a request for all of %v may wait for %s", p.asks, p.wait)
		}
	}
	cutShort := func(p pull) {
		t.Helper()
		select {
		case <-p.ctx.Done():
		case <-p.answer:
		case <-testContext(t).Done():
			t.Fatalf("the request for %v still waits", p.asks)
		}
	}
	begun := time.Now()
	f.Assign(map[TopicPartition]int64{a: 0, b: 0})
	first := broker.next(t, a, b)
	long(first)

	f.Add(map[TopicPartition]int64{c: 0})
	cutShort(first)
	if had := time.Since(begun); had < cfg.Consumer.FetchMaxWait {
		t.Errorf("the request for %v was given up after %s", first.asks, had)
	}
	second := broker.next(t, a, b, c)
	long(second)

	f.Add(map[TopicPartition]int64{b: 7}) // read from another place
	cutShort(second)
	third := broker.next(t, a, b, c)
	long(third)

	f.Pause(b)
	f.Resume(b)
	if !waitsLong(f) {
		t.Error("a request is given up for a partition that it asks for")
	}
	f.Pause(b)
	close(third.answer)
	fourth := broker.next(t, a, c)
	if fourth.wait != cfg.Consumer.FetchMaxWait {
		t.Errorf("a request without a partition that rests may wait for %s", fourth.wait)
	}
	f.Resume(b)
	if third.ctx.Err() == nil || fourth.ctx.Err() != nil {
		t.Errorf("a request that was answered: %v; one that does not wait for long: %v", third.ctx.Err(), fourth.ctx.Err())
	}
	close(fourth.answer)

	fifth, got := broker.next(t, a, b, c), time.Now()
	eventually(t, "a request is answered late", func() bool { return time.Since(got) > cfg.Consumer.FetchMaxWait })
	close(fifth.answer)
	long(broker.next(t, a, b, c))
	if problems := f.Problems(); len(problems) > 0 {
		t.Errorf("requests that were given up are problems: %v", problems)
	}
}

func TestARequestAfterOneThatWasAnsweredSoonDoesNotWaitForLong(t *testing.T) {
	tp := TopicPartition{"a", 0}
	f := &Fetcher{run: t.Context(), cfg: testConfig(t, RoleConsumer, "h:1"), parts: map[TopicPartition]*part{tp: {TopicPartition: tp, follower: -1}}}
	f.cfg.Consumer.FetchMaxWait, f.cfg.Consumer.IdleWait = time.Hour, 24*time.Hour
	b := &brokerFetcher{f: f}
	for _, c := range []struct {
		ago  time.Duration
		long bool
	}{{0, false}, {10 * time.Minute, false}, {13 * time.Minute, true}, {24 * time.Hour, true}} {
		b.begun = time.Now().Add(-c.ago)
		next, _ := b.choose()
		if long := next.wait > time.Hour; long != c.long || waits(b) != c.long || len(next.asks) != 1 {
			t.Errorf("the last request began %s ago: the next, for %v, may wait for %s", c.ago, next.asks, next.wait)
		}
	}
}

// waits reports whether a broker's request may wait for long, and ends it.
func waits(b *brokerFetcher) bool {
	if b.cut == nil {
		return false
	}
	b.cut()
	b.cut = nil
	return true
}

func TestTheWaitThatTheUserSetStands(t *testing.T) {
	for _, c := range []struct {
		pairs []string
		want  time.Duration
	}{
		{nil, 5 * time.Second},
		{[]string{"fetch.max.wait.ms", "700"}, 700 * time.Millisecond},
		{[]string{"fetch.max.wait.ms", "9000"}, 9 * time.Second},
		{[]string{"fetch.min.bytes", "2"}, 500 * time.Millisecond}, // a single byte waits for the second
		{[]string{"request.timeout.ms", "8000"}, 2 * time.Second},
		{[]string{"request.timeout.ms", "1000"}, 500 * time.Millisecond},
	} {
		if got := mustParse(t, RoleConsumer, c.pairs...).Consumer.IdleWait; got != c.want {
			t.Errorf("%v: %s, want %s", c.pairs, got, c.want)
		}
	}
}

func TestWhatIsAddedIsReadThoughTheOthersAreIdle(t *testing.T) {
	cluster := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1, "b": 1}})
	mustSend(t, newTestProducer(t, cluster.Bootstrap()), &Record{Topic: "b", Value: []byte("b0")}, &Record{Topic: "b", Value: []byte("b1")})
	cfg := testConfig(t, RoleConsumer, cluster.Bootstrap())
	cfg.Consumer.IdleWait = time.Hour
	f := NewFetcher(newTestClient(t, cluster.Bootstrap()), cfg, nil)
	t.Cleanup(f.Close)
	a, b := TopicPartition{"a", 0}, TopicPartition{"b", 0}
	f.Assign(map[TopicPartition]int64{a: 0})
	eventually(t, "a request waits for long", func() bool { return waitsLong(f) })
	f.Add(map[TopicPartition]int64{b: 0})
	if got := valuesOf(readTo(t, f, b, 2)); !slices.Equal(got, []string{"b0", "b1"}) {
		t.Errorf("read %q", got)
	}
	f.Add(map[TopicPartition]int64{b: 1}) // once more from there
	if got := valuesOf(readTo(t, f, b, 2)); !slices.Equal(got, []string{"b1"}) {
		t.Errorf("read %q", got)
	}
}

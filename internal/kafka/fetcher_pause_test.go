package kafka

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

// brokers are pullers that answer for one partition as they are told, and count how often each broker was asked.
type brokers struct {
	mu     sync.Mutex
	asked  map[int32]int
	answer func(node int32, asked int, a *Answer)
}

type toldBroker struct {
	*brokers
	node int32
}

func (toldBroker) Close() {}

func (b toldBroker) Pull(_ context.Context, asks []Ask, _ time.Duration) ([]Answer, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[b.node]++
	a := Answer{Replica: -1}
	a.TopicPartition, a.NextOffset = asks[0].TopicPartition, asks[0].Offset
	b.answer(b.node, b.asked[b.node], &a)
	return []Answer{a}, 0, nil
}

func (b *brokers) counts() map[int32]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.asked)
}

const never = "3600000" // until the next attempt, as far as a test is concerned

// readFrom reads one partition from its position with brokers that answer as they are told.
func readFrom(t *testing.T, c *localkafka.Cluster, position int64, answer func(node int32, asked int, a *Answer), pairs ...string) (*Fetcher, *brokers, TopicPartition) {
	t.Helper()
	told, tp := &brokers{asked: map[int32]int{}, answer: answer}, TopicPartition{"a", 0}
	f := NewFetcherOf(newTestClient(t, c.Bootstrap()), testConfig(t, RoleConsumer, c.Bootstrap(), pairs...), nil,
		func(node int32) Puller { return toldBroker{told, node} })
	t.Cleanup(f.Close)
	f.Assign(map[TopicPartition]int64{tp: position})
	return f, told, tp
}

// With client.rack a leader sends its readers to another replica, and takes that up again when the replica has refused.
func TestAReplicaThatTheLeaderNamesAgainAfterItRefusedIsAskedAfterAPause(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"a": 1}})
	leader := c.Leader("a", 0)
	follower := 1 - leader
	for _, code := range []int16{1, 3, 6, 9} { // out of range, unknown, not the leader, not available
		refuse := func(times int) func(int32, int, *Answer) {
			return func(node int32, asked int, a *Answer) {
				switch {
				case node == leader:
					a.Replica = follower
				case asked <= times:
					a.Refusal = &ServerError{Code: code}
				case a.NextOffset == 7:
					a.Records, a.NextOffset = []Record{{Topic: "a", Offset: 7, Value: []byte("read")}}, 8
				}
			}
		}
		f, told, tp := readFrom(t, c, 7, refuse(1000), "retry.backoff.ms", never, "retry.backoff.max.ms", never)
		eventually(t, "a problem", func() bool { return f.Problems()[tp] != nil })
		if diff := cmp.Diff(map[int32]int{leader: 2, follower: 1}, told.counts()); diff != "" {
			t.Errorf("code %d: the brokers were asked: %s", code, diff)
		}
		if at, ok := f.Position(tp); !ok || at != 7 || errors.Is(f.Problems()[tp], ErrOffsetOutOfRange) || !IsRetriable(f.Problems()[tp]) {
			t.Errorf("code %d: position %d %v, problem %v: only the leader knows whether a position exists", code, at, ok, f.Problems()[tp])
		}

		f, told, tp = readFrom(t, c, 7, refuse(3))
		if diff := cmp.Diff([]string{"read"}, valuesOf(readTo(t, f, tp, 8))); diff != "" {
			t.Errorf("code %d: %s", code, diff)
		}
		if got := told.counts(); got[leader] != 4 || len(f.Problems()) > 0 {
			t.Errorf("code %d: the leader was asked %d times, problems %v", code, got[leader], f.Problems())
		}
	}
}

func TestAPositionThatIsOutOfRangeOnceItWasResetIsResetAgainAfterAPause(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	refuse := func(times int) func(int32, int, *Answer) {
		return func(_ int32, asked int, a *Answer) {
			if asked <= times {
				a.Refusal = ErrOffsetOutOfRange
			} else if a.NextOffset == 0 {
				a.Records, a.NextOffset = []Record{{Topic: "a", Value: []byte("read")}}, 1
			}
		}
	}
	f, told, tp := readFrom(t, c, 7, refuse(1000), "auto.offset.reset", "earliest", "retry.backoff.ms", never, "retry.backoff.max.ms", never)
	if got, err := f.Poll(testContext(t)); err != nil || got[0].NextOffset != 0 {
		t.Fatalf("the first reset: %+v %v", got, err)
	}
	eventually(t, "a problem", func() bool { return f.Problems()[tp] != nil })
	if diff := cmp.Diff(map[int32]int{0: 2}, told.counts()); diff != "" {
		t.Errorf("the broker was asked: %s", diff)
	}

	f, _, tp = readFrom(t, c, 7, refuse(4), "auto.offset.reset", "earliest")
	var got []string
	for len(got) == 0 {
		fetched, err := f.Poll(testContext(t))
		if err != nil || fetched[0].Err != nil {
			t.Fatal(fetched, err)
		}
		got = valuesOf(fetched[0].Records)
	}
	if diff := cmp.Diff([]string{"read"}, got); diff != "" || len(f.Problems()) > 0 {
		t.Errorf("problems %v: %s", f.Problems(), diff)
	}
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

// member is a Consumer that polls in a goroutine of its own and notes what it hears and gets.
type member struct {
	*Consumer
	end  context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	events  []string
	owns    map[TopicPartition]int64
	values  []string
	failure error
	// onRevoked runs inside the callback.
	onRevoked func(m *member, gone []TopicPartition)
	asked     chan func()
}

func (m *member) Assigned(positions map[TopicPartition]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for tp, offset := range positions {
		m.owns[tp] = offset
	}
	m.events = append(m.events, fmt.Sprint("assigned ", sortedPartitions(positions)))
}

func (m *member) Revoked(gone []TopicPartition) {
	if m.onRevoked != nil {
		m.onRevoked(m, gone)
	}
	m.forget("revoked", gone)
}

func (m *member) Lost(gone []TopicPartition) { m.forget("lost", gone) }

func (m *member) forget(how string, gone []TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, tp := range gone {
		delete(m.owns, tp)
	}
	m.events = append(m.events, fmt.Sprint(how, " ", gone))
}

// do runs something on the member's goroutine, between two polls.
func (m *member) do(t *testing.T, f func()) {
	t.Helper()
	ran := make(chan struct{})
	select {
	case m.asked <- func() { f(); close(ran) }:
		<-ran
	case <-m.done:
		t.Fatal("the member has ended")
	}
}

func (m *member) has(n int) func() bool {
	return func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.owns) == n }
}

func (m *member) got(values ...string) func() bool {
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		have := slices.Clone(m.values)
		slices.Sort(have)
		return slices.Equal(have, values)
	}
}

func (m *member) history() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

func startMember(t *testing.T, c *localkafka.Cluster, sub Subscription, prepare func(*member), pairs ...string) *member {
	t.Helper()
	pairs = append([]string{"group.id", "g", "auto.offset.reset", "earliest", "heartbeat.interval.ms", "50", "metadata.max.age.ms", "200"}, pairs...)
	m := &member{owns: map[TopicPartition]int64{}, done: make(chan struct{}), asked: make(chan func())}
	if prepare != nil {
		prepare(m)
	}
	consumer, err := NewConsumer(testConfig(t, RoleConsumer, c.Bootstrap(), pairs...), sub, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Consumer = consumer
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	go m.loop(ctx)
	t.Cleanup(m.stop)
	return m
}

func (m *member) loop(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		select {
		case f := <-m.asked:
			f()
		case <-time.After(time.Millisecond): // long enough for somebody who waits to be heard
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		records, err := m.Poll(short)
		expired := short.Err() != nil
		cancel()
		m.mu.Lock()
		for _, r := range records {
			m.values = append(m.values, string(r.Value))
		}
		if err != nil && !expired {
			m.failure = err
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
	}
}

func (m *member) stop() {
	m.end()
	<-m.done
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m.Close(ctx)
}

func TestAGroupSharesTopicsAndGoesOnWhereItCommitted(t *testing.T) {
	for name, strategy := range map[string]string{
		"eager, Java's default": "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
		"round robin":           "RoundRobinAssignor",
		"sticky":                "StickyAssignor",
		"cooperative":           "CooperativeStickyAssignor",
	} {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2, "b": 2}})
			p := newTestProducer(t, c.Bootstrap())
			send := func(topic string, partition int32, value string) {
				mustSend(t, p, &Record{Topic: topic, Partition: partition, Value: []byte(value)})
			}
			for i := range int32(2) {
				send("a", i, fmt.Sprint("a", i))
				send("b", i, fmt.Sprint("b", i))
			}
			sub := Subscription{Topics: []string{"a", "b", "a"}}
			commit := func(m *member, gone []TopicPartition) {
				offsets := map[TopicPartition]int64{}
				for _, tp := range gone {
					offsets[tp], _ = m.Position(tp)
				}
				if err := m.Commit(testContext(t), offsets); err != nil {
					t.Error(err)
				}
			}
			with := func(m *member) { m.onRevoked = commit }

			first := startMember(t, c, sub, with, "partition.assignment.strategy", strategy)
			eventually(t, "all partitions", first.has(4))
			eventually(t, "all records", first.got("a0", "a1", "b0", "b1"))
			second := startMember(t, c, sub, with, "partition.assignment.strategy", strategy)
			eventually(t, "half of the partitions", second.has(2))
			eventually(t, "the other half", first.has(2))

			// What the first one gave away was committed, so nothing is read again.
			for i := range int32(2) {
				send("a", i, fmt.Sprint("c", i))
				send("b", i, fmt.Sprint("d", i))
			}
			eventually(t, "the rest", func() bool {
				first.mu.Lock()
				second.mu.Lock()
				defer first.mu.Unlock()
				defer second.mu.Unlock()
				all := slices.Concat(first.values, second.values)
				slices.Sort(all)
				return slices.Equal(all, []string{"a0", "a1", "b0", "b1", "c0", "c1", "d0", "d1"})
			})
			revoked := 0
			for _, e := range first.history() {
				if strings.HasPrefix(e, "revoked") {
					revoked += strings.Count(e, "{")
				}
			}
			if want := map[bool]int{true: 2, false: 4}[name == "cooperative"]; revoked != want {
				t.Errorf("%d partitions were revoked, want %d: %v", revoked, want, first.history())
			}

			second.stop()
			eventually(t, "the partitions of a member that left", first.has(4))
		})
	}
}

func TestTopicsByPatternComeAsTheyAreMade(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"log.a": 1, "other": 1}})
	m := startMember(t, c, Subscription{Matches: func(topic string) bool { return strings.HasPrefix(topic, "log.") }}, nil)
	eventually(t, "the first topic", m.has(1))

	a := NewAdmin(newTestClient(t, c.Bootstrap()), testConfig(t, RoleAdmin, c.Bootstrap()), nil)
	if err := a.CreateTopic(testContext(t), TopicSpec{Name: "log.b", Partitions: 1, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a topic that came later", m.has(2))
	if err := a.CreatePartitions(testContext(t), "log.b", 3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "partitions that came later", m.has(4))
}

func TestADeletedTopicIsGivenBackAtOnceAndDelaysTheRestNoLongerThanConfigured(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1, "b": 1}})
	p := newTestProducer(t, c.Bootstrap())
	mustSend(t, p, &Record{Topic: "a", Value: []byte("a0")})
	mustSend(t, p, &Record{Topic: "b", Value: []byte("b0")})
	var failures []error
	m := startMember(t, c, Subscription{Topics: []string{"a", "b"}}, func(m *member) {
		m.onRevoked = func(m *member, gone []TopicPartition) {
			offsets := map[TopicPartition]int64{}
			for _, tp := range gone {
				offsets[tp], _ = m.Position(tp)
			}
			if err := m.Commit(context.Background(), offsets); err != nil {
				failures = append(failures, err)
			}
		}
	}, "partition.assignment.strategy", "RoundRobinAssignor", "metadata.max.age.ms", "600000", "default.api.timeout.ms", "1000")
	eventually(t, "all records", m.got("a0", "b0"))

	a := NewAdmin(newTestClient(t, c.Bootstrap()), testConfig(t, RoleAdmin, c.Bootstrap()), nil)
	if failed, err := a.DeleteTopics(testContext(t), "a"); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	eventually(t, "one partition", m.has(1))
	mustSend(t, p, &Record{Topic: "b", Value: []byte("b1")})
	eventually(t, "what came later", m.got("a0", "b0", "b1"))
	m.do(t, func() {
		if diff := cmp.Diff([]TopicPartition{{"b", 0}}, m.Assignment()); diff != "" {
			t.Error(diff)
		}
	})
	m.stop()
	want := "committing offsets of the group g did not succeed within default.api.timeout.ms = 1000"
	if len(failures) != 1 || !strings.HasPrefix(failures[0].Error(), want) || !errors.Is(failures[0], ErrUnknownTopicOrPartition) {
		t.Errorf("commits failed with %v, want one %s for an unknown topic", failures, want)
	}
	committed, err := a.ListGroupOffsets(testContext(t), "g")
	if err != nil || committed[TopicPartition{"b", 0}].Offset != 1 {
		t.Errorf("committed are %v, %v; want what had been read of b", committed, err)
	}
}

func TestAMemberBeginsAsAutoOffsetResetSays(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Value: []byte("old")})
	sub := Subscription{Topics: []string{"a"}}
	m := startMember(t, c, sub, nil, "group.id", "late", "auto.offset.reset", "latest")
	eventually(t, "the partition", m.has(1))
	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Value: []byte("new")})
	eventually(t, "what came later alone", m.got("new"))

	none := startMember(t, c, sub, nil, "group.id", "never", "auto.offset.reset", "none")
	<-none.done
	if diff := cmp.Diff("the consumer group never has committed no offset for a-0, and auto.offset.reset = none", none.failure.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestAPartitionWithoutLeaderHoldsBackNoOtherOfAMember(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1, "b": 1}})
	p := newTestProducer(t, c.Bootstrap())
	mustSend(t, p, &Record{Topic: "a", Value: []byte("a0")})
	mustSend(t, p, &Record{Topic: "b", Value: []byte("b0")})
	const leaderNotAvailable = 5
	leaderless := c.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "b", Times: -1})
	m := startMember(t, c, Subscription{Topics: []string{"a", "b"}}, nil, "retry.backoff.ms", "10", "retry.backoff.max.ms", "100")
	eventually(t, "the record of the other partition", m.got("a0"))
	asked := leaderless.Hits()
	eventually(t, "another question", func() bool { return leaderless.Hits() > asked })
	mustSend(t, p, &Record{Topic: "a", Value: []byte("a1")})
	eventually(t, "what came meanwhile", m.got("a0", "a1"))
	m.do(t, func() {
		if at, known := m.Position(TopicPartition{"b", 0}); known {
			t.Errorf("the position of b is %d, want none", at)
		}
	})

	leaderless.Undo()
	eventually(t, "the record of the partition that has a leader again", m.got("a0", "a1", "b0"))
	if diff := cmp.Diff([]string{"assigned [{a 0}]", "assigned [{b 0}]"}, m.history()); diff != "" {
		t.Error(diff)
	}
}

func TestPausedPartitionsRestAndSeekMovesThem(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	p := newTestProducer(t, c.Bootstrap())
	m := startMember(t, c, Subscription{Topics: []string{"a"}}, nil, "max.poll.records", "2")
	eventually(t, "the partitions", m.has(2))
	rests, reads := TopicPartition{"a", 0}, TopicPartition{"a", 1}
	m.do(t, func() { m.Pause(rests) })
	for i := range 3 {
		mustSend(t, p, &Record{Topic: "a", Partition: 0, Value: fmt.Append(nil, "r", i)})
		mustSend(t, p, &Record{Topic: "a", Partition: 1, Value: fmt.Append(nil, "w", i)})
	}
	eventually(t, "the other partition", m.got("w0", "w1", "w2"))
	m.do(t, func() { m.Resume(rests) })
	eventually(t, "the rest", m.got("r0", "r1", "r2", "w0", "w1", "w2"))
	m.do(t, func() { m.Seek(map[TopicPartition]int64{reads: 2, {"b", 0}: 7}) })
	eventually(t, "one record again", m.got("r0", "r1", "r2", "w0", "w1", "w2", "w2"))
	m.do(t, func() {
		if at, ok := m.Position(reads); at != 3 || !ok {
			t.Errorf("position %d %v, want 3", at, ok)
		}
		if _, ok := m.Position(TopicPartition{"b", 0}); ok {
			t.Error("a position of a partition that is not assigned")
		}
	})
}

func TestAMemberThatIsThrownOutLosesItsPartitionsAndComesBack(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	m := startMember(t, c, Subscription{Topics: []string{"a"}}, nil)
	eventually(t, "the partition", m.has(1))
	id, _ := m.membership.identity()
	other, err := NewGroupConn(m.cfg, "g", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx := testContext(t)
	if err := other.FindCoordinator(ctx); err != nil {
		t.Fatal(err)
	}
	if err := other.Leave(ctx, id, "the test says so"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another membership", func() bool {
		events := m.history()
		return len(events) == 3 && events[1] == "lost [{a 0}]" && events[2] == "assigned [{a 0}]"
	})
}

func TestASlowMemberLeavesTheGroup(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	sub := Subscription{Topics: []string{"a"}}
	slow := startMember(t, c, sub, nil, "max.poll.interval.ms", "300")
	eventually(t, "the partitions", slow.has(2))
	release := make(chan struct{})
	busy := make(chan struct{})
	go func() { slow.asked <- func() { close(busy); <-release } }()
	<-busy
	quick := startMember(t, c, sub, nil)
	eventually(t, "all of the slow one's partitions", quick.has(2))
	close(release)
	eventually(t, "half of the partitions", slow.has(1))
	if events := slow.history(); events[1] != "lost [{a 0} {a 1}]" {
		t.Errorf("the slow member heard %v", events)
	}
}

// From the moment at which a slow member says that it leaves, its partitions may be another's.
func TestASlowMemberHasLostItsPartitionsBeforeItLeaves(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	sub := Subscription{Topics: []string{"a"}}
	slow := startMember(t, c, sub, nil, "max.poll.interval.ms", "300")
	eventually(t, "the partitions", slow.has(2))
	leaves := c.Hold(localkafka.LeaveGroup)
	defer leaves.Undo()
	release := make(chan struct{})
	busy := make(chan struct{})
	go func() { slow.asked <- func() { close(busy); <-release } }()
	<-busy
	quick := startMember(t, c, sub, nil)
	eventually(t, "the slow member to leave", func() bool { return leaves.Hits() > 0 })
	close(release)
	eventually(t, "the slow member to hear of it", func() bool { return len(slow.history()) > 1 })
	if events := slow.history(); events[1] != "lost [{a 0} {a 1}]" {
		t.Errorf("the slow member heard %v", events)
	}
	leaves.Undo()
	eventually(t, "half of the partitions each", func() bool { return slow.has(1)() && quick.has(1)() })
}

func TestAMoveOfTheCoordinatorCostsNothing(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 3, Topics: map[string]int32{"a": 1}})
	m := startMember(t, c, Subscription{Topics: []string{"a"}}, nil)
	eventually(t, "the partition", m.has(1))
	tp := TopicPartition{"a", 0}
	for i := range int64(3) {
		c.MoveCoordinators()
		if err := m.Commit(testContext(t), map[TopicPartition]int64{tp: i}); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := m.conn.CommittedOffsets(testContext(t), []TopicPartition{tp}, true)
	if diff := cmp.Diff(map[TopicPartition]int64{tp: 2}, committed); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestUnknownAssignorsAreNamed(t *testing.T) {
	cfg := testConfig(t, RoleConsumer, "localhost:1", "group.id", "g", "partition.assignment.strategy", "com.acme.Mine")
	_, err := NewConsumer(cfg, Subscription{Topics: []string{"a"}}, &member{}, nil)
	want := `partition.assignment.strategy names "com.acme.Mine": it must be one of CooperativeStickyAssignor, RangeAssignor, RoundRobinAssignor, StickyAssignor`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

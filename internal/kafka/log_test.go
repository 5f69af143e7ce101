package kafka

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

type applied struct {
	mu   sync.Mutex
	list []string
}

func (a *applied) apply(r Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, fmt.Sprintf("%d:%s", r.Partition, r.Value))
}

func (a *applied) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.list
	a.list = nil
	return got
}

func openTestLog(t *testing.T, c *localkafka.Cluster, topic string, apply func(Record), pairs ...string) *Log {
	t.Helper()
	l, err := OpenLog(testContext(t), newTestClient(t, c.Bootstrap()), testConfig(t, RoleConsumer, c.Bootstrap(), pairs...), topic, apply, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestALogIsReadToItsEndBeforeOpenLogReturnsAndFollowedAfter(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"log": 3}})
	p := newTestProducer(t, c.Bootstrap())
	mustSend(t, p, &Record{Topic: "log", Partition: 1, Value: []byte("x")}, &Record{Topic: "log", Partition: 1, Value: []byte("y")})
	var a applied

	l := openTestLog(t, c, "log", a.apply)

	if diff := cmp.Diff([]string{"1:x", "1:y"}, a.take()); diff != "" {
		t.Errorf("at first: %s", diff)
	}
	if l.Partitions() != 3 {
		t.Errorf("%d partitions, want 3", l.Partitions())
	}
	mustSend(t, p, &Record{Topic: "log", Partition: 2, Value: []byte("z")})
	if err := l.ReadToEnd(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2:z"}, a.take()); diff != "" {
		t.Errorf("later: %s", diff)
	}
}

func TestALogThatIsEmptyOpensAtOnce(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"log": 5}})
	var a applied
	l := openTestLog(t, c, "log", a.apply)
	if err := l.ReadToEnd(testContext(t)); err != nil {
		t.Error(err)
	}
	if got := a.take(); len(got) != 0 {
		t.Errorf("applied %v", got)
	}
}

func TestALogWhoseTailIsMarkersAndAbortedDataIsReadToItsEnd(t *testing.T) {
	for _, isolation := range []string{"read_uncommitted", "read_committed"} {
		t.Run(isolation, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
			fillWithTransactions(t, c)
			var a applied
			openTestLog(t, c, "a", a.apply, "isolation.level", isolation)
			want := []string{"0:c0", "0:c1", "0:p6"}
			if isolation == "read_uncommitted" {
				want = []string{"0:c0", "0:c1", "0:a3", "0:a4", "0:p6", "0:a7"}
			}
			if diff := cmp.Diff(want, a.take()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALogThatStartsLaterIsReadFromThere(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	sendNumbered(t, newTestProducer(t, c.Bootstrap()), "a", 1, 5)
	tp := TopicPartition{"a", 0}
	low, failed, err := newTestAdmin(t, c.Bootstrap()).DeleteRecords(testContext(t), map[TopicPartition]int64{tp: 5})
	if err != nil || len(failed) > 0 || low[tp] != 5 {
		t.Fatal(low, failed, err)
	}
	var a applied
	openTestLog(t, c, "a", a.apply)
	if got := a.take(); len(got) != 0 {
		t.Errorf("applied %v of a topic whose records are gone", got)
	}
}

func TestReadToEndOfAClosedLogFails(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	l := openTestLog(t, c, "a", func(Record) {})
	l.Close()
	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Value: []byte("v")})
	if err := l.ReadToEnd(testContext(t)); err == nil {
		t.Error("a closed log was read to its end")
	}
}

// What compaction took away leaves gaps in the offsets, which a position has to pass.
func TestALogWithCompactedRecordsIsReadToItsEnd(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	err := newTestAdmin(t, c.Bootstrap()).CreateTopic(testContext(t), TopicSpec{
		Name: "log", Partitions: 1, ReplicationFactor: 1, Configs: map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newTestProducer(t, c.Bootstrap())
	for _, r := range []Record{{Key: []byte("k"), Value: []byte("old")}, {Key: []byte("gone"), Value: []byte("x")}, {Key: []byte("gone")}, {Key: []byte("k"), Value: []byte("new")}, {Key: []byte("tail"), Value: []byte("t")}} {
		r.Topic, r.Timestamp = "log", NoTimestamp
		mustSend(t, p, &r)
	}
	c.Compact()
	c.Compact()
	var a applied

	openTestLog(t, c, "log", a.apply)

	if diff := cmp.Diff([]string{"0:new", "0:t"}, a.take()); diff != "" {
		t.Error(diff)
	}
}

// What the follower still handed out when the log was restarted says nothing about how far it is read now.
func TestARestartedLogIsAtItsEndOnceItIsReadAgain(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p, tp := newTestProducer(t, c.Bootstrap()), TopicPartition{"a", 0}
	var a applied
	reached, released := make(chan struct{}), make(chan struct{})
	l := openTestLog(t, c, "a", func(r Record) {
		if a.apply(r); string(r.Value) == "held" {
			select {
			case <-released:
			default:
				close(reached)
				<-released
			}
		}
	})
	mustSend(t, p, &Record{Topic: "a", Value: []byte("held")})
	<-reached
	fetches := c.Hold(localkafka.Fetch)
	defer fetches.Undo()
	l.mu.Lock()
	moved := l.moved
	l.mu.Unlock()

	if err := l.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}
	close(released)

	<-moved
	l.mu.Lock()
	behind := l.behind(map[TopicPartition]int64{tp: 1})
	l.mu.Unlock()
	if !behind {
		t.Error("the log is at its end before it is read again")
	}
	fetches.Undo()
	if err := l.ReadToEnd(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0:held", "0:held"}, a.take()); diff != "" {
		t.Error(diff)
	}
}

func TestARestartedLogWithoutRecordsIsAtItsEnd(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	sendNumbered(t, newTestProducer(t, c.Bootstrap()), "a", 1, 5)
	tp := TopicPartition{"a", 0}
	if low, failed, err := newTestAdmin(t, c.Bootstrap()).DeleteRecords(testContext(t), map[TopicPartition]int64{tp: 5}); err != nil || len(failed) > 0 || low[tp] != 5 {
		t.Fatal(low, failed, err)
	}
	l := openTestLog(t, c, "a", func(Record) {})
	if err := l.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.ReadToEnd(testContext(t)); err != nil {
		t.Error(err)
	}
}

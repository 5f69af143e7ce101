package mirror

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
)

// settling is a task that reads one partition, t-0, from offset next on. What the target
// and the source do is the test's to tell it.
func settling(t *testing.T, next int64, more ...string) (*SourceTask, *sourcePartition) {
	t.Helper()
	pair := startPair(t, localkafka.Options{}, localkafka.Options{})
	pair.source.CreateTopic("t", 1, nil)
	s, err := readSettings(sourceDef, "test", pair.with(more...))
	if err != nil {
		t.Fatal(err)
	}
	reading, err := kafka.ParseConfig(kafka.RoleConsumer, kafka.Props{"bootstrap.servers": pair.a.Bootstrap(), "auto.offset.reset": "none"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(reading, discard())
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{values: map[string]float64{}}
	tp := replica.TopicPartition{Topic: "t", Partition: 0}
	p := newSourcePartition(m, s, tp, connect.NewSourcePartition(replica.SourcePartitionMap("A", "t", 0)), noEnd)
	p.from, p.next = 0, next
	task := &SourceTask{
		settings: s, logger: discard(), troubles: newTroubles(discard()), metrics: newSourceTaskMetrics(m, s), client: client,
		partitions: map[kafka.TopicPartition]*sourcePartition{kafka.TopicPartition(tp): p},
		stopped:    map[kafka.TopicPartition]error{}, waiting: map[*sourcePartition]struct{}{}, held: map[*sourcePartition]struct{}{},
		traffic: newTraffic(s, false), fetcher: kafka.NewFetcher(client, reading, discard()),
	}
	t.Cleanup(func() {
		task.fetcher.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	task.fetcher.Assign(map[kafka.TopicPartition]int64{kafka.TopicPartition(tp): next})
	return task, p
}

// isRead reports whether the partition is being fetched.
func (t *SourceTask) isRead(p *sourcePartition) bool {
	_, assigned := t.fetcher.Position(kafka.TopicPartition(p.tp))
	return assigned
}

// A broker may go on refusing a position that the source's ends allow, as while leaders change.
func TestAPositionThatStaysOutOfRangeIsLookedIntoWithTheRegularLook(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]finding{
		"it is in range":    {earliest: 0, latest: 9, reset: 0},
		"so is the new one": {earliest: 7, latest: 9, reset: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task, p := settling(t, 5)
			tp := kafka.TopicPartition(p.tp)
			task.watch = &sourceWatch{lost: map[kafka.TopicPartition]bool{}, wake: make(chan struct{}, 1)}
			// outOfRange reports whether it is looked into at once.
			outOfRange := func() bool {
				t.Helper()
				clear(task.watch.lost)
				if err := task.take([]kafka.Fetched{{TopicPartition: tp, NextOffset: p.next, Err: kafka.ErrOffsetOutOfRange}}, time.Now()); err != nil {
					t.Fatal(err)
				}
				if !task.watch.lost[tp] {
					t.Error("the partition is forgotten")
				}
				select {
				case <-task.watch.wake:
					return true
				default:
					return false
				}
			}
			if !outOfRange() {
				t.Error("the first time it is not looked into at once")
			}
			for range 2 {
				task.settle(p, f)
				if !task.isRead(p) || p.adrift {
					t.Error("it is not tried again")
				}
				if outOfRange() {
					t.Error("it is looked into at once again")
				}
			}
			task.settle(p, f)
			if err := task.take([]kafka.Fetched{{TopicPartition: tp, NextOffset: 8, Records: []kafka.Record{{Offset: 7}}}}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if !outOfRange() {
				t.Error("once it was read it is not looked into at once")
			}
		})
	}
}

// handedOut are the values of the records that may be handed out.
func (t *SourceTask) handedOut() []string {
	var values []string
	for _, p := range t.portions {
		for _, r := range p.records {
			values = append(values, string(r.Value))
		}
	}
	return values
}

func TestAStoppedPartitionIsNotReadAgainForARefusedRecord(t *testing.T) {
	t.Parallel()
	refusal := errors.New("too large")
	gone := finding{earliest: 0, latest: 3, reset: 0, recreated: true}
	now := time.UnixMilli(1_700_000_000_000)
	for name, happens := range map[string]func(task *SourceTask, p *sourcePartition){
		"refused, then stopped": func(task *SourceTask, p *sourcePartition) {
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
			task.settle(p, gone)
		},
		"stopped, then refused": func(task *SourceTask, p *sourcePartition) {
			task.settle(p, gone)
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
		},
		"stopped while the record is read again": func(task *SourceTask, p *sourcePartition) {
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
			task.takeRefusals(t.Context(), now.Add(firstRetry))
			task.settle(p, gone)
		},
		"stopped while the record is on its way, which gets through": func(task *SourceTask, p *sourcePartition) {
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
			task.takeRefusals(t.Context(), now.Add(firstRetry))
			task.sendProbe(p, []kafka.Record{{Offset: 2}})
			task.settle(p, gone)
			p.progress.upTo.Store(3)
		},
		"stopped while the record is on its way, which is refused again": func(task *SourceTask, p *sourcePartition) {
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
			task.takeRefusals(t.Context(), now.Add(firstRetry))
			task.sendProbe(p, []kafka.Record{{Offset: 2}})
			task.settle(p, gone)
			task.hold(refusedRecord{partition: p, offset: 2, err: refusal}, now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task, p := settling(t, 5, "on.data.loss=stop.partition")
			happens(task, p)
			task.takeRefusals(t.Context(), now.Add(time.Hour))
			if task.isRead(p) || p.probing {
				t.Error("the partition is read again")
			}
			if len(task.held) > 0 || p.refused != nil {
				t.Error("the record is still to be tried again")
			}
			if len(task.stopped) != 1 {
				t.Errorf("stopped are %v", task.stopped)
			}
		})
	}
}

func TestAPartitionThatIsSetBackIsNotHeldBackForWhatItSentBefore(t *testing.T) {
	t.Parallel()
	for name, looked := range map[string]bool{"looked at between the old and the new": true, "not looked at in between": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task, p := settling(t, 5000)
			hand := func(offset int64) {
				task.traffic.sent([]portion{{partition: p, records: []kafka.Record{{Offset: offset, Value: make([]byte, 20)}}}}, time.Now())
			}
			onTheWay := func(when string, least, most int64) {
				t.Helper()
				if have := p.backlog.bytes(); have < least || have > most {
					t.Errorf("%s %d bytes are on their way, want %d to %d", when, have, least, most)
				}
			}
			hand(4999)
			one := p.backlog.bytes()
			task.traffic.curbed[p] = false
			task.settle(p, finding{earliest: 0, latest: 10, reset: 0, recreated: true})
			if _, curbed := task.traffic.curbed[p]; curbed || p.next != 0 {
				t.Errorf("it goes on at %d, held back: %v", p.next, curbed)
			}
			hand(9)
			p.progress.upTo.Store(5000) // the old record got through
			if looked {
				task.traffic.judge()
				onTheWay("behind the old record", 0, one)
			}
			p.progress.upTo.Store(10)
			task.traffic.judge()
			onTheWay("once everything got through", 0, 0)
			hand(19)
			task.traffic.judge()
			onTheWay("behind what got through", one, one)
			p.progress.upTo.Store(20)
			task.traffic.judge()
			onTheWay("once that got through too", 0, 0)
			if len(task.traffic.busy) > 0 {
				t.Error("something is still waited for")
			}
		})
	}
}

func TestAStoppedPartitionStillHandsOutItsDelayedRecordsAndIsNotReadAgain(t *testing.T) {
	t.Parallel()
	const delay = 20 * time.Second
	task, p := settling(t, 2, "on.data.loss=stop.partition", "replication.mode=delayed", "replication.delay.ms=20000")
	now := time.UnixMilli(1_700_000_000_000)
	task.wait(p, []kafka.Record{
		{Offset: 0, Timestamp: now.Add(500*time.Millisecond - delay).UnixMilli(), Value: []byte("soon")},
		{Offset: 1, Timestamp: now.Add(8*time.Second - delay).UnixMilli(), Value: []byte("late")},
	}, 2, now)
	task.settle(p, finding{earliest: 0, latest: 9, reset: 0, recreated: true})
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{400 * time.Millisecond, nil},
		{600 * time.Millisecond, []string{"soon"}},
		{7 * time.Second, []string{"soon"}},
		{8 * time.Second, []string{"soon", "late"}},
		{time.Hour, []string{"soon", "late"}},
	} {
		task.releaseDue(now.Add(step.after))
		if diff := cmp.Diff(step.want, task.handedOut()); diff != "" {
			t.Errorf("after %v: %s", step.after, diff)
		}
		if task.isRead(p) {
			t.Errorf("after %v the partition is read again", step.after)
		}
	}
	if len(task.waiting) > 0 {
		t.Error("the partition still waits for records")
	}
}

func TestADelayedPartitionThatIsSetBackKeepsTheDelayOfItsNewRecords(t *testing.T) {
	t.Parallel()
	task, p := settling(t, 5000, "replication.mode=delayed", "replication.delay.ms=60000")
	now := time.UnixMilli(1_700_000_000_000)
	p.gate.saw(5000, now)
	task.settle(p, finding{earliest: 0, latest: 1, reset: 0, recreated: true})
	later := now.Add(time.Hour)
	fresh := []kafka.Record{{Offset: 0, Timestamp: kafka.NoTimestamp, Value: []byte("new")}}
	task.wait(p, fresh, 1, later)
	if early := task.handedOut(); early != nil {
		t.Errorf("%v leave at once", early)
	}
	if due := p.gate.due(&fresh[0], later); !due.Equal(later.Add(time.Minute)) {
		t.Errorf("a record without timestamp that has just come is due after %v, want 1m", due.Sub(later))
	}
}

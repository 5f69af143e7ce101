package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

func TestASinkTaskPutsWhatItReadsAndCommitsEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.sink.put = func(records []*connect.Record) error {
			for _, r := range records {
				if r.Topic != "t" || r.Origin == nil || r.Timestamp != 1000+r.Origin.Offset || len(r.Headers) != 1 || r.Headers[0].Key != "h" || r.Origin.TimestampType != connect.CreateTime {
					t.Errorf("put %+v from %+v", r, r.Origin)
				}
			}
			return nil
		}
		b.consumer.group[t0] = 5
		b.beginSink(t, "consumer.override.max.poll.records", "7")
		b.polls(assigns(t0, t1), brings(at(t0, 5, "a"), at(t1, 0, "b"), at(t0, 7, "c")))
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0 t-1, c-0 uses t, put a b c")
		if got := m.read("kafka_connect_sink_task_metrics_sink_record_active_count connector=c task=0"); got != 4 {
			t.Errorf("active count is %v, want 4", got)
		}
		if s := b.consumer.spec; s.GroupID != "connect-c" || s.ClientID != "connector-consumer-c-0" || s.Overrides["max.poll.records"] != "7" || s.Subscription.Topics[0] != "t" {
			t.Errorf("the consumer was made for %+v", s)
		}

		time.Sleep(b.options.Config.FlushInterval)
		synctest.Wait()
		expect(t, "events after the interval", b.events.take(), "commit t-0=8 t-1=1")
		time.Sleep(b.options.Config.FlushInterval)
		synctest.Wait()
		expect(t, "events of an interval without records", b.events.take(), "")
		for name, want := range map[string]float64{
			"sink_task_metrics_sink_record_read_total": 3, "sink_task_metrics_sink_record_send_total": 3,
			"sink_task_metrics_sink_record_active_count": 0, "sink_task_metrics_partition_count": 2,
			"sink_task_metrics_offset_commit_seq_no": 2, "sink_task_metrics_offset_commit_completion_total": 2,
			"connector_task_metrics_offset_commit_success_total": 2,
		} {
			if got := m.read("kafka_connect_" + name + " connector=c task=0"); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		b.polls(brings(at(t1, 1, "d")))
		synctest.Wait()
		b.settle(t)
		expect(t, "events of the end", b.events.take(), "put d, close t-0 t-1, commit t-0=8 t-1=2, stop, leave, c-0 UNASSIGNED")
		if len(m.values) != 0 {
			t.Errorf("metrics left: %v", m.values)
		}
	})
}

func TestPartitionsAreFlushedCommittedAndClosedBeforeTheyGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.sink.preCommit = func(offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) {
			b.events.add("flush %s", showOffsets(offsets))
			return offsets, nil
		}
		b.beginSink(t)
		b.polls(assigns(t0, t1), brings(at(t0, 0, "a"), at(t1, 0, "b")), takes(kafka.RebalanceListener.Revoked, t1), brings(at(t0, 1, "c")))
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0 t-1, c-0 uses t, put a b, flush t-1=1, close t-1, commit t-1=1, put c")
		b.polls(takes(kafka.RebalanceListener.Lost, t0))
		synctest.Wait()
		expect(t, "events of a loss", b.events.take(), "close t-0")
		b.settle(t)
		expect(t, "events of the end", b.events.take(), "stop, leave, c-0 UNASSIGNED")
	})
}

func TestOnlyWhatTheTaskAllowsIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		var allow map[connect.TopicPartition]int64
		b.sink.preCommit = func(map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) { return allow, nil }
		b.beginSink(t)
		b.polls(assigns(t0, t1), brings(at(t0, 0, "a"), at(t0, 1, "b"), at(t1, 0, "c")))
		synctest.Wait()
		b.events.take()
		p0, p1, other := connect.TopicPartition(t0), connect.TopicPartition(t1), connect.TopicPartition{Topic: "x"}
		for _, step := range []struct {
			allow map[connect.TopicPartition]int64
			want  string
		}{
			{nil, ""}, // opts out
			{map[connect.TopicPartition]int64{p0: 1}, "commit t-0=1 t-1=0"},
			{map[connect.TopicPartition]int64{p0: 1}, ""}, // nothing new
			{map[connect.TopicPartition]int64{p0: 3, p1: 1, other: 1}, "commit t-0=1 t-1=1"},
		} {
			allow = step.allow
			b.sink.context.RequestCommit()
			synctest.Wait()
			expect(t, fmt.Sprint("with ", showOffsets(step.allow)), b.events.take(), step.want)
		}
		if b.logs.count("has not consumed yet") != 1 || b.logs.count("was not asked about") != 1 {
			t.Errorf("not logged: %v", b.logs.lines)
		}
		b.settle(t)
	})
}

func TestAFailedFlushHandsRecordsOverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		broken := true
		b.sink.preCommit = func(offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) {
			if broken {
				return nil, errors.New("disk full")
			}
			return offsets, nil
		}
		b.beginSink(t)
		b.polls(assigns(t0), brings(at(t0, 0, "a"), at(t0, 1, "b")))
		synctest.Wait()
		b.sink.context.RequestCommit()
		synctest.Wait()
		broken = false
		b.polls(brings(at(t0, 0, "a")))
		synctest.Wait()
		b.settle(t)
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a b, seek t-0=0, put a, close t-0, commit t-0=1, stop, leave, c-0 UNASSIGNED")
	})
}

func TestAFailedCommitIsTriedAgainWithTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.beginSink(t)
		b.consumer.refuse = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		b.polls(assigns(t0), brings(at(t0, 0, "a")))
		synctest.Wait()
		b.sink.context.RequestCommit()
		synctest.Wait()
		b.polls(brings(at(t0, 1, "b"))) // the task works on meanwhile
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a, put b")
		time.Sleep(b.options.Config.FlushTimeout)
		synctest.Wait()
		if got := m.read("kafka_connect_connector_task_metrics_offset_commit_failure_total connector=c task=0"); got != 1 || b.logs.count("the commit took longer than offset.flush.timeout.ms (5s)") != 1 {
			t.Errorf("%v failed commits, logged %v", got, b.logs.lines)
		}
		b.consumer.mu.Lock()
		b.consumer.refuse = nil
		b.consumer.mu.Unlock()
		b.sink.context.RequestCommit()
		synctest.Wait()
		expect(t, "events of the next commit", b.events.take(), "commit t-0=2")
		b.settle(t)
	})
}

func TestARefusedBatchComesAgainAndNothingElseBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		refusals := 2
		b.sink.put = func(records []*connect.Record) error {
			if len(records) > 0 && refusals > 0 {
				refusals--
				b.sink.context.RetryAfter(100 * time.Millisecond)
				return connect.Retriable(errors.New("busy"))
			}
			return nil
		}
		b.beginSink(t)
		b.polls(assigns(t0, t1), brings(at(t0, 0, "a"), at(t1, 0, "b")))
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0 t-1, c-0 uses t, put a b")
		expect(t, "paused", b.consumer.rests(), "t-0 t-1")
		b.polls(takes(kafka.RebalanceListener.Revoked, t1))
		synctest.Wait()
		expect(t, "what is left after a partition went", b.events.take(), "close t-1, put a")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		expect(t, "the batch again", b.events.take(), "put a")
		expect(t, "paused after that", b.consumer.rests(), "t-1")
		b.settle(t)
		expect(t, "the end", b.events.take(), "close t-0, commit t-0=1, stop, leave, c-0 UNASSIGNED")
	})
}

// What was put before a refused batch and could not be flushed is read again. A commit after the refused batch would skip it.
func TestAfterAFailedFlushARefusedBatchIsReadAgainWithWhatCameBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		var down atomic.Bool
		b.sink.put = func(records []*connect.Record) error {
			if down.Load() && len(records) > 0 {
				b.sink.context.RetryAfter(100 * time.Millisecond)
				return connect.Retriable(errors.New("busy"))
			}
			return nil
		}
		b.sink.preCommit = func(offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) {
			if down.Load() {
				return nil, errors.New("busy")
			}
			return offsets, nil
		}
		b.beginSink(t)
		b.polls(assigns(t0), brings(at(t0, 0, "a")))
		synctest.Wait()
		down.Store(true)
		b.polls(brings(at(t0, 1, "b")))
		synctest.Wait()
		b.sink.context.RequestCommit()
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a, put b, seek t-0=0")
		expect(t, "paused until the task is ready again", b.consumer.rests(), "t-0")
		down.Store(false)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		expect(t, "paused after that", b.consumer.rests(), "")
		b.sink.context.RequestCommit()
		synctest.Wait()
		expect(t, "events before the records come again", b.events.take(), "")
		b.polls(brings(at(t0, 0, "a"), at(t0, 1, "b")))
		synctest.Wait()
		b.settle(t)
		expect(t, "the end", b.events.take(), "put a b, close t-0, commit t-0=2, stop, leave, c-0 UNASSIGNED")
	})
}

func TestARefusedBatchOfAPartitionThatTheTaskRewindsIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		refuses := false
		b.sink.put = func(records []*connect.Record) error {
			if !refuses {
				return nil
			}
			refuses = false
			b.sink.context.Rewind(map[connect.TopicPartition]int64{connect.TopicPartition(t0): 0})
			b.sink.context.RetryAfter(100 * time.Millisecond)
			return connect.Retriable(errors.New("busy"))
		}
		b.beginSink(t)
		b.polls(assigns(t0, t1), brings(at(t0, 0, "a")))
		synctest.Wait()
		refuses = true
		b.polls(brings(at(t0, 1, "b"), at(t1, 0, "c")))
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0 t-1, c-0 uses t, put a, put b c, seek t-0=0")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		expect(t, "what comes again of the batch", b.events.take(), "put c")
		b.sink.context.RequestCommit()
		synctest.Wait()
		expect(t, "what is committed before the others come again", b.events.take(), "commit t-0=0 t-1=1")
		b.settle(t)
	})
}

func TestAPausedConnectorCommitsAndKeepsItsPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.beginSink(t)
		b.polls(assigns(t0, t1), brings(at(t0, 0, "a")))
		synctest.Wait()
		b.sink.context.Pause(connect.TopicPartition(t1), connect.TopicPartition{Topic: "other"})
		synctest.Wait()
		expect(t, "paused by the task", b.consumer.rests(), "t-1")
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0 t-1, c-0 uses t, put a, c-0 PAUSED, commit t-0=1 t-1=0")
		expect(t, "paused by the connector", b.consumer.rests(), "t-0 t-1")
		b.SetTargetState("c", storage.Started)
		synctest.Wait()
		expect(t, "still paused by the task", b.consumer.rests(), "t-1")
		b.sink.context.Resume(connect.TopicPartition(t1))
		synctest.Wait()
		expect(t, "nothing paused", b.consumer.rests(), "")
		b.settle(t)
		expect(t, "events of the end", b.events.take(), "c-0 RUNNING, close t-0 t-1, stop, leave, c-0 UNASSIGNED")
	})
}

func TestATaskRewindsToItsOwnOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.sink.open = func([]connect.TopicPartition) error {
			b.sink.context.Rewind(map[connect.TopicPartition]int64{connect.TopicPartition(t0): 42, {Topic: "other"}: 1})
			return nil
		}
		b.beginSink(t)
		b.polls(assigns(t0), brings(at(t0, 42, "a")))
		synctest.Wait()
		b.settle(t)
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, seek t-0=42, c-0 uses t, put a, close t-0, commit t-0=43, stop, leave, c-0 UNASSIGNED")
	})
}

func TestALaneWaitsForRecordsWhileACommitOutlastsTheFlushInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.options.Config.FlushInterval = time.Second // less than offset.flush.timeout.ms
		puts, began := []time.Duration{}, time.Now()
		b.sink.put = func([]*connect.Record) error {
			if puts = append(puts, time.Since(began)); len(puts) > 100 {
				return errors.New("the lane does not wait")
			}
			return nil
		}
		release := make(chan struct{})
		b.consumer.refuse = func(context.Context) error { <-release; return nil }
		b.beginSink(t)
		b.polls(assigns(t0), brings(at(t0, 0, "a")))
		time.Sleep(3500 * time.Millisecond)
		b.polls(brings(at(t0, 1, "b")))
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		expect(t, "when the task was called", fmt.Sprint(puts), "[0s 0s 1s 2s 3s 3.5s 4.5s]")
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a, put b")
		close(release)
		synctest.Wait()
		expect(t, "the commit and the one that was due meanwhile", b.events.take(), "commit t-0=1, commit t-0=2")
		b.settle(t)
	})
}

func TestAnErrorOfAPollWhoseTimeIsOverFailsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.beginSink(t)
		b.polls(assigns(t0), func(*fakeConsumer) ([]kafka.Record, error) {
			time.Sleep(b.options.Config.FlushInterval + time.Second)
			return nil, errors.New("boom")
		})
		time.Sleep(b.options.Config.FlushInterval + time.Second)
		synctest.Wait()
		if got, _, _ := strings.Cut(b.events.lastTrace(), "\n"); got != "boom" {
			t.Errorf("failed with %q, want boom", got)
		}
		b.settle(t)
	})
}

func TestFailuresOfASinkTask(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		sink  func(*fakeSink)
		turn  turn
		trace string
	}{
		"put":     {func(s *fakeSink) { s.put = func(r []*connect.Record) error { return failFor(r, boom) } }, nil, "Exiting WorkerSinkTask due to unrecoverable exception.: boom"},
		"panic":   {func(s *fakeSink) { s.put = func(r []*connect.Record) error { panic("boom") } }, nil, "Exiting WorkerSinkTask due to unrecoverable exception.: panic: boom"},
		"open":    {func(s *fakeSink) { s.open = func([]connect.TopicPartition) error { return boom } }, nil, "boom"},
		"polling": {func(*fakeSink) {}, fails(boom), "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSinkBench(t)
				c.sink(b.sink)
				b.beginSink(t)
				b.polls(assigns(t0), brings(at(t0, 0, "a")))
				if c.turn != nil {
					b.polls(c.turn)
				}
				synctest.Wait()
				if got, _, _ := strings.Cut(b.events.lastTrace(), "\n"); got != c.trace {
					t.Errorf("failed with %q, want %q", got, c.trace)
				}
				if events := b.events.take(); !strings.HasSuffix(events, "stop, leave") {
					t.Errorf("a failed task leaves its group; %s", events)
				}
				b.settle(t)
			})
		})
	}
}

func failFor(records []*connect.Record, err error) error {
	if len(records) == 0 {
		return nil
	}
	return err
}

func TestATaskCutOffDoesNotCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		release := make(chan struct{})
		b.sink.put = func(records []*connect.Record) error {
			if len(records) > 0 {
				<-release
			}
			return nil
		}
		b.beginSink(t)
		b.polls(assigns(t0), brings(at(t0, 0, "a")))
		synctest.Wait()
		if cut := b.StopTasks(t.Context(), b.task); len(cut) != 1 {
			t.Errorf("cut off %v", cut)
		}
		close(release)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a, close t-0, stop, leave")
	})
}

func TestTopicsOfASinkTask(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		reads  string
		wrong  string
	}{
		{map[string]string{"topics": "a, b,a"}, "a b", ""},
		{map[string]string{"topics.regex": "a[0-9]+"}, "a12", ""},
		{map[string]string{"topics": "a", "topics.regex": "b"}, "", "topics and topics.regex are both set"},
		{map[string]string{}, "", "needs topics or topics.regex"},
		{map[string]string{"topics.regex": "("}, "", `invalid value "(" for configuration topics.regex`},
	} {
		got, err := subscriptionOf(c.config)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v: got %v, want %s", c.config, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.config, err)
			continue
		}
		for _, topic := range []string{"a", "b", "a12", "xa12", "a1x"} {
			reads := got.Matches != nil && got.Matches(topic)
			for _, listed := range got.Topics {
				reads = reads || listed == topic
			}
			if want := strings.Contains(" "+c.reads+" ", " "+topic+" "); reads != want {
				t.Errorf("%v: reads %s is %v", c.config, topic, reads)
			}
		}
	}
}

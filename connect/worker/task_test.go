package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

func TestTaskMovesRecordsAndCommitsTheirOffsetsEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.source.noisy = true
		b.source.taskStart = func(_ context.Context, tc connect.TaskContext, config map[string]string) error {
			if config["k"] != "v" || tc.ID() != b.task {
				t.Errorf("started as %v with %v", tc.ID(), config)
			}
			return nil
		}
		b.beginTask(t, "producer.override.linger.ms", "7")
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), record("b", 1, 1)}
		b.source.batches <- []*connect.SourceRecord{record("a", 2, 0)}
		synctest.Wait()
		expect(t, "events", b.events.take(), "start, c-0 RUNNING, c-0 uses t")
		expect(t, "partition 0", b.cluster.log("t-0"), "a1 a2")
		expect(t, "partition 1", b.cluster.log("t-1"), "b1")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 b1@0 a2@1")
		expect(t, "offsets before the interval", b.offsets.written(), "")
		if o := b.cluster.opened[0]; o.ClientID != "connector-producer-c-0" || len(o.Overrides) != 1 || o.Overrides["linger.ms"] != "7" {
			t.Errorf("the producer was opened with %+v", o)
		}

		time.Sleep(b.options.Config.FlushInterval)
		synctest.Wait()
		expect(t, "offsets after the interval", b.offsets.written(), "ca=2,cb=1")
		if b.source.commits != 1 {
			t.Errorf("Commit was called %d times, want once", b.source.commits)
		}
		const labels = " connector=c task=0"
		for name, want := range map[string]float64{
			"source_task_metrics_source_record_poll_total": 3, "source_task_metrics_source_record_write_total": 3,
			"source_task_metrics_source_record_active_count": 0, "connector_task_metrics_offset_commit_success_total": 1,
		} {
			if got := m.read("kafka_connect_" + name + labels); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		b.settle(t)
		expect(t, "events", b.events.take(), "stop, c-0 UNASSIGNED")
		if b.cluster.closed != 1 || len(m.values) != 0 {
			t.Errorf("%d producers were closed, want 1; metrics left: %v", b.cluster.closed, m.values)
		}
	})
}

func TestStopAwaitsAcknowledgementsAndCommitsThemBeforeTheTasksStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.hold = func(r *kafka.Record) bool { return true }
		b.source.taskStop = func(context.Context) error {
			b.events.add("committed %s", b.offsets.written())
			return nil
		}
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), record("a", 2, 0)}
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			b.cluster.resume()
		}()
		b.settle(t)
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, committed ca=2, c-0 UNASSIGNED")
	})
}

func TestStopGivesUpAcknowledgementsAfterTheFlushTimeoutAndHearsNoMoreOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Config.GracefulTimeout = time.Minute
		b.cluster.hold = func(r *kafka.Record) bool { return string(r.Value) == "a2" }
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), record("a", 2, 0), record("a", 3, 0)}
		synctest.Wait()
		b.source.taskStop = func(context.Context) error {
			b.cluster.resume()
			return nil
		}
		began := time.Now()
		b.settle(t)
		if d := time.Since(began); d != b.options.Config.FlushTimeout {
			t.Errorf("stopping took %v, want the flush timeout", d)
		}
		expect(t, "offsets", b.offsets.written(), "ca=1")
		expect(t, "CommitRecord", b.source.heard(), "a1@0")
		expect(t, "last event", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 UNASSIGNED")
	})
}

func TestTaskThatDoesNotStopInTimeIsCutOffAndNotHeardOfAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m := &meter{}
		b.options.Metrics = m
		stuck := make(chan struct{})
		b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) {
			<-stuck
			return []*connect.SourceRecord{record("a", 1, 0)}, nil
		}
		b.beginTask(t)
		synctest.Wait()
		began := time.Now()
		cut := b.StopTasks(t.Context(), b.task, connect.TaskID{Connector: "unknown"})
		if d := time.Since(began); d != b.options.Config.GracefulTimeout || len(cut) != 1 || cut[0] != b.task {
			t.Errorf("after %v %v were cut off", d, cut)
		}
		synctest.Wait()
		if b.cluster.closed != 1 || len(m.values) != 0 || len(b.Tasks()) != 0 {
			t.Errorf("left over: %d of 1 producers closed, metrics %v, tasks %v", b.cluster.closed, m.values, b.Tasks())
		}
		b.events.take()
		close(stuck)
		synctest.Wait()
		expect(t, "events", b.events.take(), "")
		expect(t, "records", b.cluster.log("t-0"), "")
		expect(t, "offsets", b.offsets.written(), "")
	})
}

func TestTasksStoppedTogetherShareTheGracefulTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.poll = func(ctx context.Context) ([]*connect.SourceRecord, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			return nil, ctx.Err()
		}
		ids := []connect.TaskID{{Connector: "c", Task: 0}, {Connector: "c", Task: 1}}
		for _, id := range ids {
			if err := b.StartTask(id, b.configWith(), nil, storage.Started, 2); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		began := time.Now()
		if cut := b.StopTasks(t.Context(), ids...); len(cut) != 0 || time.Since(began) != 3*time.Second {
			t.Errorf("after %v %v were cut off", time.Since(began), cut)
		}
	})
}

func TestPausedTaskFlushesKeepsItsProducerAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.noisy = true
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0)}
		synctest.Wait()
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		expect(t, "events", b.events.take(), "start, c-0 RUNNING, c-0 uses t, c-0 PAUSED")
		expect(t, "offsets", b.offsets.written(), "ca=1")
		b.source.batches <- []*connect.SourceRecord{record("a", 2, 0)}
		synctest.Wait()
		expect(t, "records while paused", b.cluster.log("t-0"), "a1")

		b.SetTargetState("c", storage.Started)
		synctest.Wait()
		expect(t, "records after resuming", b.cluster.log("t-0"), "a1 a2")
		expect(t, "events", b.events.take(), "c-0 RUNNING")
		if len(b.cluster.opened) != 1 {
			t.Errorf("%d producers were opened, want 1", len(b.cluster.opened))
		}
		b.SetTargetState("c", storage.Stopped)
		synctest.Wait()
		expect(t, "events", b.events.take(), "stop, c-0 UNASSIGNED")
		b.settle(t)
	})
}

func TestTaskCreatedPausedStartsWhenResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.noisy = true
		if err := b.StartTask(b.task, b.configWith(), nil, storage.Paused, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 PAUSED")
		if n := len(b.cluster.opened); n != 0 {
			t.Errorf("%d producers were opened", n)
		}
		b.SetTargetState("c", storage.Started)
		synctest.Wait()
		expect(t, "events", b.events.take(), "start, c-0 RUNNING")
		b.settle(t)

		c := newBench(t)
		c.source.noisy = true
		if err := c.StartTask(c.task, c.configWith(), nil, storage.Paused, 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.settle(t)
		expect(t, "events of a task never resumed", c.events.take(), "c-0 PAUSED, c-0 UNASSIGNED")
	})
}

func TestTaskFailures(t *testing.T) {
	boom := errors.New("boom")
	for _, test := range []struct {
		name    string
		prepare func(b *bench)
		config  []string
		events  string
		trace   string
	}{
		{"Start", func(b *bench) {
			b.source.taskStart = func(context.Context, connect.TaskContext, map[string]string) error { return boom }
		}, nil, "start, c-0 FAILED, stop", "boom"},
		{"Poll", func(b *bench) {
			b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) { return nil, boom }
		}, nil, "start, c-0 RUNNING, c-0 FAILED, stop", "boom"},
		{"panic", func(b *bench) {
			b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) { panic("at the disco") }
		}, nil, "start, c-0 RUNNING, c-0 FAILED, stop", "panic: at the disco\ngoroutine"},
		{"connector class", nil, []string{"connector.class", "Nope"},
			"c-0 FAILED", "Failed to find any connector class which name matches Nope"},
		{"configuration", nil, []string{"tasks.max", "none"},
			"c-0 FAILED", "Invalid value none for configuration tasks.max: Not a number of type INT"},
		{"tasks.max", nil, []string{"tasks.max", "0"},
			"c-0 FAILED", "Invalid value 0 for configuration tasks.max: Value must be at least 1"},
		{"converter", nil, []string{"value.converter", "Nope"},
			"c-0 FAILED", `invalid value "Nope" for configuration value.converter: Failed to find any converter class`},
		{"transformation", nil, []string{"transforms", "x", "transforms.x.type", "Nope"},
			"c-0 FAILED", `invalid value "Nope" for configuration transforms.x.type: Failed to find any transformation class`},
		{"producer", func(b *bench) {
			b.cluster.refuse = func() error {
				time.Sleep(time.Second) // so that the task runs first
				return boom
			}
		}, nil,
			"start, c-0 RUNNING, c-0 FAILED, stop", "the producer cannot be created: boom"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.source.noisy = true
				if test.prepare != nil {
					test.prepare(b)
				}
				b.beginTask(t, test.config...)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				expect(t, "events", b.events.take(), test.events)
				expect(t, "made", strings.Join(b.events.made, ", "), fmt.Sprintf("c-0 %t", !strings.HasPrefix(test.events, "c-0 FAILED")))
				if got := b.events.lastTrace(); !strings.HasPrefix(got, test.trace) {
					t.Errorf("trace:\n got %s\nwant %s…", got, test.trace)
				}
				if state, here := b.TaskState(b.task); state != storage.StateFailed || !here {
					t.Errorf("state %v, here %v: a failed task stays until it is stopped", state, here)
				}
				b.settle(t)
				expect(t, "events of stopping a failed task", b.events.take(), "")
			})
		})
	}
}

func TestTaskOfAConnectorWithTooManyTasksFailsUnlessThatIsNotEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for i, enforce := range []string{"true", "false"} {
			id := connect.TaskID{Connector: "c", Task: i}
			if err := b.StartTask(id, b.configWith("tasks.max.enforce", enforce), nil, storage.Started, 3); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		expect(t, "events", b.events.take(), "c-0 FAILED, c-1 RUNNING")
		if want := "The connector c has generated 3 tasks, which is greater than 2, the maximum number of tasks it is configured to create. "; !strings.HasPrefix(b.events.lastTrace(), want) {
			t.Errorf("trace: %s", b.events.lastTrace())
		}
		b.settle(t)
	})
}

func TestRetriablePollFailureIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		n := 0
		b.source.poll = func(ctx context.Context) ([]*connect.SourceRecord, error) {
			switch n++; n {
			case 1:
				return nil, connect.Retriable(errors.New("not now"))
			case 2:
				return []*connect.SourceRecord{record("a", 1, 0)}, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b.beginTask(t)
		synctest.Wait()
		expect(t, "records before the pause", b.cluster.log("t-0"), "")
		time.Sleep(pollRetryPause)
		synctest.Wait()
		expect(t, "records", b.cluster.log("t-0"), "a1")
		if b.logs.count("not now") != 1 {
			t.Error("the failure was not logged")
		}
		b.settle(t)
	})
}

func TestTaskRunsWhileItsTargetClusterIsDownAndDeliversOnceItIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		up := time.Now().Add(time.Hour)
		b.cluster.refuse = func() error {
			if time.Now().Before(up) {
				return connect.Retriable(errors.New("connection refused"))
			}
			return nil
		}
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0)}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING")
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		expect(t, "records", b.cluster.log("t-0"), "a1")
		b.settle(t)

		down := newBench(t)
		down.cluster.refuse = func() error { return connect.Retriable(errors.New("connection refused")) }
		down.beginTask(t)
		down.source.batches <- []*connect.SourceRecord{record("a", 1, 0)}
		synctest.Wait()
		began := time.Now()
		down.settle(t)
		if d := time.Since(began); d != 0 {
			t.Errorf("stopping a task that never reached its cluster took %v", d)
		}
	})
}

func TestCommitsThatFailAreKeptAndMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		tries := 0
		b.offsets.fault = func(ctx context.Context) error {
			switch tries++; tries {
			case 1:
				return errors.New("no leader")
			case 2:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		b.beginTask(t)
		send := func(records ...*connect.SourceRecord) {
			b.source.batches <- records
			time.Sleep(b.options.Config.FlushInterval)
			synctest.Wait()
		}
		send(record("a", 1, 0), record("b", 1, 1))
		if b.logs.count("Offsets could not be committed") != 1 || b.logs.count("no leader") != 1 {
			t.Error("the failed commit was not logged once")
		}
		if b.source.commits != 0 {
			t.Error("Commit was called after a commit that failed")
		}
		send(record("a", 2, 0))
		time.Sleep(b.options.Config.FlushTimeout)
		synctest.Wait()
		if b.logs.count("offset.flush.timeout.ms (5s)") != 1 {
			t.Errorf("the timeout was not logged once: %v", b.logs.lines)
		}
		expect(t, "offsets after two failures", b.offsets.written(), "")
		send(record("c", 1, 0))
		expect(t, "offsets", b.offsets.written(), "ca=2,cb=1,cc=1")
		expect(t, "state", b.events.take(), "c-0 RUNNING, c-0 uses t")
		b.settle(t)
	})
}

func TestAnOffsetThatCannotBeWrittenDownHoldsUpCommitsUntilAnotherReplacesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.beginTask(t)
		wrong := record("a", 1, 0)
		wrong.SourceOffset = connect.OffsetMap{"wrong": true}
		b.source.batches <- []*connect.SourceRecord{wrong}
		time.Sleep(b.options.Config.FlushInterval)
		synctest.Wait()
		if b.logs.count(`offset of source partition {"p":"a"}: cannot be written down`) != 1 {
			t.Errorf("not logged: %v", b.logs.lines)
		}
		b.source.batches <- []*connect.SourceRecord{record("a", 2, 0)}
		time.Sleep(b.options.Config.FlushInterval)
		synctest.Wait()
		expect(t, "offsets", b.offsets.written(), "ca=2")
		b.settle(t)
	})
}

func TestSilenceOfTheTargetIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.hold = func(*kafka.Record) bool { return true }
		b.beginTask(t)
		time.Sleep(time.Hour) // idle is not silent
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0)}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := b.logs.count("acknowledged nothing for a while"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		b.cluster.resume()
		b.settle(t)
	})
}

func TestWorkerRefusesASecondInstanceAndWorkAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.beginTask(t)
		if err := b.StartTask(b.task, b.configWith(), nil, storage.Started, 1); err == nil || err.Error() != "task c-0 already runs on this worker" {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		b.settle(t)
		if err := b.StartTask(b.task, b.configWith(), nil, storage.Started, 1); !errors.Is(err, errStopped) {
			t.Errorf("got %v", err)
		}
		if err := b.StartConnector("c", b.configWith(), storage.Started); !errors.Is(err, errStopped) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTaskReadsItsCommittedOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.offsets.values = map[string]string{"ca": "41"}
		b.source.taskStart = func(ctx context.Context, tc connect.TaskContext, _ map[string]string) error {
			got, err := tc.Offsets().Offsets(ctx, []*connect.SourcePartition{partition("a"), partition("b")})
			if err != nil || got[0]["at"] != "41" || got[1] != nil {
				t.Errorf("read %v, %v", got, err)
			}
			return nil
		}
		b.beginTask(t)
		synctest.Wait()
		b.settle(t)
	})
}

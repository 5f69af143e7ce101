package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

func (b *bench) beginConnector(t *testing.T, target storage.TargetState, more ...string) {
	t.Helper()
	if err := b.StartConnector("c", b.configWith(more...), target); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// TestConnectorLifeCycle walks the table of target states. The first target is the one
// that the connector is created with; "end" stops it. Start, stop: what the plugin
// answers.
func TestConnectorLifeCycle(t *testing.T) {
	boom := errors.New("boom")
	for _, test := range []struct {
		name, targets, want string
		start, stop         error
	}{
		{"started and ended", "STARTED end", "start c RUNNING c asks | stop c UNASSIGNED", nil, nil},
		{"created paused", "PAUSED end", "c PAUSED | c UNASSIGNED", nil, nil},
		{"created stopped", "STOPPED STARTED end", "c STOPPED | start c RUNNING c asks | stop c UNASSIGNED", nil, nil},
		{"paused and resumed", "STARTED PAUSED STARTED", "start c RUNNING c asks | stop c PAUSED | start c RUNNING c asks", nil, nil},
		{"stopped and resumed", "STARTED STOPPED STARTED", "start c RUNNING c asks | stop c STOPPED | start c RUNNING c asks", nil, nil},
		{"from paused to stopped and back", "PAUSED STOPPED PAUSED", "c PAUSED | c STOPPED | c PAUSED", nil, nil},
		{"a state it has already", "STARTED STARTED PAUSED PAUSED", "start c RUNNING c asks |  | stop c PAUSED | ", nil, nil},
		{"start fails", "STARTED PAUSED STARTED STOPPED end", "start c FAILED |  |  | c STOPPED | c UNASSIGNED", boom, nil},
		{"stop fails while pausing", "STARTED PAUSED end", "start c RUNNING c asks | stop c FAILED | c UNASSIGNED", nil, boom},
		{"stop fails while stopping", "STARTED STOPPED end", "start c RUNNING c asks | stop c STOPPED | c UNASSIGNED", nil, boom},
		{"stop fails at the end", "STARTED end", "start c RUNNING c asks | stop c FAILED", nil, boom},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.source.noisy = true
				b.source.start = func(context.Context, connect.ConnectorContext, map[string]string) error { return test.start }
				b.source.stop = func(context.Context) error { return test.stop }
				var got []string
				for i, target := range strings.Fields(test.targets) {
					switch {
					case target == "end":
						b.StopConnectors(t.Context(), "c")
					case i == 0:
						b.beginConnector(t, storage.TargetState(target))
					default:
						b.SetTargetState("c", storage.TargetState(target))
					}
					synctest.Wait()
					got = append(got, strings.ReplaceAll(b.events.take(), ",", ""))
				}
				expect(t, "events", strings.Join(got, " | "), test.want)
				b.settle(t)
			})
		})
	}
}

func TestOfSeveralTargetStatesOnlyTheLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.noisy = true
		b.source.start = func(ctx context.Context, _ connect.ConnectorContext, _ map[string]string) error {
			time.Sleep(time.Second)
			return nil
		}
		b.beginConnector(t, storage.Started)
		b.SetTargetState("c", storage.Paused)
		b.SetTargetState("c", storage.Started)
		b.SetTargetState("c", storage.Stopped)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect(t, "events", b.events.take(), "start, c RUNNING, c asks, stop, c STOPPED")
		b.settle(t)
	})
}

func TestAStartThatTakesLongIsBrokenOffByAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.start = func(ctx context.Context, _ connect.ConnectorContext, _ map[string]string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		b.beginConnector(t, storage.Started)
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c PAUSED")
		b.SetTargetState("c", storage.Started)
		synctest.Wait()
		b.settle(t)
		expect(t, "events", b.events.take(), "c UNASSIGNED")
	})
}

// A plugin's goroutines live as long as Start's context, which a pause or a stop ends at once.
func TestAConnectorWantedAgainBeforeItWasPausedOrStoppedIsStartedAnew(t *testing.T) {
	const once = "start, c RUNNING, c asks"
	for _, between := range []storage.TargetState{storage.Paused, storage.Stopped} {
		for _, test := range []struct {
			name, want, ends string
			busyStart        bool
			stop             error
		}{
			{"during Start", once + ", stop, " + once, "stop, c UNASSIGNED", true, nil},
			{"during TaskConfigs", once + ", stop, " + once, "stop, c UNASSIGNED", false, nil},
			{"and fails to stop", once + ", stop, c FAILED", "c UNASSIGNED", false, errors.New("boom")},
		} {
			t.Run(string(between)+" "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					b.source.noisy = true
					var last context.Context
					b.source.start = func(ctx context.Context, _ connect.ConnectorContext, _ map[string]string) error {
						last = ctx
						if test.busyStart {
							time.Sleep(time.Second)
						}
						return nil
					}
					b.source.stop = func(context.Context) error { return test.stop }
					b.source.taskConfigs = func(context.Context, int) ([]map[string]string, error) {
						time.Sleep(time.Second)
						return nil, nil
					}
					b.beginConnector(t, storage.Started)
					if !test.busyStart {
						go func() { _, _ = b.TaskConfigs(context.Background(), "c") }()
						synctest.Wait()
					}
					b.SetTargetState("c", between)
					b.SetTargetState("c", storage.Started)
					time.Sleep(5 * time.Second)
					synctest.Wait()
					expect(t, "events", b.events.take(), test.want)
					if b.IsRunning("c") && last.Err() != nil {
						t.Error("the connector is RUNNING, but the context of its goroutines has ended")
					}
					b.settle(t)
					expect(t, "events at the end", b.events.take(), test.ends)
				})
			})
		}
	}
}

func TestConnectorThatDoesNotStopInTimeIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		stuck := make(chan struct{})
		b.source.stop = func(ctx context.Context) error {
			<-stuck
			if ctx.Err() == nil {
				t.Error("the plugin was not told that it was cut off")
			}
			return errors.New("too late")
		}
		b.beginConnector(t, storage.Started)
		b.events.take()
		if cut := b.StopConnectors(t.Context(), "c"); len(cut) != 1 || cut[0] != "c" {
			t.Errorf("cut off %v", cut)
		}
		expect(t, "events", b.events.take(), "c UNASSIGNED")
		b.beginConnector(t, storage.Paused) // its name is free
		close(stuck)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c PAUSED")
		b.settle(t)
	})
}

func TestRaisedErrorFailsTheConnectorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var cc connect.ConnectorContext
		b.source.start = func(_ context.Context, given connect.ConnectorContext, _ map[string]string) error {
			cc = given
			return nil
		}
		b.beginConnector(t, storage.Started)
		b.events.take()
		cc.RequestTaskReconfiguration()
		cc.RaiseError(errors.New("first"))
		synctest.Wait()
		cc.RaiseError(errors.New("second"))
		synctest.Wait()
		expect(t, "events", b.events.take(), "c asks, c FAILED")
		expect(t, "trace", b.events.lastTrace(), "first")
		if _, err := b.TaskConfigs(t.Context(), "c"); !isNotRunning(err) {
			t.Errorf("task configurations of a failed connector: %v", err)
		}
		b.settle(t)
		cc.RequestTaskReconfiguration()
		expect(t, "events", b.events.take(), "c UNASSIGNED")
	})
}

func isNotRunning(err error) bool {
	_, ok := errors.AsType[*NotRunningError](err)
	return ok
}

type secrets struct{}

func (secrets) Transform(_ context.Context, _ string, config map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for k, v := range config {
		out[k] = strings.ReplaceAll(v, "${file:/f:pw}", "hunter2")
	}
	return out, nil
}

func TestTaskConfigsAreReadyToBePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Transformer = secrets{}
		b.source.start = func(_ context.Context, cc connect.ConnectorContext, config map[string]string) error {
			if cc.Name() != "c" || config["password"] != "x hunter2" {
				t.Errorf("started as %s with %v", cc.Name(), config)
			}
			return nil
		}
		own := map[string]string{"password": "x hunter2", "i": "0"}
		b.source.taskConfigs = func(_ context.Context, limit int) ([]map[string]string, error) {
			if limit != 2 {
				t.Errorf("limit is %d", limit)
			}
			return []map[string]string{own, {"i": "1"}}, nil
		}
		b.beginConnector(t, storage.Started, "password", "x ${file:/f:pw}", "topics", "a,b")
		got, err := b.TaskConfigs(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		want := []map[string]string{
			{"password": "x ${file:/f:pw}", "i": "0", "task.class": "acme.FakeTask", "topics": "a,b"},
			{"i": "1", "task.class": "acme.FakeTask", "topics": "a,b"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if len(own) != 2 || own["password"] != "x hunter2" {
			t.Errorf("the connector's own map was changed: %v", own)
		}
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		if _, err := b.TaskConfigs(t.Context(), "c"); !isNotRunning(err) {
			t.Errorf("task configurations of a paused connector: %v", err)
		}
		if _, err := b.TaskConfigs(t.Context(), "unknown"); !isNotRunning(err) {
			t.Errorf("task configurations of an unknown connector: %v", err)
		}
		b.settle(t)
	})
}

func TestErrorsOfBuildingAndStartingShowReferencesAsTheyWereWritten(t *testing.T) {
	const reference = "${file:/f:pw}"
	const badLimit, refused = "Invalid value " + reference + " for configuration tasks.max: Not a number of type INT", reference + " is refused"
	refuses := errors.New("hunter2 is refused")
	for _, test := range []struct {
		name, want string
		begin      func(t *testing.T, b *sinkBench)
	}{
		{"a connector's build", badLimit, func(t *testing.T, b *sinkBench) { b.beginConnector(t, storage.Started, "tasks.max", reference) }},
		{"a connector's start", refused, func(t *testing.T, b *sinkBench) {
			b.source.start = func(context.Context, connect.ConnectorContext, map[string]string) error { return refuses }
			b.beginConnector(t, storage.Started, "password", reference)
		}},
		{"a task's build", badLimit, func(t *testing.T, b *sinkBench) { b.beginTask(t, "tasks.max", reference) }},
		{"a task's start", refused, func(t *testing.T, b *sinkBench) {
			b.source.taskStart = func(context.Context, connect.TaskContext, map[string]string) error { return refuses }
			b.beginTask(t, "password", reference)
		}},
		{"a sink task's consumer", "the consumer cannot be created: " + refused, func(t *testing.T, b *sinkBench) {
			b.options.Consumers = func(ConsumerSpec, kafka.RebalanceListener) (Consumer, error) { return nil, refuses }
			b.beginSink(t, "consumer.override.x", reference)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSinkBench(t)
				b.options.Transformer = secrets{}
				test.begin(t, b)
				synctest.Wait()
				expect(t, "trace", b.events.lastTrace(), test.want)
				if b.logs.count(test.want) != 1 || b.logs.count("hunter2") != 0 {
					t.Errorf("log: %q", b.logs.lines)
				}
				b.settle(t)
			})
		})
	}
}

func TestMoreTaskConfigsThanTasksMaxFailTheConnectorUnlessThatIsNotEnforced(t *testing.T) {
	for _, enforce := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.source.taskConfigs = func(context.Context, int) ([]map[string]string, error) {
				return make([]map[string]string, 3), nil
			}
			b.beginConnector(t, storage.Started, "tasks.max.enforce", map[bool]string{true: "true", false: "false"}[enforce])
			b.events.take()
			configs, err := b.TaskConfigs(t.Context(), "c")
			_, tooMany := errors.AsType[*TooManyTasksError](err)
			if enforce {
				expect(t, "events", b.events.take(), "c FAILED")
				if !tooMany || len(configs) != 0 {
					t.Errorf("got %v, %v", configs, err)
				}
			} else if len(configs) != 3 || err != nil || b.logs.count("WARN The connector has more tasks") != 1 {
				t.Errorf("got %v, %v; log %v", configs, err, b.logs.lines)
			}
			b.settle(t)
		})
	}
}

func TestTaskConfigsHonourTheCallersContextAndTheConnectorsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.taskConfigs = func(ctx context.Context, _ int) ([]map[string]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b.beginConnector(t, storage.Started)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.TaskConfigs(ctx, "c"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			b.settle(t)
		}()
		if _, err := b.TaskConfigs(t.Context(), "c"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
	})
}

func TestConnectorThatCannotBeBuiltFailsAndCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.beginConnector(t, storage.Started, "connector.class", "Nope")
		b.SetTargetState("c", storage.Stopped)
		synctest.Wait()
		b.SetTargetState("c", storage.Started)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c FAILED, c STOPPED, c FAILED")
		if b.IsRunning("c") || len(b.Connectors()) != 1 {
			t.Errorf("running %v, connectors %v", b.IsRunning("c"), b.Connectors())
		}
		b.settle(t)
	})
}

func TestPluginPanicFailsItsConnectorAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.start = func(context.Context, connect.ConnectorContext, map[string]string) error { panic("oops") }
		b.beginConnector(t, storage.Started)
		expect(t, "events", b.events.take(), "c FAILED")
		if got := b.events.lastTrace(); !strings.HasPrefix(got, "panic: oops\ngoroutine ") {
			t.Errorf("trace: %s", got)
		}
		b.settle(t)
	})
}

func TestPluginMetricsCarryTheConnectorAndEndWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.source.start = func(_ context.Context, cc connect.ConnectorContext, _ map[string]string) error {
			cc.Metrics().Counter("hits", "Hits.", map[string]string{"to": "x", "connector": "other"}).Add(2)
			return nil
		}
		b.beginConnector(t, storage.Started)
		if got := m.read("hits connector=c to=x"); got != 2 {
			t.Errorf("hits is %v in %v", got, m.values)
		}
		b.settle(t)
		if len(m.values) != 0 {
			t.Errorf("left over: %v", m.values)
		}
	})
}

func TestConfigDefaults(t *testing.T) {
	c, err := ParseConfig(map[string]string{"key.converter": "a", "value.converter": "b", "offset.flush.interval.ms": "9223372036854775807"})
	if err != nil {
		t.Fatal(err)
	}
	if c.GracefulTimeout != 5*time.Second || c.FlushTimeout != 5*time.Second || !c.TopicTracking || c.FlushInterval <= 0 {
		t.Errorf("got %+v", c)
	}
	_, err = ParseConfig(map[string]string{"value.converter": "b", "topic.tracking.enable": "maybe"})
	want := "Missing required configuration \"key.converter\" which has no default value.\n" +
		"Invalid value maybe for configuration topic.tracking.enable: Expected value to be either true or false"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestAClassThatTheWorkerDoesNotHaveFailsWithWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		const missing = "org.apache.kafka.connect.file.FileStreamSourceConnector"
		b.beginConnector(t, storage.Started, "connector.class", missing)
		expect(t, "events", b.events.take(), "c FAILED")
		connector := b.events.lastTrace()
		b.beginTask(t, "connector.class", missing)
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 FAILED")
		for what, trace := range map[string]string{"connector": connector, "task": b.events.lastTrace()} {
			for _, part := range []string{missing, "available are: acme.FakeConnector", "Java and Tributary workers share connectors that both have"} {
				if !strings.Contains(trace, part) {
					t.Errorf("the trace of the %s lacks %q: %s", what, part, trace)
				}
			}
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

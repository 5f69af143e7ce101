package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/internal/kafka"
	"tributary/storage"
)

const (
	secretReference = "${file:/f:pw}"
	quoting         = "hunter2 is refused"
	concealedQuote  = secretReference + " is refused"
)

// checkConcealed looks at all that a worker told of a secret, which has to be something.
func checkConcealed(t *testing.T, b *sinkBench, m *meter, told ...string) {
	t.Helper()
	b.events.mu.Lock()
	told = append(told, strings.Join(b.events.traces, "\n"), strings.Join(b.events.lines, "\n"))
	b.events.mu.Unlock()
	b.logs.mu.Lock()
	told = append(told, strings.Join(b.logs.lines, "\n"))
	b.logs.mu.Unlock()
	m.mu.Lock()
	for name := range m.values {
		told = append(told, name)
	}
	m.mu.Unlock()
	all := strings.Join(told, "\n")
	if strings.Contains(all, "hunter2") {
		t.Errorf("a secret is shown:\n%s", all)
	}
	if !strings.Contains(all, secretReference) {
		t.Errorf("nothing is said of it:\n%s", all)
	}
}

func TestNothingThatARunningConnectorOrTaskSaysShowsWhatAReferenceStandsFor(t *testing.T) {
	refused := errors.New(quoting)
	const password = "password"
	failing := func(context.Context) error { return refused }
	for _, test := range []struct {
		name string
		// begin has something go wrong; trace says that it ends in a status.
		trace bool
		begin func(t *testing.T, b *sinkBench) (told string)
	}{
		{"a poll's failure", true, func(t *testing.T, b *sinkBench) string {
			b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) { return nil, refused }
			b.beginTask(t, password, secretReference)
			return ""
		}},
		{"a poll's panic", true, func(t *testing.T, b *sinkBench) string {
			b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) { panic(quoting) }
			b.beginTask(t, password, secretReference)
			return ""
		}},
		{"a task's stop", false, func(t *testing.T, b *sinkBench) string {
			b.source.taskStop = failing
			b.beginTask(t, password, secretReference)
			synctest.Wait()
			b.StopTasks(t.Context(), b.task)
			return ""
		}},
		{"a task's own log", false, func(t *testing.T, b *sinkBench) string {
			b.source.taskStart = func(_ context.Context, tc connect.TaskContext, config map[string]string) error {
				tc.Logger().Info("Connecting with "+config[password], "error", refused)
				return nil
			}
			b.beginTask(t, password, secretReference)
			return ""
		}},
		{"a producer's refusal", true, func(t *testing.T, b *sinkBench) string {
			b.cluster.judge = func(int, *kafka.Record) error { return refused }
			b.beginTask(t, password, secretReference)
			b.source.batches <- []*connect.SourceRecord{record("p", 0, 0)}
			return ""
		}},
		{"a raised error", true, func(t *testing.T, b *sinkBench) string {
			b.source.start = func(_ context.Context, cc connect.ConnectorContext, _ map[string]string) error {
				cc.RaiseError(refused)
				return nil
			}
			b.beginConnector(t, storage.Started, password, secretReference)
			return ""
		}},
		{"a connector's own log and wish", false, func(t *testing.T, b *sinkBench) string {
			b.source.start = func(_ context.Context, cc connect.ConnectorContext, _ map[string]string) error {
				cc.Logger().With("of", quoting).Info("Connecting")
				cc.(connect.Stopper).RequestStop(quoting)
				return nil
			}
			b.beginConnector(t, storage.Started, password, secretReference)
			return ""
		}},
		{"a connector's stop", true, func(t *testing.T, b *sinkBench) string {
			b.source.stop = failing
			b.beginConnector(t, storage.Started, password, secretReference)
			b.SetTargetState("c", storage.Paused)
			return ""
		}},
		{"a connector's stop at its end", true, func(t *testing.T, b *sinkBench) string {
			b.source.stop = failing
			b.beginConnector(t, storage.Started, password, secretReference)
			b.StopConnectors(t.Context(), "c")
			return ""
		}},
		{"the making of task configurations", false, func(t *testing.T, b *sinkBench) string {
			b.source.taskConfigs = func(context.Context, int) ([]map[string]string, error) { return nil, connect.Retriable(refused) }
			b.beginConnector(t, storage.Started, password, secretReference)
			_, err := b.TaskConfigs(t.Context(), "c")
			if _, ok := errors.AsType[*connect.RetriableError](err); !ok {
				t.Errorf("%v is no retriable error any more", err)
			}
			return err.Error()
		}},
		{"fencing", false, func(t *testing.T, b *sinkBench) string {
			b.options.Fence = func(context.Context, string, map[string]string, *provider.Concealment, []string) (map[string]error, error) {
				return nil, refused
			}
			one := b.FenceTasks(t.Context(), "c", b.configWith(password, secretReference), 1)
			b.options.Fence = func(_ context.Context, _ string, _ map[string]string, _ *provider.Concealment, ids []string) (map[string]error, error) {
				return map[string]error{ids[0]: refused}, nil
			}
			return one.Error() + b.FenceTasks(t.Context(), "c", b.configWith(password, secretReference), 1).Error()
		}},
		{"a put's failure", true, func(t *testing.T, b *sinkBench) string {
			b.sink.put = func([]*connect.Record) error { return refused }
			b.beginSink(t, password, secretReference)
			b.polls(assigns(t0), brings(at(t0, 0, "a")))
			return ""
		}},
		{"a sink's poll", true, func(t *testing.T, b *sinkBench) string {
			b.beginSink(t, password, secretReference)
			b.polls(assigns(t0), fails(refused))
			return ""
		}},
		{"a flush's failure", false, func(t *testing.T, b *sinkBench) string {
			b.sink.preCommit = func(map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) { return nil, refused }
			b.beginSink(t, password, secretReference)
			b.polls(assigns(t0), brings(at(t0, 0, "a")))
			synctest.Wait()
			b.StopTasks(t.Context(), b.task)
			return ""
		}},
		{"the lane and its metric", false, func(t *testing.T, b *sinkBench) string {
			b.replaceSource(t, &reportingSource{source: b.source,
				connector: func() connect.Replication { return connect.Replication{} },
				task: func() connect.Replication {
					return connect.Replication{
						Troubles: []string{quoting}, UnmovableGroups: []connect.UnmovableGroup{{Group: "g", Reason: quoting}},
						Partitions: []connect.ReplicatedPartition{{Topic: "t", LastError: quoting, LaneReason: quoting}},
					}
				}})
			b.beginTask(t, password, secretReference)
			synctest.Wait()
			report := b.Replication("c")[0].Report
			return strings.Join(report.Troubles, "") + report.UnmovableGroups[0].Reason + report.Partitions[0].LastError + report.Partitions[0].LaneReason
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, m := newSinkBench(t), &meter{}
				b.options.Transformer, b.options.Metrics = secrets{}, m
				told := test.begin(t, b)
				synctest.Wait()
				if test.trace && !strings.Contains(b.events.lastTrace(), concealedQuote) {
					t.Errorf("the trace is %q", b.events.lastTrace())
				}
				checkConcealed(t, b, m, told)
				b.settle(t)
				checkConcealed(t, b, m, told)
			})
		})
	}
}

// The causes of an error are in the headers, too.
func TestADeadLetterAndTheLogOfARecordsErrorShowReferencesAsTheyWereWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, letters := newErrorBench(t)
		b.options.Transformer = secrets{}
		b.with(t, plugin.Plugin{Class: "acme.TellingConverter", Kind: plugin.Converter, New: func() any { return &telling{} }})
		b.beginSink(t, "value.converter", "Telling", "value.converter.password", secretReference, "errors.tolerance", "all",
			"errors.deadletterqueue.topic.name", "q", "errors.deadletterqueue.context.headers.enable", "true",
			"errors.log.enable", "true", "errors.log.include.messages", "true")
		b.polls(assigns(t0), brings(at(t0, 0, "bad")))
		synctest.Wait()
		if len(*letters) != 1 {
			t.Fatalf("%d letters, want 1", len(*letters))
		}
		found := map[string]string{}
		for _, h := range (*letters)[0].Headers {
			found[strings.TrimPrefix(h.Key, "__connect.errors.exception.")] = string(h.Value)
		}
		expect(t, "class", found["class.name"], "org.apache.kafka.connect.errors.DataException")
		expect(t, "message", found["message"], concealedQuote)
		expect(t, "trace", found["stacktrace"], "org.apache.kafka.connect.errors.DataException: "+concealedQuote+
			"\n\tat acme.TellingConverter\nCaused by: org.apache.kafka.connect.errors.ConnectException: because "+concealedQuote+"\n")
		if b.logs.count("Error encountered in task c-0. Executing stage 'VALUE_CONVERTER'") != 1 {
			t.Errorf("log: %v", b.logs.lines)
		}
		checkConcealed(t, b, m)
		b.settle(t)
	})
}

// telling refuses everything and says why.
type telling struct{ picky }

func (*telling) ToConnectData(string, []connect.Header, []byte) (*connect.Schema, any, error) {
	return nil, nil, &connect.DataError{Message: quoting, Err: errors.New("because " + quoting)}
}

// What the worker's own configuration refers to is in the settings of every client.
func TestWhatTheWorkersOwnReferencesStandForIsConcealedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newSinkBench(t), &meter{}
		b.options.Metrics, b.options.Concealment = m, &provider.Concealment{}
		b.options.Concealment.Add(map[string]string{"producer.acks": secretReference}, map[string]string{"producer.acks": "hunter2"})
		b.cluster.refuse = func() error { return errors.New(quoting) }
		b.beginTask(t)
		b.source.start = func(context.Context, connect.ConnectorContext, map[string]string) error { return errors.New(quoting) }
		b.beginConnector(t, storage.Started)
		synctest.Wait()
		if n := strings.Count(strings.Join(b.events.traces, "\n"), concealedQuote); n != 2 {
			t.Errorf("%d traces show the reference, want 2: %v", n, b.events.traces)
		}
		checkConcealed(t, b, m)
		b.settle(t)
	})
}

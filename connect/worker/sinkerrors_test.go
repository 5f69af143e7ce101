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
	"tributary/connect/plugin"
	"tributary/internal/kafka"
)

// picky is a converter that refuses "bad", and is busy once with "busy".
type picky struct{ busy int }

func (p *picky) Configure(map[string]string, bool) error { return nil }

func (p *picky) FromConnectData(_ string, _ []connect.Header, _ *connect.Schema, value any) ([]byte, error) {
	return fmt.Append(nil, "own:", value), nil
}

func (p *picky) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	switch string(data) {
	case "bad":
		return nil, nil, &connect.DataError{Message: "cannot read this", Err: errors.New("byte 3")}
	case "busy":
		if p.busy++; p.busy == 1 {
			return nil, nil, connect.Retriable(errors.New("later"))
		}
	}
	return connect.OptionalStringSchema, string(data), nil
}

func newErrorBench(t *testing.T) (*sinkBench, *meter, *[]kafka.Record) {
	b := newSinkBench(t)
	m := &meter{}
	b.options.Metrics = m
	b.with(t, plugin.Plugin{Class: "acme.PickyConverter", Kind: plugin.Converter, New: func() any { return &picky{} }})
	b.sink.put = nil
	letters := &[]kafka.Record{}
	b.cluster.judge = func(_ int, r *kafka.Record) error {
		*letters = append(*letters, *r)
		return nil
	}
	return b, m, letters
}

func errorCounts(m *meter) string {
	var out []string
	for _, name := range []string{"failures", "errors", "skipped", "retries", "logged", "requests"} {
		full := map[string]string{
			"failures": "total_record_failures", "errors": "total_record_errors", "skipped": "total_records_skipped",
			"retries": "total_retries", "logged": "total_errors_logged", "requests": "deadletterqueue_produce_requests",
		}[name]
		key := "kafka_connect_task_error_metrics_" + full + " connector=c task=0"
		out = append(out, fmt.Sprintf("%s=%v", name, m.read(key)+m.gone[key]))
	}
	return strings.Join(out, " ")
}

func TestRecordsThatCannotBeConvertedGoToTheDeadLetterQueueAsTheyWereRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, letters := newErrorBench(t)
		b.beginSink(t, "value.converter", "Picky", "errors.tolerance", "all", "errors.retry.timeout", "-1",
			"errors.deadletterqueue.topic.name", "q", "errors.deadletterqueue.topic.replication.factor", "2", "errors.deadletterqueue.context.headers.enable", "true",
			"errors.log.enable", "true", "errors.log.include.messages", "true", "producer.override.linger.ms", "1")
		b.polls(assigns(t0), brings(at(t0, 0, "good"), at(t0, 1, "bad"), at(t0, 2, "busy")))
		time.Sleep(firstRetryDelay)
		synctest.Wait()
		b.settle(t)
		expect(t, "events", b.events.take(), "create q partitions=1 replicas=2 map[], c-0 RUNNING, open t-0, c-0 uses t, put good busy, close t-0, commit t-0=3, stop, leave, c-0 UNASSIGNED")
		if len(*letters) != 1 {
			t.Fatalf("%d letters, want 1", len(*letters))
		}
		l := (*letters)[0]
		if l.Topic != "q" || l.Partition != kafka.AnyPartition || l.Timestamp != 1001 || l.Key != nil || string(l.Value) != "bad" {
			t.Errorf("the letter is %+v", l)
		}
		var headers []string
		for _, h := range l.Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
		}
		want := []string{
			"h=v", "__connect.errors.topic=t", "__connect.errors.partition=0", "__connect.errors.offset=1",
			"__connect.errors.connector.name=c", "__connect.errors.task.id=0", "__connect.errors.stage=VALUE_CONVERTER",
			"__connect.errors.class.name=acme.PickyConverter",
			"__connect.errors.exception.class.name=org.apache.kafka.connect.errors.DataException",
			"__connect.errors.exception.message=cannot read this",
			"__connect.errors.exception.stacktrace=org.apache.kafka.connect.errors.DataException: cannot read this\n\tat acme.PickyConverter\nCaused by: org.apache.kafka.connect.errors.ConnectException: byte 3\n",
		}
		if got := strings.Join(headers, "|"); got != strings.Join(want, "|") {
			t.Errorf("headers\n%q, want\n%q", headers, want)
		}
		if b.logs.count("Error encountered in task c-0. Executing stage 'VALUE_CONVERTER' with class 'acme.PickyConverter'. error=cannot read this: byte 3 topic=t partition=0 offset=1 timestamp=1001") != 1 {
			t.Errorf("logged %v", b.logs.lines)
		}
		if spec := b.cluster.opened[0]; spec.ClientID != "connector-dlq-producer-c-0" || spec.Overrides["linger.ms"] != "1" {
			t.Errorf("the producer was opened with %+v", spec)
		}
		if len(m.values) != 0 {
			t.Errorf("metrics left: %v", m.values)
		}
	})
}

// JsonConverter reads null where a text is required and a number was found. That passes for a value, which nobody checks
// in Java either, but not for a header.
func TestAHeaderThatIsNoValueOfItsSchemaIsAnErrorOfTheHeaderConverter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, letters := newErrorBench(t)
		b.beginSink(t, "header.converter", "JsonConverter", "errors.tolerance", "all",
			"errors.deadletterqueue.topic.name", "q", "errors.deadletterqueue.context.headers.enable", "true")
		wrong, right := at(t0, 0, "wrong"), at(t0, 1, "right")
		wrong.Headers[0].Value = []byte(`{"schema":{"type":"string"},"payload":1}`)
		right.Headers[0].Value = []byte(`{"schema":{"type":"string"},"payload":"1"}`)
		b.polls(assigns(t0), brings(wrong, right))
		synctest.Wait()
		b.settle(t)
		if got := b.events.take(); !strings.Contains(got, "put right,") {
			t.Errorf("events %v, want the right record alone to be put", got)
		}
		if len(*letters) != 1 {
			t.Fatalf("%d letters, want 1", len(*letters))
		}
		found := map[string]string{}
		for _, h := range (*letters)[0].Headers {
			found[strings.TrimPrefix(h.Key, "__connect.errors.")] = string(h.Value)
		}
		if found["stage"] != "HEADER_CONVERTER" || found["exception.message"] != "A null value requires an optional schema but was Schema{STRING}" {
			t.Errorf("the letter says %v", found)
		}
	})
}

func TestErrorsOfRecordsCountAsInJava(t *testing.T) {
	for name, c := range map[string]struct {
		value  string
		config []string
		counts string
		trace  string
	}{
		"none":               {"bad", nil, "failures=1 errors=1 skipped=0 retries=0 logged=0 requests=0", "Tolerance exceeded in error handler: stage VALUE_CONVERTER with class acme.PickyConverter: cannot read this: byte 3"},
		"none, with a queue": {"bad", []string{"errors.deadletterqueue.topic.name", "q"}, "failures=1 errors=1 skipped=0 retries=0 logged=0 requests=1", "Tolerance exceeded in error handler: stage VALUE_CONVERTER with class acme.PickyConverter: cannot read this: byte 3"},
		"all":                {"bad", []string{"errors.tolerance", "all", "errors.log.enable", "true"}, "failures=1 errors=1 skipped=1 retries=0 logged=1 requests=0", ""},
		"retried":            {"busy", []string{"errors.retry.timeout", "1000"}, "failures=1 errors=0 skipped=0 retries=1 logged=0 requests=0", ""},
		"not retried":        {"busy", []string{"errors.tolerance", "all"}, "failures=2 errors=1 skipped=1 retries=0 logged=0 requests=0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, m, _ := newErrorBench(t)
				b.topics.exist["q"] = kafka.TopicInfo{}
				b.beginSink(t, append([]string{"value.converter", "Picky"}, c.config...)...)
				b.polls(assigns(t0), brings(at(t0, 0, c.value)))
				time.Sleep(firstRetryDelay)
				synctest.Wait()
				if got := b.events.lastTrace(); got != c.trace {
					t.Errorf("failed with %q, want %q", got, c.trace)
				}
				expect(t, "metrics", errorCounts(m), c.counts)
				b.settle(t)
			})
		})
	}
}

func TestReportedRecordsAreDoneOnceTheQueueHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, letters := newErrorBench(t)
		b.topics.exist["q"] = kafka.TopicInfo{}
		b.cluster.hold = func(*kafka.Record) bool { return true }
		var done <-chan struct{}
		b.sink.put = func(records []*connect.Record) error {
			for i, r := range records {
				report := *r
				if i == 1 {
					report = connect.Record{Topic: "made", Value: "up", Timestamp: 9, Headers: []connect.Header{{Key: "k", Value: []byte("w")}}}
				}
				var err error
				if done, err = b.sink.context.ErrantRecords().Report(context.Background(), &report, errors.New("too odd")); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		b.beginSink(t, "value.converter", "Picky", "errors.tolerance", "all", "errors.deadletterqueue.topic.name", "q")
		b.polls(assigns(t0), brings(at(t0, 0, "a"), at(t0, 1, "b")))
		synctest.Wait()
		b.sink.context.RequestCommit()
		synctest.Wait()
		expect(t, "events while the queue is slow", b.events.take(), "c-0 RUNNING, open t-0, c-0 uses t, put a b")
		select {
		case <-done:
			t.Error("done before the queue has it")
		default:
		}
		b.cluster.resume()
		synctest.Wait()
		<-done
		expect(t, "events after that", b.events.take(), "commit t-0=2")
		expect(t, "metrics", errorCounts(m), "failures=2 errors=0 skipped=0 retries=0 logged=0 requests=2")
		if got := fmt.Sprintf("%s %d, %s %s=%s %d", (*letters)[0].Value, (*letters)[0].Timestamp, (*letters)[1].Value, (*letters)[1].Headers[0].Key, (*letters)[1].Headers[0].Value, (*letters)[1].Timestamp); got != "a 1000, own:up k=w 9" {
			t.Errorf("letters: %s", got)
		}
		b.settle(t)
	})
}

func TestAReportThatIsNotToleratedFailsTheTaskWhateverItDoesWithTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, letters := newErrorBench(t)
		b.topics.exist["q"] = kafka.TopicInfo{}
		b.sink.put = func(records []*connect.Record) error {
			for _, r := range records {
				_, _ = b.sink.context.ErrantRecords().Report(context.Background(), r, errors.New("too odd"))
			}
			return nil
		}
		b.beginSink(t, "errors.deadletterqueue.topic.name", "q")
		b.polls(assigns(t0), brings(at(t0, 0, "a")))
		synctest.Wait()
		expect(t, "trace", b.events.lastTrace(), "Exiting WorkerSinkTask due to unrecoverable exception.: Tolerance exceeded in error handler: stage TASK_PUT with class org.apache.kafka.connect.sink.SinkTask: too odd")
		if len(*letters) != 1 {
			t.Errorf("%d letters, want 1", len(*letters))
		}
		b.settle(t)
	})
}

func TestThereIsAReporterOnlyWhereReportsGoSomewhere(t *testing.T) {
	for _, c := range []struct {
		config []string
		want   bool
	}{
		{nil, false},
		{[]string{"errors.tolerance", "all"}, false},
		{[]string{"errors.log.enable", "true"}, true},
		{[]string{"errors.deadletterqueue.topic.name", "q"}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench(t)
			b.beginSink(t, c.config...)
			synctest.Wait()
			if got := b.sink.context.ErrantRecords() != nil; got != c.want {
				t.Errorf("%v: a reporter is %v, want %v", c.config, got, c.want)
			}
			b.settle(t)
		})
	}
}

func TestADeadLetterQueueThatCannotBeMadeFailsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.topics.fail = errors.New("no rights")
		b.beginSink(t, "errors.deadletterqueue.topic.name", "q")
		synctest.Wait()
		expect(t, "trace", b.events.lastTrace(), "Could not initialize dead letter queue with topic=q: no rights")
		b.settle(t)
	})
}

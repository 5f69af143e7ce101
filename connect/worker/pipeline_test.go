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

// upper is a transformation: it writes values in capitals, drops those named in its
// setting drop, and fails as often as fail says.
type upper struct {
	drop   string
	fail   func() error
	closed bool
}

func (u *upper) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

func (u *upper) Configure(config map[string]string) error {
	u.drop = config["drop"]
	delete(config, "drop")
	if len(config) != 0 {
		return fmt.Errorf("unknown settings %v", config)
	}
	return nil
}

func (u *upper) Apply(r *connect.Record) (*connect.Record, error) {
	if u.fail != nil {
		if err := u.fail(); err != nil {
			return nil, err
		}
	}
	if string(r.Value.([]byte)) == u.drop {
		return nil, nil
	}
	changed := *r
	changed.Value = []byte(strings.ToUpper(string(r.Value.([]byte))))
	return &changed, nil
}

func (u *upper) Close() error {
	u.closed = true
	return nil
}

// onPartition is a predicate: the record goes to partition 1.
type onPartition struct{ upper }

func (*onPartition) Test(r *connect.Record) (bool, error) { return r.Partition == 1, nil }

func (b *bench) withUpper(t *testing.T, u *upper) {
	b.with(t,
		plugin.Plugin{Class: "acme.Upper", Kind: plugin.Transformation, New: func() any { return u }},
		plugin.Plugin{Class: "acme.OnPartition", Kind: plugin.Predicate, New: func() any { return new(onPartition) }})
}

func TestTransformationsApplyWherePredicatesHoldAndMayDropRecords(t *testing.T) {
	for _, test := range []struct{ negate, zero, one, heard, offsets string }{
		{"false", "a1 a2", "B2", "a1@0 b1@- a2@1 b2@0", "ca=2,cb=2"},
		{"true", "A1 A2", "b1 b2", "a1@0 b1@0 a2@1 b2@1", "ca=2,cb=2"},
	} {
		t.Run("negate="+test.negate, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				u := &upper{}
				b.withUpper(t, u)
				b.beginTask(t, "transforms", "u", "transforms.u.type", "acme.Upper", "transforms.u.drop", "b1",
					"transforms.u.predicate", "one", "transforms.u.negate", test.negate,
					"predicates", "one", "predicates.one.type", "OnPartition")
				for _, r := range []*connect.SourceRecord{record("a", 1, 0), record("b", 1, 1), record("a", 2, 0), record("b", 2, 1)} {
					b.source.batches <- []*connect.SourceRecord{r}
					synctest.Wait() // a dropped record overtakes those in flight
				}
				expect(t, "partition 0", b.cluster.log("t-0"), test.zero)
				expect(t, "partition 1", b.cluster.log("t-1"), test.one)
				expect(t, "CommitRecord, of the records as polled", b.source.heard(), test.heard)
				b.settle(t)
				expect(t, "offsets", b.offsets.written(), test.offsets)
				if !u.closed {
					t.Error("the transformation was not closed")
				}
			})
		})
	}
}

func TestTheOffsetOfARecordThatWasLeftOutIsCommittedInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.withUpper(t, &upper{})
		b.beginTask(t, "transforms", "u", "transforms.u.type", "Upper", "transforms.u.drop", "a2")
		b.source.batches <- batchOf("a", 0, 1, 2)
		synctest.Wait()
		b.settle(t)
		expect(t, "offsets", b.offsets.written(), "ca=2")
	})
}

func TestRetriableFailuresOfATransformationAreRetriedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m := &meter{}
		b.options.Metrics = m
		var attempts []string
		began := time.Now()
		b.withUpper(t, &upper{fail: func() error {
			attempts = append(attempts, time.Since(began).String())
			if len(attempts) < 4 {
				return connect.Retriable(errors.New("not now"))
			}
			return nil
		}})
		b.beginTask(t, "transforms", "u", "transforms.u.type", "Upper", "errors.retry.timeout", "-1")
		b.source.batches <- batchOf("a", 0, 1, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, "attempts", strings.Join(attempts, " "), "0s 300ms 900ms 2.1s")
		expect(t, "records", b.cluster.log("t-0"), "A1")
		if got := m.read("kafka_connect_task_error_metrics_total_retries connector=c task=0"); got != 3 {
			t.Errorf("total_retries is %v, want 3", got)
		}
		b.settle(t)
	})
}

func TestToleranceDecidesWhatBecomesOfARecordThatCannotBeHandled(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings []string
		fault    error
		attempts int
		records  string
		events   string
	}{
		{"none", nil, errors.New("broken"), 1, "", "c-0 RUNNING, c-0 FAILED"},
		{"none, after retries", []string{"errors.retry.timeout", "1000"}, connect.Retriable(errors.New("broken")), 4, "", "c-0 RUNNING, c-0 FAILED"},
		{"no retries of what will not pass", []string{"errors.retry.timeout", "1000"}, errors.New("broken"), 1, "", "c-0 RUNNING, c-0 FAILED"},
		{"all", []string{"errors.tolerance", "all"}, errors.New("broken"), 1, "A2", "c-0 RUNNING, c-0 uses t, c-0 UNASSIGNED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				attempts := 0
				b.withUpper(t, &upper{fail: func() error {
					if attempts++; attempts <= test.attempts {
						return test.fault
					}
					return nil
				}})
				b.beginTask(t, append(test.settings, "transforms", "u", "transforms.u.type", "Upper")...)
				b.source.batches <- batchOf("a", 0, 1, 2)
				time.Sleep(time.Minute)
				synctest.Wait()
				b.settle(t)
				expect(t, "records", b.cluster.log("t-0"), test.records)
				expect(t, "events", b.events.take(), test.events)
				if test.records == "" {
					expect(t, "trace", b.events.lastTrace(), "Tolerance exceeded in error handler: stage TRANSFORMATION with class acme.Upper: broken")
					if attempts != test.attempts {
						t.Errorf("%d attempts, want %d", attempts, test.attempts)
					}
				} else {
					expect(t, "CommitRecord", b.source.heard(), "a1@- a2@0")
				}
			})
		})
	}
}

func TestConvertersOfTheConnectorReplaceTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var got []kafka.Record
		b.cluster.judge = func(_ int, r *kafka.Record) error {
			copied := *r
			copied.Headers = append([]kafka.Header(nil), r.Headers...)
			got = append(got, copied)
			return nil
		}
		b.beginTask(t, "key.converter", "org.apache.kafka.connect.storage.StringConverter", "header.converter", "SimpleHeaderConverter")
		r := record("a", 1, connect.PartitionUnset)
		r.Key, r.Timestamp = 42, connect.NoTimestamp
		r.Headers = []connect.Header{{Key: "n", Value: int64(7)}, {Key: "null"}, {Key: "raw", Value: []byte("x")}}
		second := record("a", 2, 5)
		second.Value = nil
		b.source.batches <- []*connect.SourceRecord{r, second}
		synctest.Wait()
		b.settle(t)
		want := []string{
			`{t -1 -1 "42" false "a1" [n="7" null=nil raw="eA=="]}`,
			`{t 5 1000 "" true "" []}`,
		}
		for i, r := range got {
			text := fmt.Sprintf("{%s %d %d %q %v %q [", r.Topic, r.Partition, r.Timestamp, r.Key, r.Key == nil, r.Value)
			for j, h := range r.Headers {
				if j > 0 {
					text += " "
				}
				if h.Value == nil {
					text += h.Key + "=nil"
				} else {
					text += fmt.Sprintf("%s=%q", h.Key, h.Value)
				}
			}
			expect(t, "record", text+"]}", want[i])
		}
		if len(got) != 2 {
			t.Errorf("%d records arrived, want 2", len(got))
		}
	})
}

func TestAValueThatTheConverterRefusesAndANonsenseTimestampFailTheTask(t *testing.T) {
	for _, test := range []struct {
		change func(*connect.SourceRecord)
		trace  string
	}{
		{func(r *connect.SourceRecord) { r.Value = "text" },
			"Tolerance exceeded in error handler: stage VALUE_CONVERTER with class org.apache.kafka.connect.converters.ByteArrayConverter: ByteArrayConverter is not compatible with objects of type class java.lang.String"},
		{func(r *connect.SourceRecord) { r.ValueSchema, r.Value = connect.OptionalInt32Schema, nil },
			"Tolerance exceeded in error handler: stage VALUE_CONVERTER with class org.apache.kafka.connect.converters.ByteArrayConverter: Invalid schema type for ByteArrayConverter: INT32"},
		{func(r *connect.SourceRecord) { r.Timestamp = -2 },
			"record for topic t has the timestamp -2; it must be a time since 1970 in milliseconds, or none"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.beginTask(t)
			r := record("a", 1, 0)
			test.change(r)
			b.source.batches <- []*connect.SourceRecord{r}
			synctest.Wait()
			expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 FAILED")
			expect(t, "trace", b.events.lastTrace(), test.trace)
			b.settle(t)
		})
	}
}

func TestRetryPausesStayBelowTheirLimit(t *testing.T) {
	tol := &tolerance{maxDelay: time.Second}
	for n, want := range map[int]time.Duration{1: 300 * time.Millisecond, 2: 600 * time.Millisecond} {
		if got := tol.delay(n); got != want {
			t.Errorf("pause %d is %v, want %v", n, got, want)
		}
	}
	for n := 3; n < 100; n++ {
		if got := tol.delay(n); got < 0 || got >= time.Second {
			t.Errorf("pause %d is %v, want less than a second", n, got)
		}
	}
	if got := (&tolerance{}).delay(1); got != 0 {
		t.Errorf("with a limit of 0 the pause is %v", got)
	}
}

func TestRetriesEndWithTheTask(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopping)
	m := newTaskMetrics(taskScope(&Options{}, connect.TaskID{}))
	tol := &tolerance{retryTimeout: -1, maxDelay: time.Hour, metrics: &m.errorMetrics}
	err := tol.retry(ctx, failurePoint{}, connect.Retriable(errors.New("not now")), func() error {
		t.Error("tried again")
		return nil
	})
	if !errors.Is(err, errStopping) {
		t.Errorf("got %v", err)
	}
}

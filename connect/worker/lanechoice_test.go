package worker

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/internal/kafka"
)

func TestTheLaneIsRawUnlessSomethingLooksInside(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*laneFacts)
		lane   lane
		reason string
	}{
		"nothing in the way":         {func(*laneFacts) {}, rawLane, "nothing has to look inside"},
		"the task hands out records": {func(f *laneFacts) { f.offered, f.refusal = false, "raw.batches=false" }, recordLane, "raw.batches=false"},
		"a transformation":           {func(f *laneFacts) { f.transforms = []string{"a", "b"} }, recordLane, "transforms=a,b"},
		"a predicate":                {func(f *laneFacts) { f.predicates = []string{"p"} }, recordLane, "predicates=p"},
		"a key converter":            {func(f *laneFacts) { f.converters["key.converter"] = "JsonConverter" }, recordLane, "key.converter=JsonConverter"},
		"a value converter":          {func(f *laneFacts) { f.converters["value.converter"] = "StringConverter" }, recordLane, "value.converter=StringConverter"},
		"a header converter":         {func(f *laneFacts) { f.converters["header.converter"] = "SimpleHeaderConverter" }, recordLane, "header.converter="},
		"errors are tolerated":       {func(f *laneFacts) { f.tolerateAll = true }, recordLane, "errors.tolerance=all"},
		"a codec is wanted":          {func(f *laneFacts) { f.producer["compression.type"] = "zstd" }, recordLane, "compression.type=zstd"},
		"even no codec is a codec":   {func(f *laneFacts) { f.producer["compression.type"] = "none" }, recordLane, "compression.type=none"},
		"fewer acknowledgements":     {func(f *laneFacts) { f.producer["acks"] = "1" }, recordLane, "acks=1"},
		"all acknowledgements":       {func(f *laneFacts) { f.producer["acks"] = "-1" }, rawLane, ""},
		"no idempotence":             {func(f *laneFacts) { f.producer["enable.idempotence"] = " FALSE" }, recordLane, "enable.idempotence"},
		"a login with Kerberos": {func(f *laneFacts) {
			f.producer["security.protocol"], f.producer["sasl.mechanism"] = "SASL_SSL", "GSSAPI"
		}, rawLane, ""},
		"another login": {func(f *laneFacts) {
			f.producer["security.protocol"], f.producer["sasl.mechanism"] = "SASL_SSL", "PLAIN"
		}, rawLane, ""},
		"settings that do not matter":  {func(f *laneFacts) { f.producer["linger.ms"], f.producer["batch.size"] = "5", "1" }, rawLane, ""},
		"the task's word comes first":  {func(f *laneFacts) { f.offered, f.refusal, f.transforms = false, "no", []string{"a"} }, recordLane, "no"},
		"several reasons, one is said": {func(f *laneFacts) { f.transforms, f.tolerateAll = []string{"a"}, true }, recordLane, "transforms=a"},
	} {
		f := laneFacts{offered: true, converters: map[string]string{}, producer: map[string]string{}}
		tc.change(&f)
		lane, reason := chooseLane(f)
		if lane != tc.lane || !strings.Contains(reason, tc.reason) {
			t.Errorf("%s: the %s lane because %q, want %s because of %q", name, lane, reason, tc.lane, tc.reason)
		}
	}
}

// batchSource is a source whose task can return batches.
type batchSource struct{ *source }

func (s batchSource) NewTask() connect.SourceTask {
	return &batchTask{sourceTask: (*sourceTask)(s.source)}
}

type batchTask struct{ *sourceTask }

func (t *batchTask) OffersBatches(config map[string]string) (bool, string) {
	return config["k"] == "v", "the task says no"
}

func (t *batchTask) TakeLane(batches bool, lane, reason string) {
	t.events.add("%s lane (%v): %s", lane, batches, reason)
}

// whole is a batch of n records up to an offset.
func whole(partition string, offset, n int, released func()) *connect.SourceRecord {
	r := record(partition, offset, 0)
	r.Batch = &connect.Batch{Data: []byte(r.Value.([]byte)), Records: n, Release: released}
	return r
}

func TestWholeBatchesPassAsTheyAreAndAreReleasedOnceStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.replaceSource(t, batchSource{b.source})
		m := &meter{}
		b.options.Metrics = m
		b.cluster.hold = func(*kafka.Record) bool { return true }
		released := 0
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{whole("a", 99, 100, func() { released++ }), whole("a", 149, 50, func() { released++ })}
		synctest.Wait()
		expect(t, "events", b.events.take(), "raw lane (true): nothing has to look inside the batches, c-0 RUNNING")
		if !b.cluster.opened[0].Batches {
			t.Errorf("the producer was opened with %+v", b.cluster.opened[0])
		}
		if released != 0 {
			t.Errorf("%d batches were released before they were stored", released)
		}
		if got := m.read("tributary_source_task_lane connector=c lane=raw reason=nothing has to look inside the batches task=0"); got != 1 {
			t.Errorf("the metric of the lane is %v", got)
		}

		b.cluster.resume()
		synctest.Wait()

		expect(t, "partition 0", b.cluster.log("t-0"), "batch(100) batch(50)")
		if released != 2 {
			t.Errorf("%d batches were released, want both", released)
		}
		for name, want := range map[string]float64{"poll_total": 150, "write_total": 150} {
			if got := m.read("kafka_connect_source_task_metrics_source_record_" + name + " connector=c task=0"); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		b.settle(t)
		expect(t, "offsets", b.offsets.written(), "ca=149")
	})
}

// The batch that is refused, one behind it, and one that was polled before the task heard of it: the task reads all of them again.
func TestBatchesOfARewoundPartitionAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.replaceSource(t, batchSource{b.source})
		b.cluster.judge = func(int, *kafka.Record) error { return errTooLarge }
		b.source.refused = func(*connect.SourceRecord, error) connect.RecordFailureAction { return connect.RewindPartition }
		b.source.rewound = func(*connect.SourceRecord) {}
		var released []string
		b.beginTask(t)
		batch := func(name string, offset int) *connect.SourceRecord {
			return whole("a", offset, 50, func() { released = append(released, name) })
		}
		refused, behind, late := batch("refused", 49), batch("behind", 99), batch("late", 149)
		behind.SourcePartition, late.SourcePartition = refused.SourcePartition, refused.SourcePartition
		b.source.batches <- []*connect.SourceRecord{refused, behind}
		synctest.Wait()
		b.source.batches <- []*connect.SourceRecord{late}
		synctest.Wait()
		slices.Sort(released)
		if diff := cmp.Diff([]string{"behind", "late", "refused"}, released); diff != "" {
			t.Errorf("released: %s", diff)
		}
		b.settle(t)
	})
}

func TestInTheRecordLaneABatchIsAMistakeOfTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.replaceSource(t, batchSource{b.source})
		b.beginTask(t, "errors.tolerance", "all")
		b.source.batches <- []*connect.SourceRecord{whole("a", 99, 100, nil)}
		synctest.Wait()
		expect(t, "events", b.events.take(), "record lane (false): errors.tolerance=all skips single records, c-0 RUNNING, c-0 FAILED")
		if !strings.Contains(b.events.lastTrace(), "whole batch") {
			t.Errorf("trace %q", b.events.lastTrace())
		}
		b.settle(t)
	})
}

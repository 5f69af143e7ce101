package mirror

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestALostCopyIsRefilledOnceIfTheUserWantsThat(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CreateTopic("stays", 1, nil)
	p.source.Produce("t", text("0", "1", "2")...)
	p.source.Produce("stays", text("s")...)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	config := p.with("refill.on.target.loss=true")
	r.start(config)
	p.target.AwaitRecords("A.t", 3, patience)
	p.target.AwaitRecords("A.stays", 1, patience)

	p.target.DeleteTopic("A.t")
	got := p.target.AwaitRecords("A.t", 3, patience)
	if diff := cmp.Diff([]string{"0", "1", "2"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.await("the offset behind what was refilled", func() bool {
		return cmp.Equal(r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}), map[string]any{"offset": int64(2)})
	})
	// The tasks are told what was lost for as long as the connector runs, and refill once.
	r.await("the task that knows of the loss", func() bool {
		configs := r.taskConfigs()
		return len(configs) == 1 && configs[0][taskRefillKey] != ""
	})
	r.stop()
	again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	again.stored = r.stored
	again.start(config)
	p.source.Produce("t", text("3")...)
	p.target.AwaitRecords("A.t", 4, patience)
	got = p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)
	if have := values(got[0]); !slices.Equal(have, []string{"0", "1", "2", "3"}) && !slices.Equal(have, []string{"0", "1", "2", "0", "1", "2", "3"}) {
		t.Errorf("A.t holds %q", have)
	}
	if have := values(p.target.ReadTopic("A.stays", kafkatest.ReadUncommitted)[0]); !slices.Equal(have, []string{"s"}) {
		t.Errorf("A.stays holds %q", have)
	}
}

func TestACopyLostWhileTheMirrorWasDownIsRefilled(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0", "1")...)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.stored.offsets[`{"cluster":"A","partition":0,"topic":"t"}`] = map[string]any{"offset": int64(1)}
	r.start(p.with("refill.on.target.loss=true"))
	got := p.target.AwaitRecords("A.t", 2, patience)
	if diff := cmp.Diff([]string{"0", "1"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyCopyThatNothingWasWrittenToIsNotRefilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		stored map[string]any
		refuse bool
	}{
		"all was before start.from":             {config: "start.from=latest"},
		"all was refused and skipped":           {config: "on.record.error=skip", refuse: true},
		"transformations may send it elsewhere": {config: "transforms=route", stored: map[string]any{"offset": int64(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			p.source.Produce("t", text("0", "1", "2")...)
			letThrough := func() {}
			if c.refuse {
				letThrough = p.b.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "A.t", Times: -1}).Undo
			}
			config := p.with("refill.on.target.loss=true", c.config)
			r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
			if c.stored != nil {
				r.stored.offsets[`{"cluster":"A","partition":0,"topic":"t"}`] = c.stored
			}
			r.start(config)
			r.awaitAssigned("t-0")
			r.await("the offset of the last record", func() bool {
				return r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"})["offset"] == int64(2)
			})
			r.stop()
			letThrough()
			p.source.Produce("t", text("3")...)
			again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
			again.stored = r.stored
			again.start(config)
			got := p.target.AwaitRecords("A.t", 1, patience)
			if diff := cmp.Diff([]string{"3"}, values(got[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABatchOfWhichAllWasSkippedIsNotMirroredAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.ProduceInTransaction("one", true, "t", text("0", "1", "2")...) // and a marker, which only the batch's end is behind
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "A.t", Times: -1})
	config := p.with("refill.on.target.loss=true", "on.record.error=skip", "replication.mode=batch")
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.start(config)
	r.await("the offset of the batch's end", func() bool {
		return r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"})["offset"] == int64(3)
	})
	r.awaitBatch(1)

	refusal.Undo()
	p.source.Produce("t", text("3")...)
	again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	again.stored = r.stored
	again.start(config)
	got := p.target.AwaitRecords("A.t", 1, patience)
	if diff := cmp.Diff([]string{"3"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

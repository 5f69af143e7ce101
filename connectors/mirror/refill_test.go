package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
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

// What was written to the new copy before the loss was noticed keeps it from looking empty.
func TestALostCopyIsRefilledByTasksThatStartOneAfterTheOther(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 2, nil)
	p.target.CreateTopic("A.t", 2, nil)
	at := func(partition int64) map[string]any {
		return map[string]any{"cluster": "A", "partition": partition, "topic": "t"}
	}
	mark := func(of map[string]any) map[string]any {
		of[refillField] = "id"
		return of
	}
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	for partition := range int32(2) {
		p.source.Produce("t", kafkatest.Record{Partition: partition, Value: []byte("0")}, kafkatest.Record{Partition: partition, Value: []byte("1")})
		p.target.Produce("A.t", kafkatest.Record{Partition: partition, Value: []byte("1")})
		r.stored.put(connect.NewSourcePartition(at(int64(partition))), connect.OffsetMap{"offset": int64(1)})
	}
	run := func(partition int, records int) map[int32][]kafkatest.Record {
		config := p.with("refill.on.target.loss=true", taskRefillKey+"=t=id", fmt.Sprintf("%s=t-%d", assignedPartitions, partition))
		task := r.startTask(t.Context(), partition, config, 2)
		defer task.stop()
		got := p.target.AwaitRecords("A.t", records, patience)
		r.await("the mark", func() bool { return r.stored.get(mark(at(int64(partition)))) != nil })
		return got
	}
	run(0, 4)
	got := run(1, 6)
	for partition := range int32(2) {
		if diff := cmp.Diff([]string{"1", "0", "1"}, values(got[partition])); diff != "" {
			t.Errorf("partition %d: %s", partition, diff)
		}
	}

	for partition := range int32(2) {
		p.source.Produce("t", kafkatest.Record{Partition: partition, Value: []byte("2")})
	}
	run(0, 7)
	got = run(1, 8)
	for partition := range int32(2) {
		if diff := cmp.Diff([]string{"1", "0", "1", "2"}, values(got[partition])); diff != "" {
			t.Errorf("partition %d after a restart: %s", partition, diff)
		}
	}
}

func TestACopyThatAnOlderVersionMarkedAsRefilledIsNotRefilledAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0", "1")...)
	p.target.CreateTopic("A.t", 1, nil)
	p.target.Produce("A.t", text("0")...)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.stored.put(connect.NewSourcePartition(map[string]any{"cluster": "A", "topic": "t", "refill": "id"}), connect.OffsetMap{"offset": int64(0)})
	r.stored.put(connect.NewSourcePartition(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}), connect.OffsetMap{"offset": int64(0)})
	task := r.startTask(t.Context(), 0, p.with("refill.on.target.loss=true", taskRefillKey+"=t=id", assignedPartitions+"=t-0"), 1)
	defer task.stop()
	got := p.target.AwaitRecords("A.t", 2, patience)
	if diff := cmp.Diff([]string{"0", "1"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

// A partition that waits for one cluster to tell of it is not marked, and begins again once it is told.
func TestAPartitionOfALostCopyThatIsNotToldOfIsRefilledOnceItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    int16
		target  bool
		refills string
	}{
		"its beginning is refused":                     {code: 29, refills: "t=id,u=id"},
		"it has no leader on the source":               {code: 5, refills: "t=id,u=id"},
		"its empty copy has no leader":                 {code: 5, target: true, refills: "t=id"},
		"it is empty, and has no leader on the source": {code: 5, refills: "t=id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
			for _, topic := range []string{"t", "u", "stays"} {
				p.source.CreateTopic(topic, 1, nil)
				p.source.Produce(topic, text("0", "1")...)
				p.target.CreateTopic("A."+topic, 1, nil)
				r.stored.put(connect.NewSourcePartition(map[string]any{"cluster": "A", "partition": int64(0), "topic": topic}), connect.OffsetMap{"offset": int64(0)})
			}
			p.target.Produce("A.stays", text("0")...)
			cluster, topic := p.a, "u"
			if c.target {
				cluster, topic = p.b, "A.u"
			}
			silence := cluster.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: c.code, Topic: topic, Times: -1})
			// What need not be known of a partition is not waited for.
			p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: c.code, Topic: "stays", Times: -1})
			task := r.startTask(t.Context(), 0, p.with("refill.on.target.loss=true", taskRefillKey+"="+c.refills, assignedPartitions+"=t-0,u-0,stays-0"), 1)
			defer task.stop()
			r.mu.Lock()
			r.tasks = []*runningTask{task}
			r.mu.Unlock()
			for remote, want := range map[string][]string{"A.t": {"0", "1"}, "A.stays": {"0", "1"}} {
				got := p.target.AwaitRecords(remote, 2, patience)
				if diff := cmp.Diff(want, values(got[0])); diff != "" {
					t.Errorf("%s: %s", remote, diff)
				}
			}
			mark := map[string]any{"cluster": "A", "partition": int64(0), "topic": "u", "refill": "id"}
			r.await("the row of the partition", func() bool { return strings.Contains(r.row("u", 0).LastError, "copy was lost") })
			if got := r.stored.get(mark); got != nil {
				t.Errorf("marked before it was refilled: %v", got)
			}

			silence.Undo()
			got := p.target.AwaitRecords("A.u", 2, patience)
			if diff := cmp.Diff([]string{"0", "1"}, values(got[0])); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(c.refills, "u=") {
				r.await("the mark", func() bool { return r.stored.get(mark) != nil })
			}
			if err := r.failures(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACopyThatWasLostBeforeItHeldAnythingIsNotRefilledLater(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.target.CreateTopic("A.t", 1, nil)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	config := p.with("refill.on.target.loss=true", taskRefillKey+"=t=id", assignedPartitions+"=t-0")
	for i, want := range [][]string{{"0"}, {"0", "1"}} {
		p.source.Produce("t", text(want[i])...)
		task := r.startTask(t.Context(), 0, config, 1)
		got := p.target.AwaitRecords("A.t", len(want), patience)
		r.await("the offset", func() bool {
			return r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"})["offset"] == int64(i)
		})
		task.stop()
		if diff := cmp.Diff(want, values(got[0])); diff != "" {
			t.Errorf("start %d: %s", i, diff)
		}
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

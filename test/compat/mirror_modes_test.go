package compat

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
)

// batchesEnd: a batch copies up to the ends of its start, and stops its connector; resumed, the next goes on there.
func batchesEnd(t *testing.T, f *faults) {
	f.src.CreateTopic("portions", 2, nil)
	f.write("portions", 0, "0", "1", "2")
	f.write("portions", 1, "a")
	var names []string
	for lane, keys := range lanes {
		names = append(names, lane+"-portions")
		f.mirror(lane+"-portions", "portions", keys, map[string]string{"replication.mode": "batch", "tasks.max": "2"})
	}
	awaitEnd := func(name string, copied int64, first, second []string) {
		t.Helper()
		f.awaitPage(name, "a batch that is done", func(p api.Replication) bool {
			return p.Mode == "batch" && p.Batch != nil && *p.Batch == api.ReplicationBatch{Done: true, Copied: copied}
		})
		kafkatest.Await(t, patience, name+" to have stopped itself", func() (bool, string) {
			status, err := f.w.Status(t.Context(), name)
			return err == nil && status.Connector.State == "STOPPED" && len(status.Tasks) == 0, fmt.Sprintf("%+v %v", status, err)
		})
		for partition, want := range map[int32][]string{0: first, 1: second} {
			if got := f.values(name+".portions", partition); !slices.Equal(got, want) {
				t.Errorf("%s.portions-%d holds %q after the batch, want %q", name, partition, got, want)
			}
		}
	}
	for _, name := range names {
		awaitEnd(name, 4, []string{"0", "1", "2"}, []string{"a"})
	}
	f.write("portions", 0, "3")
	f.write("portions", 1, "b", "c")
	f.resume(names...)
	for _, name := range names {
		awaitEnd(name, 3, []string{"0", "1", "2", "3"}, []string{"a", "b", "c"})
	}
}

// delayed creates a topic of one partition and mirrors it with a delay, in each lane, into a topic whose broker notes when it
// appends. It returns the names of the mirrors.
func (f *faults) delayed(topic string, delay time.Duration) (names []string) {
	f.t.Helper()
	f.src.CreateTopic(topic, 1, nil)
	for lane, keys := range lanes {
		name := lane + "-" + topic
		names = append(names, name)
		f.dst.CreateTopic(name+"."+topic, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
		f.mirror(name, topic, keys, map[string]string{"replication.mode": "delayed", "replication.delay.ms": strconv.FormatInt(delay.Milliseconds(), 10)})
	}
	return names
}

// delayedRecordsAreNeverEarly, by the times at which the target's broker appends them, wherever their timestamps lie.
func delayedRecordsAreNeverEarly(t *testing.T, f *faults) {
	const delay, steady = 1500 * time.Millisecond, 20
	names := f.delayed("behind", delay)
	// Each is a batch of its own: in the raw lane a batch waits for its youngest record.
	for i := range steady {
		f.src.Produce("behind", kafkatest.Record{Timestamp: time.Now(), Value: fmt.Append(nil, i)})
	}
	f.src.Produce("behind", kafkatest.Record{Timestamp: time.Now().Add(-time.Hour), Value: []byte("old")})
	ahead := time.Now()
	f.src.Produce("behind", kafkatest.Record{Timestamp: ahead.Add(30 * time.Minute), Value: []byte("ahead")})
	for _, name := range names {
		f.dst.AwaitRecords(name+".behind", steady+2, patience)
		sent, got := f.src.ReadPartition("behind", 0, kafkatest.ReadUncommitted), f.dst.ReadPartition(name+".behind", 0, kafkatest.ReadUncommitted)
		if !slices.Equal(valuesOf(sent), valuesOf(got)) {
			t.Errorf("%s.behind holds %q", name, valuesOf(got))
		}
		for i, r := range got[:steady] {
			if after := r.Timestamp.Sub(sent[i].Timestamp); after < delay {
				t.Errorf("record %d of %s arrived %v after its timestamp", i, name, after)
			}
		}
		// The clock of the last one's producer is ahead: that counts for one more delay.
		if after := got[steady+1].Timestamp.Sub(ahead); after.Truncate(time.Millisecond) < 2*delay-time.Millisecond {
			t.Errorf("the record of the future arrived at %s after %v", name, after)
		}
	}
}

// mirrorsBeginWhereTheySay: start.from and its rules count where no offset is stored, and hold over a restart.
func mirrorsBeginWhereTheySay(t *testing.T, f *faults) {
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, topic := range []string{"begin-latest", "begin-group", "begin-time", "begin-all"} {
		f.src.CreateTopic(topic, 1, nil)
		for i := range 4 {
			f.src.Produce(topic, kafkatest.Record{Timestamp: then.Add(time.Duration(i-2) * time.Minute), Value: fmt.Append(nil, i)})
		}
	}
	f.src.CommitOffset("beginners", "begin-group", 0, 3)
	var names []string
	for lane, keys := range lanes {
		names = append(names, lane+"-begin")
		f.mirror(lane+"-begin", "begin-.*", keys, map[string]string{
			"start.from": "earliest", "start.from.rules": "tail,group,time",
			"start.from.tail.topics": "begin-latest", "start.from.tail.from": "latest",
			"start.from.group.topics": "begin-g.*", "start.from.group.from": "group:beginners",
			"start.from.time.topics": "begin-t.*,begin-g.*", "start.from.time.from": then.UTC().Format(time.RFC3339),
		})
	}
	for _, name := range names {
		f.awaitValues(name+".begin-all", 0, "0", "1", "2", "3")
		f.awaitValues(name+".begin-time", 0, "2", "3")
		f.awaitValues(name+".begin-group", 0, "3")
		f.awaitRow(name, "begin-latest", 0, "the end", even(4))
	}
	f.stop(names...)
	f.write("begin-latest", 0, "4") // while none runs: where it began is known
	f.resume(names...)
	for _, name := range names {
		f.awaitValues(name+".begin-latest", 0, "4")
	}
}

// delayedMirrorsAreRestarted while records wait for their time: stopped and resumed, and task and connector restarted.
// None arrives early for that, none twice, none late without end, and in order.
func delayedMirrorsAreRestarted(t *testing.T, f *faults) {
	const delay, some = 3 * time.Second, 8
	names := f.delayed("waiting", delay)
	sent := 0
	produce := func() {
		for range some {
			f.src.Produce("waiting", kafkatest.Record{Timestamp: time.Now(), Value: fmt.Append(nil, sent)})
			sent++
		}
	}
	produce()
	for _, name := range names {
		f.awaitRow(name, "waiting", 0, "what waits", func(r api.ReplicatedPartition) bool { return r.SourceEnd != nil && *r.SourceEnd == some })
	}
	f.stop(names...)
	produce()
	f.resume(names...)
	for _, name := range names {
		f.dst.AwaitRecords(name+".waiting", 1, patience) // some are through, and others wait
		f.w.awaitRunning(name, 1)                        // some may have been through before the stop, which has taken the task away
	}
	produce()
	for _, name := range names {
		if err := f.w.RestartTask(t.Context(), name, 0); err != nil {
			t.Fatal(err)
		}
	}
	produce()
	for _, name := range names {
		if _, err := f.w.RestartWithTasks(t.Context(), name, false); err != nil {
			t.Fatal(err)
		}
	}
	source := f.src.ReadPartition("waiting", 0, kafkatest.ReadUncommitted)
	for _, name := range names {
		f.awaitRow(name, "waiting", 0, "all", even(int64(sent)))
		got := f.dst.ReadPartition(name+".waiting", 0, kafkatest.ReadUncommitted)
		if !slices.Equal(valuesOf(source), valuesOf(got)) {
			t.Fatalf("%s.waiting holds %q", name, valuesOf(got))
		}
		for i, r := range got {
			if after := r.Timestamp.Sub(source[i].Timestamp); after < delay {
				t.Errorf("record %d of %s arrived %v after its timestamp", i, name, after)
			}
		}
	}
}

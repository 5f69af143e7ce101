package compat

import (
	"fmt"
	"testing"

	"tributary/connectors/mirror/replica"
	"tributary/test/cluster/kafkatest"
)

// offsetSyncsOutliveBurstsAndStops: many partitions are filled at once, more than there may be syncs in flight, and the
// mirrors are stopped as soon as the last record is across, with syncs that wait. What is in the topics of syncs then
// leads into the last records of each partition, and to the same record on both sides.
func offsetSyncsOutliveBurstsAndStops(t *testing.T, f *faults) {
	const partitions, bursts, burst, lag = 48, 6, 50, 10
	f.src.CreateTopic("bursts", partitions, nil)
	produce := func(round int) {
		for b := range bursts {
			var records []kafkatest.Record
			for p := range int32(partitions) {
				for i := range burst {
					records = append(records, kafkatest.Record{Partition: p, Value: fmt.Appendf(nil, "%d/%d/%d/%d", p, round, b, i)})
				}
			}
			f.src.Produce("bursts", records...)
		}
	}
	produce(1)
	var names []string
	for lane, keys := range lanes {
		name := lane + "-bursts"
		names = append(names, name)
		f.dst.CreateTopic(name+".bursts", partitions, nil)
		// What is there before makes the offsets of both sides differ.
		var before []kafkatest.Record
		for p := range int32(partitions) {
			for range p % 5 {
				before = append(before, kafkatest.Record{Partition: p, Value: []byte("before")})
			}
		}
		f.dst.Produce(name+".bursts", before...)
		f.mirror(name, "bursts", keys, map[string]string{
			"tasks.max": "1", "emit.offset-syncs.enabled": "true", "offset-syncs.topic.location": "target", "offset.lag.max": fmt.Sprint(lag),
			"offset-syncs.topic.replication.factor": "1",
		})
	}
	for round := 1; ; round++ {
		end := int64(round * bursts * burst)
		for _, name := range names {
			for p := range int32(partitions) {
				f.awaitRow(name, "bursts", p, "all", even(end))
			}
		}
		f.stop(names...)
		for _, name := range names {
			f.checkSyncs(name, "bursts", end, lag)
		}
		if round == 2 {
			return
		}
		produce(round + 1) // while none runs: the next burst is the start
		f.resume(names...)
	}
}

// checkSyncs wants the last sync of each partition of a topic to be at most lag records before the end of the source,
// and all syncs of all partitions to ascend and to lead to the same record on both sides.
func (f *faults) checkSyncs(name, topic string, end, lag int64) {
	f.t.Helper()
	source, target := f.src.ReadTopic(topic, kafkatest.ReadCommitted), f.dst.ReadTopic(name+"."+topic, kafkatest.ReadCommitted)
	last := map[int32]replica.OffsetSync{}
	for _, record := range f.dst.ReadPartition("mm2-offset-syncs."+name+".internal", 0, kafkatest.ReadCommitted) {
		sync, err := replica.DecodeOffsetSync(record.Key, record.Value)
		if err != nil {
			f.t.Fatal(err)
		}
		p := sync.TopicPartition.Partition
		if before, found := last[p]; sync.TopicPartition.Topic != topic || found && sync.Upstream <= before.Upstream {
			f.t.Errorf("%s: sync %s stands after %s", name, sync, before)
		}
		last[p] = sync
		there, here := source[p], target[p]
		if sync.Upstream >= int64(len(there)) || sync.Downstream >= int64(len(here)) || string(there[sync.Upstream].Value) != string(here[sync.Downstream].Value) {
			f.t.Errorf("%s: sync %s does not lead from a record of the source to the same on the target", name, sync)
		}
	}
	for p := range source {
		if sync, found := last[p]; !found || sync.Upstream < end-1-lag {
			f.t.Errorf("%s: the last sync of partition %d is %s, more than %d before the end %d", name, p, sync, lag, end)
		}
	}
}

package worker

import (
	"context"
	"testing"
	"testing/synctest"

	"tributary/connect"
	"tributary/internal/kafka"
)

func positionOnly(p string, at int) *connect.SourceRecord {
	r := record(p, at, 0)
	return &connect.SourceRecord{SourcePartition: r.SourcePartition, SourceOffset: r.SourceOffset, PositionOnly: true}
}

func TestAPositionWithoutARecordIsCommittedBehindAllRecordsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.hold = func(r *kafka.Record) bool { return string(r.Value) == "a1" }
		var request func()
		b.source.taskStart = func(_ context.Context, tc connect.TaskContext, _ map[string]string) error {
			request = tc.(connect.CommitRequester).RequestCommit
			return nil
		}
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), positionOnly("a", 7), positionOnly("b", 3)}
		synctest.Wait()
		request()
		synctest.Wait()
		expect(t, "offsets while a1 is in flight", b.offsets.written(), "cb=3")

		b.cluster.resume()
		synctest.Wait()
		request()
		synctest.Wait()
		expect(t, "offsets then", b.offsets.written(), "cb=3 ca=7")
		expect(t, "records", b.cluster.log("t-0"), "a1")
		expect(t, "CommitRecord", b.source.heard(), "a1@0")
		b.settle(t)
	})
}

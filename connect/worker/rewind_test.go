package worker

import (
	"fmt"
	"testing"
	"testing/synctest"

	"tributary/connect"
	"tributary/internal/kafka"
)

func TestARefusedRecordIsLeftOutIfTheTaskSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.judge = func(_ int, r *kafka.Record) error {
			if string(r.Value) == "a2" {
				return errTooLarge
			}
			return nil
		}
		b.source.refused = func(*connect.SourceRecord, error) connect.RecordFailureAction { return connect.SkipRecord }
		b.beginTask(t)
		b.source.batches <- batchOf("a", 0, 1, 3)
		synctest.Wait()
		b.settle(t)
		expect(t, "partition 0", b.cluster.log("t-0"), "a1 a3")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 a2@- a3@1")
		expect(t, "offsets", b.offsets.written(), "ca=3")
	})
}

// TestARewoundPartitionIsTakenBackAloneAndReadAgain: a2 is refused while a3 is in flight
// behind it; nothing from a2 on is committed until the task brings it again.
func TestARewoundPartitionIsTakenBackAloneAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		refuse := true
		b.cluster.judge = func(_ int, r *kafka.Record) error {
			if string(r.Value) == "a2" && refuse {
				return errTooLarge
			}
			return nil
		}
		b.source.refused = func(record *connect.SourceRecord, err error) connect.RecordFailureAction {
			b.events.add("refused %v: %v", record.SourceOffset.OffsetFields(), err)
			return connect.RewindPartition
		}
		b.source.rewound = func(record *connect.SourceRecord) { b.events.add("rewound to %v", record.SourceOffset.OffsetFields()) }
		b.beginTask(t)
		first := batchOf("a", 0, 1, 3)
		for _, r := range first {
			r.SourcePartition = first[0].SourcePartition
		}
		b.source.batches <- append(first, record("b", 1, 1))
		synctest.Wait()
		expect(t, "events", b.events.take(), fmt.Sprintf("c-0 RUNNING, c-0 uses t, refused %v: %v, rewound to %v",
			first[1].SourceOffset.OffsetFields(), errTooLarge, first[1].SourceOffset.OffsetFields()))
		expect(t, "CommitRecord", b.source.heard(), "a1@0 b1@0")

		// What was polled before it was rewound is dropped, what comes after it is not.
		late := record("a", 4, 0)
		late.SourcePartition = first[0].SourcePartition
		b.source.batches <- []*connect.SourceRecord{late}
		refuse = false
		again := connect.NewSourcePartition(first[0].SourcePartition.Fields())
		records := batchOf("a", 0, 2, 4)
		for _, r := range records {
			r.SourcePartition = again
		}
		b.source.batches <- records
		synctest.Wait()
		b.settle(t)
		expect(t, "partition 0", b.cluster.log("t-0"), "a1 a3 a2 a3 a4")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 b1@0 a2@2 a3@3 a4@4")
		expect(t, "offsets", b.offsets.written(), "ca=4,cb=1")
	})
}

// TestAPartitionThatIsNotTakenInTimeIsTheTasksToJudge: what brokers say of one partition is no reason to replace the
// producer and hold up all others; when no broker answers it is.
func TestAPartitionThatIsNotTakenInTimeIsTheTasksToJudge(t *testing.T) {
	for _, test := range []struct {
		name   string
		cause  error
		judged bool
	}{
		{"a broker says why", &kafka.ServerError{Code: 19}, true},
		{"no broker answers", &kafka.ConnectionError{Addr: "a:1", Reason: "closed the connection"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				tried := 0
				b.cluster.judge = func(_ int, r *kafka.Record) error {
					if string(r.Value) == "a2" {
						if tried++; tried == 1 {
							return &kafka.TimeoutError{What: "writing", Key: "delivery.timeout.ms", Err: test.cause}
						}
					}
					return nil
				}
				judged := false
				b.source.refused = func(*connect.SourceRecord, error) connect.RecordFailureAction {
					judged = true
					return connect.RewindPartition
				}
				b.source.rewound = func(*connect.SourceRecord) {}
				b.beginTask(t)
				b.source.batches <- append(batchOf("a", 0, 1, 2), record("b", 1, 1))
				synctest.Wait()
				b.settle(t)
				want := map[bool]string{true: "a1", false: "a1 a2"}[test.judged]
				expect(t, "partition 0", b.cluster.log("t-0"), want)
				expect(t, "partition 1", b.cluster.log("t-1"), "b1")
				if judged != test.judged {
					t.Errorf("the task was asked: %t, want %t", judged, test.judged)
				}
			})
		})
	}
}

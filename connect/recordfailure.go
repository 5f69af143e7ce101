package connect

// RecordFailureAction says what becomes of a record that the target has refused.
type RecordFailureAction int

const (
	// FailTask leaves it to the worker: errors.tolerance decides, and by default the task
	// fails.
	FailTask RecordFailureAction = iota
	// SkipRecord leaves the record out: its position counts as done, and CommitRecord
	// hears of it with nil.
	SkipRecord
	// RewindPartition takes back the record and all that Poll returned behind it for its
	// SourcePartition: nothing of that is committed, and CommitRecord does not hear of it,
	// though some of it may have been written. Other source partitions go on.
	RewindPartition
)

// RecordFailureHandler is a source task that decides for itself what becomes of records
// that the target refuses for good, such as those that are too large, or that their one
// partition of the target has not taken within the producer's delivery.timeout.ms while
// the cluster answers. It is not asked where records are written in transactions: a failure aborts these, and fails the task.
type RecordFailureHandler interface {
	// RecordFailed is called on the producer's or the task's goroutine and must not block.
	RecordFailed(record *SourceRecord, err error) RecordFailureAction
	// PartitionRewound follows RewindPartition, on the same goroutine: the task may now
	// read record and what is behind it again. It must do so with a new *SourcePartition
	// (of equal fields): records that still come with the old one are dropped.
	PartitionRewound(record *SourceRecord)
}

package connect

import (
	"context"
	"log/slog"
	"time"
)

// SinkConnector is a Connector whose tasks read from Kafka and write elsewhere. The
// worker adds topics or topics.regex to every task configuration.
type SinkConnector interface {
	Connector
	NewTask() SinkTask
}

// TopicPartition names one partition of a topic in Kafka.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// SinkTask writes records elsewhere. Its methods, and those of the optional interfaces
// below, are called from one goroutine, one at a time.
//
// The worker reads the records as a member of the consumer group connect-<connector>
// and commits offsets every offset.flush.interval.ms, before partitions are taken away,
// and when the task stops: those of all records that Put accepted, unless the task
// is a PreCommitter and says otherwise.
type SinkTask interface {
	// Start opens what the task needs. An error makes the task FAILED. ctx ends when
	// the task is to stop; goroutines begun here may live as long as ctx.
	Start(ctx context.Context, tc SinkTaskContext, config map[string]string) error
	// Put takes the next records, in order within a partition; there may be none. A
	// *RetriableError hands over the same records again later (see SinkTaskContext's
	// RetryAfter) and nothing else in between; another error makes the task FAILED. Where a
	// failed Flush or a Rewind comes in between, the records of those partitions are read
	// again instead. The records are the task's, the slice is not.
	Put(ctx context.Context, records []*Record) error
	// Stop closes what Start opened. It is also called after a Start or Put that failed.
	// ctx ends when the worker waits no longer.
	Stop(ctx context.Context) error
}

// Flusher is a sink task that buffers. It is called before offsets are committed.
type Flusher interface {
	// Flush writes out everything that Put accepted. offsets are the positions that are
	// committed if it succeeds: one more than the last record's offset. After an error
	// nothing is committed and the worker reads again from the last commit.
	Flush(ctx context.Context, offsets map[TopicPartition]int64) error
}

// PreCommitter is a sink task that decides which offsets are committed. It is asked in
// place of Flush.
type PreCommitter interface {
	// PreCommit returns what may be committed, at most the given positions, which are
	// those after the records that Put accepted. A partition left out stays where the
	// last commit put it. It owns the map it gets. Errors are as in Flush.
	PreCommit(ctx context.Context, offsets map[TopicPartition]int64) (map[TopicPartition]int64, error)
}

// PartitionOpener is a sink task that keeps something for each partition.
type PartitionOpener interface {
	// Open is told which partitions were added, before their first record. The task may
	// set where to read with SinkTaskContext's Rewind. An error makes the task FAILED.
	Open(ctx context.Context, partitions []TopicPartition) error
	// Close is told which partitions were taken away or, when the task stops, which it
	// had. What they buffered was flushed before, unless they were lost to another
	// member of the group already.
	Close(ctx context.Context, partitions []TopicPartition) error
}

// SinkTaskContext is what a running sink task may ask of its worker. Safe for
// concurrent use; what is asked takes effect when the call that is running (Put, Open…)
// has returned.
type SinkTaskContext interface {
	ID() TaskID
	Logger() *slog.Logger
	Metrics() Metrics
	// Assignment lists the partitions that the task reads now, in no order.
	Assignment() []TopicPartition
	// Pause stops the records of assigned partitions until Resume. Others are ignored.
	Pause(partitions ...TopicPartition)
	Resume(partitions ...TopicPartition)
	// Rewind sets the next offsets to read of assigned partitions.
	Rewind(offsets map[TopicPartition]int64)
	// RetryAfter is how long at most the worker waits before it calls Put again, this
	// once. Without it a refused batch comes again with the next commit.
	RetryAfter(d time.Duration)
	// RequestCommit asks for a commit of offsets soon.
	RequestCommit()
	// ErrantRecords takes records that the task cannot write (KIP-610); nil when the
	// connector has neither a dead letter queue nor errors.log.enable.
	ErrantRecords() ErrantRecordReporter
}

// ErrantRecordReporter hands single records over to the connector's error handling.
type ErrantRecordReporter interface {
	// Report writes the record, as it was read, to the dead letter queue and to the log,
	// as configured. It returns an error when errors.tolerance does not allow it: the
	// task fails then, whatever it does with the error. Otherwise the record counts as
	// done; offsets behind it are committed once the queue has it. done is closed then.
	// Records that the task made itself are converted back.
	Report(ctx context.Context, record *Record, cause error) (done <-chan struct{}, err error)
}

// SinkOffsetAlterer is a sink connector that checks, or applies, changes of its
// consumer group's offsets made through REST (KIP-875).
type SinkOffsetAlterer interface {
	// AlterSinkOffsets gets the requested offsets, nil for one to remove, before they are
	// changed in Kafka. The result is as in OffsetAlterer.
	AlterSinkOffsets(ctx context.Context, config map[string]string, offsets map[TopicPartition]*int64) (bool, error)
}

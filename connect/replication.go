package connect

import "time"

// ReplicationReporter is a connector or task that copies partitions from another
// cluster and can say how far it has come. The worker shows what all instances of a
// connector say at GET /connectors/{name}/replication.
type ReplicationReporter interface {
	// Replication returns what is known now, without the network and without waiting.
	// It is called at any time of the instance's life, also before Start and after Stop
	// (a connector that is done says so while it is stopped), from any goroutine,
	// concurrently with every other method. The result is the caller's to keep.
	Replication() Replication
}

// Replication is what one instance says of its work. A connector fills in what
// concerns the whole, a task the partitions that it copies; the page is both together.
type Replication struct {
	// Mode is the way to replicate, such as simple, batch or delayed; "" says nothing.
	Mode string
	// Batch says how far a batch has come; nil when there is none. Only a connector's
	// counts.
	Batch *ReplicationBatch
	// Topics are the source topics that the connector matches, sorted. Nil is unknown;
	// empty but not nil is that it matches none.
	Topics []string
	// UnmovableGroups are the consumer groups whose positions cannot be carried over
	// safely.
	UnmovableGroups []UnmovableGroup
	// Troubles are sentences about what is wrong beyond single partitions, such as that
	// no topic matches, or that nothing moves although there is lag.
	Troubles []string
	// Partitions are the partitions that the task copies, in any order.
	Partitions []ReplicatedPartition
}

// ReplicationBatch is the progress of a batch, over all partitions.
type ReplicationBatch struct {
	// Done says that the batch has ended: every partition is at its end or was given up.
	Done bool
	// Copied is how many source offsets the batch has passed, Left how many lie between
	// that and its ends. Left of a batch that is done was given up.
	Copied, Left int64
	// StoppedPartitions is how many partitions were given up.
	StoppedPartitions int
	// Next is when the batch after this one begins; zero if there is none.
	Next time.Time
}

// UnmovableGroup is a consumer group whose position cannot be carried over safely.
type UnmovableGroup struct {
	Group string
	// Reason is a sentence without the group's name.
	Reason string
}

// UnknownOffset stands in a ReplicatedPartition for an offset that is not known.
const UnknownOffset int64 = -1

// UnknownLag stands in a ReplicatedPartition for a lag that is not known.
const UnknownLag = -1

// ReplicatedPartition is one row of the page: a partition of the source.
type ReplicatedPartition struct {
	Topic     string
	Partition int32
	// SourceEnd is the offset behind the partition's last record, MirroredUpTo that
	// behind the last record acknowledged by the target; both are offsets of the source.
	SourceEnd, MirroredUpTo int64
	// LagRecords is the distance between the two. LagSeconds is how old the first record
	// is that has not arrived yet, 0 when there is none.
	LagRecords int64
	LagSeconds float64
	// Lane is the path of the records through the task, LaneReason why it is that one.
	Lane, LaneReason string
	// LastError is what last went wrong with this partition, LastErrorTime when; "" is
	// nothing since the task started.
	LastError     string
	LastErrorTime time.Time
	// Stopped says that the partition is not copied any more, while others are.
	Stopped bool
	// Gaps are the records that the source lost before they were copied, oldest first.
	Gaps []ReplicationGap
}

// ReplicationGap is a range of a source partition that was not copied.
type ReplicationGap struct {
	// From is the first offset that was not copied, To the first after the gap.
	From, To int64
	// Time is when it was noticed.
	Time time.Time
	// Kind says how it came about, such as truncated, retention, recreated or
	// rolled-back.
	Kind string
}

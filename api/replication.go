package api

import "time"

// Replication answers GET /connectors/{name}/replication: what a connector and its
// tasks say of their replication, with the rows of all workers. It is Tributary's own;
// Java workers do not have it. A connector that replicates nothing has no rows.
type Replication struct {
	Name string `json:"name"`
	// Mode is the way to replicate, such as simple, batch or delayed; "" is unknown.
	Mode string `json:"mode,omitempty"`
	// Batch is how far a batch has come, nil without one.
	Batch *ReplicationBatch `json:"batch,omitempty"`
	// Topics are the source topics that the connector matches, sorted; nil, shown as
	// null, while they are unknown.
	Topics          []string         `json:"topics"`
	UnmovableGroups []UnmovableGroup `json:"unmovable_groups"`
	// Troubles are sentences about what is wrong beyond single partitions.
	Troubles []string `json:"troubles"`
	// Partitions are sorted by topic and partition.
	Partitions []ReplicatedPartition `json:"partitions"`
	// Restarts are the instances that were restarted by themselves after they failed, the
	// connector first, then tasks by number.
	Restarts []AutoRestarts `json:"restarts"`
	// Unanswered are the workers whose rows are missing, sorted by id.
	Unanswered []UnansweredWorker `json:"unanswered"`
}

// ReplicationBatch is the progress of a batch in source offsets, over all partitions.
type ReplicationBatch struct {
	// Done says that the batch has ended; what is left then was given up.
	Done              bool       `json:"done"`
	Copied            int64      `json:"copied"`
	Left              int64      `json:"left"`
	StoppedPartitions int        `json:"stopped_partitions"`
	Next              *time.Time `json:"next,omitempty"` // when the next batch begins
}

// UnmovableGroup is a consumer group whose position cannot be carried over safely.
type UnmovableGroup struct {
	Group  string `json:"group"`
	Reason string `json:"reason"`
}

// ReplicatedPartition is one partition of the source. Offsets are the source's; a nil
// number, shown as null, is unknown.
type ReplicatedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Task      int    `json:"task"`
	WorkerID  string `json:"worker_id"`
	// SourceEnd is the offset behind the last record of the source, MirroredUpTo that
	// behind the last one that the target has acknowledged.
	SourceEnd     *int64           `json:"source_end"`
	MirroredUpTo  *int64           `json:"mirrored_up_to"`
	LagRecords    *int64           `json:"lag_records"`
	LagSeconds    *float64         `json:"lag_seconds"`
	Lane          string           `json:"lane,omitempty"`
	LaneReason    string           `json:"lane_reason,omitempty"`
	Stopped       bool             `json:"stopped"`
	LastError     string           `json:"last_error,omitempty"`
	LastErrorTime *time.Time       `json:"last_error_time,omitempty"`
	Gaps          []ReplicationGap `json:"gaps"`
}

// ReplicationGap is a range of source offsets, To excluded, that was not copied.
type ReplicationGap struct {
	From int64     `json:"from"`
	To   int64     `json:"to"`
	Time time.Time `json:"time"` // when it was noticed
	Kind string    `json:"kind"`
}

// AutoRestarts says how often a connector or task was restarted by itself.
type AutoRestarts struct {
	// Task is the task's number, nil for the connector itself.
	Task     *int   `json:"task,omitempty"`
	WorkerID string `json:"worker_id"`
	// Count is since the worker has it, Attempt since it last ran for a while.
	Count   int `json:"count"`
	Attempt int `json:"attempt"`
	// Next is when it will be tried again, nil when it is not waiting.
	Next *time.Time `json:"next,omitempty"`
}

// UnansweredWorker is a worker that did not say what it knows.
type UnansweredWorker struct {
	WorkerID string `json:"worker_id"`
	Reason   string `json:"reason"`
}

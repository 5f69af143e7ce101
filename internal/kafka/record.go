package kafka

import "errors"

// NoTimestamp is the timestamp of a record that has none.
const NoTimestamp int64 = -1

// AnyPartition leaves the partition of a record to the partitioner, which is Java's:
// murmur2 of the key, or any partition when the key is null.
const AnyPartition int32 = -1

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Header is one record header; a nil Value is null, an empty one is not.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record as read from, or to be written to, a partition. A nil Key or
// Value is null. Read records share memory with their batch: copy what outlives it
// by long.
type Record struct {
	Topic     string
	Partition int32 // AnyPartition only when writing
	// LogAppendTime says that the broker set the timestamp; ignored when writing.
	LogAppendTime bool
	Offset        int64 // ignored when writing
	Timestamp     int64 // milliseconds, or NoTimestamp
	Key           []byte
	Value         []byte
	Headers       []Header
	// Batch makes this a whole batch to be written, for producers that take them: Topic and
	// Partition say where to, the rest does not count.
	Batch *Batch
	// Stale, if set, is asked by producers of whole batches when the record takes its place
	// behind others, with their lock held: a stale one is not written and done with ErrStale.
	Stale func() bool
}

// ErrStale is given to a record that was not to be written any more.
var ErrStale = errors.New("the record was not to be written any more")

// Metadata says where a record was stored.
type Metadata struct {
	Topic     string
	Partition int32
	// Offset is that of the record, or of the last record of a batch; -1 when it is not known.
	Offset int64
	// First is for batches: what lies from here to Offset are its last records, without a gap.
	First     int64
	Timestamp int64
}

package connect

// NoTimestamp is the Timestamp of a record that has none; the target cluster then
// assigns its own. PartitionUnset is the Partition of a record that leaves the
// choice to the producer's partitioner.
const (
	NoTimestamp    int64 = -1
	PartitionUnset int32 = -1
)

// Header is one record header. Keys may repeat and their order is kept. A nil
// Value is Kafka's null and differs from an empty byte slice.
type Header struct {
	Key    string
	Schema *Schema
	Value  any
}

// Record is what source and sink records have in common, and all that converters,
// transformations and predicates see.
type Record struct {
	Topic     string
	Partition int32 // the exact partition, or PartitionUnset
	Timestamp int64 // milliseconds since 1970-01-01 UTC, or NoTimestamp

	KeySchema   *Schema
	Key         any
	ValueSchema *Schema
	Value       any
	Headers     []Header

	// Origin says where in Kafka a record of a sink was read; nil for source records.
	// Transformations leave it as it is.
	Origin *Origin
}

// TimestampType says who set the timestamp of a record that was read from Kafka.
type TimestampType int8

// The timestamp types, numbered as on the wire.
const (
	NoTimestampType TimestampType = -1
	CreateTime      TimestampType = 0
	LogAppendTime   TimestampType = 1
)

// String returns Java's name of the type.
func (t TimestampType) String() string {
	switch t {
	case CreateTime:
		return "CreateTime"
	case LogAppendTime:
		return "LogAppendTime"
	}
	return "NoTimestampType"
}

// Origin is where in Kafka a record was read, whatever transformations made of the
// record since.
type Origin struct {
	Topic         string
	Partition     int32
	Offset        int64
	TimestampType TimestampType

	raw any
}

// SetRaw keeps something of the worker's with the record, for its own use.
func (o *Origin) SetRaw(raw any) { o.raw = raw }

// Raw is what SetRaw was given, nil for records that no worker read.
func (o *Origin) Raw() any { return o.raw }

// TopicPartition is the partition that the record was read from.
func (o *Origin) TopicPartition() TopicPartition { return TopicPartition{o.Topic, o.Partition} }

// SourceRecord is one record on its way from a source task to Kafka.
//
// A task hands it over with Poll and must not change it, nor the bytes it refers
// to, until the record was acknowledged.
type SourceRecord struct {
	Record
	// SourcePartition and SourceOffset say where the record was read: after the
	// record is acknowledged by Kafka they become the committed position. A nil
	// SourcePartition means that the record carries no position.
	SourcePartition *SourcePartition
	SourceOffset    SourceOffset
	// PositionOnly says that there is nothing to write: SourceOffset becomes the
	// committed position once every record that the task returned before for
	// SourcePartition was acknowledged. It passes no transformation, and CommitRecord
	// does not hear of it. For sources whose position moves without records.
	PositionOnly bool
	// Batch, if set, makes this a whole batch instead of a record, see BatchTask.
	Batch *Batch
}

// RecordMetadata says where Kafka stored an acknowledged record.
type RecordMetadata struct {
	Topic     string
	Partition int32
	// Offset is where the record was stored; for a batch it is where the last of its
	// records was.
	Offset int64
	// First is for batches: the records up to the last one lie from here to Offset without
	// a gap. These are all of them, unless the batch had to be split and others wrote
	// between its parts.
	First int64
	// Timestamp is the record's timestamp in milliseconds, NoTimestamp when the
	// broker did not report one.
	Timestamp int64
}

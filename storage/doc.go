// Package storage holds what a worker group remembers: connector configurations,
// source offsets and statuses, in the formats of Kafka Connect's internal topics.
//
// The package itself is values and pure functions: the record formats, and
// [ClusterState], which is what the config topic says when its records are applied
// in order, [StatusTable] and [OffsetTable], which are the same for the other topics.
// The small interfaces are implemented by kafkastore (topics) and memstore (nothing
// survives); storagetest checks that an implementation keeps their promises.
package storage

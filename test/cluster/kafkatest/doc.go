// Package kafkatest holds what a test wants to do with a Kafka cluster from the outside: create a topic, write
// records with exact bytes, read a partition to its end, compare a topic with its mirror.
//
// It works on any bootstrap address, a real broker or an embedded cluster. It uses franz-go, and reads batches off
// the wire itself, so that it shares no decoding with the code under test: null and empty stay apart, headers keep
// their order, markers of transactions and compacted tails do not hide the end of a partition.
//
// A [Client] belongs to one test. Its methods end the test with a clear message when the cluster refuses; they must
// be called from the test's own goroutine. The functions [Diff] and [DiffAtLeastOnce] are pure.
package kafkatest

import "context"

// TB is the part of testing.TB that the harness needs. It is an interface of its own so that a benchmark which is
// not a Go test can use the harness too; every *testing.T and *testing.B is one.
type TB interface {
	Helper()
	Name() string
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Cleanup(func())
	TempDir() string
}

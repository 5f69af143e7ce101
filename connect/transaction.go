package connect

import "time"

// TransactionContext lets a source task define the boundaries of its transactions, where
// the worker delivers exactly once and the connector is configured with
// transaction.boundary=connector (KIP-618). Requests concern records that Poll returned
// or is about to return; a record is told by its address. Offsets of aborted records are
// committed all the same, in a transaction of their own, so that the task does not meet
// these records again. To ask for both a commit and an abort at one place fails the
// task. Safe for concurrent use.
type TransactionContext interface {
	// CommitTransaction asks for a commit after the next batch.
	CommitTransaction()
	// CommitTransactionAfter asks for a commit right after a record, which is in it.
	CommitTransactionAfter(record *SourceRecord)
	// AbortTransaction asks for an abort after the next batch, which is dropped with all
	// that was written since the last commit.
	AbortTransaction()
	// AbortTransactionAfter asks for an abort right after a record, which is dropped, too.
	AbortTransactionAfter(record *SourceRecord)
}

// TransactionalTaskContext is a TaskContext that may have a TransactionContext.
type TransactionalTaskContext interface {
	TaskContext
	// TransactionContext is nil unless the task defines the boundaries of its transactions.
	TransactionContext() TransactionContext
}

// TransactionContextOf returns the task's TransactionContext, nil where the task is not to
// define the boundaries of its transactions.
func TransactionContextOf(tc TaskContext) TransactionContext {
	if t, ok := tc.(TransactionalTaskContext); ok {
		return t.TransactionContext()
	}
	return nil
}

// TransactionTeller is a TaskContext that knows whether what the task returns is written in
// transactions, which acknowledge nothing before they are committed.
type TransactionTeller interface {
	TaskContext
	InTransactions() bool
}

// TransactionDefiner is a source connector that knows whether its tasks can define the
// boundaries of their transactions with a given configuration. One that does not
// implement it cannot.
type TransactionDefiner interface {
	CanDefineTransactionBoundaries(config map[string]string) bool
}

// TransactionPacer is a source connector that knows how large the transactions of its
// tasks should be where the user sets no transaction.boundary: they end with the first
// batch after interval, or when keys and values are limit bytes together.
type TransactionPacer interface {
	TransactionPace() (interval time.Duration, limit int64)
}

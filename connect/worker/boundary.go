package worker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tributary/connect"
)

// verdict is what a boundary says of the transaction at one place.
type verdict int

const (
	goOn verdict = iota
	commitHere
	// abortHere drops the records; their offsets are committed all the same.
	abortHere
)

// boundary says where a task's transactions end (transaction.boundary, KIP-618). It is
// used by the lane's goroutine alone; time is an argument.
type boundary interface {
	// begin: the lane starts, or goes on after a pause.
	begin(now time.Time)
	// afterRecord is asked after each record, sent or dropped.
	afterRecord(record *connect.SourceRecord) (verdict, error)
	// afterBatch is asked when all that a Poll returned, which may be nothing, was sent.
	afterBatch(now time.Time, bytes int64) (verdict, error)
	// atEnd is asked before a pause, and when the task stops.
	atEnd() (verdict, error)
	// within is how long from now a transaction may stay open, negative or 0 for no
	// longer. The second result is false if time does not matter.
	within(now time.Time) (time.Duration, bool)
}

// The values of transaction.boundary.
const (
	boundaryPoll      = "poll"
	boundaryInterval  = "interval"
	boundaryConnector = "connector"
)

// newBoundary reads a connector's configuration; connector may have a wish where that
// says nothing. flushInterval is the worker's offset.flush.interval.ms.
func newBoundary(config map[string]string, values connect.Values, connector connect.Connector, flushInterval time.Duration) boundary {
	if pacer, ok := connector.(connect.TransactionPacer); ok && config["transaction.boundary"] == "" {
		b := &everyInterval{}
		b.interval, b.limit = pacer.TransactionPace()
		return b
	}
	switch strings.ToLower(values.String("transaction.boundary")) {
	case boundaryInterval:
		interval := flushInterval
		if !values.IsNull("transaction.boundary.interval.ms") {
			interval = millis(values.Int("transaction.boundary.interval.ms"))
		}
		return &everyInterval{interval: interval}
	case boundaryConnector:
		return &transactionContext{}
	}
	return everyPoll{}
}

// everyPoll commits after each batch.
type everyPoll struct{}

func (everyPoll) begin(time.Time)                                     {}
func (everyPoll) afterRecord(*connect.SourceRecord) (verdict, error)  { return goOn, nil }
func (everyPoll) afterBatch(time.Time, int64) (verdict, error)        { return commitHere, nil }
func (everyPoll) atEnd() (verdict, error)                             { return commitHere, nil }
func (everyPoll) within(time.Time) (left time.Duration, matters bool) { return 0, false }

// everyInterval commits after the first batch that ends when the interval is over, or
// that makes the transaction large.
type everyInterval struct {
	interval time.Duration
	// limit is how many bytes make a transaction large; 0 is any number.
	limit int64
	last  time.Time
}

func (b *everyInterval) begin(now time.Time) { b.last = now }

func (b *everyInterval) afterRecord(*connect.SourceRecord) (verdict, error) { return goOn, nil }

func (b *everyInterval) afterBatch(now time.Time, bytes int64) (verdict, error) {
	if now.Sub(b.last) < b.interval && (b.limit == 0 || bytes < b.limit) {
		return goOn, nil
	}
	b.last = now
	return commitHere, nil
}

func (b *everyInterval) atEnd() (verdict, error) { return commitHere, nil }

func (b *everyInterval) within(now time.Time) (time.Duration, bool) {
	return b.last.Add(b.interval).Sub(now), true
}

// transactionContext is the boundary that a task defines, by what it has asked for.
type transactionContext struct {
	mu          sync.Mutex
	commitBatch bool
	abortBatch  bool
	commits     map[*connect.SourceRecord]struct{}
	aborts      map[*connect.SourceRecord]struct{}
}

var _ connect.TransactionContext = (*transactionContext)(nil)

// CommitTransaction implements connect.TransactionContext.
func (c *transactionContext) CommitTransaction() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commitBatch = true
}

// AbortTransaction implements connect.TransactionContext.
func (c *transactionContext) AbortTransaction() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortBatch = true
}

// CommitTransactionAfter implements connect.TransactionContext.
func (c *transactionContext) CommitTransactionAfter(record *connect.SourceRecord) {
	c.note(&c.commits, record)
}

// AbortTransactionAfter implements connect.TransactionContext.
func (c *transactionContext) AbortTransactionAfter(record *connect.SourceRecord) {
	c.note(&c.aborts, record)
}

func (c *transactionContext) note(set *map[*connect.SourceRecord]struct{}, record *connect.SourceRecord) {
	if record == nil {
		panic("the record after which a transaction is to end is nil")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if *set == nil {
		*set = map[*connect.SourceRecord]struct{}{}
	}
	(*set)[record] = struct{}{}
}

func (c *transactionContext) begin(time.Time) {}

func (c *transactionContext) afterRecord(record *connect.SourceRecord) (verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, commit := c.commits[record]
	_, abort := c.aborts[record]
	delete(c.commits, record)
	delete(c.aborts, record)
	switch {
	case commit && abort:
		return goOn, fmt.Errorf("Connector requested both commit and abort of same record against topic/partition %s/%d", record.Topic, record.Partition)
	case abort:
		return abortHere, nil
	case commit:
		return commitHere, nil
	}
	return goOn, nil
}

func (c *transactionContext) afterBatch(time.Time, int64) (verdict, error) { return c.atEnd() }

func (c *transactionContext) atEnd() (verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	commit, abort := c.commitBatch, c.abortBatch
	c.commitBatch, c.abortBatch = false, false
	switch {
	case commit && abort:
		return goOn, errors.New("Connector requested both commit and abort of same transaction")
	case abort:
		return abortHere, nil
	case commit:
		return commitHere, nil
	}
	return goOn, nil
}

func (c *transactionContext) within(time.Time) (time.Duration, bool) { return 0, false }

package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// ErrTransactionAborted is given to what was not sent yet when its transaction was aborted.
var ErrTransactionAborted = errors.New("the transaction was aborted before the record was sent")

// TransactionState is where a transactional producer stands. Whoever owns it guards it with a lock.
type TransactionState struct {
	phase transactionPhase
	// Round counts transactions, so that partitions can tell whether they were added to this one.
	Round int
	// Partitions are how many may be in the transaction.
	Partitions int
	// Err is why it can only be aborted.
	Err error
	// Aborting says that nothing is sent again.
	Aborting bool
}

type transactionPhase int

const (
	txnUnregistered transactionPhase = iota // InitTransactions has not succeeded
	txnBetween                              // transactions
	txnOpen                                 // Begin was called
	txnEnding                               // Commit or Abort runs, or failed and must be tried again
)

// Registered takes it that InitTransactions has succeeded.
func (t *TransactionState) Registered() { t.phase = txnBetween }

// Begin opens a transaction.
func (t *TransactionState) Begin() error {
	if t.phase != txnBetween {
		return fmt.Errorf("a transaction cannot begin %s", map[transactionPhase]string{
			txnUnregistered: "before InitTransactions", txnOpen: "inside another", txnEnding: "before the last one has ended",
		}[t.phase])
	}
	*t = TransactionState{phase: txnOpen, Round: t.Round + 1}
	return nil
}

// Refused takes it that the coordinator did not add n partitions that were counted. If err leaves that open, they count on.
// An abort of a transaction that the coordinator never heard of would be refused as well (INVALID_TXN_STATE).
func (t *TransactionState) Refused(n int, err error) {
	server, ok := errors.AsType[*ServerError](err)
	if ok && server.Code != int16(sarama.ErrUnknown) && !IsRetriable(err) {
		t.Partitions -= n
	}
}

// EndKnown takes it that the coordinator has ended the transaction, so that another attempt to end it does not ask for that again.
func (t *TransactionState) EndKnown() { t.Partitions = 0 }

// Sendable says why nothing may be sent now.
func (t *TransactionState) Sendable() error {
	switch {
	case t.phase == txnUnregistered:
		return errors.New("InitTransactions must succeed before records are sent with a transactional.id")
	case t.phase != txnOpen:
		return errors.New("records can only be sent between Begin and Commit or Abort with a transactional.id")
	}
	return t.Failed()
}

// Fail notes the first failure of an open transaction.
func (t *TransactionState) Fail(err error) {
	if (t.phase == txnOpen || t.phase == txnEnding) && t.Err == nil {
		t.Err = err
	}
}

// Failed says why the transaction cannot be committed. That is not retriable, though its cause may be: another attempt
// fails as well.
func (t *TransactionState) Failed() error {
	if t.Err == nil {
		return nil
	}
	return final{fmt.Errorf("the transaction can only be aborted: %w", t.Err)}
}

// End begins to end the transaction, or tries again.
func (t *TransactionState) End(abort bool) error {
	if t.phase != txnOpen && t.phase != txnEnding {
		return errors.New("there is no transaction to end")
	}
	t.phase, t.Aborting = txnEnding, t.Aborting || abort
	return nil
}

// Ended takes it that the transaction was committed or aborted, and that another may begin.
func (t *TransactionState) Ended() { *t = TransactionState{phase: txnBetween, Round: t.Round} }

package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"
)

// ErrClosed is returned by a client that was closed, also for records it could not send in time.
var ErrClosed = errors.New("the Kafka client is closed")

// ServerError is an error code that a broker answered. Two of them are the same to errors.Is when
// their codes are.
type ServerError struct {
	Code    int16
	Message string // the broker's own words, often empty
}

// Error codes that callers tell apart with errors.Is.
var (
	ErrUnknownTopicOrPartition    = &ServerError{Code: int16(sarama.ErrUnknownTopicOrPartition)}
	ErrTopicExists                = &ServerError{Code: int16(sarama.ErrTopicAlreadyExists)}
	ErrInvalidTopic               = &ServerError{Code: int16(sarama.ErrInvalidTopic)}
	ErrInvalidPartitions          = &ServerError{Code: int16(sarama.ErrInvalidPartitions)}
	ErrInvalidReplicationFactor   = &ServerError{Code: int16(sarama.ErrInvalidReplicationFactor)}
	ErrInvalidConfig              = &ServerError{Code: int16(sarama.ErrInvalidConfig)}
	ErrInvalidRequest             = &ServerError{Code: int16(sarama.ErrInvalidRequest)}
	ErrPolicyViolation            = &ServerError{Code: int16(sarama.ErrPolicyViolation)}
	ErrUnsupportedVersion         = &ServerError{Code: int16(sarama.ErrUnsupportedVersion)}
	ErrSecurityDisabled           = &ServerError{Code: int16(sarama.ErrSecurityDisabled)}
	ErrOffsetOutOfRange           = &ServerError{Code: int16(sarama.ErrOffsetOutOfRange)}
	ErrNotController              = &ServerError{Code: int16(sarama.ErrNotController)}
	ErrRequestTimedOut            = &ServerError{Code: int16(sarama.ErrRequestTimedOut)}
	ErrCoordinatorLoading         = &ServerError{Code: int16(sarama.ErrOffsetsLoadInProgress)}
	ErrCoordinatorNotAvailable    = &ServerError{Code: int16(sarama.ErrConsumerCoordinatorNotAvailable)}
	ErrNotCoordinator             = &ServerError{Code: int16(sarama.ErrNotCoordinatorForConsumer)}
	ErrRebalanceInProgress        = &ServerError{Code: int16(sarama.ErrRebalanceInProgress)}
	ErrIllegalGeneration          = &ServerError{Code: int16(sarama.ErrIllegalGeneration)}
	ErrUnknownMemberID            = &ServerError{Code: int16(sarama.ErrUnknownMemberId)}
	ErrInconsistentProtocol       = &ServerError{Code: int16(sarama.ErrInconsistentGroupProtocol)}
	ErrFencedInstanceID           = &ServerError{Code: int16(sarama.ErrFencedInstancedId)}
	ErrGroupMaxSizeReached        = &ServerError{Code: int16(sarama.ErrGroupMaxSizeReached)}
	ErrGroupNotEmpty              = &ServerError{Code: int16(sarama.ErrNonEmptyGroup)}
	ErrGroupNotFound              = &ServerError{Code: int16(sarama.ErrGroupIDNotFound)}
	ErrGroupSubscribedToTopic     = &ServerError{Code: int16(sarama.ErrGroupSubscribedToTopic)}
	ErrConcurrentTransactions     = &ServerError{Code: int16(sarama.ErrConcurrentTransactions)}
	ErrInvalidTransactionState    = &ServerError{Code: int16(sarama.ErrInvalidTxnState)}
	ErrSASLAuthenticationFailed   = &ServerError{Code: int16(sarama.ErrSASLAuthenticationFailed)}
	ErrUnsupportedSASLMechanism   = &ServerError{Code: int16(sarama.ErrUnsupportedSASLMechanism)}
	ErrUnsupportedCompressionType = &ServerError{Code: int16(sarama.ErrUnsupportedCompressionType)}
)

// ErrFenced means that another producer with the same transactional id took over. The producer is of
// no more use.
var ErrFenced = errors.New("another producer with the same transactional.id has taken over")

func (e *ServerError) Error() string {
	text := strings.TrimPrefix(sarama.KError(e.Code).Error(), "kafka server: ")
	if e.Message != "" && e.Message != text {
		return e.Message
	}
	return text
}

// Is compares codes alone.
func (e *ServerError) Is(target error) bool {
	other, ok := target.(*ServerError)
	return ok && other.Code == e.Code
}

// RecordTooLargeError means that a record can never be stored as it is. Sizes are in bytes.
type RecordTooLargeError struct {
	TopicPartition
	Size  int
	Limit int // 0 when the broker refused it and its limit is not known
}

func (e *RecordTooLargeError) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("a record of %d bytes for %s-%d is larger than max.message.bytes of the topic", e.Size, e.Topic, e.Partition)
	}
	return fmt.Sprintf("a record of %d bytes for %s-%d is larger than max.request.size = %d", e.Size, e.Topic, e.Partition, e.Limit)
}

// DamagedBatchError means that what a broker sent of a partition cannot be right: a checksum is wrong, or the records
// cannot be decoded. The broker sends it as it lies in its log.
type DamagedBatchError struct {
	TopicPartition
	// Offset is where reading stops: the batch begins there or, in an answer to a position inside it, before.
	Offset int64
	Err    error // what is wrong
}

func (e *DamagedBatchError) Error() string {
	return fmt.Sprintf("the record batch at offset %d of %s-%d is damaged: %v", e.Offset, e.Topic, e.Partition, e.Err)
}

func (e *DamagedBatchError) Unwrap() error { return e.Err }

// PartialBatchError means that the first records of a batch are stored and the next one is not.
type PartialBatchError struct {
	Stored int32 // records
	Err    error
}

func (e *PartialBatchError) Error() string { return e.Err.Error() }

// Unwrap returns why the next one is not.
func (e *PartialBatchError) Unwrap() error { return e.Err }

// TimeoutError means that something did not succeed within a configured time, all retries included.
type TimeoutError struct {
	What  string        // what was tried
	After time.Duration // the limit
	Key   string        // the key that sets the limit
	Err   error         // the last failure, if there was one
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("%s did not succeed within %s = %d", e.What, e.Key, e.After.Milliseconds())
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout makes it a timeout to net.Error's readers.
func (e *TimeoutError) Timeout() bool { return true }

// ConnectionError means that a broker could not be reached, or that the connection broke.
type ConnectionError struct {
	Addr   string // host:port
	Reason string // one clause for people
	Err    error
}

func (e *ConnectionError) Error() string { return e.Addr + " " + e.Reason }
func (e *ConnectionError) Unwrap() error { return e.Err }

// IsRetriable says whether the same call may succeed later with nothing changed on this side: broken
// connections, missing leaders and coordinators, time-outs. Refused rights, wrong credentials, wrong
// arguments and records too large are not.
func IsRetriable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) || errors.Is(err, ErrFenced) {
		return false
	}
	if _, ok := errors.AsType[final](err); ok {
		return false
	}
	if _, ok := errors.AsType[*DamagedBatchError](err); ok {
		return false
	}
	if server, ok := errors.AsType[*ServerError](err); ok {
		return retriableCode(sarama.KError(server.Code))
	}
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return retriableCode(code)
	}
	if _, ok := errors.AsType[*TimeoutError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*ConnectionError](err); ok {
		return !isCertificateError(err)
	}
	return isNetworkError(err)
}

func retriableCode(code sarama.KError) bool {
	switch code {
	case sarama.ErrInvalidMessage, sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable,
		sarama.ErrNotLeaderForPartition, sarama.ErrRequestTimedOut, sarama.ErrBrokerNotAvailable,
		sarama.ErrReplicaNotAvailable, sarama.ErrNetworkException, sarama.ErrOffsetsLoadInProgress,
		sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer,
		sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrNotController,
		sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch,
		sarama.ErrIllegalSASLState, // the connection is dropped, see isLoginError
		sarama.ErrOffsetNotAvailable, sarama.ErrPreferredLeaderNotAvailable, sarama.ErrConcurrentTransactions,
		sarama.ErrThrottlingQuotaExceeded, sarama.ErrUnstableOffsetCommit, sarama.ErrFetchSessionIDNotFound,
		sarama.ErrInvalidFetchSessionEpoch, sarama.ErrListenerNotFound, sarama.ErrEligibleLeadersNotAvailable:
		return true
	}
	return false
}

func isNetworkError(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, sarama.ErrNotConnected) ||
		errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

func isCertificateError(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}

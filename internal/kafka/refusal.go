package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
)

// Operation is what a request does, in words that fit behind "not allowed to".
type Operation string

// The operations that brokers may refuse.
const (
	OpRead              Operation = "read"
	OpWrite             Operation = "write"
	OpWriteIdempotently Operation = "write idempotently"
	OpCreate            Operation = "create"
	OpDelete            Operation = "delete"
	OpDeleteRecords     Operation = "delete records"
	OpAlter             Operation = "alter"
	OpDescribe          Operation = "describe"
	OpDescribeConfigs   Operation = "describe the configuration"
	OpAlterConfigs      Operation = "alter the configuration"
	OpDescribeACLs      Operation = "describe ACLs"
	OpCreateACLs        Operation = "create ACLs"
	OpListGroups        Operation = "list groups"
	OpJoin              Operation = "join"
	OpLeave             Operation = "leave"
	OpReadOffsets       Operation = "read the offsets"
	OpCommitOffsets     Operation = "commit offsets"
	OpDeleteOffsets     Operation = "delete the offsets"
	OpUse               Operation = "use"
	OpFence             Operation = "fence"
)

// Needs is the right that brokers ask for it, as ACLs name it.
func (o Operation) Needs() string {
	switch o {
	case OpRead, OpJoin, OpLeave, OpCommitOffsets:
		return "Read"
	case OpWrite, OpUse, OpFence:
		return "Write"
	case OpWriteIdempotently:
		return "IdempotentWrite, or Write on a topic"
	case OpCreate:
		return "Create"
	case OpDelete, OpDeleteRecords, OpDeleteOffsets:
		return "Delete"
	case OpAlter, OpCreateACLs:
		return "Alter"
	case OpDescribeConfigs:
		return "DescribeConfigs"
	case OpAlterConfigs:
		return "AlterConfigs"
	}
	return "Describe"
}

// AuthorizationError means that the client's principal lacks a right.
type AuthorizationError struct {
	// User is who the client logged in as, see Config.principal.
	User         string
	Operation    Operation
	ResourceType string // topic, group, cluster or transactional id
	Resource     string
	Err          error
}

func (e *AuthorizationError) Error() string {
	return fmt.Sprintf("the user %s is not allowed to %s: no rights on the %s %q (needs %s)",
		e.User, e.Operation, e.ResourceType, e.Resource, e.Operation.Needs())
}

func (e *AuthorizationError) Unwrap() error { return e.Err }

// answerError turns an error code of a broker into an error, nil for none. All codes pass here, so that a refusal of
// rights, which becomes an *AuthorizationError, always says who was refused what on which resource.
func (c *Config) answerError(code sarama.KError, message *string, op Operation, resource string) error {
	if code == sarama.ErrNoError {
		return nil
	}
	e := &ServerError{Code: int16(code)}
	if message != nil {
		e.Message = *message
	}
	kind := ""
	switch code {
	case sarama.ErrTopicAuthorizationFailed:
		kind = "topic"
	case sarama.ErrGroupAuthorizationFailed:
		kind = "group"
	case sarama.ErrClusterAuthorizationFailed:
		kind, resource = "cluster", "kafka-cluster"
	case sarama.ErrTransactionalIDAuthorizationFailed:
		kind = "transactional id"
	default:
		return e
	}
	return &AuthorizationError{User: c.principal(), Operation: op, ResourceType: kind, Resource: resource, Err: e}
}

// principal is who the brokers take this client for: the SASL user, else the subject of its certificate, else
// ANONYMOUS. Brokers with rules of their own (ssl.principal.mapping.rules, a principal builder) may know it by another
// name.
func (c *Config) principal() string {
	if c.Security.SASL != nil {
		if user := c.Security.SASL.user(); user != "" {
			return user
		}
		return "that the token names"
	}
	if c.Security.TLS {
		if subject := c.dialer.tls.subject(); subject != "" {
			return subject
		}
	}
	return "ANONYMOUS"
}

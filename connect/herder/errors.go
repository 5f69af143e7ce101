package herder

import "fmt"

// NotFoundError: there is no such connector, task or plugin.
type NotFoundError struct{ Message string }

func (e *NotFoundError) Error() string { return e.Message }

// ConnectorNotFound is the NotFoundError for a connector, in Java's words.
func ConnectorNotFound(connector string) *NotFoundError {
	return &NotFoundError{Message: fmt.Sprintf("Connector %s not found", connector)}
}

// AlreadyExistsError: a connector of that name exists.
type AlreadyExistsError struct{ Connector string }

func (e *AlreadyExistsError) Error() string {
	return fmt.Sprintf("Connector %s already exists", e.Connector)
}

// BadRequestError: the request is wrong and stays wrong.
type BadRequestError struct{ Message string }

func (e *BadRequestError) Error() string { return e.Message }

// ForbiddenError: the request is not permitted.
type ForbiddenError struct{ Message string }

func (e *ForbiddenError) Error() string { return e.Message }

// NotReadyError: the worker is still starting up.
type NotReadyError struct{ Message string }

func (e *NotReadyError) Error() string { return e.Message }

// RebalanceError: the request meets a change of the group and may be sent again.
type RebalanceError struct{ Message string }

func (e *RebalanceError) Error() string { return e.Message }

// NotLeaderError: the group's leader must answer the request. LeaderURL is "" while
// none is known.
type NotLeaderError struct{ LeaderURL string }

func (e *NotLeaderError) Error() string {
	return "Only the leader can process this request; the leader is at " + e.LeaderURL
}

// NotAssignedError: the worker at OwnerURL runs the connector or task in question.
type NotAssignedError struct{ OwnerURL string }

func (e *NotAssignedError) Error() string {
	return "This worker does not run it; the worker that does is at " + e.OwnerURL
}

// ConflictError: the request does not fit the state of things just now, for a reason
// that sending it again at once does not cure.
type ConflictError struct{ Message string }

func (e *ConflictError) Error() string { return e.Message }

package rest

import (
	"context"
	"errors"
	"net/http"

	"tributary/api"
	"tributary/connect/herder"
)

// Messages of refusals that clients know by their text.
const (
	messageNoLeader  = "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."
	messageTwoHops   = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"
	messageStale     = "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
	messageNotFound  = "HTTP 404 Not Found"
	messageMethod    = "HTTP 405 Method Not Allowed"
	messageAccept    = "HTTP 406 Not Acceptable"
	messageMediaType = "HTTP 415 Unsupported Media Type"
	messageTooLarge  = "HTTP 413 Request Entity Too Large"
	messageStarting  = "Worker is still starting up."
	messageUnhealthy = "Worker was unable to handle this request and may be unable to handle other requests."
	messageHealthy   = "Worker has completed startup and is ready to handle requests."
	messageTimedOut  = "Request timed out"
)

// statusError is an error that knows its status: the handlers' own refusals, and those
// that another worker gave to a forwarded request.
type statusError struct {
	status  int
	message string
	// retryAfter is the Retry-After header, "" for none.
	retryAfter string
}

func (e *statusError) Error() string { return e.message }

// HTTPStatus is the status to answer with.
func (e *statusError) HTTPStatus() int { return e.status }

func refuse(status int, message string) error { return &statusError{status: status, message: message} }

// rebalancing is a refusal that passes by itself.
func rebalancing(message string) error {
	return &statusError{status: http.StatusConflict, message: message, retryAfter: "2"}
}

// errorTable gives errors their status; the first row that matches counts. What is in
// no row is 500.
var errorTable = []struct {
	matches func(error) bool
	status  int
	// message replaces the error's own if it is set.
	message string
}{
	{is[*herder.NotFoundError], http.StatusNotFound, ""},
	{is[*herder.AlreadyExistsError], http.StatusConflict, ""},
	{is[*herder.BadRequestError], http.StatusBadRequest, ""},
	{is[*herder.ForbiddenError], http.StatusForbidden, ""},
	{is[*herder.ConflictError], http.StatusConflict, ""},
	{is[*herder.NotReadyError], http.StatusServiceUnavailable, ""},
	// Requests that can be forwarded or wait never get here with these three: what does
	// is a read, to which Java answers 500.
	{is[*herder.RebalanceError], http.StatusInternalServerError, "Request cannot be completed because a rebalance is expected"},
	{is[*herder.NotLeaderError], http.StatusConflict, messageTwoHops},
	{is[*herder.NotAssignedError], http.StatusConflict, messageTwoHops},
	{is[*http.MaxBytesError], http.StatusRequestEntityTooLarge, messageTooLarge},
	{func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, http.StatusInternalServerError, messageTimedOut},
	{func(err error) bool { return errors.Is(err, context.Canceled) }, http.StatusInternalServerError, "Request interrupted"},
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// describe returns the status and message for an error.
func describe(err error) (int, string) {
	var own interface {
		error
		HTTPStatus() int
	}
	if errors.As(err, &own) {
		return own.HTTPStatus(), own.Error()
	}
	var foreign *api.Error
	if errors.As(err, &foreign) {
		return foreign.Code, foreign.Message
	}
	for _, row := range errorTable {
		if row.matches(err) {
			if row.message != "" {
				return row.status, row.message
			}
			return row.status, err.Error()
		}
	}
	return http.StatusInternalServerError, err.Error()
}

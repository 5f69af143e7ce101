package connect

import "strings"

// RetriableError marks a failure that may pass by itself: the worker logs it and
// calls again after a pause instead of failing the instance.
type RetriableError struct{ Err error }

// Retriable wraps err as a *RetriableError; nil stays nil.
func Retriable(err error) error {
	if err == nil {
		return nil
	}
	return &RetriableError{Err: err}
}

func (e *RetriableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetriableError) Unwrap() error { return e.Err }

// DataError marks a record that cannot be converted or transformed: it fails again
// however often it is tried. A Message may end with ": ", as some of Java's do.
type DataError struct {
	Message string
	Err     error
}

func (e *DataError) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return strings.TrimSuffix(e.Message, ": ") + ": " + e.Err.Error()
}

// Unwrap returns the cause, if any.
func (e *DataError) Unwrap() error { return e.Err }

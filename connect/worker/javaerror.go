package worker

import (
	"errors"
	"strings"

	"tributary/connect"
)

// javaError is an error that knows the Java exception it stands for.
type javaError interface{ JavaClass() string }

// javaClass names the exception in whose place err stands, for those who read the headers
// of a dead letter queue.
func javaClass(err error) string {
	const errorsPackage = "org.apache.kafka.connect.errors."
	switch e := err.(type) { //nolint:errorlint // the outermost one, as Java's getClass
	case javaError:
		return e.JavaClass()
	case *connect.DataError:
		return errorsPackage + "DataException"
	case *connect.RetriableError:
		return errorsPackage + "RetriableException"
	}
	return errorsPackage + "ConnectException"
}

// javaMessage is an error's message without those of its causes, where it has one of its
// own.
func javaMessage(err error) string {
	if data, ok := err.(*connect.DataError); ok && data.Message != "" { //nolint:errorlint // the outermost one
		return data.Message
	}
	return err.Error()
}

// javaTrace is what stands in place of Java's stack trace: the exceptions and, as its one
// frame, where the record failed.
func javaTrace(at failurePoint, err error) string {
	var b strings.Builder
	b.WriteString(javaClass(err) + ": " + javaMessage(err) + "\n\tat " + at.class + "\n")
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		b.WriteString("Caused by: " + javaClass(cause) + ": " + javaMessage(cause) + "\n")
	}
	return b.String()
}

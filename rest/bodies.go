package rest

import (
	"io"
	"net/http"
	"sync/atomic"
)

// maxBodies bounds the bodies of all requests that a worker has in memory at one time, in bytes: it is more than one of
// the largest between workers, and far less than all connections could send.
const maxBodies = 96 << 20

const messageBusy = "This worker is reading too many large requests at once; try again"

// bodies counts what requests have read of their bodies and not let go yet. The zero value has none.
type bodies struct{ held atomic.Int64 }

// limited makes a request's body fail once it is longer than limit, or once all requests together hold too much. The
// caller calls release when nothing of the body is in use any more.
func (b *bodies) limited(w http.ResponseWriter, r *http.Request, limit int64) (release func()) {
	body := &countedBody{ReadCloser: http.MaxBytesReader(w, r.Body, limit), all: b}
	r.Body = body
	return func() { b.held.Add(-body.read) }
}

// countedBody is the body of one request, read by one goroutine.
type countedBody struct {
	io.ReadCloser
	all  *bodies
	read int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	if c.all.held.Load() > maxBodies {
		return 0, &statusError{status: http.StatusServiceUnavailable, message: messageBusy, retryAfter: "2"}
	}
	n, err := c.ReadCloser.Read(p)
	c.read += int64(n)
	c.all.held.Add(int64(n))
	return n, err
}

package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tributary/api"
)

// Forwarder sends requests on to the worker that must answer them. It follows no
// redirects and uses no proxy. Safe for concurrent use.
type Forwarder struct{ client *http.Client }

// maxForwarded bounds the answer to a forwarded request, in bytes.
const maxForwarded = 64 << 20

// DialTLS connects to host:port and finishes the TLS handshake.
type DialTLS func(ctx context.Context, network, addr string) (net.Conn, error)

// NewForwarder returns a Forwarder; dial is for workers with an https URL and may be
// nil for the system's trust. How long an answer may take is the request's matter;
// connecting has limits of its own.
func NewForwarder(dial DialTLS) *Forwarder {
	return &Forwarder{client: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			DialTLSContext:      dial,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     60 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Client sends requests to other workers the same way, for those that are not forwarded
// but this worker's own. An answer may take 90 s.
func (f *Forwarder) Client() *http.Client {
	c := *f.client
	c.Timeout = 90 * time.Second
	return &c
}

// Close drops idle connections.
func (f *Forwarder) Close() { f.client.CloseIdleConnections() }

// outgoing is a request to another worker.
type outgoing struct {
	method string
	// path is escaped and begins with a slash.
	path   string
	query  string
	body   []byte
	header http.Header
}

// incoming is a successful answer of another worker; body is JSON or empty.
type incoming struct {
	status int
	body   []byte
}

// send returns another worker's answer; its refusal comes back as a *statusError, and
// so does a failure to reach it. sign is called with the request before it goes.
func (f *Forwarder) send(ctx context.Context, base string, out outgoing, sign func(request *http.Request, body []byte) error) (incoming, error) {
	target := strings.TrimRight(base, "/") + out.path
	if out.query != "" {
		target += "?" + out.query
	}
	request, err := http.NewRequestWithContext(ctx, out.method, target, bytes.NewReader(out.body))
	if err != nil {
		return incoming{}, forwardError(err)
	}
	for name, values := range out.header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "kafka-connect")
	if len(out.body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if err := sign(request, out.body); err != nil {
		return incoming{}, forwardError(err)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return incoming{}, forwardError(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxForwarded+1))
	if err != nil {
		return incoming{}, forwardError(err)
	}
	if len(body) > maxForwarded {
		return incoming{}, forwardError(errors.New("the answer is too long"))
	}
	return judge(response, body)
}

func judge(response *http.Response, body []byte) (incoming, error) {
	status := response.StatusCode
	switch {
	case status == http.StatusNoContent:
		return incoming{status: status}, nil
	case status >= 400:
		var message api.ErrorMessage
		if err := json.Unmarshal(body, &message); err != nil {
			return incoming{}, forwardError(fmt.Errorf("%s answered %d without an error message: %w", response.Request.URL.Host, status, err))
		}
		return incoming{}, &statusError{status: status, message: message.Message, retryAfter: response.Header.Get("Retry-After")}
	case status >= 200 && status < 300:
		if len(body) > 0 && !json.Valid(body) {
			return incoming{}, forwardError(fmt.Errorf("the answer of %s is not JSON", response.Request.URL.Host))
		}
		return incoming{status: status, body: body}, nil
	}
	return incoming{}, refuse(http.StatusInternalServerError, fmt.Sprintf("Unexpected status code when handling forwarded request: %d", status))
}

func forwardError(err error) error {
	// The URL that net/http puts first says nothing that the log does not.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return refuse(http.StatusInternalServerError, api.ForwardFailed+err.Error())
}

package rest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"

	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// Clients' requests that a worker sends on to another one's PeerListeners are signed
// and sealed as internal ones are, with the query, so that a signature fits one request
// alone.

// forwardedTarget is what a forwarded request is for, see protocol.SignedRequest.
func forwardedTarget(method string, target *url.URL) string {
	return method + " " + target.RequestURI()
}

// signForwarded puts the signature of the worker into a request that goes to another
// one of the same flow. Without signatures in the group the request goes as it is, and
// so it does when it has the signature of its sender.
func (c *call) signForwarded(request *http.Request, body []byte) error {
	signer, ok := c.herder.(herder.RequestSigner)
	if !ok || c.prefix == "" || request.Header.Get(protocol.SignatureHeader) != "" {
		return nil
	}
	signed, err := signer.SignRequest(forwardedTarget(request.Method, request.URL), body)
	if err != nil {
		return err
	}
	signed.SetHeaders(request.Header)
	return nil
}

// onlyForwarded lets requests pass that another worker has signed.
func (s *Server) onlyForwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.bodies.limited(w, r, s.opts.MaxBody)()
		if err := s.verifyForwarded(r); err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) verifyForwarded(r *http.Request) error {
	c, err := s.newCall(r)
	if err != nil {
		return err
	}
	signer, ok := c.herder.(herder.RequestSigner)
	if !ok {
		return refuse(http.StatusNotFound, messageNotFound)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return signer.VerifyRequest(protocol.Received(r.Header, forwardedTarget(r.Method, r.URL), body))
}

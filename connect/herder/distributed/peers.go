package distributed

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// maxPeerAnswer bounds what is read of another worker's answer, in bytes.
const maxPeerAnswer = 64 << 20

// ask sends an internal request to another worker of the group, such as the leader, and
// returns the body of its answer. path is escaped. The request is signed when the group's
// protocol has signatures (KIP-507).
func (h *Herder) ask(ctx context.Context, round roundView, workerURL, method, path string, body []byte) ([]byte, error) {
	base, err := url.Parse(workerURL)
	if err != nil {
		return nil, fmt.Errorf("the worker advertises %q, which is not a URL: %w", workerURL, err)
	}
	target := base.Scheme + "://" + base.Host + h.opts.LeaderPath + path
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "kafka-connect")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	sealed := !h.sealless.knows(workerURL, round.Generation)
	if err := h.sign(round, req, body, sealed); err != nil {
		return nil, err
	}
	resp, err := h.opts.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send a request to the worker at %s: %w", base.Redacted(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPeerAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of the worker at %s: %w", base.Redacted(), err)
	}
	if resp.StatusCode < 300 {
		return text, nil
	}
	message := api.ErrorMessage{ErrorCode: resp.StatusCode, Message: string(text)}
	// An answer that is not Connect's JSON is shown as it is.
	_ = json.Unmarshal(text, &message)
	if sealed && round.Protocol.Signed() && resp.StatusCode == http.StatusForbidden && message.Message == protocol.MessageInvalidSignature && javaHas(method, path) {
		h.log.Debug("The worker does not know seals; it gets requests as Java signs them", "worker", base.Redacted())
		h.sealless.add(workerURL, round.Generation)
		return h.ask(ctx, round, workerURL, method, path, body)
	}
	// Whoever sent it on to a worker that is gone has yet to learn of the round in which it leads itself.
	stale := resp.StatusCode == http.StatusInternalServerError && strings.HasPrefix(message.Message, api.ForwardFailed)
	if resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusForbidden || stale {
		return nil, &herder.RebalanceError{Message: message.Message}
	}
	return nil, fmt.Errorf("the worker at %s answered %d: %s", base.Redacted(), resp.StatusCode, message.Message)
}

// javaHas says whether a Java worker has an endpoint for an internal request.
func javaHas(method, path string) bool {
	return method == http.MethodPost && strings.HasSuffix(path, "/tasks") || method == http.MethodPut && strings.HasSuffix(path, "/fence")
}

// sealless are the workers that were found not to know seals, each with the generation in which that was: another
// program may run behind the same URL later. The zero value knows none.
type sealless struct {
	mu      sync.Mutex
	workers map[string]int
}

func (s *sealless) knows(worker string, generation int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.workers[worker]
	return known && found == generation
}

func (s *sealless) add(worker string, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workers == nil {
		s.workers = map[string]int{}
	}
	s.workers[worker] = generation
}

// sign puts a signature into the request if the group has signatures.
func (h *Herder) sign(round roundView, req *http.Request, body []byte, sealed bool) error {
	if !round.Protocol.Signed() {
		return nil
	}
	signed, err := h.signed(req.Method+" "+req.URL.RequestURI(), body, sealed)
	if err != nil {
		return err
	}
	signed.SetHeaders(req.Header)
	return nil
}

func (h *Herder) signed(target string, body []byte, sealed bool) (protocol.SignedRequest, error) {
	key, ok := h.snapshot().SessionKey()
	if !ok {
		return protocol.SignedRequest{}, &herder.RebalanceError{Message: "no session key has been read yet"}
	}
	r := protocol.SignedRequest{Target: target, Body: body}
	if sealed {
		var err error
		if r.Seal, err = protocol.NewSeal(rand.Reader, time.Now()); err != nil {
			return r, err
		}
	}
	return r.Signed(key.Key, h.opts.SignatureAlgorithm)
}

// SignRequest implements herder.RequestSigner.
func (h *Herder) SignRequest(target string, body []byte) (protocol.SignedRequest, error) {
	if !h.view.Load().round.Protocol.Signed() {
		return protocol.SignedRequest{Body: body}, nil
	}
	return h.signed(target, body, true)
}

// VerifyRequest implements herder.RequestSigner.
func (h *Herder) VerifyRequest(request protocol.SignedRequest) error {
	if !h.view.Load().round.Protocol.Signed() {
		return &protocol.SignatureError{Status: http.StatusForbidden,
			Message: "Requests cannot be sent on to this worker: its group has no signatures, which connect.protocol=sessioned has"}
	}
	if err := h.verifySealed(request); err != nil {
		return err
	}
	return h.admit(request)
}

// VerifyInternal implements herder.RequestSigner.
func (h *Herder) VerifyInternal(request protocol.SignedRequest) error { return h.verify(request) }

// verifySealed is verify for requests that no Java worker sends: they have a seal.
func (h *Herder) verifySealed(request protocol.SignedRequest) error {
	if request.Signature != "" && request.Seal == "" && h.view.Load().round.Protocol.Signed() {
		return &protocol.SignatureError{Status: http.StatusBadRequest, Message: "Internal request has no seal"}
	}
	return h.verify(request)
}

// verify checks the signature of another worker.
func (h *Herder) verify(request protocol.SignedRequest) error {
	var key []byte
	if k, ok := h.snapshot().SessionKey(); ok {
		key = k.Key
	}
	return protocol.Verify(h.view.Load().round.Protocol, key, h.opts.VerificationAlgorithms, request)
}

// admit refuses a verified request that came before, or late. It is called where the request is carried out: a worker
// that merely sends it on has no say.
func (h *Herder) admit(request protocol.SignedRequest) error {
	if !h.view.Load().round.Protocol.Signed() {
		return nil
	}
	return h.seals.Admit(request, time.Now())
}

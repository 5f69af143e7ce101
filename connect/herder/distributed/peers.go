package distributed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

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
	if err := h.sign(round, req.Header, body); err != nil {
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
	if resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusForbidden {
		return nil, &herder.RebalanceError{Message: message.Message}
	}
	return nil, fmt.Errorf("the worker at %s answered %d: %s", base.Redacted(), resp.StatusCode, message.Message)
}

// sign puts a signature of body into header if the group has signatures.
func (h *Herder) sign(round roundView, header http.Header, body []byte) error {
	if !round.Protocol.Signed() {
		return nil
	}
	signed, err := h.signed(body)
	if err != nil {
		return err
	}
	header.Set(protocol.SignatureHeader, signed.Signature)
	header.Set(protocol.SignatureAlgorithmHeader, signed.Algorithm)
	return nil
}

func (h *Herder) signed(content []byte) (protocol.SignedRequest, error) {
	key, ok := h.snapshot().SessionKey()
	if !ok {
		return protocol.SignedRequest{}, &herder.RebalanceError{Message: "no session key has been read yet"}
	}
	signature, err := protocol.Sign(key.Key, h.opts.SignatureAlgorithm, content)
	return protocol.SignedRequest{Signature: signature, Algorithm: h.opts.SignatureAlgorithm, Body: content}, err
}

// SignRequest implements herder.RequestSigner.
func (h *Herder) SignRequest(content []byte) (protocol.SignedRequest, error) {
	if !h.view.Load().round.Protocol.Signed() {
		return protocol.SignedRequest{Body: content}, nil
	}
	return h.signed(content)
}

// VerifyRequest implements herder.RequestSigner.
func (h *Herder) VerifyRequest(request protocol.SignedRequest) error {
	if !h.view.Load().round.Protocol.Signed() {
		return &protocol.SignatureError{Status: http.StatusForbidden,
			Message: "Requests cannot be sent on to this worker: its group has no signatures, which connect.protocol=sessioned has"}
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

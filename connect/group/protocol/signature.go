package protocol

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Headers of a signed internal request.
const (
	SignatureHeader          = "X-Connect-Authorization"
	SignatureAlgorithmHeader = "X-Connect-Request-Signature-Algorithm"
)

// DefaultAlgorithm makes and verifies signatures, and generates session keys,
// unless the worker's properties say otherwise.
const DefaultAlgorithm = "HmacSHA256"

// mac is a message authentication code under the name that Java knows it by.
type mac struct {
	name string
	hash func() hash.Hash
	// keyBytes is the length of the keys that Java generates by default.
	keyBytes int
}

var macs = []mac{
	{"HmacSHA256", sha256.New, 32},
	{"HmacSHA1", sha1.New, 64},
	{"HmacSHA384", sha512.New384, 48},
	{"HmacSHA512", sha512.New, 64},
}

// macByName ignores case, as Java does.
func macByName(name string) (mac, bool) {
	i := slices.IndexFunc(macs, func(m mac) bool { return strings.EqualFold(m.name, name) })
	if i < 0 {
		return mac{}, false
	}
	return macs[i], true
}

func (m mac) sum(key, body []byte) []byte {
	h := hmac.New(m.hash, key)
	h.Write(body)
	return h.Sum(nil)
}

// Algorithms lists the names of the supported algorithms.
func Algorithms() []string {
	names := make([]string, len(macs))
	for i, m := range macs {
		names[i] = m.name
	}
	return names
}

// Sign returns the value of SignatureHeader for a request with exactly these
// bytes as its body, which is empty for a request without one. The value of
// SignatureAlgorithmHeader is the algorithm.
func Sign(key []byte, algorithm string, body []byte) (string, error) {
	m, ok := macByName(algorithm)
	if !ok {
		return "", fmt.Errorf("signature algorithm %q is unknown: it must be one of %s",
			algorithm, strings.Join(Algorithms(), ", "))
	}
	if len(key) == 0 {
		return "", fmt.Errorf("there is no session key to sign the request with")
	}
	return base64.StdEncoding.EncodeToString(m.sum(key, body)), nil
}

// SignatureError says why an internal request was refused. It never quotes the
// key or a signature.
type SignatureError struct {
	// Status is the HTTP status to answer with.
	Status int
	// Message is the text to answer with.
	Message string
}

func (e *SignatureError) Error() string { return e.Message }

// HTTPStatus is the status to answer the request with.
func (e *SignatureError) HTTPStatus() int { return e.Status }

// SignedRequest is what a worker received on an internal endpoint.
type SignedRequest struct {
	// Signature and Algorithm are the values of the two headers; empty means
	// that the header is missing.
	Signature string
	Algorithm string
	// Seal is the value of SealHeader; empty means that there is none, as in Java.
	Seal string
	// Target is what the request is for, which only the signature of a sealed one covers: the method, a blank, and
	// the path as it was sent, with the query for requests of clients that are sent on.
	Target string
	// Body holds the exact bytes of the body.
	Body []byte

	// admitted says that Seals have let this very request in.
	admitted *atomic.Bool
}

// MessageInvalidSignature is the answer to a signature that does not fit, in Java's words.
const MessageInvalidSignature = "Internal request contained invalid signature."

// Verify checks an internal request before anything else is looked at. Without
// signatures in force every request passes. key is the session key last read
// from the config topic, empty if none was; permitted is the worker's
// inter.worker.verification.algorithms. The error is a *SignatureError.
func Verify(inForce Subprotocol, key []byte, permitted []string, r SignedRequest) error {
	if !inForce.Signed() {
		return nil
	}
	if r.Signature == "" || r.Algorithm == "" {
		return &SignatureError{http.StatusBadRequest, "Internal request missing required signature"}
	}
	m, ok := macByName(r.Algorithm)
	if !ok {
		return &SignatureError{http.StatusBadRequest,
			fmt.Sprintf("Algorithm %s not available", r.Algorithm)}
	}
	signature, err := decodeSignature(r.Signature)
	if err != nil {
		return &SignatureError{http.StatusBadRequest,
			"Internal request has a signature that is not base64"}
	}
	if !slices.Contains(permitted, r.Algorithm) {
		return &SignatureError{http.StatusBadRequest, fmt.Sprintf(
			"Internal request is signed with %s, which this worker does not permit: "+
				"inter.worker.verification.algorithms is [%s]. "+
				"All workers of the group must permit each other's inter.worker.signature.algorithm.",
			r.Algorithm, strings.Join(permitted, ", "))}
	}
	if len(key) == 0 {
		return &SignatureError{http.StatusServiceUnavailable,
			"This worker is still starting up and has not been able to read a session key from the config topic yet"}
	}
	if !hmac.Equal(m.sum(key, r.content()), signature) {
		if r.Seal != "" {
			// Not in Java's words, which tell the sender that its seal was not understood.
			return &SignatureError{http.StatusForbidden, "Sealed internal request contained invalid signature."}
		}
		return &SignatureError{http.StatusForbidden, MessageInvalidSignature}
	}
	return nil
}

// decodeSignature takes base64 with or without padding, as Java does.
func decodeSignature(s string) ([]byte, error) {
	if len(s)%4 != 0 {
		return base64.RawStdEncoding.DecodeString(s)
	}
	return base64.StdEncoding.DecodeString(s)
}

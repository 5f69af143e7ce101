package protocol

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Java's signature covers the body alone, so who overhears a request can send it again, also to another connector, as
// long as the key lasts. A sealed request has one more header, its seal, with the time and a number that is used once,
// and its signature covers the seal, the method and the path as well. A Java worker does not know seals and takes the
// signature of a sealed request for an invalid one; what it sends itself has none.

// SealHeader is the header of a sealed request: "1;<ms since 1970>;<16 random bytes in base64url>".
const SealHeader = "X-Connect-Request-Seal"

// SealLife is how far a seal's time may be from the receiver's clock.
const SealLife = 5 * time.Minute

const sealVersion = "1"

// NewSeal makes a seal from a source of randomness, crypto/rand.Reader outside of tests.
func NewSeal(random io.Reader, now time.Time) (string, error) {
	var number [16]byte
	if _, err := io.ReadFull(random, number[:]); err != nil {
		return "", fmt.Errorf("make a seal: %w", err)
	}
	return fmt.Sprintf("%s;%d;%s", sealVersion, now.UnixMilli(), base64.RawURLEncoding.EncodeToString(number[:])), nil
}

// content is what the signature covers: for a request without a seal, as in Java, its body.
func (r SignedRequest) content() []byte {
	if r.Seal == "" {
		return r.Body
	}
	return fmt.Appendf(nil, "sealed\n%s\n%s\n%s", r.Target, r.Seal, r.Body)
}

// Signed returns the request with its signature.
func (r SignedRequest) Signed(key []byte, algorithm string) (SignedRequest, error) {
	signature, err := Sign(key, algorithm, r.content())
	r.Signature, r.Algorithm = signature, algorithm
	return r, err
}

// SetHeaders puts signature, algorithm and seal into the headers of the request.
func (r SignedRequest) SetHeaders(header http.Header) {
	for name, value := range map[string]string{SignatureHeader: r.Signature, SignatureAlgorithmHeader: r.Algorithm, SealHeader: r.Seal} {
		if value != "" {
			header.Set(name, value)
		}
	}
}

// Received is a request as it came: its headers, body, and method and path for target.
func Received(header http.Header, target string, body []byte) SignedRequest {
	return SignedRequest{
		Signature: header.Get(SignatureHeader), Algorithm: header.Get(SignatureAlgorithmHeader),
		Seal: header.Get(SealHeader), Target: target, Body: body, admitted: &atomic.Bool{},
	}
}

// Seals remembers the seals of requests that were let in, for as long as these could be sent again. The zero value is
// ready; it is safe for concurrent use.
type Seals struct {
	mu            sync.Mutex
	young, old    map[string]struct{}
	youngestSince time.Time
}

// Admit lets a request in whose signature was verified: once, and while its seal is fresh. Java's requests have no seal
// and pass. To admit one that came once again, as it is tried again on the same worker, is no error. The error is a
// *SignatureError.
func (s *Seals) Admit(r SignedRequest, now time.Time) error {
	if r.Seal == "" || r.admitted != nil && r.admitted.Load() {
		return nil
	}
	version, rest, _ := strings.Cut(r.Seal, ";")
	clock, number, found := strings.Cut(rest, ";")
	ms, err := strconv.ParseInt(clock, 10, 64)
	if version != sealVersion || !found || err != nil {
		return &SignatureError{http.StatusBadRequest, "Internal request has a seal that this worker cannot read"}
	}
	if off := now.Sub(time.UnixMilli(ms)); off > SealLife || off < -SealLife {
		return &SignatureError{http.StatusForbidden, fmt.Sprintf(
			"Internal request is stale: it was sealed at %s, and this worker's clock says %s. The clocks of a group's workers must agree within %s",
			time.UnixMilli(ms).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), SealLife)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A seal counts from SealLife before its time to SealLife after it: what is older than both can be forgotten.
	if now.Sub(s.youngestSince) > 2*SealLife {
		s.old, s.young, s.youngestSince = s.young, map[string]struct{}{}, now
	}
	_, young := s.young[number]
	_, old := s.old[number]
	if young || old {
		return &SignatureError{http.StatusForbidden, "Internal request was sent before: its seal has been used"}
	}
	s.young[number] = struct{}{}
	if r.admitted != nil {
		r.admitted.Store(true)
	}
	return nil
}

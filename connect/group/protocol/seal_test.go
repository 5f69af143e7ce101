package protocol

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// overheard is what a stranger knows of a sealed request: all that is on the wire.
func overheard(t *testing.T, sealedAt time.Time, target string, body []byte) http.Header {
	t.Helper()
	seal, err := NewSeal(rand.Reader, sealedAt)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := SignedRequest{Seal: seal, Target: target, Body: body}.Signed(testKey, DefaultAlgorithm)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	signed.SetHeaders(header)
	return header
}

func TestASealedRequestIsLetInOnceAndWhileItIsFresh(t *testing.T) {
	const target = "POST /connectors/a/tasks"
	now := time.UnixMilli(1_800_000_000_000)
	var seals Seals
	admit := func(header http.Header, target string, body []byte, at time.Time) error {
		r := Received(header, target, body)
		if err := Verify(Sessioned, testKey, []string{DefaultAlgorithm}, r); err != nil {
			return err
		}
		if err := seals.Admit(r, at); err != nil {
			return err
		}
		return seals.Admit(r, at) // tried again by the worker that has it
	}
	refused := func(err error, status int, says string) {
		t.Helper()
		var signature *SignatureError
		if !errors.As(err, &signature) || signature.Status != status || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %d with %q", err, status, says)
		}
	}
	header := overheard(t, now, target, testBody)
	if err := admit(header, target, testBody, now); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, time.Second, SealLife} {
		refused(admit(header, target, testBody, now.Add(later)), 403, "sent before")
	}
	refused(admit(header, target, testBody, now.Add(SealLife+time.Millisecond)), 403, "stale")
	refused(admit(overheard(t, now.Add(SealLife+time.Millisecond), target, testBody), target, testBody, now), 403, "stale")
	refused(admit(overheard(t, now, target, testBody), "POST /connectors/b/tasks", testBody, now), 403, "Sealed internal request contained invalid signature")
	refused(admit(overheard(t, now, target, testBody), target, []byte("[]"), now), 403, "invalid signature")

	// A stranger who leaves the seal out, or makes another, has no signature for that.
	stripped := overheard(t, now, target, testBody)
	stripped.Del(SealHeader)
	refused(admit(stripped, target, testBody, now), 403, MessageInvalidSignature)
	renewed := overheard(t, now, target, testBody)
	renewed.Set(SealHeader, overheard(t, now, target, testBody).Get(SealHeader))
	refused(admit(renewed, target, testBody, now), 403, "invalid signature")

	// What is remembered is forgotten once it is stale, not before: seals come all the time.
	first := overheard(t, now.Add(SealLife), target, testBody) // of a clock that is ahead
	if err := admit(first, target, testBody, now); err != nil {
		t.Fatal(err)
	}
	for at := time.Duration(0); at <= 2*SealLife; at += SealLife / 10 {
		if err := admit(overheard(t, now.Add(at), target, testBody), target, testBody, now.Add(at)); err != nil {
			t.Fatal(err)
		}
		refused(admit(first, target, testBody, now.Add(at)), 403, "sent before")
	}
	for at := time.Duration(0); at < 10*SealLife; at += SealLife {
		if err := admit(overheard(t, now.Add(at), target, testBody), target, testBody, now.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(seals.young) + len(seals.old); n > 6 {
		t.Errorf("%d seals are remembered long after they are stale", n)
	}
}

func TestRequestsOfJavaHaveNoSealAndPass(t *testing.T) {
	signature, err := Sign(testKey, DefaultAlgorithm, testBody)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set(SignatureHeader, signature)
	header.Set(SignatureAlgorithmHeader, DefaultAlgorithm)
	r := Received(header, "POST /connectors/a/tasks", testBody)
	var seals Seals
	for range 2 {
		if err := errors.Join(Verify(Sessioned, testKey, []string{DefaultAlgorithm}, r), seals.Admit(r, time.Now())); err != nil {
			t.Error(err)
		}
	}
}

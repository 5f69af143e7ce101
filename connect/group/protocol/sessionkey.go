package protocol

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// minKeyBits is the least that Java's generators accept.
const minKeyBits = 40

// SessionKey is the secret that the workers of a group sign internal requests
// with, as found in the config topic. Printing or logging it shows no secret.
type SessionKey struct {
	Key []byte
	// Algorithm is the generator's name, such as HmacSHA256.
	Algorithm string
	// Created is the leader's wall clock when the key was made.
	Created time.Time
}

// String describes the key without its bytes.
func (k SessionKey) String() string {
	return fmt.Sprintf("session key (%s, %d bytes, created %s)",
		k.Algorithm, len(k.Key), k.Created.UTC().Format(time.RFC3339))
}

// GoString is String, so that %#v is safe too.
func (k SessionKey) GoString() string { return k.String() }

// LogValue is String, so that structured logs are safe too.
func (k SessionKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// KeyPolicy is what a leader's properties say about session keys. Workers of a
// group must agree on algorithm and size, or each new leader replaces the key.
type KeyPolicy struct {
	// Algorithm is inter.worker.key.generation.algorithm; empty means
	// DefaultAlgorithm.
	Algorithm string
	// Bits is inter.worker.key.size; 0 means the algorithm's default, which
	// is 256 for HmacSHA256.
	Bits int
	// TTL is inter.worker.key.ttl.ms; 0 means that keys do not expire.
	TTL time.Duration
}

// generates returns the kind of key to generate: the algorithm as Java spells
// it, and the length.
func (p KeyPolicy) generates() (algorithm string, length int, err error) {
	name := p.Algorithm
	if name == "" {
		name = DefaultAlgorithm
	}
	m, ok := macByName(name)
	switch {
	case !ok:
		return "", 0, fmt.Errorf("inter.worker.key.generation.algorithm is %q: it must be one of %s",
			p.Algorithm, strings.Join(Algorithms(), ", "))
	case p.Bits == 0:
		return m.name, m.keyBytes, nil
	case p.Bits < minKeyBits:
		return "", 0, fmt.Errorf("inter.worker.key.size is %d: it must be at least %d bits", p.Bits, minKeyBits)
	}
	return m.name, (p.Bits + 7) / 8, nil
}

// Validate reports a policy that no key can be made by.
func (p KeyPolicy) Validate() error {
	_, _, err := p.generates()
	return err
}

// NewSessionKey makes a key from a source of randomness, crypto/rand.Reader
// outside of tests.
func NewSessionKey(random io.Reader, p KeyPolicy, now time.Time) (SessionKey, error) {
	algorithm, length, err := p.generates()
	if err != nil {
		return SessionKey{}, err
	}
	key := make([]byte, length)
	if _, err := io.ReadFull(random, key); err != nil {
		return SessionKey{}, fmt.Errorf("generate a session key: %w", err)
	}
	return SessionKey{Key: key, Algorithm: algorithm, Created: now}, nil
}

// RotationDue reports whether the leader has to write a new key: there is
// none, it has expired, or this worker would generate another kind. current is
// nil if no key was read. Callers ask only while they lead a group whose
// subprotocol is signed.
//
// Java workers with a TTL of 0 replace the key that they find at start-up;
// here a TTL of 0 means no expiry for every key.
func (p KeyPolicy) RotationDue(current *SessionKey, now time.Time) bool {
	if current == nil || len(current.Key) == 0 {
		return true
	}
	if expiry := p.Expiry(*current); !expiry.IsZero() && !now.Before(expiry) {
		return true
	}
	algorithm, length, err := p.generates()
	if err != nil {
		// Nothing better could be generated.
		return false
	}
	return current.Algorithm != algorithm || len(current.Key) != length
}

// Expiry is when a key is due to be replaced, the zero time if never.
func (p KeyPolicy) Expiry(k SessionKey) time.Time {
	if p.TTL <= 0 {
		return time.Time{}
	}
	return k.Created.Add(p.TTL)
}

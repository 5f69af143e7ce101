package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	testKey  = []byte("0123456789abcdef0123456789abcdef")
	testBody = []byte(`[{"a":"b"}]`)
)

// The expected values were computed by javax.crypto.Mac.
func TestSignaturesAreThoseOfJava(t *testing.T) {
	for _, test := range []struct {
		algorithm string
		body      []byte
		want      string
	}{
		{"HmacSHA256", testBody, "w4sJz7Fw7kA3ME3hRGqTeArGK8uZfbl3MtjL+RdNXNI="},
		{"hmacsha256", testBody, "w4sJz7Fw7kA3ME3hRGqTeArGK8uZfbl3MtjL+RdNXNI="},
		{"HmacSHA256", nil, "eWzTB4rxRjZ1PSaztVVUIv9Vo+Jhz4R7SOlTcbm9CqI="},
		{"HmacSHA1", testBody, "NwdX9EDEKGpsFBrC1fqnImo5cJw="},
		{"HmacSHA384", testBody, "3RMivySSyw1nIp5DSf59A+wwPAnJPBQtbNkQNnW1bfNFlFM3E8N+Pv+Fsq31PBru"},
		{"HmacSHA512", testBody, "yTDhQ8jLaAc5WlnDlUNQ86U8ZtjWLcGdqgBMGqhMZtaQ+8aUNAV9QQ9rNgdiAEd7JsPmb1iMaNIh7OuLp8tVaw=="},
	} {
		got, err := Sign(testKey, test.algorithm, test.body)
		if err != nil || got != test.want {
			t.Errorf("%s of %q: got %s, %v; want %s", test.algorithm, test.body, got, err, test.want)
		}
	}
}

func TestSignNeedsAKeyAndAKnownAlgorithm(t *testing.T) {
	if _, err := Sign(testKey, "HmacFoo", nil); err == nil || !strings.Contains(err.Error(), `"HmacFoo"`) {
		t.Errorf("unknown algorithm: %v", err)
	}
	if _, err := Sign(nil, DefaultAlgorithm, nil); err == nil {
		t.Error("signed without a key")
	}
}

func TestVerifyAnswersInTheOrderOfTheProtocol(t *testing.T) {
	signature, err := Sign(testKey, DefaultAlgorithm, testBody)
	if err != nil {
		t.Fatal(err)
	}
	sha512, err := Sign(testKey, "HmacSHA512", testBody)
	if err != nil {
		t.Fatal(err)
	}
	permitted := []string{"HmacSHA256"}
	good := SignedRequest{Signature: signature, Algorithm: "HmacSHA256", Body: testBody}
	for name, test := range map[string]struct {
		inForce Subprotocol
		key     []byte
		request SignedRequest
		status  int
		message string
	}{
		"good":                       {Sessioned, testKey, good, 0, ""},
		"good without padding":       {Sessioned, testKey, SignedRequest{Signature: strings.TrimRight(signature, "="), Algorithm: "HmacSHA256", Body: testBody}, 0, ""},
		"unsigned, compatible group": {Compatible, nil, SignedRequest{Body: testBody}, 0, ""},
		"unsigned, default group":    {Default, nil, SignedRequest{Body: testBody}, 0, ""},
		"no signature": {Sessioned, nil, SignedRequest{Signature: "", Algorithm: "HmacSHA256", Body: testBody},
			400, "Internal request missing required signature"},
		"no algorithm": {Sessioned, nil, SignedRequest{Signature: signature, Algorithm: "", Body: testBody},
			400, "Internal request missing required signature"},
		"unknown algorithm": {Sessioned, nil, SignedRequest{Signature: signature, Algorithm: "Foo", Body: testBody},
			400, "Algorithm Foo not available"},
		"no base64": {Sessioned, nil, SignedRequest{Signature: "***", Algorithm: "HmacSHA256", Body: testBody},
			400, "Internal request has a signature that is not base64"},
		"algorithm not permitted": {Sessioned, nil, SignedRequest{Signature: sha512, Algorithm: "HmacSHA512", Body: testBody},
			400, "Internal request is signed with HmacSHA512, which this worker does not permit: " +
				"inter.worker.verification.algorithms is [HmacSHA256]. " +
				"All workers of the group must permit each other's inter.worker.signature.algorithm."},
		"no key yet": {Sessioned, nil, good,
			503, "This worker is still starting up and has not been able to read a session key from the config topic yet"},
		"other key": {Sessioned, []byte("another key"), good,
			403, "Internal request contained invalid signature."},
		"other body": {Sessioned, testKey, SignedRequest{Signature: signature, Algorithm: "HmacSHA256", Body: []byte("[]")},
			403, "Internal request contained invalid signature."},
		"short signature": {Sessioned, testKey, SignedRequest{Signature: "AAAA", Algorithm: "HmacSHA256", Body: testBody},
			403, "Internal request contained invalid signature."},
	} {
		t.Run(name, func(t *testing.T) {
			err := Verify(test.inForce, test.key, permitted, test.request)
			if test.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var refused *SignatureError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.HTTPStatus() != test.status || err.Error() != test.message {
				t.Errorf("got %d %q, want %d %q", refused.Status, err, test.status, test.message)
			}
		})
	}
}

func TestNewSessionKeys(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	random := bytes.Repeat([]byte{7}, 64)
	for _, test := range []struct {
		policy    KeyPolicy
		algorithm string
		length    int
	}{
		{KeyPolicy{}, "HmacSHA256", 32},
		{KeyPolicy{Algorithm: "hmacsha256"}, "HmacSHA256", 32},
		{KeyPolicy{Algorithm: "HmacSHA1"}, "HmacSHA1", 64},
		{KeyPolicy{Algorithm: "HmacSHA384"}, "HmacSHA384", 48},
		{KeyPolicy{Algorithm: "HmacSHA512"}, "HmacSHA512", 64},
		{KeyPolicy{Bits: 128}, "HmacSHA256", 16},
		{KeyPolicy{Bits: 41}, "HmacSHA256", 6},
	} {
		key, err := NewSessionKey(bytes.NewReader(random), test.policy, now)
		if err != nil {
			t.Fatal(err)
		}
		if key.Algorithm != test.algorithm || !key.Created.Equal(now) || !bytes.Equal(key.Key, random[:test.length]) {
			t.Errorf("%+v: got %s", test.policy, key)
		}
		if test.policy.RotationDue(&key, now.Add(time.Hour)) {
			t.Errorf("%+v: would replace its own key", test.policy)
		}
	}
	for _, policy := range []KeyPolicy{{Bits: 39}, {Bits: -1}, {Algorithm: "AES"}} {
		if err := policy.Validate(); err == nil || !strings.Contains(err.Error(), "inter.worker.key") {
			t.Errorf("%+v: got %v", policy, err)
		}
		if _, err := NewSessionKey(bytes.NewReader(random), policy, now); err == nil {
			t.Errorf("%+v: made a key", policy)
		}
	}
	if _, err := NewSessionKey(bytes.NewReader(random[:31]), KeyPolicy{}, now); err == nil {
		t.Error("made a key without enough randomness")
	}
}

func TestRotationOfSessionKeys(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	current := &SessionKey{Key: testKey, Algorithm: "HmacSHA256", Created: created}
	hourly := KeyPolicy{TTL: time.Hour}
	for name, test := range map[string]struct {
		policy  KeyPolicy
		current *SessionKey
		now     time.Time
		want    bool
	}{
		"no key":                     {hourly, nil, created, true},
		"empty key":                  {hourly, &SessionKey{Algorithm: "HmacSHA256", Created: created}, created, true},
		"fresh":                      {hourly, current, created, false},
		"a moment before expiry":     {hourly, current, created.Add(time.Hour - time.Millisecond), false},
		"at expiry":                  {hourly, current, created.Add(time.Hour), true},
		"no expiry":                  {KeyPolicy{}, current, created.Add(10000 * time.Hour), false},
		"another algorithm":          {KeyPolicy{Algorithm: "HmacSHA512", Bits: 256, TTL: time.Hour}, current, created, true},
		"another length":             {KeyPolicy{Bits: 512, TTL: time.Hour}, current, created, true},
		"the same, spelled out":      {KeyPolicy{Algorithm: "HMACsha256", Bits: 256, TTL: time.Hour}, current, created, false},
		"no better key can be made":  {KeyPolicy{Algorithm: "AES", TTL: time.Hour}, current, created, false},
		"created in a future second": {hourly, current, created.Add(-time.Second), false},
	} {
		if got := test.policy.RotationDue(test.current, test.now); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	if got := hourly.Expiry(*current); !got.Equal(created.Add(time.Hour)) {
		t.Errorf("expiry %s", got)
	}
	if got := (KeyPolicy{}).Expiry(*current); !got.IsZero() {
		t.Errorf("expiry without a TTL %s", got)
	}
}

func TestSessionKeysAreNeverShown(t *testing.T) {
	key := SessionKey{Key: testKey, Algorithm: "HmacSHA256", Created: time.UnixMilli(0)}
	want := "session key (HmacSHA256, 32 bytes, created 1970-01-01T00:00:00Z)"
	shown := []string{
		fmt.Sprint(key), fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", key), fmt.Sprint(&key), key.LogValue().String(),
	}
	for i, got := range shown {
		if got != want {
			t.Errorf("way %d shows %q", i, got)
		}
	}
}

// FuzzVerify checks that nothing but the right signature of the very bytes passes, and that
// whatever else stands in the headers is answered.
func FuzzVerify(f *testing.F) {
	good, err := Sign(testKey, DefaultAlgorithm, testBody)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, DefaultAlgorithm, []byte(testBody))
	f.Add(strings.TrimRight(good, "="), DefaultAlgorithm, []byte(testBody))
	f.Add(good, "HmacSHA512", []byte(testBody))
	f.Add("****", "HmacSHA256\x00", []byte{})
	f.Add("A", "", []byte(nil))
	f.Fuzz(func(t *testing.T, signature, algorithm string, body []byte) {
		err := Verify(Sessioned, testKey, Algorithms(), SignedRequest{Signature: signature, Algorithm: algorithm, Body: body})
		if err == nil {
			want, err := Sign(testKey, algorithm, body)
			if err != nil || !sameBase64(signature, want) {
				t.Fatalf("%q of algorithm %q passes for %q; its signature is %q, %v", signature, algorithm, body, want, err)
			}
			return
		}
		var refused *SignatureError
		if !errors.As(err, &refused) || refused.Status != 400 && refused.Status != 403 || refused.Message == "" {
			t.Fatalf("%q of algorithm %q for %q: %v", signature, algorithm, body, err)
		}
	})
}

// sameBase64 reports whether two texts stand for the same bytes: base64 may hold line breaks,
// and bits that count for nothing.
func sameBase64(a, b string) bool {
	x, errX := decodeSignature(a)
	y, errY := decodeSignature(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

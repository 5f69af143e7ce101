package kafka

import (
	"crypto/tls"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check says in a few words what would be right if value, already of its type, is not; "" if it is.
type check func(value any) string

func atLeast(low int64) check {
	return func(v any) string {
		if integer(v) < low {
			return fmt.Sprintf("must be at least %d", low)
		}
		return ""
	}
}

func between(low, high int64) check {
	return func(v any) string {
		if n := integer(v); n < low || n > high {
			return fmt.Sprintf("must be from %d to %d", low, high)
		}
		return ""
	}
}

func betweenFloats(low, high float64) check {
	return func(v any) string {
		if f := v.(float64); !(f >= low && f <= high) {
			return fmt.Sprintf("must be from %v to %v", low, high)
		}
		return ""
	}
}

func gzipLevel(v any) string {
	if n := integer(v); n != -1 && (n < 1 || n > 9) {
		return "must be from 1 to 9, or -1 for gzip's default"
	}
	return ""
}

func oneOf(allowed ...string) check {
	return func(v any) string {
		if !slices.Contains(allowed, v.(string)) {
			return "must be one of " + strings.Join(allowed, ", ")
		}
		return ""
	}
}

func oneOfAnyCase(allowed ...string) check {
	return func(v any) string {
		for _, a := range allowed {
			if strings.EqualFold(a, v.(string)) {
				return ""
			}
		}
		names := slices.Clone(allowed)
		if i := slices.Index(names, ""); i >= 0 {
			names[i] = "empty"
		}
		return "must be one of " + strings.Join(names, ", ") + " (in any case)"
	}
}

func eachOf(allowed ...string) check {
	return func(v any) string {
		for _, item := range v.([]string) {
			if !slices.Contains(allowed, item) {
				return fmt.Sprintf("%q is not supported; use %s", item, strings.Join(allowed, ", "))
			}
		}
		return ""
	}
}

func nonEmpty(v any) string {
	if v.(string) == "" {
		return "must not be empty"
	}
	return ""
}

func noRepeats(v any) string {
	seen := map[string]bool{}
	for _, item := range v.([]string) {
		if seen[item] {
			return fmt.Sprintf("must not name %q twice", item)
		}
		seen[item] = true
	}
	return ""
}

// tls13Suites are always on in Go, so they may be named but not chosen.
var tls13Suites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

func cipherSuites(v any) string {
	for _, name := range v.([]string) {
		if _, ok := cipherSuiteID(name); !ok && !slices.Contains(tls13Suites, name) {
			return fmt.Sprintf("%q is not supported; Go's TLS knows the suites with ECDHE or RSA, AES-GCM, AES-CBC or CHACHA20", name)
		}
	}
	return ""
}

// cipherSuiteID finds the suite of TLS 1.2 and before by its IANA name, which is Java's, too.
func cipherSuiteID(name string) (uint16, bool) {
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if suite.Name == name && !slices.Contains(tls13Suites, name) {
			return suite.ID, true
		}
	}
	return 0, false
}

const oauthPackage = "org.apache.kafka.common.security.oauthbearer."

// loginHandler accepts the handlers whose work Tributary does itself.
func loginHandler(v any) string {
	switch v.(string) {
	case "", oauthPackage + "OAuthBearerLoginCallbackHandler", oauthPackage + "secured.OAuthBearerLoginCallbackHandler":
		return ""
	}
	return "Java login handlers cannot be loaded; only " + oauthPackage + "OAuthBearerLoginCallbackHandler is built in"
}

func tokenRetriever(v any) string {
	switch v.(string) {
	case oauthPackage + "DefaultJwtRetriever", oauthPackage + "ClientCredentialsJwtRetriever", oauthPackage + "FileJwtRetriever":
		return ""
	}
	return "must be DefaultJwtRetriever, ClientCredentialsJwtRetriever or FileJwtRetriever of " + strings.TrimSuffix(oauthPackage, ".")
}

func offsetReset(v any) string {
	if _, err := parseOffsetReset(v.(string)); err != nil {
		return "must be earliest, latest, none or by_duration:PnDTnHnMn.nS with a duration that is not negative"
	}
	return ""
}

// isoDuration is java.time.Duration's form: no years, months or weeks, a sign for each part.
var isoDuration = regexp.MustCompile(`(?i)^([-+]?)P(?:([-+]?\d+)D)?(T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?$`)

// parseDuration reads a duration as Duration.parse does. A day has 24 hours.
func parseDuration(text string) (time.Duration, error) {
	parts := isoDuration.FindStringSubmatch(text)
	if parts == nil || strings.EqualFold(parts[3], "T") || parts[2] == "" && parts[3] == "" {
		return 0, fmt.Errorf("%q is no duration of the form PnDTnHnMn.nS", text)
	}
	var total float64
	var nanos int64
	for i, unit := range map[int]int64{2: 24 * int64(time.Hour), 4: int64(time.Hour), 5: int64(time.Minute), 6: int64(time.Second)} {
		if parts[i] == "" {
			continue
		}
		n, err := strconv.ParseInt(parts[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is too long a duration", text)
		}
		total += float64(n) * float64(unit)
		nanos += n * unit
	}
	if math.Abs(total) >= math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too long a duration", text)
	}
	if parts[7] != "" {
		fraction, _ := strconv.ParseInt((parts[7] + "000000000")[:9], 10, 64)
		if strings.HasPrefix(parts[6], "-") {
			fraction = -fraction
		}
		nanos += fraction
	}
	if parts[1] == "-" {
		nanos = -nanos
	}
	return time.Duration(nanos), nil
}

// integer widens a value of an integer kind.
func integer(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	}
	return 0
}

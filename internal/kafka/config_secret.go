package kafka

import (
	"log/slog"
	"strings"
)

// hidden is shown instead of a secret, as Java shows passwords.
const hidden = "[hidden]"

// Secret is a text that no print verb and no logger shows.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string { return hidden }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return hidden }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the text from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// IsSecret says whether the value of a configuration key must not be logged. It knows the password
// keys of Kafka's clients under any prefix (source.cluster.ssl.key.password), and takes every key
// that speaks of a password, secret or the like for one, too.
func IsSecret(key string) bool {
	lower := strings.ToLower(key)
	for _, name := range secretKeys {
		if lower == name || strings.HasSuffix(lower, "."+name) {
			return true
		}
	}
	for _, word := range []string{"password", "passphrase", "secret", "credential", "private.key", "jaas.config", "auth.user.info"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// secretKeys are the keys of type PASSWORD in the table.
var secretKeys = func() (names []string) {
	seen := map[string]bool{}
	for _, d := range keyTable {
		if d.kind == kindPassword && !seen[d.name] {
			seen[d.name] = true
			names = append(names, d.name)
		}
	}
	return names
}()

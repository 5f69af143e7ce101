package logging

import (
	"log/slog"
	"strings"
)

// hidden is what stands for a secret, as in Java's logs.
const hidden = "[hidden]"

var secretParts = []string{
	"password", "passwd", "passphrase", "secret", "credential", "jaas.config", "authorization",
	"keystore.key", "certificate.chain", "privatekey", "accesskey", "apikey", "sessionkey", "basic.auth.user.info",
}

// IsSecret says whether a key's name tells that its value is secret: passwords,
// tokens, keys, login configurations.
func IsSecret(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "token") {
		return true
	}
	// private.key, private_key and private-key are one.
	joined := strings.NewReplacer(".", "", "_", "", "-", "").Replace(key)
	for _, part := range secretParts {
		if strings.Contains(key, part) || strings.Contains(joined, part) {
			return true
		}
	}
	return false
}

// redact hides an attribute's value, or those of a configuration's entries.
func redact(a slog.Attr, secret func(string) bool) slog.Attr {
	if secret(a.Key) {
		return slog.String(a.Key, hidden)
	}
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch config := a.Value.Any().(type) {
	case map[string]string:
		shown := make(map[string]string, len(config))
		for k, v := range config {
			if secret(k) {
				v = hidden
			}
			shown[k] = v
		}
		return slog.Any(a.Key, shown)
	case map[string]*string:
		shown := make(map[string]any, len(config))
		for k, v := range config {
			switch {
			case v == nil:
				shown[k] = nil
			case secret(k):
				shown[k] = hidden
			default:
				shown[k] = *v
			}
		}
		return slog.Any(a.Key, shown)
	case map[string]any:
		shown := make(map[string]any, len(config))
		for k, v := range config {
			if secret(k) {
				v = hidden
			}
			shown[k] = v
		}
		return slog.Any(a.Key, shown)
	}
	return a
}

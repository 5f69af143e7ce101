package provider

import "regexp"

// Reason says why a reference was left as it is.
type Reason string

// The reasons for which a reference is left as it is.
const (
	UnknownProvider Reason = "no such provider in config.providers"
	MissingKey      Reason = "no such key"
	NoPath          Reason = "the reference has no path"
	NotAllowed      Reason = "the path is outside allowed.paths"
	NotADirectory   Reason = "the path is not a directory"
)

// Unresolved is a reference that was left as it is. It is safe to log.
type Unresolved struct {
	// Config is the key of the configuration in whose value the reference stands.
	Config string
	// Provider is the provider's name. With UnknownProvider it is empty if it does not look like a
	// name: then the text may be a password that happens to hold "${".
	Provider string
	// Path and Key are empty with UnknownProvider, for the same reason.
	Path, Key string
	Reason    Reason
}

var providerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// leftOver describes ref, which stands in the value of key config.
func leftOver(config string, ref reference, reason Reason) Unresolved {
	if reason != UnknownProvider {
		return Unresolved{Config: config, Provider: ref.provider, Path: ref.path, Key: ref.key, Reason: reason}
	}
	u := Unresolved{Config: config, Reason: reason}
	if providerName.MatchString(ref.provider) {
		u.Provider = ref.provider
	}
	return u
}

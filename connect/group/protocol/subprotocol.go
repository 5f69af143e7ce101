package protocol

import (
	"fmt"
	"strings"
)

// Type is the protocol type of a Connect group in JoinGroup.
const Type = "connect"

// Subprotocol is one way for the workers of a group to share work. The broker
// picks the one in force by name; the members then follow its version.
type Subprotocol struct {
	// Name is the protocol name in JoinGroup.
	Name string
	// Version stands at the head of metadata and assignments.
	Version int16
}

// The three subprotocols, from the oldest to the newest.
var (
	// Default stops all work in every rebalance.
	Default = Subprotocol{Name: "default", Version: 0}
	// Compatible moves only what has to move (KIP-415).
	Compatible = Subprotocol{Name: "compatible", Version: 1}
	// Sessioned is Compatible with signed internal requests (KIP-507).
	Sessioned = Subprotocol{Name: "sessioned", Version: 2}
)

// Incremental reports whether work stays in place during a rebalance.
func (s Subprotocol) Incremental() bool { return s.Version >= Compatible.Version }

// Signed reports whether internal requests carry signatures.
func (s Subprotocol) Signed() bool { return s.Version >= Sessioned.Version }

// SubprotocolByName finds the subprotocol that a JoinGroup response names.
func SubprotocolByName(name string) (Subprotocol, error) {
	for _, s := range []Subprotocol{Default, Compatible, Sessioned} {
		if s.Name == name {
			return s, nil
		}
	}
	return Subprotocol{}, fmt.Errorf(
		"group protocol %q is unknown: it must be default, compatible or sessioned", name)
}

// Preferences turns the value of the worker property connect.protocol into
// the subprotocols to offer in JoinGroup, the preferred one first. The value
// is eager, compatible or sessioned, in any case.
func Preferences(configured string) ([]Subprotocol, error) {
	switch strings.ToLower(configured) {
	case "eager":
		return []Subprotocol{Default}, nil
	case "compatible":
		return []Subprotocol{Compatible, Default}, nil
	case "sessioned":
		return []Subprotocol{Sessioned, Compatible, Default}, nil
	}
	return nil, fmt.Errorf(
		"connect.protocol is %q: it must be eager, compatible or sessioned", configured)
}

package provider

import (
	"iter"
	"strings"
)

// reference is one ${provider:[path:]key} in a value; value[start:end] is its text.
type reference struct {
	start, end          int
	provider, path, key string
}

// references yields the references in value from left to right.
//
// It finds what Java finds with \$\{([^}]*?):(([^}]*?):)?([^}]*?)\}: a reference ends at the first
// closing brace, its provider at the first colon, its path at the second one, and all that follows is
// the key. Nothing nests, so "${a ${b:c}" is one reference to a provider "a ${b".
func references(value string) iter.Seq[reference] {
	return func(yield func(reference) bool) {
		for at := 0; ; {
			open := strings.Index(value[at:], "${")
			if open < 0 {
				return
			}
			start := at + open
			body, _, closed := strings.Cut(value[start+len("${"):], "}")
			if !closed {
				return
			}
			at = start + len("${") + len(body) + len("}")
			provider, rest, ok := strings.Cut(body, ":")
			if !ok {
				continue
			}
			ref := reference{start: start, end: at, provider: provider, key: rest}
			if path, key, ok := strings.Cut(rest, ":"); ok {
				ref.path, ref.key = path, key
			}
			if !yield(ref) {
				return
			}
		}
	}
}

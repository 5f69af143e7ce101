package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// LookupError says which provider could not look up which keys. Its text never holds a value.
type LookupError struct {
	Provider string
	// Path is empty for references without one.
	Path string
	// Keys are all that were asked for at this path, sorted.
	Keys []string
	Err  error
}

func (e *LookupError) Error() string {
	place := ""
	if e.Path != "" {
		place = fmt.Sprintf(" at path %q", e.Path)
	}
	keys := make([]string, len(e.Keys))
	for i, key := range e.Keys {
		keys[i] = fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("config provider %s cannot look up %s%s: %v", e.Provider, strings.Join(keys, ", "), place, e.Err)
}

func (e *LookupError) Unwrap() error { return e.Err }

var errNotUTF8 = errors.New("the text is not valid UTF-8")

// withoutPath takes the path off an error of package os where the LookupError names it already.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

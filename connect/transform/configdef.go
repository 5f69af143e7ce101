package transform

import (
	"errors"
	"strings"

	"tributary/connect"
)

var noSettings = connect.NewConfigDef()

var replaceNullKey = connect.ConfigKey{Name: "replace.null.with.default", Type: connect.TypeBoolean, Default: true, Importance: connect.Medium,
	Doc: "Whether a null field counts as the default of its schema, where there is one."}

func nonEmptyList(v any) string {
	if list, _ := v.([]string); len(list) == 0 {
		return "Empty list"
	}
	return ""
}

// nonEmptyText accepts null and texts that are not empty.
func nonEmptyText(v any) string {
	if v == "" {
		return "String must be non-empty"
	}
	return ""
}

// requiredOneOf is connect.OneOf for keys without a default: null is none of them.
func requiredOneOf(allowed ...string) func(any) string {
	among := connect.OneOf(allowed...)
	return func(v any) string {
		if v == nil {
			v = ""
		}
		return among(v)
	}
}

func notNull(v any) string {
	if v == nil {
		return "entry must be non null"
	}
	return ""
}

// configError is a violation that spans several keys.
func configError(text string) error { return errors.New(text) }

// javaSplit is Java's String.split: trailing empty parts are left out.
func javaSplit(text, separator string) []string {
	parts := strings.Split(text, separator)
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

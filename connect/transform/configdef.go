package transform

import (
	"errors"
	"slices"
	"strings"

	"tributary/connect"
)

var noSettings = connect.NewConfigDef()

var replaceNullKey = connect.ConfigKey{Name: "replace.null.with.default", Type: connect.TypeBoolean, Default: true, Importance: connect.Medium,
	Doc: "Whether a null field counts as the default of its schema, where there is one."}

// realItems accepts lists without empty items. Of repeated ones the first counts, as in
// Java since 4.1.
func realItems(v any) string {
	if list, _ := v.([]string); slices.Contains(list, "") {
		return "Configuration values must not be empty."
	}
	return ""
}

// someItems is realItems for lists that must have one.
func someItems(v any) string {
	if list, _ := v.([]string); len(list) == 0 {
		return "Configuration values must not be empty."
	}
	return realItems(v)
}

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

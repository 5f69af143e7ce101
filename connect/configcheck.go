package connect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// AtLeast accepts numbers of at least least.
func AtLeast(least int64) func(any) string {
	return func(v any) string {
		if n, ok := v.(int64); ok && n < least {
			return fmt.Sprintf("Value must be at least %d", least)
		}
		return ""
	}
}

// OneOf accepts the given strings.
func OneOf(allowed ...string) func(any) string {
	return func(v any) string {
		if s, ok := v.(string); ok && !slices.Contains(allowed, s) {
			return "String must be one of: " + strings.Join(allowed, ", ")
		}
		return ""
	}
}

// OneOfFold accepts the given strings in any case.
func OneOfFold(allowed ...string) func(any) string {
	return func(v any) string {
		s, ok := v.(string)
		if !ok || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, s) }) {
			return ""
		}
		return "String must be one of (case insensitive): " + strings.ToUpper(strings.Join(allowed, ", "))
	}
}

// NonEmpty accepts strings that are not blank and hold no ISO control characters.
func NonEmpty(v any) string {
	s, ok := v.(string)
	switch {
	case ok && strings.TrimSpace(s) == "":
		return "String may not be empty"
	case ok && strings.ContainsFunc(s, unicode.IsControl):
		var codes []string
		for _, r := range s {
			if unicode.IsControl(r) {
				codes = append(codes, strconv.Itoa(int(r)))
			}
		}
		return "String may not contain control sequences but had the following ASCII chars: " + strings.Join(codes, ", ")
	}
	return ""
}

// UniqueItems accepts lists without repeated or empty items.
func UniqueItems(v any) string {
	list, _ := v.([]string)
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		if item == "" {
			return "Configuration values must not be empty."
		}
		if seen[item] {
			return fmt.Sprintf("Duplicate value %q", item)
		}
		seen[item] = true
	}
	return ""
}

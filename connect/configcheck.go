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

// ItemRule says which items a LIST may have.
type ItemRule int8

// The rules. The last two refuse empty and repeated items, and SomeUniqueItems a list
// without any.
const (
	AnyItems ItemRule = iota
	UniqueItems
	SomeUniqueItems
)

// Check returns the message that the list of a key breaks the rule, as Java words it, or
// "".
func (rule ItemRule) Check(key string, value any) (message string) {
	if rule == AnyItems {
		return ""
	}
	list, isList := value.([]string)
	wrong := func(what string) string { return fmt.Sprintf("Configuration '%s' %s", key, what) }
	switch {
	case !isList:
		return wrong("values must not be null.")
	case rule == SomeUniqueItems && len(list) == 0:
		return wrong("must not be empty. Valid values include: any non-empty value")
	case len(unique(list)) != len(list):
		return wrong("values must not be duplicated.")
	case slices.Contains(list, ""):
		return wrong("values must not be empty.")
	}
	return ""
}

// withoutRepeated leaves the first of equal items of lists that are to have none.
func (k *ConfigKey) withoutRepeated(value any) any {
	if list, ok := value.([]string); ok && k.Items != AnyItems {
		return unique(list)
	}
	return value
}

func unique(list []string) []string {
	out := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		if !seen[item] {
			seen[item] = true
			out = append(out, item)
		}
	}
	return out
}

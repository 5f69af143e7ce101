package connect

import (
	"fmt"
	"strconv"
	"strings"
)

// parseConfigText turns the text of a configuration value into a Go value: bool,
// string, int64 (INT, SHORT, LONG), float64 or []string. The reason is Java's.
func parseConfigText(t ConfigType, text string) (value any, reason string) {
	trimmed := strings.TrimSpace(text)
	switch t {
	case TypeBoolean:
		switch strings.ToLower(trimmed) {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case TypeInt:
		return parseInteger(trimmed, 32, t)
	case TypeShort:
		return parseInteger(trimmed, 16, t)
	case TypeLong:
		return parseInteger(trimmed, 64, t)
	case TypeDouble:
		f, err := strconv.ParseFloat(trimmed, 64)
		if err != nil {
			return nil, "Not a number of type DOUBLE"
		}
		return f, ""
	case TypeList:
		return splitList(trimmed), ""
	case TypePassword:
		return text, ""
	default:
		return trimmed, ""
	}
}

func parseInteger(text string, bits int, t ConfigType) (any, string) {
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return nil, "Not a number of type " + string(t)
	}
	return n, ""
}

// splitList splits at commas and trims blanks; the empty text is the empty list.
func splitList(text string) []string {
	if text == "" {
		return []string{}
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// FormatConfigValue is the text of a parsed value as the REST API shows it. Nil is
// "null": callers that can show a JSON null look for it first.
func FormatConfigValue(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case []string:
		return strings.Join(x, ",")
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	default:
		return fmt.Sprint(x)
	}
}

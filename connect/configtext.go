package connect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseConfigText turns the text of a configuration value into a Go value: bool,
// string, int64 (INT, SHORT, LONG), float64 or []string. The reason is Java's.
func parseConfigText(t ConfigType, text string) (value any, reason string) {
	trimmed := trim(text)
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
	default:
		return trimmed, ""
	}
}

// trim is Java's String.trim: it takes off blanks and control characters of ASCII, and
// leaves Unicode's other spaces.
func trim(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
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
		parts[i] = trim(parts[i])
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
		return formatDouble(x)
	default:
		return fmt.Sprint(x)
	}
}

// formatDouble writes a number as Java's Double.toString does: with at least one
// decimal, and with an exponent outside of 10^-3 to 10^7.
func formatDouble(f float64) string {
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	mantissa, exponent, found := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case !found:
		return mantissa // NaN
	case !strings.Contains(mantissa, "."):
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	return mantissa + "E" + strconv.Itoa(n)
}

package converter

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
)

// SimpleHeader writes header values as text, as Java's SimpleHeaderConverter does:
// strings as they are, bytes in base64, lists and maps in a form like JSON. Maps are
// written in the order of their keys.
//
// Reading, it infers null, booleans and numbers (whole ones as the smallest integer
// type, others as float) from the text; all else is a string, including what Java
// reads as date, list or map.
type SimpleHeader struct{}

// Configure implements connect.HeaderConverter; there is nothing to configure.
func (*SimpleHeader) Configure(map[string]string) error { return nil }

// FromConnectHeader implements connect.HeaderConverter.
func (*SimpleHeader) FromConnectHeader(_, key string, _ *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	out, err := appendValue(nil, value, false)
	if err != nil {
		return nil, &connect.DataError{Message: fmt.Sprintf("Failed to serialize header %q", key), Err: err}
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}

// ToConnectHeader implements connect.HeaderConverter.
func (*SimpleHeader) ToConnectHeader(_, _ string, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return nil, nil, nil
	}
	text := string(data)
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "null":
		return nil, nil, nil
	case trimmed == "true" || trimmed == "false":
		return booleanSchema, trimmed == "true", nil
	case number.MatchString(trimmed):
		if schema, value := parseNumber(trimmed); schema != nil {
			return schema, value, nil
		}
	}
	return connect.StringSchema, text, nil
}

var (
	booleanSchema = &connect.Schema{Type: connect.Boolean}
	int8Schema    = &connect.Schema{Type: connect.Int8}
	int16Schema   = &connect.Schema{Type: connect.Int16}
	int32Schema   = &connect.Schema{Type: connect.Int32}
	int64Schema   = &connect.Schema{Type: connect.Int64}
	float32Schema = &connect.Schema{Type: connect.Float32}
	float64Schema = &connect.Schema{Type: connect.Float64}

	// number bounds the exponent: beyond that no type holds the value.
	number = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$`)
)

// parseNumber returns a nil schema for a number that no type here holds.
func parseNumber(text string) (*connect.Schema, any) {
	exact, ok := new(big.Rat).SetString(strings.TrimPrefix(text, "+"))
	if !ok {
		return nil, nil
	}
	if exact.IsInt() && exact.Num().IsInt64() {
		n := exact.Num().Int64()
		switch {
		case n == int64(int8(n)):
			return int8Schema, int8(n)
		case n == int64(int16(n)):
			return int16Schema, int16(n)
		case n == int64(int32(n)):
			return int32Schema, int32(n)
		}
		return int64Schema, n
	}
	if !strings.ContainsAny(text, ".eE") {
		return nil, nil // a whole number beyond 64 bits
	}
	if f, _ := exact.Float32(); !math.IsInf(float64(f), 0) {
		return float32Schema, f
	}
	if f, _ := exact.Float64(); !math.IsInf(f, 0) {
		return float64Schema, f
	}
	return nil, nil
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// appendValue appends the text of a value; embedded ones are inside a list or map.
func appendValue(out []byte, value any, embedded bool) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case string:
		if embedded {
			return append(append(append(out, '"'), escaper.Replace(v)...), '"'), nil
		}
		return append(out, v...), nil
	case []byte:
		if embedded {
			out = append(out, '"')
		}
		out = base64.StdEncoding.AppendEncode(out, v)
		if embedded {
			out = append(out, '"')
		}
		return out, nil
	case []any:
		return appendList(out, v)
	case map[string]any:
		return appendMap(out, v)
	case time.Time:
		return v.UTC().AppendFormat(out, "2006-01-02T15:04:05.000Z"), nil
	}
	if scalar, ok := appendScalar(out, value); ok {
		return scalar, nil
	}
	return nil, fmt.Errorf("values of type %T have no text form", value)
}

func appendList(out []byte, list []any) ([]byte, error) {
	out = append(out, '[')
	for i, item := range list {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = appendValue(out, item, true); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func appendMap(out []byte, m map[string]any) ([]byte, error) {
	out = append(out, '{')
	for i, key := range sortedKeys(m) {
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = appendValue(out, key, true) // a string cannot fail
		out = append(out, ':')
		var err error
		if out, err = appendValue(out, m[key], true); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendScalar appends numbers and booleans as Java prints them.
func appendScalar(out []byte, value any) ([]byte, bool) {
	switch v := value.(type) {
	case bool:
		return strconv.AppendBool(out, v), true
	case int:
		return strconv.AppendInt(out, int64(v), 10), true
	case int8:
		return strconv.AppendInt(out, int64(v), 10), true
	case int16:
		return strconv.AppendInt(out, int64(v), 10), true
	case int32:
		return strconv.AppendInt(out, int64(v), 10), true
	case int64:
		return strconv.AppendInt(out, v, 10), true
	case float32:
		return appendFloat(out, float64(v), 32), true
	case float64:
		return appendFloat(out, v, 64), true
	}
	return out, false
}

// appendFloat prints as Java's Double.toString: plain with at least one decimal
// between 10^-3 and 10^7, with an exponent E outside.
func appendFloat(out []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, "NaN"...)
	case math.IsInf(f, 1):
		return append(out, "Infinity"...)
	case math.IsInf(f, -1):
		return append(out, "-Infinity"...)
	}
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		return withDecimal(out, strconv.FormatFloat(f, 'f', -1, bits))
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
	n, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	return strconv.AppendInt(append(withDecimal(out, mantissa), 'E'), int64(n), 10)
}

func withDecimal(out []byte, digits string) []byte {
	out = append(out, digits...)
	if !strings.Contains(digits, ".") {
		out = append(out, ".0"...)
	}
	return out
}

package javajson

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"tributary/internal/javatext"
)

// AppendString appends s as a JSON string with Jackson's escapes: quotes, backslashes
// and control characters alone, characters beyond the basic plane as two \u escapes.
// Bytes that are not UTF-8 become U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; ; {
		b, i = appendRun(b, s, i)
		if i == len(s) {
			return append(b, '"')
		}
		c := s[i]
		if c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r > 0xFFFF {
			hi, lo := utf16.EncodeRune(r)
			b = appendEscape(appendEscape(b, hi), lo)
		} else {
			b = utf8.AppendRune(b, r)
		}
		i += size
	}
}

// appendRun appends what of s stands for itself from a place on, and quotes and backslashes as long as
// whole words are left. It returns where that ends.
func appendRun(b []byte, s string, from int) ([]byte, int) {
	n := len(b)
	b = b[:cap(b)]
	for len(s)-from >= wordSize {
		if len(b)-n < wordSize+1 {
			b = slices.Grow(b[:n], len(s)-from+wordSize)
			b = b[:cap(b)]
		}
		w := wordAt(s, from)
		binary.LittleEndian.PutUint64(b[n:], w)
		mask := escapable(w)
		if mask == 0 {
			from, n = from+wordSize, n+wordSize
			continue
		}
		run := firstOf(mask)
		from, n = from+run, n+run
		c := s[from]
		if c != '"' && c != '\\' {
			return b[:n], from
		}
		b[n], b[n+1] = '\\', c
		from, n = from+1, n+2
	}
	end := from
	for end < len(s) && ' ' <= s[end] && s[end] < utf8.RuneSelf && s[end] != '"' && s[end] != '\\' {
		end++
	}
	return append(b[:n], s[from:end]...), end
}

func appendASCII(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\t':
		return append(b, `\t`...)
	case '\n':
		return append(b, `\n`...)
	case '\f':
		return append(b, `\f`...)
	case '\r':
		return append(b, `\r`...)
	}
	if c < ' ' {
		return appendEscape(b, rune(c))
	}
	return append(b, c)
}

func appendEscape(b []byte, unit rune) []byte {
	const hex = "0123456789ABCDEF"
	return append(b, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}

// AppendMap appends m as an object whose fields are in the order of a
// java.util.HashMap; nil is null. Values are what [AppendScalar] accepts; the error
// names the field that is not.
func AppendMap(b []byte, m map[string]any) ([]byte, error) {
	if m == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '{')
	for i, key := range javatext.HashMapKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, key), ':')
		var err error
		if b, err = AppendScalar(b, m[key]); err != nil {
			return nil, fmt.Errorf("field %q: %w", key, err)
		}
	}
	return append(b, '}'), nil
}

// AppendScalar appends nil, a boolean, a string, bytes (as base64), a [json.Number], or
// any Go integer or float that fits Java's long or double.
func AppendScalar(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case float32:
		return AppendFloat(b, float64(v), 32), nil
	case []byte:
		return AppendString(b, base64.StdEncoding.EncodeToString(v)), nil
	}
	v, err := Normalize(v)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return AppendString(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return AppendFloat(b, v, 64), nil
	}
	return nil, fmt.Errorf("%T cannot be stored", v) // unreachable: Normalize has no other results
}

// Normalize returns the value that [Parse] yields once v was written: nil, bool,
// string, int64 or float64. Everything that is no scalar is an error.
func Normalize(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, int64:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int8:
		return int64(v), nil
	case uint8:
		return int64(v), nil
	case uint16:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint:
		return normalizeUnsigned(uint64(v))
	case uint64:
		return normalizeUnsigned(v)
	case float32:
		return normalizeFloat(float64(v), 32), nil
	case float64:
		return normalizeFloat(v, 64), nil
	case []byte:
		return base64.StdEncoding.EncodeToString(v), nil
	case json.Number:
		return normalizeNumber(v)
	}
	return nil, fmt.Errorf("a value of type %T is not null, a boolean, a number, a string or bytes", v)
}

func normalizeUnsigned(v uint64) (any, error) {
	if v > math.MaxInt64 {
		return nil, fmt.Errorf("%d does not fit a 64-bit signed integer", v)
	}
	return int64(v), nil
}

func normalizeNumber(v json.Number) (any, error) {
	if !strings.ContainsAny(string(v), ".eE") {
		n, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("%q is not a 64-bit signed integer", string(v))
		}
		return n, nil
	}
	f, err := v.Float64()
	if err != nil {
		return nil, fmt.Errorf("%q is not a 64-bit number", string(v))
	}
	return normalizeFloat(f, 64), nil
}

// normalizeFloat follows a number through its text: Jackson quotes what JSON has no
// number for, and Java's reader knows no negative zero.
func normalizeFloat(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return string(javatext.AppendFloat(nil, f, bits))
	}
	if bits == 32 {
		f, _ = strconv.ParseFloat(string(javatext.AppendFloat(nil, f, bits)), 64)
	}
	if f == 0 {
		return 0.0
	}
	return f
}

// AppendFloat appends a number with Java's digits; what JSON has no number for is quoted.
func AppendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(javatext.AppendFloat(append(b, '"'), f, bits), '"')
	}
	return javatext.AppendFloat(b, f, bits)
}

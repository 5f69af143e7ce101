package javatext

import (
	"fmt"
	"strconv"
	"time"

	"tributary/connect"
)

// Append appends what the value's toString returns in Java. Bytes, whose toString is of
// no use, are taken for text.
func Append(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return append(b, v...)
	case []byte:
		return append(b, v...)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = Append(b, item)
		}
		return append(b, ']')
	case map[string]any, connect.MapEntries:
		b = append(b, '{')
		for i, e := range Entries(value) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = Append(append(Append(b, e.Key), '='), e.Value)
		}
		return append(b, '}')
	case *connect.StructValue:
		return appendStruct(b, v)
	case time.Time:
		return v.Local().AppendFormat(b, "Mon Jan 02 15:04:05 MST 2006")
	case connect.Decimal:
		return append(b, v.String()...)
	}
	if number, ok := AppendScalar(b, value); ok {
		return number
	}
	return fmt.Append(b, value)
}

func appendStruct(b []byte, s *connect.StructValue) []byte {
	b = append(b, "Struct{"...)
	first := true
	for i, f := range s.Schema().Fields {
		v := s.RawAt(i)
		if v == nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = Append(append(append(b, f.Name...), '='), v)
	}
	return append(b, '}')
}

// AppendScalar appends a number or boolean; false for anything else.
func AppendScalar(b []byte, value any) ([]byte, bool) {
	switch v := value.(type) {
	case bool:
		return strconv.AppendBool(b, v), true
	case int:
		return strconv.AppendInt(b, int64(v), 10), true
	case int8:
		return strconv.AppendInt(b, int64(v), 10), true
	case int16:
		return strconv.AppendInt(b, int64(v), 10), true
	case int32:
		return strconv.AppendInt(b, int64(v), 10), true
	case int64:
		return strconv.AppendInt(b, v, 10), true
	case float32:
		return AppendFloat(b, float64(v), 32), true
	case float64:
		return AppendFloat(b, v, 64), true
	}
	return b, false
}

// String is Append for a string.
func String(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return string(Append(nil, value))
}

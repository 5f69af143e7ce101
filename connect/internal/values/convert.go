package values

import (
	"fmt"
	"time"

	"tributary/connect"
	"tributary/internal/javatext"
)

// convert makes value one of the schema.
func convert(to *connect.Schema, value any) (any, error) {
	if value == nil {
		return nil, dataError("Unable to convert a null value to a schema that requires a value")
	}
	switch to.Type {
	case connect.Int8:
		n, err := ToInt64(value)
		return int8(n), err
	case connect.Int16:
		n, err := ToInt64(value)
		return int16(n), err
	case connect.Int32, connect.Int64:
		return convertInteger(to, value)
	case connect.Float32:
		f, err := ToFloat64(value)
		return float32(f), err
	case connect.Float64:
		return ToFloat64(value)
	case connect.Boolean:
		return convertBoolean(value)
	case connect.String:
		text, err := Append(nil, value)
		return string(text), err
	case connect.Bytes:
		if to.Name == connect.DecimalName {
			return convertDecimal(to, value)
		}
	}
	if t, ok := connect.TypeOf(value); ok && t == to.Type {
		return value, nil
	}
	return nil, cannotConvert(value, to.String())
}

func cannotConvert(value any, to string) error {
	return dataError(fmt.Sprintf("Unable to convert %s (class %s) to %s", javatext.String(value), connect.ClassName(value), to))
}

func convertInteger(to *connect.Schema, value any) (any, error) {
	if t, ok := value.(time.Time); ok && to.Name != "" {
		return t, nil
	}
	n, err := ToInt64(value)
	switch {
	case err != nil:
		return nil, err
	case to.Name == connect.DateName:
		return connect.DateFromDays(int32(n)), nil
	case to.Name == connect.TimeName:
		return connect.TimeFromMillis(int32(n))
	case to.Name == connect.TimestampName:
		return connect.TimestampFromMillis(n), nil
	case to.Type == connect.Int32:
		return int32(n), nil
	}
	return n, nil
}

func convertBoolean(value any) (any, error) {
	if b, ok := value.(bool); ok {
		return b, nil
	}
	if text, ok := value.(string); ok {
		if _, parsed := Parse(text); parsed == true || parsed == false {
			return parsed, nil
		}
	}
	n, err := ToInt64(value)
	return n != 0, err
}

func convertDecimal(to *connect.Schema, value any) (any, error) {
	switch v := value.(type) {
	case connect.Decimal:
		return v, nil
	case []byte:
		return connect.DecimalFromBytes(to, v)
	case string:
		return connect.ParseDecimal(v)
	}
	f, err := ToFloat64(value)
	if err != nil {
		return nil, cannotConvert(value, to.String())
	}
	return connect.ParseDecimal(string(javatext.AppendFloat(nil, f, 64)))
}

// ToInt64 is a number without its fraction, wrapped to 64 bits; strings are read as
// numbers. A *connect.DataError refuses the rest.
func ToInt64(value any) (int64, error) {
	switch v := value.(type) {
	case int8:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case int64:
		return v, nil
	case float32:
		return Truncate(float64(v)), nil
	case float64:
		return Truncate(v), nil
	case connect.Decimal:
		return v.Int64(), nil
	case string:
		if d, err := connect.ParseDecimal(v); err == nil {
			return d.Int64(), nil
		}
	}
	return 0, cannotConvert(value, "a number")
}

// ToFloat64 is the nearest float of a number or of its text.
func ToFloat64(value any) (float64, error) {
	switch v := value.(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	case connect.Decimal:
		return v.Float64(), nil
	case string:
		if d, err := connect.ParseDecimal(v); err == nil {
			return d.Float64(), nil
		}
	}
	n, err := ToInt64(value)
	return float64(n), err
}

// Truncate is Java's cast of a float to long: towards zero, to the nearest end beyond the
// range, NaN to 0.
func Truncate(f float64) int64 {
	const limit = 1 << 63
	switch {
	case f != f:
		return 0
	case f >= limit:
		return limit - 1
	case f <= -limit:
		return -limit
	}
	return int64(f)
}

// Whole is a value of one of the integer types as an int64.
func Whole(value any) (int64, bool) {
	switch v := value.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

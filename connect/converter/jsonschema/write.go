package jsonschema

import (
	"fmt"
	"strconv"

	"tributary/connect"
	"tributary/connect/internal/jsondata"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

func dataError(message string, err error) error {
	return &connect.DataError{Message: message, Err: err}
}

// valueWriter writes values as JSON.
type valueWriter struct {
	numericDecimals bool // decimal.format=NUMERIC
}

func (w *valueWriter) append(b []byte, s *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		switch {
		case s == nil:
			return append(b, "null"...), nil
		case s.Default != nil:
			return w.append(b, s, s.Default)
		case s.Optional:
			return append(b, "null"...), nil
		}
		return nil, dataError("Conversion error: null value for field that is required and has no default value", nil)
	}
	if s != nil {
		switch s.Name {
		case connect.DecimalName:
			return jsondata.AppendDecimal(b, s, value, w.numericDecimals)
		case connect.DateName, connect.TimeName, connect.TimestampName:
			return jsondata.AppendTemporal(b, s.Name, value)
		}
		if t, ok := connect.TypeOf(value); !ok || t != s.Type {
			return nil, dataError(fmt.Sprintf("Invalid type for %s: class %s", s.Type, connect.ClassName(value)), nil)
		}
	}
	switch v := value.(type) {
	case int8:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int16:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float32:
		return javajson.AppendFloat(b, float64(v), 32), nil
	case float64:
		return javajson.AppendFloat(b, v, 64), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return javajson.AppendString(b, v), nil
	case []byte:
		return jsondata.AppendBytes(b, v), nil
	case []any:
		return w.list(b, s, v)
	case map[string]any, connect.MapEntries:
		return w.entries(b, s, javatext.Entries(value))
	case *connect.StructValue:
		return w.object(b, s, v)
	}
	return nil, dataError(fmt.Sprintf("Java class class %s does not have corresponding schema type.", connect.ClassName(value)), nil)
}

func (w *valueWriter) list(b []byte, s *connect.Schema, list []any) ([]byte, error) {
	var elements *connect.Schema
	if s != nil {
		elements = s.Elements
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = w.append(b, elements, v); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func (w *valueWriter) entries(b []byte, s *connect.Schema, entries connect.MapEntries) ([]byte, error) {
	var keys, elements *connect.Schema
	asObject := true
	if s != nil {
		keys, elements, asObject = s.Keys, s.Elements, objectKeys(s)
	} else {
		for _, e := range entries {
			if _, ok := e.Key.(string); !ok {
				asObject = false
			}
		}
	}
	brackets, before, between, after := "{}", "", ":", ""
	if !asObject {
		brackets, before, between, after = "[]", `{"key":`, `,"value":`, "}"
	}
	b = append(b, brackets[0])
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = w.append(append(b, before...), keys, e.Key); err != nil {
			return nil, err
		}
		if b, err = w.append(append(b, between...), elements, e.Value); err != nil {
			return nil, err
		}
		b = append(b, after...)
	}
	return append(b, brackets[1]), nil
}

func (w *valueWriter) object(b []byte, s *connect.Schema, v *connect.StructValue) ([]byte, error) {
	if s == nil || !v.Schema().Equal(s) {
		return nil, dataError("Mismatching schema.", nil)
	}
	if s.Name == oneOfName {
		for i, f := range s.Fields {
			if own := v.At(i); own != nil {
				return w.append(b, f.Schema, own)
			}
		}
		return w.append(b, s, nil)
	}
	b = append(b, '{')
	for i, f := range s.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(javajson.AppendString(b, f.Name), ':')
		var err error
		if b, err = w.append(b, f.Schema, v.At(i)); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return append(b, '}'), nil
}

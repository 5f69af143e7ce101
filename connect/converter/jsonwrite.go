package converter

import (
	"fmt"
	"strconv"

	"tributary/connect"
	"tributary/connect/internal/jsondata"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// appendValue appends the JSON of a value.
func (c *JSON) appendValue(b []byte, schema *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		switch {
		case schema == nil:
			return append(b, "null"...), nil
		case schema.Default != nil && c.replaceNull:
			return c.appendValue(b, schema, schema.Default)
		case schema.Optional:
			return append(b, "null"...), nil
		}
		return nil, dataError(nil, "Conversion error: null value for field that is required and has no default value")
	}
	if schema == nil {
		t, ok := connect.TypeOf(value)
		if !ok {
			return nil, dataError(nil, fmt.Sprintf("Java class class %s does not have corresponding schema type.", connect.ClassName(value)))
		}
		return c.appendTyped(b, t, nil, value)
	}
	switch schema.Name {
	case "":
	case connect.DecimalName:
		return jsondata.AppendDecimal(b, schema, value, c.numericDecimals)
	case connect.DateName, connect.TimeName, connect.TimestampName:
		return jsondata.AppendTemporal(b, schema.Name, value)
	}
	return c.appendTyped(b, schema.Type, schema, value)
}

func (c *JSON) appendTyped(b []byte, t connect.Type, schema *connect.Schema, value any) ([]byte, error) {
	switch v := value.(type) {
	case int8:
		if t == connect.Int8 {
			return strconv.AppendInt(b, int64(v), 10), nil
		}
	case int16:
		if t == connect.Int16 {
			return strconv.AppendInt(b, int64(v), 10), nil
		}
	case int32:
		if t == connect.Int32 {
			return strconv.AppendInt(b, int64(v), 10), nil
		}
	case int64:
		if t == connect.Int64 {
			return strconv.AppendInt(b, v, 10), nil
		}
	case float32:
		if t == connect.Float32 {
			return javajson.AppendFloat(b, float64(v), 32), nil
		}
	case float64:
		if t == connect.Float64 {
			return javajson.AppendFloat(b, v, 64), nil
		}
	case bool:
		if t == connect.Boolean {
			return strconv.AppendBool(b, v), nil
		}
	case string:
		if t == connect.String {
			return javajson.AppendString(b, v), nil
		}
	case []byte:
		if t == connect.Bytes {
			return jsondata.AppendBytes(b, v), nil
		}
	case []any:
		if t == connect.Array {
			return c.appendArray(b, schema, v)
		}
	case map[string]any, connect.MapEntries:
		if t == connect.Map {
			return c.appendMap(b, schema, value)
		}
	case *connect.StructValue:
		if t == connect.Struct {
			return c.appendStruct(b, schema, v)
		}
	}
	return nil, dataError(nil, fmt.Sprintf("Invalid type for %s: class %s", t, connect.ClassName(value)))
}

func (c *JSON) appendArray(b []byte, schema *connect.Schema, list []any) ([]byte, error) {
	var elements *connect.Schema
	if schema != nil {
		elements = schema.Elements
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = c.appendValue(b, elements, v); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendMap writes an object when keys are strings, otherwise an array of pairs.
func (c *JSON) appendMap(b []byte, schema *connect.Schema, value any) ([]byte, error) {
	var keys, elements *connect.Schema
	entries := javatext.Entries(value)
	asObject := true
	if schema != nil {
		if keys, elements = schema.Keys, schema.Elements; keys == nil {
			return nil, dataError(nil, "No schema defined for the keys of a map")
		}
		asObject = keys.Type == connect.String
	} else {
		for _, e := range entries {
			if _, ok := e.Key.(string); !ok {
				asObject = false
			}
		}
	}
	open, middle, end := "", ":", ""
	brackets := "{}"
	if !asObject {
		open, middle, end, brackets = "[", ",", "]", "[]"
	}
	b = append(b, brackets[0])
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, open...)
		var err error
		if asObject && e.Key == nil {
			b = append(b, `"null"`...) // the text of a JSON null
		} else if b, err = c.appendValue(b, keys, e.Key); err != nil {
			return nil, err
		}
		if b, err = c.appendValue(append(b, middle...), elements, e.Value); err != nil {
			return nil, err
		}
		b = append(b, end...)
	}
	return append(b, brackets[1]), nil
}

func (c *JSON) appendStruct(b []byte, schema *connect.Schema, s *connect.StructValue) ([]byte, error) {
	if schema == nil || !s.Schema().Equal(schema) {
		return nil, dataError(nil, "Mismatching schema.")
	}
	names, err := c.fields.Get(schema, quotedNames)
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	for i := range names {
		b = append(b, names[i]...)
		if b, err = c.appendValue(b, schema.Fields[i].Schema, s.RawAt(i)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// quotedNames are the texts before the values of a struct's fields, commas included.
func quotedNames(schema *connect.Schema) ([][]byte, error) {
	names := make([][]byte, len(schema.Fields))
	for i, f := range schema.Fields {
		if i > 0 {
			names[i] = append(names[i], ',')
		}
		names[i] = append(javajson.AppendString(names[i], f.Name), ':')
	}
	return names, nil
}

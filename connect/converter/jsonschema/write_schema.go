package jsonschema

import (
	"fmt"
	"strconv"
	"strings"

	"tributary/connect"
	"tributary/internal/javajson"
)

// The names that Confluent's converter gives to what JSON Schema has no word for.
const (
	ownSpace       = "io.confluent.connect.json"
	enumParameter  = ownSpace + ".Enum"
	oneOfName      = ownSpace + ".OneOf"
	connectType    = "connect.type"
	connectVersion = "connect.version"
	connectParams  = "connect.parameters"
	connectIndex   = "connect.index"
)

// schemaWriter makes JSON Schemas of Connect's.
type schemaWriter struct {
	open   bool // object.additional.properties
	values valueWriter
}

// noIndex is for schemas that are no field of a struct.
const noIndex = -1

// append appends the schema s; index is its place in a struct.
func (w *schemaWriter) append(b []byte, s *connect.Schema, index int) ([]byte, error) {
	if s == nil {
		return append(b, "{}"...), nil
	}
	var err error
	switch {
	case s.Name == oneOfName && s.Type == connect.Struct:
		b = append(b, `{"oneOf":[`...)
		if s.Optional {
			b = append(b, `{"type":"null"},`...)
		}
		for i, f := range s.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = w.append(b, f.Schema.AsRequired(), i); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	case s.Optional:
		b = append(b, `{"oneOf":[{"type":"null"},`...)
		if b, err = w.append(b, s.AsRequired(), noIndex); err != nil {
			return nil, err
		}
		b = append(b, ']')
	default:
		if b, err = w.bare(b, s); err != nil {
			return nil, err
		}
		if b, err = w.annotate(b, s); err != nil {
			return nil, err
		}
	}
	if index != noIndex {
		b = strconv.AppendInt(append(b, `,"`+connectIndex+`":`...), int64(index), 10)
	}
	return append(b, '}'), nil
}

// scalars are the JSON types of types that need no further thought, and what connect.type
// says of them.
var scalars = map[connect.Type][2]string{
	connect.Int8: {"integer", "int8"}, connect.Int16: {"integer", "int16"}, connect.Int32: {"integer", "int32"}, connect.Int64: {"integer", "int64"},
	connect.Float32: {"number", "float32"}, connect.Float64: {"number", "float64"}, connect.Boolean: {"boolean", ""},
}

func (w *schemaWriter) bare(b []byte, s *connect.Schema) ([]byte, error) {
	typed := func(jsonType, own string) {
		b = append(append(append(b, `{"type":"`...), jsonType...), '"')
		if own != "" {
			b = append(append(append(b, `,"`+connectType+`":"`...), own...), '"')
		}
	}
	var err error
	switch s.Type {
	case connect.String:
		if _, isEnum := s.Parameters.Get(enumParameter); isEnum {
			return appendEnum(b, s), nil
		}
		typed("string", "")
	case connect.Bytes:
		if s.Name == connect.DecimalName && w.values.numericDecimals {
			typed("number", "bytes")
		} else {
			typed("string", "bytes")
		}
	case connect.Array:
		typed("array", "")
		b, err = w.append(append(b, `,"items":`...), s.Elements, noIndex)
	case connect.Map:
		if objectKeys(s) {
			typed("object", "map")
			b, err = w.append(append(b, `,"additionalProperties":`...), s.Elements, noIndex)
			break
		}
		typed("array", "map")
		b = append(b, `,"items":{"type":"object","properties":{"key":`...)
		if b, err = w.append(b, s.Keys, 0); err != nil {
			break
		}
		if b, err = w.append(append(b, `,"value":`...), s.Elements, 1); err == nil {
			b = append(b, "}}"...)
		}
	case connect.Struct:
		typed("object", "")
		b = append(b, `,"properties":{`...)
		for i, f := range s.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(javajson.AppendString(b, f.Name), ':')
			if b, err = w.append(b, f.Schema, i); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
		b = append(b, '}')
		if !w.open {
			b = append(b, `,"additionalProperties":false`...)
		}
	default:
		typed(scalars[s.Type][0], scalars[s.Type][1])
	}
	return b, err
}

// objectKeys says whether a map is an object; others are lists of key and value.
func objectKeys(s *connect.Schema) bool { return s.Keys.Type == connect.String && !s.Keys.Optional }

func appendEnum(b []byte, s *connect.Schema) []byte {
	b = append(b, `{"enum":[`...)
	first := true
	for _, p := range s.Parameters {
		if !strings.HasPrefix(p.Name, enumParameter+".") {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = javajson.AppendString(b, p.Value)
	}
	return append(b, ']')
}

func (w *schemaWriter) annotate(b []byte, s *connect.Schema) ([]byte, error) {
	if s.Name != "" {
		b = javajson.AppendString(append(b, `,"title":`...), s.Name)
	}
	if s.Version != nil {
		b = strconv.AppendInt(append(b, `,"`+connectVersion+`":`...), int64(*s.Version), 10)
	}
	if s.Doc != "" {
		b = javajson.AppendString(append(b, `,"description":`...), s.Doc)
	}
	open := `,"` + connectParams + `":{`
	for _, p := range s.Parameters {
		if strings.HasPrefix(p.Name, ownSpace) {
			continue
		}
		b = javajson.AppendString(append(b, open...), p.Name)
		b = javajson.AppendString(append(b, ':'), p.Value)
		open = ","
	}
	if open == "," {
		b = append(b, '}')
	}
	if s.Default == nil {
		return b, nil
	}
	return w.values.append(append(b, `,"default":`...), s, s.Default)
}

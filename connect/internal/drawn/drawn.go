// Package drawn draws schemas and values of Connect's data model for property tests.
package drawn

import (
	"math/big"
	"time"

	"pgregory.net/rapid"

	"tributary/connect"
)

// Shape says what drawn schemas look like.
type Shape struct {
	// Field draws the names of fields, Name those of structs; nil are any, and one or none.
	Field, Name func(t *rapid.T) string
	// Keys are the types of maps' keys; nil is any scalar.
	Keys []*connect.Schema
	// Plain leaves out lists and maps within lists and maps, and such that are optional, or
	// have optional elements.
	Plain bool
}

func (shape Shape) withDefaults() Shape {
	if shape.Field == nil {
		shape.Field = func(t *rapid.T) string { return rapid.StringN(1, 8, -1).Draw(t, "name") }
	}
	if shape.Name == nil {
		shape.Name = func(t *rapid.T) string { return rapid.SampledFrom([]string{"", "a.B"}).Draw(t, "schema name") }
	}
	return shape
}

// Schema draws a schema, nested at most depth levels.
func (shape Shape) Schema(t *rapid.T, depth int) *connect.Schema {
	shape = shape.withDefaults()
	types := []*connect.Schema{
		connect.Int8Schema, connect.Int16Schema, connect.Int32Schema, connect.Int64Schema, connect.Float32Schema, connect.Float64Schema,
		connect.BooleanSchema, connect.StringSchema, connect.BytesSchema, connect.DateSchema, connect.TimeSchema, connect.TimestampSchema, connect.DecimalSchema(3),
	}
	keys := shape.Keys
	if keys == nil {
		keys = types[:8]
	}
	n := rapid.IntRange(0, len(types)+2).Draw(t, "type")
	var s *connect.Schema
	switch {
	case n < len(types):
		s = types[n]
	case depth == 0:
		s = connect.StringSchema
	case n == len(types):
		s = connect.ArrayOf(shape.element(t, depth-1))
	case n == len(types)+1:
		s = connect.MapOf(rapid.SampledFrom(keys).Draw(t, "keys"), shape.element(t, depth-1))
	default:
		s = connect.StructOf()
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			name := shape.Field(t)
			if s.FieldIndex(name) < 0 {
				s = s.WithField(name, shape.Schema(t, depth-1))
			}
		}
		s = s.WithName(shape.Name(t))
	}
	if rapid.Bool().Draw(t, "optional") && !(shape.Plain && (s.Type == connect.Array || s.Type == connect.Map)) {
		s = s.AsOptional()
	}
	return s
}

func (shape Shape) element(t *rapid.T, depth int) *connect.Schema {
	s := shape.Schema(t, depth)
	for shape.Plain && (s.Type == connect.Array || s.Type == connect.Map) {
		s = s.Elements
	}
	if shape.Plain {
		return s.AsRequired()
	}
	return s
}

// Value draws a value of a schema.
func Value(t *rapid.T, s *connect.Schema) any {
	if s.Optional && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return nil
	}
	switch s.Name {
	case connect.DateName:
		return connect.DateFromDays(rapid.Int32().Draw(t, "date"))
	case connect.TimeName:
		return time.UnixMilli(rapid.Int64Range(0, 86400000).Draw(t, "time")).UTC()
	case connect.TimestampName:
		return time.UnixMilli(rapid.Int64().Draw(t, "timestamp")).UTC()
	case connect.DecimalName:
		return connect.NewDecimal(big.NewInt(rapid.Int64().Draw(t, "decimal")), 3)
	}
	switch s.Type {
	case connect.Int8:
		return rapid.Int8().Draw(t, "int8")
	case connect.Int16:
		return rapid.Int16().Draw(t, "int16")
	case connect.Int32:
		return rapid.Int32().Draw(t, "int32")
	case connect.Int64:
		return rapid.Int64().Draw(t, "int64")
	case connect.Float32:
		return rapid.Float32().Draw(t, "float32")
	case connect.Float64:
		return rapid.Float64().Draw(t, "float64")
	case connect.Boolean:
		return rapid.Bool().Draw(t, "bool")
	case connect.String:
		return rapid.String().Draw(t, "string")
	case connect.Bytes:
		return rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "bytes")
	case connect.Array:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			list = append(list, Value(t, s.Elements))
		}
		return list
	case connect.Map:
		entries := connect.MapEntries{}
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			key := Value(t, s.Keys.AsRequired())
			if _, isFloat := key.(float64); !isFloat {
				entries.Put(key, Value(t, s.Elements))
			}
		}
		return entries
	}
	out := connect.NewStruct(s)
	for i, f := range s.Fields {
		if err := out.PutAt(i, Value(t, f.Schema)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

package connect

import (
	"fmt"
	"slices"
)

// Type is the physical type of a value in Connect's data model.
//
//	Type     Go value
//	Int8     int8
//	Int16    int16
//	Int32    int32; time.Time where the schema is named Date or Time
//	Int64    int64; time.Time where the schema is named Timestamp
//	Float32  float32
//	Float64  float64
//	Boolean  bool
//	String   string
//	Bytes    []byte; Decimal where the schema is named Decimal
//	Array    []any
//	Map      MapEntries; authors may write map[string]any
//	Struct   *StructValue
//
// Null is nil, for any type.
type Type int

// The types of Connect's data model, with Java's schema type names in
// Type.String.
const (
	Int8 Type = iota
	Int16
	Int32
	Int64
	Float32
	Float64
	Boolean
	String
	Bytes
	Array
	Map
	Struct
)

var typeNames = [...]string{"INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "BOOLEAN", "STRING", "BYTES", "ARRAY", "MAP", "STRUCT"}

// String returns Java's name of the type, e.g. "INT64".
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return "UNKNOWN"
	}
	return typeNames[t]
}

// Schema describes a value. A nil *Schema means that the value is schemaless.
// Schemas are immutable once used in a record and may be shared; the With methods
// return changed copies. One *Schema for many records is much cheaper than equal ones,
// because converters and transformations remember what they made of it.
type Schema struct {
	Type       Type
	Optional   bool
	Name       string // "" is none
	Version    *int   // nil is none
	Doc        string // "" is none
	Default    any    // nil is none
	Parameters Parameters
	Fields     []Field // Struct
	Keys       *Schema // Map
	Elements   *Schema // Array and Map
}

// Field is one field of a Struct schema.
type Field struct {
	Name   string
	Schema *Schema
}

// Parameter is a property that the author of a schema gave it.
type Parameter struct{ Name, Value string }

// Parameters are properties in the order in which they are written; names are unique.
type Parameters []Parameter

// Get returns the value of the parameter with that name.
func (p Parameters) Get(name string) (value string, ok bool) {
	for _, own := range p {
		if own.Name == name {
			return own.Value, true
		}
	}
	return "", false
}

// With returns a copy in which the parameter has the value: replaced in its place, or
// added at the end.
func (p Parameters) With(name, value string) Parameters {
	out := slices.Clone(p)
	for i := range out {
		if out[i].Name == name {
			out[i].Value = value
			return out
		}
	}
	return append(out, Parameter{name, value})
}

// equal ignores the order.
func (p Parameters) equal(other Parameters) bool {
	if len(p) != len(other) {
		return false
	}
	for _, own := range p {
		if v, ok := other.Get(own.Name); !ok || v != own.Value {
			return false
		}
	}
	return true
}

// Schemas of the primitive types, which many connectors share.
var (
	Int8Schema    = &Schema{Type: Int8}
	Int16Schema   = &Schema{Type: Int16}
	Int32Schema   = &Schema{Type: Int32}
	Int64Schema   = &Schema{Type: Int64}
	Float32Schema = &Schema{Type: Float32}
	Float64Schema = &Schema{Type: Float64}
	BooleanSchema = &Schema{Type: Boolean}
	StringSchema  = &Schema{Type: String}
	BytesSchema   = &Schema{Type: Bytes}

	OptionalInt8Schema    = &Schema{Type: Int8, Optional: true}
	OptionalInt16Schema   = &Schema{Type: Int16, Optional: true}
	OptionalInt32Schema   = &Schema{Type: Int32, Optional: true}
	OptionalInt64Schema   = &Schema{Type: Int64, Optional: true}
	OptionalFloat32Schema = &Schema{Type: Float32, Optional: true}
	OptionalFloat64Schema = &Schema{Type: Float64, Optional: true}
	OptionalBooleanSchema = &Schema{Type: Boolean, Optional: true}
	OptionalStringSchema  = &Schema{Type: String, Optional: true}
	OptionalBytesSchema   = &Schema{Type: Bytes, Optional: true}
)

// ArrayOf returns the schema of a list.
func ArrayOf(elements *Schema) *Schema { return &Schema{Type: Array, Elements: elements} }

// MapOf returns the schema of a map.
func MapOf(keys, elements *Schema) *Schema { return &Schema{Type: Map, Keys: keys, Elements: elements} }

// StructOf returns the schema of a struct with the given fields, in that order.
func StructOf(fields ...Field) *Schema { return &Schema{Type: Struct, Fields: fields} }

// AsOptional returns a copy that permits null.
func (s *Schema) AsOptional() *Schema {
	c := *s
	c.Optional = true
	return &c
}

// AsRequired returns a copy that does not permit null.
func (s *Schema) AsRequired() *Schema {
	c := *s
	c.Optional = false
	return &c
}

// WithName returns a copy with that name.
func (s *Schema) WithName(name string) *Schema {
	c := *s
	c.Name = name
	return &c
}

// WithVersion returns a copy with that version.
func (s *Schema) WithVersion(version int) *Schema {
	c := *s
	c.Version = &version
	return &c
}

// WithDoc returns a copy with that documentation.
func (s *Schema) WithDoc(doc string) *Schema {
	c := *s
	c.Doc = doc
	return &c
}

// WithDefault returns a copy with that default, which must be a value of the schema;
// nil takes the default away.
func (s *Schema) WithDefault(value any) *Schema {
	c := *s
	c.Default = value
	return &c
}

// WithParameter returns a copy in which the parameter has that value.
func (s *Schema) WithParameter(name, value string) *Schema {
	c := *s
	c.Parameters = s.Parameters.With(name, value)
	return &c
}

// WithField returns a copy of a Struct schema with one more field, the last.
func (s *Schema) WithField(name string, schema *Schema) *Schema {
	c := *s
	c.Fields = append(slices.Clone(s.Fields), Field{name, schema})
	return &c
}

// FieldIndex returns the place of a Struct schema's field, -1 when there is none of
// that name.
func (s *Schema) FieldIndex(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Field returns the schema of a Struct schema's field, nil when there is none of that
// name.
func (s *Schema) Field(name string) *Schema {
	if i := s.FieldIndex(name); i >= 0 {
		return s.Fields[i].Schema
	}
	return nil
}

// String names the schema as Java does, e.g. Schema{orders:STRUCT}.
func (s *Schema) String() string {
	switch {
	case s == nil:
		return "null"
	case s.Name != "":
		return fmt.Sprintf("Schema{%s:%s}", s.Name, s.Type)
	}
	return fmt.Sprintf("Schema{%s}", s.Type)
}

// Check returns a *DataError when the schema is not whole: an element, key or field
// without schema, a field without name or with another's name, or a default that is no
// value of the schema. Who builds a schema from outside data calls it once.
func (s *Schema) Check() error {
	switch s.Type {
	case Array:
		if s.Elements == nil {
			return dataErrorf("valueSchema cannot be null.")
		}
	case Map:
		if s.Keys == nil {
			return dataErrorf("keySchema cannot be null.")
		}
		if s.Elements == nil {
			return dataErrorf("valueSchema cannot be null.")
		}
		if err := s.Keys.Check(); err != nil {
			return err
		}
	case Struct:
		if err := s.checkFields(); err != nil {
			return err
		}
	}
	if s.Elements != nil {
		if err := s.Elements.Check(); err != nil {
			return err
		}
	}
	if s.Default == nil {
		return nil
	}
	if err := s.Validate(s.Default); err != nil {
		return &DataError{Message: "Invalid default value", Err: err}
	}
	return nil
}

func (s *Schema) checkFields() error {
	names := make(map[string]bool, len(s.Fields))
	for _, f := range s.Fields {
		switch {
		case f.Name == "":
			return dataErrorf("fieldName cannot be null.")
		case f.Schema == nil:
			return dataErrorf("fieldSchema for field %s cannot be null.", f.Name)
		case names[f.Name]:
			return dataErrorf("Cannot create field because of field name duplication %s", f.Name)
		}
		names[f.Name] = true
		if err := f.Schema.Check(); err != nil {
			return err
		}
	}
	return nil
}

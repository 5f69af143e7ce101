package connect

import (
	"fmt"
	"slices"
	"strings"
)

// StructValue is the value of a Struct schema: one value a field, null to begin with.
// It is filled by one goroutine and read-only once it is in a record.
type StructValue struct {
	schema *Schema
	values []any
}

// NewStruct returns an empty struct. A schema that is not one of a Struct panics: it is
// a programming error.
func NewStruct(schema *Schema) *StructValue {
	if schema.Type != Struct {
		panic("connect: not a struct schema: " + schema.String())
	}
	// Most structs are small, and many are made for each record: they come in one piece with their values.
	n := len(schema.Fields)
	switch {
	case n <= 2:
		s := &struct {
			StructValue
			room [2]any
		}{StructValue: StructValue{schema: schema}}
		s.values = s.room[:n]
		return &s.StructValue
	case n <= 4:
		s := &struct {
			StructValue
			room [4]any
		}{StructValue: StructValue{schema: schema}}
		s.values = s.room[:n]
		return &s.StructValue
	case n <= 8:
		s := &struct {
			StructValue
			room [8]any
		}{StructValue: StructValue{schema: schema}}
		s.values = s.room[:n]
		return &s.StructValue
	}
	return &StructValue{schema: schema, values: make([]any, n)}
}

// Schema describes the struct.
func (s *StructValue) Schema() *Schema { return s.schema }

// Put sets a field. A *DataError says that there is no such field, or that the value is
// none of its schema. The value is the struct's from then on.
func (s *StructValue) Put(name string, value any) error {
	i := s.schema.FieldIndex(name)
	if i < 0 {
		return noField(name)
	}
	return s.PutAt(i, value)
}

// PutAt is Put by the place of the field in the schema.
func (s *StructValue) PutAt(i int, value any) error {
	f := &s.schema.Fields[i]
	// Most values are scalars of their schema's type; only others pay for the text of
	// the place.
	if value == nil && f.Schema.Optional || f.Schema.acceptsScalar(value) {
		s.values[i] = value
		return nil
	}
	if err := validate(f.Schema, value, fieldPlace(f.Name)); err != nil {
		return err
	}
	s.values[i] = value
	return nil
}

// acceptsScalar is true for values that need no further look.
func (s *Schema) acceptsScalar(value any) bool {
	return s.Type < Array && value != nil && s.accepts(value)
}

// Get returns a field's value, or its default where the value is null. A *DataError
// says that there is no such field.
func (s *StructValue) Get(name string) (any, error) {
	i := s.schema.FieldIndex(name)
	if i < 0 {
		return nil, noField(name)
	}
	return s.At(i), nil
}

// At is Get by the place of the field in the schema.
func (s *StructValue) At(i int) any {
	if v := s.values[i]; v != nil {
		return v
	}
	return s.schema.Fields[i].Schema.Default
}

// RawAt is At without the default: null stays null.
func (s *StructValue) RawAt(i int) any { return s.values[i] }

// Validate returns a *DataError when a required field without default is null, or a
// value inside is none of its schema.
func (s *StructValue) Validate() error {
	for i := range s.schema.Fields {
		f, v := &s.schema.Fields[i], s.values[i]
		if v == nil && (f.Schema.Optional || f.Schema.Default != nil) || f.Schema.acceptsScalar(v) {
			continue
		}
		if err := validate(f.Schema, v, fieldPlace(f.Name)); err != nil {
			return err
		}
	}
	return nil
}

// Equal reports whether two structs have equal schemas and values.
func (s *StructValue) Equal(other *StructValue) bool {
	if s == other {
		return true
	}
	return s != nil && other != nil && s.schema.Equal(other.schema) && slices.EqualFunc(s.values, other.values, EqualValues)
}

// String lists the fields that are not null, for people to read.
func (s *StructValue) String() string {
	var b strings.Builder
	b.WriteString("Struct{")
	for i, v := range s.values {
		if v == nil {
			continue
		}
		if b.Len() > len("Struct{") {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%v", s.schema.Fields[i].Name, v)
	}
	b.WriteByte('}')
	return b.String()
}

func fieldPlace(name string) string { return `field: "` + name + `"` }

func noField(name string) error { return dataErrorf("%s is not a valid field name", name) }

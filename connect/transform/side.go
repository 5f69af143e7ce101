package transform

import (
	"fmt"

	"tributary/connect"
	"tributary/internal/javatext"
)

// side is the part of a record that a transformation works on.
type side struct {
	key bool
	own *connect.Record // may be changed in place
}

var onKey, onValue = side{key: true}, side{}

// ChangeInPlace gives a transformation a record that it may change in place whenever it is applied to it, instead of
// making a copy: whoever calls it lets nobody keep that record. A transformation that has the method keeps no record
// itself; others must never see one that changes.
func (s *side) ChangeInPlace(own *connect.Record) { s.own = own }

// copying is for transformations that keep no record, and make copies all the same.
type copying struct{}

// ChangeInPlace says that no record is kept.
func (copying) ChangeInPlace(*connect.Record) {}

func (s side) of(r *connect.Record) (*connect.Schema, any) {
	if s.key {
		return r.KeySchema, r.Key
	}
	return r.ValueSchema, r.Value
}

// with returns the record with another key or value: a copy, unless it may be changed.
func (s side) with(r *connect.Record, schema *connect.Schema, value any) *connect.Record {
	out := r
	if r != s.own {
		own := *r
		out = &own
	}
	if s.key {
		out.KeySchema, out.Key = schema, value
	} else {
		out.ValueSchema, out.Value = schema, value
	}
	return out
}

// stateless has nothing to close.
type stateless struct{}

// Close implements connect.Transformation.
func (stateless) Close() error { return nil }

// cacheSize is how many schemas a transformation remembers.
const cacheSize = 16

func dataErrorf(format string, args ...any) error {
	return &connect.DataError{Message: fmt.Sprintf(format, args...)}
}

// requireMap returns the entries of a schemaless value, which must be a map. They may be
// shared: clone them before a change.
func requireMap(value any, purpose string) (connect.MapEntries, error) {
	if entries := javatext.Entries(value); entries != nil {
		return entries, nil
	}
	return nil, dataErrorf("Only Map objects supported in absence of schema for [%s], found: %s", purpose, connect.ClassName(value))
}

func requireStruct(value any, purpose string) (*connect.StructValue, error) {
	if s, ok := value.(*connect.StructValue); ok && s != nil {
		return s, nil
	}
	return nil, dataErrorf("Only Struct objects supported for [%s], found: %s", purpose, connect.ClassName(value))
}

// field reads a struct's field, whose default stands for null where the user wants that.
func field(s *connect.StructValue, i int, withDefault bool) any {
	if withDefault {
		return s.At(i)
	}
	return s.RawAt(i)
}

// basics is a new schema of the type with what describes a schema rather than its values:
// name, version, documentation and parameters.
func basics(from *connect.Schema, t connect.Type) *connect.Schema {
	return &connect.Schema{Type: t, Name: from.Name, Version: from.Version, Doc: from.Doc, Parameters: from.Parameters}
}

// copyStruct fills a struct of a new schema from the fields at the given places of the
// old one, -1 leaving null.
func copyStruct(to *connect.Schema, from *connect.StructValue, places []int, withDefault bool) (*connect.StructValue, error) {
	out := connect.NewStruct(to)
	for i, at := range places {
		if at < 0 {
			continue
		}
		if err := out.PutAt(i, field(from, at, withDefault)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// requireFields refuses the schema of anything but a struct.
func requireFields(schema *connect.Schema) error {
	if schema.Type != connect.Struct {
		return dataErrorf("Cannot list fields on non-struct type")
	}
	return nil
}

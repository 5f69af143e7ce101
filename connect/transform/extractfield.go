package transform

import (
	"tributary/connect"
	"tributary/connect/internal/fieldpath"
)

// ExtractField replaces the key or value by one of its fields.
type ExtractField struct {
	stateless
	side
	name        string
	path        fieldpath.Path
	replaceNull bool
}

var extractFieldDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "field", Type: connect.TypeString, Required: true, Importance: connect.Medium, Doc: "Name of the field, or its path with field.syntax.version=V2."},
	replaceNullKey, fieldpath.SyntaxKey)

// ConfigDef implements connect.Transformation.
func (*ExtractField) ConfigDef() *connect.ConfigDef { return extractFieldDef }

// Configure implements connect.Transformation.
func (t *ExtractField) Configure(config map[string]string) error {
	v, err := extractFieldDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.name, t.replaceNull = v.String("field"), v.Bool("replace.null.with.default")
	t.path, err = fieldpath.Parse(t.name, v.String("field.syntax.version"))
	return err
}

// Apply implements connect.Transformation.
func (t *ExtractField) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "field extraction"
	schema, value := t.of(r)
	if schema == nil {
		if value == nil {
			return t.with(r, nil, nil), nil
		}
		entries, err := requireMap(value, purpose)
		if err != nil {
			return nil, err
		}
		v, err := t.path.In(entries, false)
		return t.with(r, nil, v), err
	}
	var s *connect.StructValue
	if value != nil {
		var err error
		if s, err = requireStruct(value, purpose); err != nil {
			return nil, err
		}
	}
	if schema.Type != connect.Struct {
		return nil, dataErrorf("Cannot look up fields on non-struct type")
	}
	fieldSchema := t.path.Schema(schema)
	if fieldSchema == nil {
		return nil, dataErrorf("Unknown field: %s", t.name)
	}
	if s == nil {
		return t.with(r, fieldSchema, nil), nil
	}
	v, err := t.path.In(s, t.replaceNull)
	return t.with(r, fieldSchema, v), err
}

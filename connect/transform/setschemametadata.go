package transform

import "tributary/connect"

// SetSchemaMetadata gives a struct's schema another name, version or both.
type SetSchemaMetadata struct {
	stateless
	side
	name        string
	version     *int
	replaceNull bool
	schemas     *cache[*connect.Schema]
}

var setSchemaMetadataDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "schema.name", Type: connect.TypeString, Importance: connect.High, Doc: "New name of the schema."},
	connect.ConfigKey{Name: "schema.version", Type: connect.TypeInt, Importance: connect.High, Doc: "New version of the schema."},
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*SetSchemaMetadata) ConfigDef() *connect.ConfigDef { return setSchemaMetadataDef }

// Configure implements connect.Transformation.
func (t *SetSchemaMetadata) Configure(config map[string]string) error {
	v, err := setSchemaMetadataDef.ParseValues(config)
	if err != nil {
		return err
	}
	if v.IsNull("schema.name") && v.IsNull("schema.version") {
		return configError("Neither schema name nor version configured")
	}
	t.name, t.version = v.String("schema.name"), nil
	if !v.IsNull("schema.version") {
		version := int(v.Int("schema.version"))
		t.version = &version
	}
	t.replaceNull = v.Bool("replace.null.with.default")
	t.schemas = newCache[*connect.Schema]()
	return nil
}

// Apply implements connect.Transformation.
func (t *SetSchemaMetadata) Apply(r *connect.Record) (*connect.Record, error) {
	schema, value := t.of(r)
	switch {
	case schema == nil && value == nil:
		return r, nil
	case schema == nil:
		return nil, dataErrorf("Schema required for [updating schema metadata]")
	}
	updated, err := t.schemas.Get(schema, func(schema *connect.Schema) (*connect.Schema, error) {
		if err := requireFields(schema); err != nil { // Java's, in effect: only structs are accepted
			return nil, err
		}
		out := *schema
		if t.name != "" {
			out.Name = t.name
		}
		if t.version != nil {
			out.Version = t.version
		}
		return &out, nil
	})
	if err != nil {
		return nil, err
	}
	s, ok := value.(*connect.StructValue)
	if !ok {
		return t.with(r, updated, value), nil // null
	}
	out := connect.NewStruct(updated)
	for i := range updated.Fields {
		if err := out.PutAt(i, field(s, i, t.replaceNull)); err != nil {
			return nil, err
		}
	}
	return t.with(r, updated, out), nil
}

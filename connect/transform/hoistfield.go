package transform

import "tributary/connect"

// HoistField wraps the key or value in a struct or map with one field.
type HoistField struct {
	stateless
	side
	name    string
	schemas *cache[*connect.Schema]
}

var hoistFieldDef = connect.NewConfigDef(connect.ConfigKey{Name: "field", Type: connect.TypeString, Required: true, Importance: connect.Medium,
	Doc: "Name of the one field of the struct or map that is made."})

// ConfigDef implements connect.Transformation.
func (*HoistField) ConfigDef() *connect.ConfigDef { return hoistFieldDef }

// Configure implements connect.Transformation.
func (t *HoistField) Configure(config map[string]string) error {
	v, err := hoistFieldDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.name, t.schemas = v.String("field"), newCache[*connect.Schema]()
	return nil
}

// Apply implements connect.Transformation.
func (t *HoistField) Apply(r *connect.Record) (*connect.Record, error) {
	schema, value := t.of(r)
	if schema == nil {
		return t.with(r, nil, connect.MapEntries{{Key: t.name, Value: value}}), nil
	}
	wrapped, err := t.schemas.Get(schema, func(schema *connect.Schema) (*connect.Schema, error) {
		s := connect.StructOf(connect.Field{Name: t.name, Schema: schema})
		return s, s.Check()
	})
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(wrapped)
	if err := out.PutAt(0, value); err != nil {
		return nil, err
	}
	return t.with(r, wrapped, out), nil
}

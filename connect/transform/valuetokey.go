package transform

import (
	"slices"

	"tributary/connect"
)

// ValueToKey makes the key of fields of the value.
type ValueToKey struct {
	stateless
	copying
	fields      []string
	replaceNull bool
	plans       *cache[*replacePlan]
}

var valueToKeyDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "fields", Type: connect.TypeList, Required: true, Importance: connect.High, Items: connect.SomeUniqueItems,
		Doc: "Names of the value's fields that make the key."},
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*ValueToKey) ConfigDef() *connect.ConfigDef { return valueToKeyDef }

// Configure implements connect.Transformation.
func (t *ValueToKey) Configure(config map[string]string) error {
	v, err := valueToKeyDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.fields = nil
	for _, name := range v.List("fields") {
		if !slices.Contains(t.fields, name) {
			t.fields = append(t.fields, name)
		}
	}
	t.replaceNull = v.Bool("replace.null.with.default")
	t.plans = newCache[*replacePlan]()
	return nil
}

// Apply implements connect.Transformation.
func (t *ValueToKey) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "copying fields from value to key"
	if r.ValueSchema == nil {
		entries, err := requireMap(r.Value, purpose)
		if err != nil {
			return nil, err
		}
		m := newMap(len(t.fields))
		for _, name := range t.fields {
			v, _ := entries.Get(name)
			m.put(name, v)
		}
		return onKey.with(r, nil, m.done()), nil
	}
	s, err := requireStruct(r.Value, purpose)
	if err != nil {
		return nil, err
	}
	plan, err := t.plans.Get(s.Schema(), t.plan)
	if err != nil {
		return nil, err
	}
	key, err := copyStruct(plan.schema, s, plan.places, t.replaceNull)
	if err != nil {
		return nil, err
	}
	return onKey.with(r, plan.schema, key), nil
}

func (t *ValueToKey) plan(schema *connect.Schema) (*replacePlan, error) {
	plan := &replacePlan{schema: connect.StructOf()}
	for _, name := range t.fields {
		at := schema.FieldIndex(name)
		if at < 0 {
			return nil, dataErrorf("Field does not exist: %s", name)
		}
		plan.schema.Fields = append(plan.schema.Fields, schema.Fields[at])
		plan.places = append(plan.places, at)
	}
	return plan, nil
}

package transform

import (
	"tributary/connect"
	"tributary/internal/javatext"
)

// Flatten makes nested structs or maps one, with the names of the fields on the way
// joined. Lists stay as they are.
type Flatten struct {
	stateless
	side
	delimiter string
	schemas   *cache[*connect.Schema]
}

var flattenDef = connect.NewConfigDef(connect.ConfigKey{Name: "delimiter", Type: connect.TypeString, Default: ".", Importance: connect.Medium,
	Doc: "What stands between the names."})

// ConfigDef implements connect.Transformation.
func (*Flatten) ConfigDef() *connect.ConfigDef { return flattenDef }

// Configure implements connect.Transformation.
func (t *Flatten) Configure(config map[string]string) error {
	v, err := flattenDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.delimiter, t.schemas = v.String("delimiter"), newCache[*connect.Schema]()
	return nil
}

// Apply implements connect.Transformation.
func (t *Flatten) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "flattening"
	schema, value := t.of(r)
	switch {
	case value == nil:
		return r, nil
	case schema == nil:
		entries, err := requireMap(value, purpose)
		if err != nil {
			return nil, err
		}
		out := connect.NewMapBuilder(nil)
		if err := t.flattenMap(entries, "", out); err != nil {
			return nil, err
		}
		return t.with(r, nil, out.Entries()), nil
	}
	s, err := requireStruct(value, purpose)
	if err != nil {
		return nil, err
	}
	flat, err := t.schemas.Get(schema, t.flattenSchema)
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(flat)
	if err := t.flattenStruct(s, "", out); err != nil {
		return nil, err
	}
	return t.with(r, flat, out), nil
}

func (t *Flatten) join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + t.delimiter + name
}

// flattenMap keeps the order in which the fields are met, as Java does here alone.
func (t *Flatten) flattenMap(from connect.MapEntries, prefix string, out *connect.MapBuilder) error {
	for _, e := range from {
		name := t.join(prefix, javatext.String(e.Key))
		kind, ok := connect.TypeOf(e.Value)
		switch {
		case e.Value == nil:
		case !ok:
			return dataErrorf("Flatten transformation was passed a value of type class %s which is not supported by Connect's data API", connect.ClassName(e.Value))
		case kind == connect.Map:
			if err := t.flattenMap(javatext.Entries(e.Value), name, out); err != nil {
				return err
			}
			continue
		case kind == connect.Struct:
			return dataErrorf("Flatten transformation does not support class %s for record without schemas (for field %s).", connect.ClassName(e.Value), name)
		}
		out.Put(name, e.Value)
	}
	return nil
}

func (t *Flatten) flattenSchema(schema *connect.Schema) (*connect.Schema, error) {
	flat := basics(schema, connect.Struct)
	parent, _ := schema.Default.(*connect.StructValue)
	if err := t.addFields(flat, schema, "", schema.Optional, parent); err != nil {
		return nil, err
	}
	return flat, flat.Check()
}

func (t *Flatten) addFields(flat, schema *connect.Schema, prefix string, optional bool, parent *connect.StructValue) error {
	for i, f := range schema.Fields {
		name := t.join(prefix, f.Name)
		fallback := f.Schema.Default
		if fallback == nil && parent != nil {
			fallback = parent.At(i)
		}
		switch f.Schema.Type {
		case connect.Map:
			return noMaps(name)
		case connect.Struct:
			inner, _ := fallback.(*connect.StructValue)
			if err := t.addFields(flat, f.Schema, name, optional || f.Schema.Optional, inner); err != nil {
				return err
			}
		default:
			leaf := basics(f.Schema, f.Schema.Type)
			leaf.Elements, leaf.Optional, leaf.Default = f.Schema.Elements, optional || f.Schema.Optional, fallback
			flat.Fields = append(flat.Fields, connect.Field{Name: name, Schema: leaf})
		}
	}
	return nil
}

func noMaps(name string) error {
	return dataErrorf("Flatten transformation does not support MAP for record with schemas (for field %s).", name)
}

func (t *Flatten) flattenStruct(s *connect.StructValue, prefix string, out *connect.StructValue) error {
	for i, f := range s.Schema().Fields {
		name := t.join(prefix, f.Name)
		switch f.Schema.Type {
		case connect.Map:
			return noMaps(name)
		case connect.Struct:
			if inner, ok := s.RawAt(i).(*connect.StructValue); ok {
				if err := t.flattenStruct(inner, name, out); err != nil {
					return err
				}
			}
		default:
			if err := out.Put(name, s.At(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

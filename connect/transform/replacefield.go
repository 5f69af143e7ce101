package transform

import (
	"fmt"

	"tributary/connect"
	"tributary/internal/javatext"
)

// ReplaceField leaves fields out and gives others new names.
type ReplaceField struct {
	stateless
	side
	exclude, include map[string]bool
	renames          map[string]string
	original         map[string]string // by new name
	replaceNull      bool
	plans            *cache[*replacePlan]
}

// replacePlan is the new schema, and where its fields are in the old one.
type replacePlan struct {
	schema *connect.Schema
	places []int
}

var replaceFieldDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "exclude", Type: connect.TypeList, Default: []string{}, Importance: connect.Medium, Items: connect.UniqueItems,
		Doc: "Fields to leave out, even when they are included."},
	connect.ConfigKey{Name: "include", Type: connect.TypeList, Default: []string{}, Importance: connect.Medium, Items: connect.UniqueItems,
		Doc: "Fields to keep; all when there are none."},
	connect.ConfigKey{Name: "renames", Type: connect.TypeList, Default: []string{}, Importance: connect.Medium, Validate: func(v any) string {
		list, _ := v.([]string)
		if _, err := parseRenames(list); err != nil {
			return err.Error()
		}
		return ""
	}, Doc: "New names, as old:new. What is left out goes by the old ones."},
	replaceNullKey)

func parseRenames(list []string) (map[string]string, error) {
	out := make(map[string]string, len(list))
	for _, mapping := range list {
		parts := javaSplit(mapping, ":")
		if len(parts) != 2 {
			return nil, fmt.Errorf("Invalid rename mapping: %s", mapping)
		}
		out[parts[0]] = parts[1]
	}
	return out, nil
}

// ConfigDef implements connect.Transformation.
func (*ReplaceField) ConfigDef() *connect.ConfigDef { return replaceFieldDef }

// Configure implements connect.Transformation.
func (t *ReplaceField) Configure(config map[string]string) error {
	v, err := replaceFieldDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.exclude, t.include = setOf(v.List("exclude")), setOf(v.List("include"))
	if t.renames, err = parseRenames(v.List("renames")); err != nil {
		return err
	}
	t.original = map[string]string{}
	for _, old := range javatext.HashMapKeys(t.renames) { // of two with one new name the last counts
		t.original[t.renames[old]] = old
	}
	t.replaceNull = v.Bool("replace.null.with.default")
	t.plans = newCache[*replacePlan]()
	return nil
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, item := range list {
		set[item] = true
	}
	return set
}

func (t *ReplaceField) keeps(name string) bool {
	return !t.exclude[name] && (len(t.include) == 0 || t.include[name])
}

func (t *ReplaceField) renamed(name string) string {
	if renamed, ok := t.renames[name]; ok {
		return renamed
	}
	return name
}

// Apply implements connect.Transformation.
func (t *ReplaceField) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "field replacement"
	schema, value := t.of(r)
	if value == nil {
		return r, nil
	}
	if schema == nil {
		entries, err := requireMap(value, purpose)
		if err != nil {
			return nil, err
		}
		m := newMap(len(entries))
		for _, e := range entries {
			name := javatext.String(e.Key)
			if t.keeps(name) {
				m.put(t.renamed(name), e.Value)
			}
		}
		return t.with(r, nil, m.done()), nil
	}
	s, err := requireStruct(value, purpose)
	if err != nil {
		return nil, err
	}
	plan, err := t.plans.Get(s.Schema(), t.plan)
	if err != nil {
		return nil, err
	}
	out, err := copyStruct(plan.schema, s, plan.places, t.replaceNull)
	if err != nil {
		return nil, err
	}
	return t.with(r, plan.schema, out), nil
}

func (t *ReplaceField) plan(schema *connect.Schema) (*replacePlan, error) {
	plan := &replacePlan{schema: basics(schema, connect.Struct)}
	for _, f := range schema.Fields {
		if !t.keeps(f.Name) {
			continue
		}
		name := t.renamed(f.Name)
		plan.schema.Fields = append(plan.schema.Fields, connect.Field{Name: name, Schema: f.Schema})
		old, ok := t.original[name]
		if !ok {
			old = name
		}
		at := schema.FieldIndex(old)
		if at < 0 {
			return nil, dataErrorf("%s is not a valid field name", old)
		}
		plan.places = append(plan.places, at)
	}
	return plan, plan.schema.Check()
}

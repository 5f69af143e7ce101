package transform

import (
	"time"

	"tributary/connect"
	"tributary/connect/internal/values"
	"tributary/internal/javatext"
)

// MaskField replaces the values of fields by an empty one of their type, or by a given
// one.
type MaskField struct {
	stateless
	side
	fields      []string
	masked      map[string]bool
	replacement string
	replace     bool
	replaceNull bool
}

var maskFieldDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "fields", Type: connect.TypeList, Required: true, Importance: connect.High, Items: connect.SomeUniqueItems, Doc: "Names of the fields."},
	connect.ConfigKey{Name: "replacement", Type: connect.TypeString, Importance: connect.Low, Validate: nonEmptyText,
		Doc: "What to put in place of numbers and texts; without it, zero and the empty text."},
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*MaskField) ConfigDef() *connect.ConfigDef { return maskFieldDef }

// Configure implements connect.Transformation.
func (t *MaskField) Configure(config map[string]string) error {
	v, err := maskFieldDef.ParseValues(config)
	if err != nil {
		return err
	}
	names := connect.MapEntries{}
	t.masked = map[string]bool{}
	for _, name := range v.List("fields") {
		names.Put(name, nil)
		t.masked[name] = true
	}
	// Java's HashSet decides the order in which missing fields are added to a map.
	javatext.SortAsHashMap(names, max(javatext.DefaultCapacity, javatext.CopyCapacity(len(names))))
	t.fields = nil
	for _, e := range names {
		t.fields = append(t.fields, e.Key.(string))
	}
	t.replacement, t.replace = v.String("replacement"), !v.IsNull("replacement")
	t.replaceNull = v.Bool("replace.null.with.default")
	return nil
}

// Apply implements connect.Transformation.
func (t *MaskField) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "mask fields"
	schema, value := t.of(r)
	if schema == nil {
		entries, err := requireMap(value, purpose)
		if err != nil {
			return nil, err
		}
		m := copyMap(entries)
		for _, name := range t.fields {
			old, _ := entries.Get(name)
			v, err := t.mask(old)
			if err != nil {
				return nil, err
			}
			m.put(name, v)
		}
		return t.with(r, nil, m.done()), nil
	}
	s, err := requireStruct(value, purpose)
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(s.Schema())
	for i, f := range s.Schema().Fields {
		v := field(s, i, t.replaceNull)
		if t.masked[f.Name] {
			if v, err = t.mask(v); err != nil {
				return nil, err
			}
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return t.with(r, schema, out), nil
}

func (t *MaskField) mask(value any) (any, error) {
	switch {
	case value == nil:
		return nil, nil
	case t.replace:
		return replacement(value, t.replacement)
	}
	switch value.(type) {
	case bool:
		return false, nil
	case int8:
		return int8(0), nil
	case int16:
		return int16(0), nil
	case int32:
		return int32(0), nil
	case int64:
		return int64(0), nil
	case float32:
		return float32(0), nil
	case float64:
		return float64(0), nil
	case connect.Decimal:
		return connect.Decimal{}, nil
	case time.Time:
		return time.UnixMilli(0).UTC(), nil
	case string:
		return "", nil
	case []any:
		return []any{}, nil
	case map[string]any, connect.MapEntries:
		return connect.MapEntries{}, nil
	}
	return nil, dataErrorf("Cannot mask value of type: class %s", connect.ClassName(value))
}

// replacement is the text as a value of the same type.
func replacement(value any, text string) (any, error) {
	switch value.(type) {
	case string:
		return text, nil
	case int8, int16, int32, int64:
		n, err := values.ToInt64(text)
		if err != nil {
			return nil, err
		}
		t, _ := connect.TypeOf(value)
		return wrap(n, t), nil
	case float32:
		f, err := values.ToFloat64(text)
		return float32(f), err
	case float64:
		return values.ToFloat64(text)
	case connect.Decimal:
		d, err := connect.ParseDecimal(text)
		if err != nil {
			return nil, dataErrorf("Unable to convert %s (class java.lang.String) to number", text)
		}
		return d, nil
	}
	return nil, dataErrorf("Cannot mask value of type class %s with custom replacement.", connect.ClassName(value))
}

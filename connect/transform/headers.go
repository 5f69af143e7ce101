package transform

import (
	"slices"

	"tributary/connect"
	"tributary/connect/internal/values"
)

// DropHeaders removes all headers with the given names.
type DropHeaders struct {
	stateless
	copying
	names map[string]bool
}

var dropHeadersDef = connect.NewConfigDef(connect.ConfigKey{Name: "headers", Type: connect.TypeList, Required: true, Importance: connect.High,
	Items: connect.SomeUniqueItems, Doc: "Names of the headers to remove."})

// ConfigDef implements connect.Transformation.
func (*DropHeaders) ConfigDef() *connect.ConfigDef { return dropHeadersDef }

// Configure implements connect.Transformation.
func (t *DropHeaders) Configure(config map[string]string) error {
	v, err := dropHeadersDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.names = map[string]bool{}
	for _, name := range v.List("headers") {
		t.names[name] = true
	}
	return nil
}

// Apply implements connect.Transformation.
func (t *DropHeaders) Apply(r *connect.Record) (*connect.Record, error) {
	out := *r
	out.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h connect.Header) bool { return t.names[h.Key] })
	return &out, nil
}

// InsertHeader adds a header with a value that is read from its text, as header values
// are: "123" becomes a number.
type InsertHeader struct {
	stateless
	copying
	header connect.Header
}

var insertHeaderDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "header", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: notNull, Doc: "Name of the header."},
	connect.ConfigKey{Name: "value.literal", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: notNull,
		Doc: "Text of the value. It is read as a header's text is: as null, boolean, number, date, list or map where it looks like one."})

// ConfigDef implements connect.Transformation.
func (*InsertHeader) ConfigDef() *connect.ConfigDef { return insertHeaderDef }

// Configure implements connect.Transformation.
func (t *InsertHeader) Configure(config map[string]string) error {
	v, err := insertHeaderDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.header.Key = v.String("header")
	t.header.Schema, t.header.Value = values.Parse(v.String("value.literal"))
	return nil
}

// Apply implements connect.Transformation.
func (t *InsertHeader) Apply(r *connect.Record) (*connect.Record, error) {
	out := *r
	out.Headers = append(slices.Clone(r.Headers), t.header)
	return &out, nil
}

// HeaderFrom copies or moves fields to headers.
type HeaderFrom struct {
	stateless
	side
	fields, headers []string
	move            bool
	replaceNull     bool
	schemas         *cache[*connect.Schema]
}

var headerFromDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "fields", Type: connect.TypeList, Required: true, Importance: connect.High, Validate: nonEmptyList, Doc: "Names of the fields."},
	connect.ConfigKey{Name: "headers", Type: connect.TypeList, Required: true, Importance: connect.High, Validate: nonEmptyList,
		Doc: "Names of the headers, in the order of the fields."},
	connect.ConfigKey{Name: "operation", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: requiredOneOf("move", "copy"),
		Doc: "move takes the fields away from the key or value, copy leaves them there."},
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*HeaderFrom) ConfigDef() *connect.ConfigDef { return headerFromDef }

// Configure implements connect.Transformation.
func (t *HeaderFrom) Configure(config map[string]string) error {
	v, err := headerFromDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.fields, t.headers = v.List("fields"), v.List("headers")
	if len(t.fields) != len(t.headers) {
		return configError("'fields' config must have the same number of elements as 'headers' config.")
	}
	t.move, t.replaceNull = v.String("operation") == "move", v.Bool("replace.null.with.default")
	t.schemas = newCache[*connect.Schema]()
	return nil
}

func (t *HeaderFrom) purpose() string {
	if t.move {
		return "header move"
	}
	return "header copy"
}

// Apply implements connect.Transformation.
func (t *HeaderFrom) Apply(r *connect.Record) (*connect.Record, error) {
	schema, value := t.of(r)
	if schema == nil {
		return t.applyToMap(r, value)
	}
	s, err := requireStruct(value, t.purpose())
	if err != nil {
		return nil, err
	}
	headers := slices.Clone(r.Headers)
	for i, name := range t.fields {
		at := schema.FieldIndex(name)
		if at < 0 {
			return nil, dataErrorf("Field does not exist: %s", name)
		}
		fieldSchema, v := schema.Fields[at].Schema, any(nil)
		if own := s.Schema().FieldIndex(name); own >= 0 {
			v = field(s, own, t.replaceNull)
		}
		if err := fieldSchema.ValidateHeader(v); err != nil {
			return nil, err
		}
		headers = append(headers, connect.Header{Key: t.headers[i], Schema: fieldSchema, Value: v})
	}
	out := r
	if t.move {
		if out, err = t.withoutFields(r, schema, s); err != nil {
			return nil, err
		}
	}
	result := *out
	result.Headers = headers
	return &result, nil
}

func (t *HeaderFrom) withoutFields(r *connect.Record, schema *connect.Schema, s *connect.StructValue) (*connect.Record, error) {
	rest, err := t.schemas.Get(schema, func(schema *connect.Schema) (*connect.Schema, error) {
		out := basics(schema, connect.Struct)
		for _, f := range schema.Fields {
			if !slices.Contains(t.fields, f.Name) {
				out.Fields = append(out.Fields, f)
			}
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	places := make([]int, len(rest.Fields))
	for i, f := range rest.Fields {
		places[i] = s.Schema().FieldIndex(f.Name)
	}
	out, err := copyStruct(rest, s, places, t.replaceNull)
	if err != nil {
		return nil, err
	}
	return t.with(r, rest, out), nil
}

func (t *HeaderFrom) applyToMap(r *connect.Record, value any) (*connect.Record, error) {
	entries, err := requireMap(value, t.purpose())
	if err != nil {
		return nil, err
	}
	headers := slices.Clone(r.Headers)
	for i, name := range t.fields {
		v, _ := entries.Get(name)
		headers = append(headers, connect.Header{Key: t.headers[i], Value: v})
	}
	m := copyMap(entries)
	if t.move {
		for _, name := range t.fields {
			m.remove(name)
		}
	}
	out := t.with(r, nil, m.done())
	out.Headers = headers
	return out, nil
}

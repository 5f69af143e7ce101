package jsonschema

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tributary/connect"
	"tributary/internal/javajson"
)

// schemaReader makes Connect schemas of JSON Schemas.
type schemaReader struct {
	optional bool // use.optional.for.nonrequired

	documents map[string]any // by the names that references use; "" is the schema itself
	depth     int
}

// maxDepth bounds schemas that refer to themselves.
const maxDepth = 100

// place is a schema within a document, which references start from.
type place struct {
	node     any
	document string
}

// of returns the schema at a place; nil for one that allows everything. version is 0 where
// there is none.
func (r *schemaReader) of(at place, version int, optional bool) (*connect.Schema, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, dataError(fmt.Sprintf("the schema contains itself, or nests deeper than %d, which Connect's data model cannot hold here", maxDepth), nil)
	}
	defer func() { r.depth-- }()
	m, ok := at.node.(javajson.Members)
	if allows, isBool := at.node.(bool); isBool && allows {
		return nil, nil
	}
	if !ok {
		return nil, dataError("a schema is neither an object nor true", nil)
	}
	if ref, ok := m.Get("$ref").(string); ok {
		target, err := r.follow(at.document, ref)
		if err != nil {
			return nil, err
		}
		return r.of(target, version, optional)
	}
	if list, ok := m.Get("allOf").([]any); ok {
		own := slices.DeleteFunc(slices.Clone(m), func(member javajson.Member) bool { return member.Name == "allOf" })
		return r.allOf(at, append(slices.Clip(list), own), version, optional)
	}
	if list := branches(m); len(list) == 1 {
		return r.of(place{list[0], at.document}, version, optional)
	}
	if s, done, err := r.optionalOf(at, m, version); done || err != nil {
		return s, err
	}
	s, err := r.bare(at, m)
	if err != nil || s == nil {
		return s, err
	}
	if err := r.annotate(s, m, version); err != nil {
		return nil, err
	}
	s.Optional = s.Optional || optional
	return s, nil
}

// branches are the alternatives of a schema: oneOf, anyOf or a list of types; nil if it
// has none. Beside properties, oneOf and anyOf say but which of them are needed.
func branches(m javajson.Members) []any {
	properties, _ := m.Get("properties").(javajson.Members)
	for _, name := range []string{"oneOf", "anyOf"} {
		if list, ok := m.Get(name).([]any); ok && len(properties) == 0 {
			return list
		}
	}
	types, ok := m.Get("type").([]any)
	if !ok {
		return nil
	}
	if len(types) == 1 {
		return nil
	}
	var out []any
	for _, t := range types {
		own := javajson.Members{{Name: "type", Value: t}}
		if t != "null" {
			for _, other := range m {
				if other.Name != "type" && other.Name != connectIndex {
					own = append(own, other)
				}
			}
		}
		out = append(out, own)
	}
	return out
}

func isNull(node any) bool {
	m, _ := node.(javajson.Members)
	return m.Get("type") == "null"
}

// optionalOf handles a choice between null and one other schema.
func (r *schemaReader) optionalOf(at place, m javajson.Members, version int) (*connect.Schema, bool, error) {
	list := branches(m)
	if len(list) != 2 || isNull(list[0]) == isNull(list[1]) {
		return nil, false, nil
	}
	other := list[0]
	if isNull(other) {
		other = list[1]
	}
	s, err := r.of(place{other, at.document}, version, true)
	return s, true, err
}

func typeOf(m javajson.Members) string {
	switch t := m.Get("type").(type) {
	case string:
		return t
	case []any:
		if len(t) == 1 {
			name, _ := t[0].(string)
			return name
		}
	}
	if m.Get("properties") != nil || m.Get("additionalProperties") != nil {
		return "object"
	}
	if m.Get("items") != nil {
		return "array"
	}
	return ""
}

var numberTypes = map[string]*connect.Schema{
	"int8": connect.Int8Schema, "int16": connect.Int16Schema, "int32": connect.Int32Schema, "int64": connect.Int64Schema,
	"float32": connect.Float32Schema, "float64": connect.Float64Schema, "bytes": connect.BytesSchema,
}

// bare returns a schema that is the caller's to change.
func (r *schemaReader) bare(at place, m javajson.Members) (*connect.Schema, error) {
	if list := branches(m); list != nil {
		return r.oneOf(at, list)
	}
	own, _ := m.Get(connectType).(string)
	kind := typeOf(m)
	if symbols, ok := m.Get("enum").([]any); ok && (kind == "string" || kind == "") {
		s := connect.StringSchema.WithParameter(enumParameter, "")
		for _, symbol := range symbols {
			text, ok := symbol.(string)
			if !ok {
				text = plainText(symbol)
			}
			s = s.WithParameter(enumParameter+"."+text, text)
		}
		return s, nil
	}
	if constant, has := m.Find("const"); has && kind == "" {
		kind = constType(constant)
	}
	switch kind {
	case "boolean":
		return &connect.Schema{Type: connect.Boolean}, nil
	case "integer", "number":
		s := connect.Float64Schema
		if kind == "integer" {
			s = connect.Int64Schema
		}
		if own != "" {
			if s = numberTypes[own]; s == nil {
				return nil, dataError("Unsupported type "+own, nil)
			}
		}
		c := *s
		return &c, nil
	case "string":
		if own == "bytes" {
			return &connect.Schema{Type: connect.Bytes}, nil
		}
		return &connect.Schema{Type: connect.String}, nil
	case "array":
		return r.array(at, m, own)
	case "object":
		return r.object(at, m, own)
	case "":
		return nil, nil // anything
	}
	return nil, dataError("Unsupported schema type "+kind, nil)
}

func constType(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case javajson.Number:
		if v.Integer {
			return "integer"
		}
		return "number"
	}
	return ""
}

func plainText(v any) string {
	switch v := v.(type) {
	case javajson.Number:
		return string(v.Text)
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

// oneOf is a struct with a field for each alternative, of which one is set.
func (r *schemaReader) oneOf(at place, list []any) (*connect.Schema, error) {
	s := &connect.Schema{Type: connect.Struct, Name: oneOfName}
	for _, own := range list {
		if isNull(own) {
			s.Optional = true
			continue
		}
		f, err := r.of(place{own, at.document}, 0, true)
		if err != nil {
			return nil, err
		}
		if f == nil {
			return nil, dataError("an alternative of a schema allows everything", nil)
		}
		s.Fields = append(s.Fields, connect.Field{Name: oneOfName + ".field." + strconv.Itoa(len(s.Fields)), Schema: f})
	}
	return s, nil
}

// allOf is understood where one of the schemas is what counts, and the others narrow it;
// objects are put together.
func (r *schemaReader) allOf(at place, list []any, version int, optional bool) (*connect.Schema, error) {
	var merged *connect.Schema
	for _, own := range list {
		s, err := r.of(place{own, at.document}, 0, false)
		if err != nil {
			return nil, err
		}
		switch {
		case s == nil:
		case merged == nil:
			merged = s
		case merged.Type == connect.Struct && s.Type == connect.Struct:
			merged = together(merged, s)
		case merged.Type == connect.String && len(s.Parameters) > 0:
			merged = s // an enum of strings
		case merged.Type != s.Type:
			return nil, dataError("Unsupported criterion allOf", nil)
		}
	}
	if merged == nil {
		return nil, dataError("Unsupported criterion allOf", nil)
	}
	c := *merged
	m, _ := at.node.(javajson.Members)
	if err := r.annotate(&c, m, version); err != nil {
		return nil, err
	}
	c.Optional = c.Optional || optional
	return &c, nil
}

// together has the fields of both structs; those of the second replace others of their names.
// Fields count more than a choice.
func together(a, b *connect.Schema) *connect.Schema {
	switch {
	case len(b.Fields) == 0 || b.Name == oneOfName && len(a.Fields) > 0:
		return a
	case len(a.Fields) == 0 || a.Name == oneOfName:
		return b
	}
	out := *a
	out.Fields = slices.Clone(a.Fields)
	for _, f := range b.Fields {
		if at := out.FieldIndex(f.Name); at >= 0 {
			out.Fields[at] = f
		} else {
			out.Fields = append(out.Fields, f)
		}
	}
	return &out
}

func (r *schemaReader) array(at place, m javajson.Members, own string) (*connect.Schema, error) {
	items, has := m.Find("items")
	if _, isTuple := items.([]any); !has || isTuple {
		return nil, dataError("Array schema did not specify the items type", nil)
	}
	if inner, ok := items.(javajson.Members); ok && own == "map" && typeOf(inner) == "object" {
		members, _ := inner.Get("properties").(javajson.Members)
		keys, err := r.of(place{members.Get("key"), at.document}, 0, false)
		if err == nil && keys == nil {
			err = dataError("the key of a map allows everything; Connect's keys need a type", nil)
		}
		if err != nil {
			return nil, err
		}
		elements, err := r.of(place{members.Get("value"), at.document}, 0, false)
		return connect.MapOf(keys, elements), err
	}
	elements, err := r.of(place{items, at.document}, 0, false)
	return connect.ArrayOf(elements), err
}

func (r *schemaReader) object(at place, m javajson.Members, own string) (*connect.Schema, error) {
	if own == "map" {
		elements, err := r.of(place{m.Get("additionalProperties"), at.document}, 0, false)
		return connect.MapOf(connect.StringSchema, elements), err
	}
	properties, _ := m.Get("properties").(javajson.Members)
	type ordered struct {
		index int
		connect.Field
	}
	var required []any
	if r.optional {
		required, _ = m.Get("required").([]any)
	}
	fields := make([]ordered, len(properties))
	for i, p := range properties {
		s, err := r.of(place{p.Value, at.document}, 0, r.optional && !slices.Contains(required, any(p.Name)))
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", p.Name, err)
		}
		if s == nil {
			return nil, dataError("field "+p.Name+" allows everything; Connect's fields need a type", nil)
		}
		fields[i] = ordered{i, connect.Field{Name: p.Name, Schema: s}}
		members, _ := p.Value.(javajson.Members)
		if number, ok := members.Get(connectIndex).(javajson.Number); ok {
			fields[i].index = int(number.Truncated())
		}
	}
	slices.SortStableFunc(fields, func(a, b ordered) int { return cmp.Compare(a.index, b.index) })
	s := &connect.Schema{Type: connect.Struct}
	for _, f := range fields {
		s.Fields = append(s.Fields, f.Field)
	}
	return s, nil
}

func (r *schemaReader) annotate(s *connect.Schema, m javajson.Members, version int) error {
	if title, ok := m.Get("title").(string); ok {
		s.Name = title
	}
	if own, ok := m.Get(connectVersion).(javajson.Number); ok {
		version := int(own.Truncated())
		s.Version = &version
	} else if version > 0 {
		s.Version = &version
	}
	if doc, ok := m.Get("description").(string); ok {
		s.Doc = doc
	}
	params, _ := m.Get(connectParams).(javajson.Members)
	for _, p := range params {
		text, ok := p.Value.(string)
		if !ok {
			return dataError("Expected schema parameter values to be strings, but "+p.Name+" is none", nil)
		}
		s.Parameters = s.Parameters.With(p.Name, text)
	}
	if preset := m.Get("default"); preset != nil {
		v, err := readValue(s, preset)
		if err != nil {
			return dataError("Invalid default value", err)
		}
		s.Default = v
	}
	return nil
}

// follow finds what a reference points to: a place in the same document, or in one that
// the registry has under that name.
func (r *schemaReader) follow(document, ref string) (place, error) {
	name, pointer, _ := strings.Cut(ref, "#")
	if name == "" {
		name = document
	}
	node, ok := r.documents[name]
	if !ok {
		if node, ok = r.byIdentity(name); !ok {
			return place{}, dataError(fmt.Sprintf("the schema refers to %q, which is not among its references in the registry", ref), nil)
		}
	}
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch parent := node.(type) {
		case javajson.Members:
			node, ok = parent.Find(step)
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && i >= 0 && i < len(parent); ok {
				node = parent[i]
			}
		default:
			ok = false
		}
		if !ok {
			return place{}, dataError(fmt.Sprintf("the schema refers to %q, which is not there", ref), nil)
		}
	}
	return place{node, name}, nil
}

// byIdentity finds a document by its own $id.
func (r *schemaReader) byIdentity(name string) (any, bool) {
	for _, node := range r.documents {
		if m, ok := node.(javajson.Members); ok && m.Get("$id") == name {
			return node, true
		}
	}
	return nil, false
}

package avro

import (
	"fmt"
	"strings"

	"tributary/connect"
	"tributary/internal/javajson"
)

// schemaReader makes Connect schemas of Avro's.
type schemaReader struct {
	enums    bool // enhanced.avro.schema.support
	metadata bool // connect.meta.data
	version  int  // of the whole schema in the registry, 0 if there is none

	open map[*node]bool // the records that are being read
}

func isMapEntry(n *node) bool {
	return n.kind == record && (n.fullName() == ownSpace+"."+mapEntryName || n.prop(internalType) == mapEntryName)
}

func isAnything(n *node) bool {
	return n.kind == record && n.namespace == ownSpace && n.name == anythingName
}

// schema returns the Connect schema of a whole Avro schema; nil for schemaless data.
func (r *schemaReader) schema(n *node) (*connect.Schema, error) {
	if isAnything(n) {
		return nil, nil
	}
	return r.of(n, nil, r.version)
}

// of returns the schema of n; f is the record's field that n is the type of, version the
// one that counts where n has none of its own, 0 being none.
func (r *schemaReader) of(n *node, f *field, version int) (*connect.Schema, error) {
	if n.kind == union && !n.isChoice() {
		s, err := r.of(inOptional(n), nil, 0)
		if err != nil || len(n.branches) == 1 {
			return s, err
		}
		return s.AsOptional(), nil
	}
	s, err := r.bare(n)
	if err != nil {
		return nil, err
	}
	if err := r.annotate(s, n, f, version); err != nil {
		return nil, err
	}
	return s, nil
}

// bare returns a schema that is the caller's to change.
func (r *schemaReader) bare(n *node) (*connect.Schema, error) {
	logical := strings.ToLower(n.prop("logicalType"))
	fresh := func(s *connect.Schema) (*connect.Schema, error) { c := *s; return &c, nil }
	switch n.kind {
	case boolean:
		return fresh(connect.BooleanSchema)
	case bytes, fixed:
		if logical == "decimal" {
			return decimalSchema(n)
		}
		return fresh(connect.BytesSchema)
	case double:
		return fresh(connect.Float64Schema)
	case float:
		return fresh(connect.Float32Schema)
	case text:
		return fresh(connect.StringSchema)
	case integer:
		switch own := n.prop(connectType); {
		case logical == "date":
			return fresh(connect.DateSchema)
		case logical == "time-millis":
			return fresh(connect.TimeSchema)
		case logical != "" || own == "":
			return fresh(connect.Int32Schema)
		case own == "int8":
			return fresh(connect.Int8Schema)
		case own == "int16":
			return fresh(connect.Int16Schema)
		}
		return nil, dataError("Connect type annotation for Avro int field is null", nil)
	case long:
		if logical == "timestamp-millis" {
			return fresh(connect.TimestampSchema)
		}
		return fresh(connect.Int64Schema)
	case enum:
		return r.enum(n), nil
	case array:
		return r.array(n)
	case mapping:
		elements, err := r.inner(n.elements)
		return connect.MapOf(connect.StringSchema, elements), err
	case record:
		return r.record(n)
	case union:
		return r.union(n)
	}
	return nil, dataError("Standalone null schemas are not supported by this converter", nil)
}

func decimalSchema(n *node) (*connect.Schema, error) {
	scale, err := digits(n, "scale", 0)
	if err != nil {
		return nil, err
	}
	s := connect.DecimalSchema(int32(scale))
	precision, err := digits(n, "precision", defaultPrecision)
	if err == nil && precision != defaultPrecision {
		s = s.WithParameter(precisionKey, fmt.Sprint(precision))
	}
	return s, err
}

func digits(n *node, name string, absent int64) (int64, error) {
	value, has := n.props.Find(name)
	if !has {
		return absent, nil
	}
	number, _ := value.(javajson.Number)
	whole, ok := number.Int64()
	if !ok || whole != int64(int32(whole)) {
		return 0, dataError(name+" must be specified and must be a number.", nil)
	}
	return whole, nil
}

// inner is the schema of an element; schemaless ones have none in Connect, which Java
// cannot say either.
func (r *schemaReader) inner(n *node) (*connect.Schema, error) { return r.of(n, nil, 0) }

func (r *schemaReader) array(n *node) (*connect.Schema, error) {
	e := n.elements
	if !isMapEntry(e) {
		elements, err := r.inner(e)
		return connect.ArrayOf(elements), err
	}
	key, value := e.field("key"), e.field("value")
	if len(e.fields) != 2 || key == nil || value == nil {
		return nil, dataError("Found map encoded as array of key-value pairs, but array elements do not match the expected format.", nil)
	}
	keys, err := r.inner(key.node)
	if err != nil {
		return nil, err
	}
	elements, err := r.inner(value.node)
	return connect.MapOf(keys, elements), err
}

func (r *schemaReader) enum(n *node) *connect.Schema {
	s := &connect.Schema{Type: connect.String}
	if r.metadata {
		if n.doc != nil {
			s = s.WithParameter(enumDoc+n.name, *n.doc)
		}
		if n.fallback != nil {
			s = s.WithParameter(enumPreset+n.name, *n.fallback)
		}
	}
	s = s.WithParameter(enumParameter, n.fullName())
	for _, symbol := range n.symbols {
		s = s.WithParameter(enumParameter+"."+symbol, symbol)
	}
	return s
}

func (r *schemaReader) record(n *node) (*connect.Schema, error) {
	if r.open[n] {
		return nil, dataError(fmt.Sprintf("the schema of %s contains itself, which Connect's data model cannot hold here", n.fullName()), nil)
	}
	if r.open == nil {
		r.open = map[*node]bool{}
	}
	r.open[n] = true
	defer delete(r.open, n)
	s := &connect.Schema{Type: connect.Struct, Fields: make([]connect.Field, len(n.fields))}
	if r.metadata && n.doc != nil {
		s.Parameters = s.Parameters.With(recordDoc, *n.doc)
	}
	for i := range n.fields {
		f := &n.fields[i]
		if r.metadata && f.doc != nil {
			s.Parameters = s.Parameters.With(fieldDoc+f.name, *f.doc)
		}
		own, err := r.of(f.node, f, 0)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
		s.Fields[i] = connect.Field{Name: f.name, Schema: own}
	}
	return s, nil
}

// union is a struct with a field for each branch, of which one is set.
func (r *schemaReader) union(n *node) (*connect.Schema, error) {
	s := &connect.Schema{Type: connect.Struct, Name: unionName}
	for _, b := range n.branches {
		if b.kind == null {
			s.Optional = true
			continue
		}
		name := r.branchName(b)
		if s.FieldIndex(name) >= 0 {
			return nil, dataError("Multiple union schemas map to the Connect union field name "+name, nil)
		}
		own, err := r.inner(b)
		if err != nil {
			return nil, err
		}
		s.Fields = append(s.Fields, connect.Field{Name: name, Schema: own.AsOptional()})
	}
	return s, nil
}

func (r *schemaReader) branchName(n *node) string {
	switch {
	case !n.named():
		return string(n.kind)
	case r.enums:
		return n.fullName()
	}
	return n.name
}

func (r *schemaReader) annotate(s *connect.Schema, n *node, f *field, version int) error {
	if r.metadata {
		s.Doc = n.prop(connectDoc)
	}
	own, has := n.props.Find(connectVersion)
	if has {
		number, _ := own.(javajson.Number)
		whole, ok := number.Int64()
		if !ok || whole != int64(int32(whole)) {
			return dataError("Invalid Connect version found: "+string(appendTree(nil, own)), nil)
		}
		version = int(whole)
		if s.Version != nil && *s.Version != version {
			return dataError(fmt.Sprintf("Mismatched versions: version already added to SchemaBuilder (%d) differs from version in source schema (%d)", *s.Version, version), nil)
		}
	}
	if s.Version == nil && (has || version > 0) {
		s.Version = &version
	}
	if err := r.parameters(s, n); err != nil {
		return err
	}
	r.preset(s, n, f)
	return setName(s, n)
}

func (r *schemaReader) parameters(s *connect.Schema, n *node) error {
	if params, has := n.props.Find(connectParams); has && r.metadata {
		members, ok := params.(javajson.Members)
		if !ok {
			return dataError("Expected JSON object for schema parameters but found: "+string(appendTree(nil, params)), nil)
		}
		for _, m := range members {
			v, ok := m.Value.(string)
			if !ok {
				return dataError("Expected schema parameter values to be strings but found: "+string(appendTree(nil, m.Value)), nil)
			}
			s.Parameters = s.Parameters.With(m.Name, v)
		}
	}
	for _, m := range n.props {
		if strings.HasPrefix(m.Name, "avro") {
			v, ok := m.Value.(string)
			if !ok {
				v = string(appendTree(nil, m.Value))
			}
			s.Parameters = s.Parameters.With(m.Name, v)
		}
	}
	return nil
}

// preset adds the default. One that is none of the type is ignored, as Java does: registries hold
// such schemas, because libraries have not always looked at defaults.
func (r *schemaReader) preset(s *connect.Schema, n *node, f *field) {
	preset, has := n.props.Find(connectPreset)
	if f != nil && f.hasAny {
		if !has {
			s.Parameters = s.Parameters.With(fieldPreset, "true")
		}
		preset = f.preset
	}
	if preset == nil {
		return
	}
	if v, err := presetOf(n, s, preset); err == nil {
		s.Default = v
	}
}

func setName(s *connect.Schema, n *node) error {
	name := ""
	if own, has := n.props.Find(connectName); has {
		var ok bool
		if name, ok = own.(string); !ok {
			return dataError("Invalid schema name: "+string(appendTree(nil, own)), nil)
		}
	} else if n.kind == record || n.kind == enum {
		name = n.fullName()
	}
	if name == "" || isDefaultName(name) {
		return nil
	}
	if s.Name != "" && s.Name != name {
		return dataError(fmt.Sprintf("Mismatched names: name already added to SchemaBuilder (%s) differs from name in source schema (%s)", s.Name, name), nil)
	}
	s.Name = name
	return nil
}

// isDefaultName is true for the names of records that have none in Connect.
func isDefaultName(name string) bool {
	rest, ok := strings.CutPrefix(name, ownSpace+"."+defaultName)
	return ok && strings.Trim(rest, "0123456789") == ""
}

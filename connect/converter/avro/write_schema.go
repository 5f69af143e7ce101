package avro

import (
	"fmt"
	"strconv"
	"strings"

	"tributary/connect"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// The names that Confluent's converter gives to what Avro has no word for.
const (
	ownSpace       = "io.confluent.connect.avro"
	defaultName    = "ConnectDefault"
	mapEntryName   = "MapEntry"
	unionName      = ownSpace + ".Union"
	enumParameter  = ownSpace + ".Enum"
	anythingName   = "Anything"
	recordDoc      = ownSpace + ".record.doc"
	fieldDoc       = ownSpace + ".field.doc."
	fieldPreset    = ownSpace + ".field.default"
	enumDoc        = ownSpace + ".enum.doc."
	enumPreset     = ownSpace + ".enum.default."
	connectName    = "connect.name"
	connectDoc     = "connect.doc"
	connectVersion = "connect.version"
	connectPreset  = "connect.default"
	connectParams  = "connect.parameters"
	connectType    = "connect.type"
	internalType   = "connect.internal.type"
	precisionKey   = "connect.decimal.precision"

	defaultPrecision = 64
)

// schemaWriter makes Avro schemas of Connect's. Schemas that are equal share a node, so
// that a name is defined once.
type schemaWriter struct {
	enums    bool // enhanced.avro.schema.support
	metadata bool // connect.meta.data
	optional bool // allow.optional.map.keys

	made    map[uint64][]madeNode
	unnamed int
	entries int
}

type madeNode struct {
	schema *connect.Schema
	node   *node
}

// anything is the schema of data without one.
var anything = func() *node {
	n, err := new(parser).parse(`{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":[` +
		`{"name":"boolean","type":["null","boolean"],"default":null},{"name":"bytes","type":["null","bytes"],"default":null},` +
		`{"name":"double","type":["null","double"],"default":null},{"name":"float","type":["null","float"],"default":null},` +
		`{"name":"int","type":["null","int"],"default":null},{"name":"long","type":["null","long"],"default":null},` +
		`{"name":"string","type":["null","string"],"default":null},` +
		`{"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},` +
		`{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":[{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}`)
	if err != nil {
		panic(err)
	}
	return n
}()

func number(n int) javajson.Number {
	return javajson.Number{Text: strconv.AppendInt(nil, int64(n), 10), Integer: true}
}

// node returns the Avro schema of a Connect schema; nil is schemaless.
func (w *schemaWriter) node(s *connect.Schema) (*node, error) {
	if s == nil {
		return anything, nil
	}
	if s.Name == unionName && s.Type == connect.Struct {
		return w.union(s)
	}
	base, err := w.base(s)
	if err != nil || !s.Optional {
		return base, err
	}
	// The default of an Avro field is one of the first branch.
	if s.Default != nil {
		return &node{kind: union, branches: []*node{base, {kind: null}}}, nil
	}
	return &node{kind: union, branches: []*node{{kind: null}, base}}, nil
}

func (w *schemaWriter) union(s *connect.Schema) (*node, error) {
	out := &node{kind: union}
	if s.Optional {
		out.branches = append(out.branches, &node{kind: null})
	}
	for _, f := range s.Fields {
		b, err := w.node(f.Schema.AsRequired())
		if err != nil {
			return nil, err
		}
		out.branches = append(out.branches, b)
	}
	return out, nil
}

// base is the schema without regard to whether it is optional.
func (w *schemaWriter) base(s *connect.Schema) (*node, error) {
	if s.Optional {
		s = s.AsRequired()
	}
	hash := s.Hash()
	for _, m := range w.made[hash] {
		if m.schema.Equal(s) {
			return m.node, nil
		}
	}
	out, mark, err := w.bare(s)
	if err != nil {
		return nil, err
	}
	if err := w.annotate(out, s, mark); err != nil {
		return nil, err
	}
	if w.made == nil {
		w.made = map[uint64][]madeNode{}
	}
	w.made[hash] = append(w.made[hash], madeNode{s, out})
	return out, nil
}

// bare makes the node without its properties. mark is connect.type, for types that Avro
// has not.
func (w *schemaWriter) bare(s *connect.Schema) (out *node, mark string, err error) {
	switch s.Type {
	case connect.Int8:
		return &node{kind: integer}, "int8", nil
	case connect.Int16:
		return &node{kind: integer}, "int16", nil
	case connect.Int32:
		return &node{kind: integer}, "", nil
	case connect.Int64:
		return &node{kind: long}, "", nil
	case connect.Float32:
		return &node{kind: float}, "", nil
	case connect.Float64:
		return &node{kind: double}, "", nil
	case connect.Boolean:
		return &node{kind: boolean}, "", nil
	case connect.String:
		return w.stringOrEnum(s), "", nil
	case connect.Bytes:
		out, err = bytesNode(s)
		return out, "", err
	case connect.Array:
		out = &node{kind: array}
		out.elements, err = w.node(s.Elements)
		return out, "", err
	case connect.Map:
		out, err = w.mapNode(s)
		return out, "", err
	}
	out, err = w.record(s)
	return out, "", err
}

func (w *schemaWriter) stringOrEnum(s *connect.Schema) *node {
	full, isEnum := s.Parameters.Get(enumParameter)
	if !w.enums || !isEnum {
		return &node{kind: text}
	}
	out := &node{kind: enum}
	out.namespace, out.name = splitName(full)
	for _, p := range s.Parameters {
		if strings.HasPrefix(p.Name, enumParameter+".") {
			out.symbols = append(out.symbols, p.Value)
		}
	}
	if doc, ok := s.Parameters.Get(enumDoc + out.name); ok {
		out.doc = &doc
	}
	if preset, ok := s.Parameters.Get(enumPreset + out.name); ok {
		out.fallback = &preset
	}
	return out
}

func splitName(full string) (space, name string) {
	if dot := strings.LastIndexByte(full, '.'); dot >= 0 {
		return full[:dot], full[dot+1:]
	}
	return "", full
}

// decimal returns the digits of a Decimal schema.
func decimal(s *connect.Schema) (scale, precision int, err error) {
	text, _ := s.Parameters.Get(connect.DecimalScale)
	if scale, err = strconv.Atoi(text); err != nil {
		return 0, 0, dataError(fmt.Sprintf("Invalid Decimal schema: scale parameter %q is not a number", text), nil)
	}
	precision = defaultPrecision
	if text, ok := s.Parameters.Get(precisionKey); ok {
		if precision, err = strconv.Atoi(text); err != nil {
			return 0, 0, dataError(fmt.Sprintf("Invalid Decimal schema: parameter %s=%q is not a number", precisionKey, text), nil)
		}
	}
	return scale, precision, nil
}

func bytesNode(s *connect.Schema) (*node, error) {
	out := &node{kind: bytes}
	if s.Name != connect.DecimalName {
		return out, nil
	}
	scale, precision, err := decimal(s)
	if err != nil {
		return nil, err
	}
	out.props = javajson.Members{{Name: "scale", Value: number(scale)}, {Name: "precision", Value: number(precision)}}
	return out, nil
}

// stringKeys says whether a map is one of Avro's, whose keys are strings.
func (w *schemaWriter) stringKeys(s *connect.Schema) bool {
	return s.Keys.Type == connect.String && (!s.Keys.Optional || w.optional)
}

func (w *schemaWriter) mapNode(s *connect.Schema) (*node, error) {
	if w.stringKeys(s) {
		out := &node{kind: mapping}
		var err error
		out.elements, err = w.node(s.Elements)
		return out, err
	}
	entry := &node{kind: record, namespace: ownSpace, name: mapEntryName}
	if s.Name != "" {
		entry.namespace, entry.name = splitName(s.Name)
	} else if w.entries++; w.entries > 1 {
		entry.name += strconv.Itoa(w.entries) // two records of one name cannot be
	}
	if entry.fullName() != ownSpace+"."+mapEntryName {
		entry.props = javajson.Members{{Name: internalType, Value: mapEntryName}}
	}
	for _, f := range []connect.Field{{Name: "key", Schema: s.Keys}, {Name: "value", Schema: s.Elements}} {
		own, err := w.field(f, "")
		if err != nil {
			return nil, err
		}
		entry.fields = append(entry.fields, own)
	}
	return &node{kind: array, elements: entry}, nil
}

func (w *schemaWriter) record(s *connect.Schema) (*node, error) {
	out := &node{kind: record, namespace: ownSpace, name: defaultName}
	if s.Name != "" {
		out.namespace, out.name = splitName(s.Name)
	} else if w.unnamed++; w.unnamed > 1 {
		out.name += strconv.Itoa(w.unnamed)
	}
	if doc, ok := s.Parameters.Get(recordDoc); ok {
		out.doc = &doc
	}
	for _, f := range s.Fields {
		doc, _ := s.Parameters.Get(fieldDoc + f.Name)
		own, err := w.field(f, doc)
		if err != nil {
			return nil, err
		}
		out.fields = append(out.fields, own)
	}
	return out, nil
}

func (w *schemaWriter) field(f connect.Field, doc string) (field, error) {
	out := field{name: f.Name}
	var err error
	if out.node, err = w.node(f.Schema); err != nil {
		return out, err
	}
	if doc != "" {
		out.doc = &doc
	}
	switch {
	case f.Schema.Default != nil:
		out.hasAny = true
		out.preset, err = w.preset(f.Schema, f.Schema.Default)
	case f.Schema.Optional:
		out.hasAny = true
	}
	return out, err
}

// annotate adds the properties, in the order in which Confluent's converter does.
func (w *schemaWriter) annotate(n *node, s *connect.Schema, mark string) error {
	put := func(name string, value any) { n.props = append(n.props, javajson.Member{Name: name, Value: value}) }
	if w.metadata {
		if s.Doc != "" {
			put(connectDoc, s.Doc)
		}
		if s.Version != nil {
			put(connectVersion, number(*s.Version))
		}
		_, avroOwn := s.Parameters.Get(fieldPreset)
		var params javajson.Members
		for _, p := range s.Parameters {
			if p.Name != fieldPreset {
				params = append(params, javajson.Member{Name: p.Name, Value: p.Value})
			}
		}
		if len(params) > 0 {
			put(connectParams, params)
		}
		if s.Default != nil && !avroOwn {
			preset, err := w.preset(s, s.Default)
			if err != nil {
				return err
			}
			put(connectPreset, preset)
		}
		if s.Name != "" {
			put(connectName, s.Name)
		}
		if mark != "" {
			put(connectType, mark)
		}
	}
	switch s.Name {
	case connect.DecimalName:
		put("logicalType", "decimal")
	case connect.TimeName:
		put("logicalType", "time-millis")
	case connect.TimestampName:
		put("logicalType", "timestamp-millis")
	case connect.DateName:
		put("logicalType", "date")
	}
	for _, p := range s.Parameters {
		if strings.HasPrefix(p.Name, "avro") {
			put(p.Name, p.Value)
		}
	}
	return nil
}

// preset is a default value in JSON.
func (w *schemaWriter) preset(s *connect.Schema, value any) (any, error) {
	value, err := physical(s, value)
	if err != nil || value == nil {
		return nil, err
	}
	switch v := value.(type) {
	case int8, int16, int32, int64:
		return javajson.Number{Text: fmt.Append(nil, v), Integer: true}, nil
	case float32:
		return floatTree(float64(v), 32), nil
	case float64:
		return floatTree(v, 64), nil
	case bool, string:
		return v, nil
	case []byte:
		return latin1(v), nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			if out[i], err = w.preset(s.Elements, v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any, connect.MapEntries:
		return w.mapPreset(s, javatext.Entries(value))
	case *connect.StructValue:
		out := make(javajson.Members, len(s.Fields))
		for i, f := range s.Fields {
			own, err := w.preset(f.Schema, v.At(i))
			if err != nil {
				return nil, err
			}
			out[i] = javajson.Member{Name: f.Name, Value: own}
		}
		return out, nil
	}
	return nil, dataError(fmt.Sprintf("Invalid type used for default value of %s field: %s", s.Type, connect.ClassName(value)), nil)
}

func floatTree(f float64, bits int) any {
	b := javajson.AppendFloat(nil, f, bits)
	if b[0] == '"' {
		return strings.Trim(string(b), `"`)
	}
	return javajson.Number{Text: b}
}

func (w *schemaWriter) mapPreset(s *connect.Schema, entries connect.MapEntries) (any, error) {
	var object javajson.Members
	list := []any{}
	for _, e := range entries {
		v, err := w.preset(s.Elements, e.Value)
		if err != nil {
			return nil, err
		}
		if w.stringKeys(s) {
			key, _ := e.Key.(string)
			object = append(object, javajson.Member{Name: key, Value: v})
			continue
		}
		key, err := w.preset(s.Keys, e.Key)
		if err != nil {
			return nil, err
		}
		list = append(list, javajson.Members{{Name: "key", Value: key}, {Name: "value", Value: v}})
	}
	if w.stringKeys(s) {
		return object, nil
	}
	return list, nil
}

func latin1(data []byte) string {
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return string(runes)
}

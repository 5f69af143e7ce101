package protobuf

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tributary/connect"
)

// The names that Confluent's converter gives to what Protobuf has no word for.
const (
	ownSpace      = "io.confluent.connect.protobuf"
	defaultName   = "ConnectDefault"
	unionPrefix   = ownSpace + ".Union."
	enumParameter = ownSpace + ".Enum"
	tagParameter  = ownSpace + ".Tag"
	connectType   = "connect.type"
	precisionKey  = "connect.decimal.precision"
	entrySuffix   = "Entry"
)

// schemaWriter writes .proto files for Connect schemas.
type schemaWriter struct {
	wrappers  bool // wrapper.for.nullables
	optionals bool // optional.for.nullables

	unnamed int
	imports map[string]bool
	defined map[string]definition // messages by their name in Connect
}

type definition struct {
	schema *connect.Schema
	path   string // within the package
}

// scope is the message that is being written.
type scope struct {
	path  string
	depth int
	names map[string]bool // of what is defined in it
	body  *strings.Builder
}

func (s *scope) line(format string, args ...any) {
	s.body.WriteString(strings.Repeat("  ", s.depth))
	fmt.Fprintf(s.body, format+"\n", args...)
}

func (w *schemaWriter) nameOr(name string) (space, simple string) {
	if name == "" {
		w.unnamed++
		return "", defaultName + strconv.Itoa(w.unnamed)
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return name[:dot], name[dot+1:]
	}
	return "", name
}

// file returns the text of a file with the message of a struct, and the message's name.
func (w *schemaWriter) file(s *connect.Schema) (text, name string, err error) {
	if s.Type != connect.Struct {
		return "", "", dataError(fmt.Sprintf("Unsupported root schema of type %s: ProtobufConverter writes structs", s.Type), nil)
	}
	w.imports, w.defined = map[string]bool{}, map[string]definition{}
	space, name := w.nameOr(s.Name)
	var body strings.Builder
	if err := w.message(&scope{body: &body, names: map[string]bool{}}, name, s); err != nil {
		return "", "", err
	}
	var out strings.Builder
	out.WriteString("syntax = \"proto3\";\n")
	if space != "" {
		fmt.Fprintf(&out, "package %s;\n", space)
	}
	if len(w.imports) > 0 {
		out.WriteByte('\n')
	}
	for _, file := range slices.Sorted(maps.Keys(w.imports)) {
		fmt.Fprintf(&out, "import %q;\n", file)
	}
	out.WriteByte('\n')
	out.WriteString(body.String())
	if space != "" {
		name = space + "." + name
	}
	return out.String(), name, nil
}

// message writes the message of a struct into a scope.
func (w *schemaWriter) message(in *scope, name string, s *connect.Schema) error {
	if in.depth > maxDepth {
		return dataError(fmt.Sprintf("the schema nests deeper than %d", maxDepth), nil)
	}
	if in.names[name] {
		return dataError(fmt.Sprintf("two different schemas would be the message %s in %q", name, in.path), nil)
	}
	in.names[name] = true
	own := &scope{path: join(in.path, name), depth: in.depth + 1, names: map[string]bool{}, body: &strings.Builder{}}
	if s.Name != "" {
		w.defined[s.Name] = definition{bare(s), own.path}
	}
	next := 1
	for _, f := range s.Fields {
		if err := w.field(own, f, &next, true); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	in.line("message %s {", name)
	in.body.WriteString(own.body.String())
	in.line("}")
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// field writes a field, and before it the type that it may need. labels is false within a
// oneof, whose fields have none.
func (w *schemaWriter) field(in *scope, f connect.Field, next *int, labels bool) error {
	s := f.Schema
	if isUnion(s) {
		return w.oneof(in, s, next)
	}
	label := ""
	switch {
	case s.Type == connect.Array:
		if s = s.Elements; s == nil || s.Type == connect.Array || s.Type == connect.Map {
			return dataError("Array cannot be nested: Protobuf has no lists of lists or maps", nil)
		}
		label = "repeated "
	case s.Type == connect.Map:
		label = "repeated "
	case w.optionals && s.Optional && labels && s.Type != connect.Struct && !isLogical(s.Name):
		label = "optional "
	}
	if label == "repeated " && !labels {
		return dataError("Protobuf has no lists or maps in a union", nil)
	}
	tag, err := tagOf(f.Schema, next)
	if err != nil {
		return err
	}
	name, options, err := w.typeOf(in, s, f.Name)
	if err != nil {
		return err
	}
	in.line("%s%s %s = %d%s;", label, name, f.Name, tag, options)
	return nil
}

func isUnion(s *connect.Schema) bool {
	return s.Type == connect.Struct && strings.HasPrefix(s.Name, unionPrefix)
}

func isLogical(name string) bool {
	switch name {
	case connect.DecimalName, connect.DateName, connect.TimeName, connect.TimestampName:
		return true
	}
	return false
}

func tagOf(s *connect.Schema, next *int) (int, error) {
	text, ok := s.Parameters.Get(tagParameter)
	if !ok {
		*next++
		return *next - 1, nil
	}
	tag, err := strconv.Atoi(text)
	if err != nil || tag < 1 {
		return 0, dataError(fmt.Sprintf("parameter %s=%q is no number of a field", tagParameter, text), nil)
	}
	*next = max(*next, tag+1)
	return tag, nil
}

func (w *schemaWriter) oneof(in *scope, s *connect.Schema, next *int) error {
	own := &scope{path: in.path, depth: in.depth + 1, names: in.names, body: &strings.Builder{}}
	types := &strings.Builder{}
	for _, f := range s.Fields {
		// A oneof holds fields alone, so what they need is written before it.
		line := &strings.Builder{}
		both := &scope{path: in.path, depth: in.depth, names: in.names, body: line}
		if err := w.field(both, f, next, false); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		text := strings.TrimSuffix(line.String(), "\n")
		at := strings.LastIndexByte(text, '\n') + 1
		types.WriteString(text[:at])
		own.line("%s", strings.TrimSpace(text[at:]))
	}
	in.body.WriteString(types.String())
	_, name := w.nameOr(strings.TrimPrefix(s.Name, unionPrefix))
	in.line("oneof %s {", name)
	in.body.WriteString(own.body.String())
	in.line("}")
	return nil
}

// scalar is a type of Protobuf's with the wrapper that makes it nullable.
var scalar = map[connect.Type][2]string{
	connect.Int8: {"int32", "Int32Value"}, connect.Int16: {"int32", "Int32Value"}, connect.Int32: {"int32", "Int32Value"}, connect.Int64: {"int64", "Int64Value"},
	connect.Float32: {"float", "FloatValue"}, connect.Float64: {"double", "DoubleValue"}, connect.Boolean: {"bool", "BoolValue"},
	connect.String: {"string", "StringValue"}, connect.Bytes: {"bytes", "BytesValue"},
}

// typeOf is the type of a field, with what stands in brackets behind it; a message or an
// enum is written into the scope.
func (w *schemaWriter) typeOf(in *scope, s *connect.Schema, field string) (name, options string, err error) {
	imported := func(file, name string) (string, string, error) {
		w.imports[file] = true
		return name, options, nil
	}
	switch s.Name {
	case connect.DecimalName:
		var params [][2]string
		for _, key := range [][2]string{{"precision", precisionKey}, {"scale", connect.DecimalScale}} {
			if value, ok := s.Parameters.Get(key[1]); ok {
				params = append(params, [2]string{key[0], value})
			}
		}
		options = w.meta(params...)
		return imported("confluent/type/decimal.proto", "confluent.type.Decimal")
	case connect.DateName:
		return imported("google/type/date.proto", "google.type.Date")
	case connect.TimeName:
		return imported("google/type/timeofday.proto", "google.type.TimeOfDay")
	case connect.TimestampName:
		return imported("google/protobuf/timestamp.proto", "google.protobuf.Timestamp")
	}
	switch s.Type {
	case connect.Struct:
		name, err = w.nested(in, s, field)
		return name, "", err
	case connect.Map:
		name, err = w.entry(in, s)
		return name, "", err
	case connect.Int8:
		options = w.meta([2]string{connectType, "int8"})
	case connect.Int16:
		options = w.meta([2]string{connectType, "int16"})
	case connect.String:
		if own, ok := s.Parameters.Get(enumParameter); ok {
			name, err = w.enum(in, s, own)
			return name, "", err
		}
	}
	if w.wrappers && s.Optional {
		w.imports["google/protobuf/wrappers.proto"] = true
		return "google.protobuf." + scalar[s.Type][1], options, nil
	}
	return scalar[s.Type][0], options, nil
}

// meta gives a field parameters.
func (w *schemaWriter) meta(params ...[2]string) string {
	if len(params) == 0 {
		return ""
	}
	w.imports["confluent/meta.proto"] = true
	texts := make([]string, len(params))
	for i, p := range params {
		texts[i] = fmt.Sprintf("{ key: %q, value: %q }", p[0], p[1])
	}
	return " [(confluent.field_meta) = { params: [" + strings.Join(texts, ", ") + "] }]"
}

func (w *schemaWriter) nested(in *scope, s *connect.Schema, field string) (string, error) {
	if known, ok := w.defined[s.Name]; ok && s.Name != "" && known.schema.Equal(bare(s)) {
		if known.path == join(in.path, lastOf(known.path)) {
			return lastOf(known.path), nil
		}
		return known.path, nil
	}
	_, name := w.nameOr(s.Name)
	if name == field {
		name += "Message" // a field and a type of one name cannot be
	}
	return name, w.message(in, name, s)
}

// bare is a schema without what belongs to the field that has it.
func bare(s *connect.Schema) *connect.Schema {
	c := *s
	c.Optional, c.Default, c.Doc, c.Version = false, nil, "", nil
	c.Parameters = slices.DeleteFunc(slices.Clone(s.Parameters), func(p connect.Parameter) bool { return p.Name == tagParameter })
	return &c
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// entry writes the message of a map's entries.
func (w *schemaWriter) entry(in *scope, s *connect.Schema) (string, error) {
	_, name := w.nameOr(s.Name)
	name = camel(name) + entrySuffix
	for base, n := name[:len(name)-len(entrySuffix)], 2; in.names[name]; n++ {
		name = base + strconv.Itoa(n) + entrySuffix
	}
	return name, w.message(in, name, connect.StructOf(connect.Field{Name: "key", Schema: s.Keys}, connect.Field{Name: "value", Schema: s.Elements}))
}

// camel is the first part of the name of a map's entries.
func camel(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		if r == '_' {
			up = true
			continue
		}
		if up {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteRune(r)
		}
		up = false
	}
	return b.String()
}

// snake is the inverse of camel.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (w *schemaWriter) enum(in *scope, s *connect.Schema, name string) (string, error) {
	if own := s.Name; own != "" {
		name = own
	}
	_, name = w.nameOr(name)
	body := &scope{depth: in.depth + 1, body: &strings.Builder{}}
	for _, p := range s.Parameters {
		symbol, ok := strings.CutPrefix(p.Name, enumParameter+".")
		if !ok {
			continue
		}
		if _, err := strconv.ParseInt(p.Value, 10, 32); err != nil {
			return "", dataError(fmt.Sprintf("parameter %s=%q is no number of an enum's value", p.Name, p.Value), nil)
		}
		body.line("%s = %s;", symbol, p.Value)
	}
	known, ok := w.defined["enum "+name]
	if ok && known.path == join(in.path, name) && known.schema.Equal(bare(s)) {
		return name, nil
	}
	if in.names[name] {
		return "", dataError(fmt.Sprintf("two different schemas would be the enum %s in %q", name, in.path), nil)
	}
	in.names[name] = true
	w.defined["enum "+name] = definition{bare(s), join(in.path, name)}
	in.line("enum %s {", name)
	in.body.WriteString(body.body.String())
	in.line("}")
	return name, nil
}

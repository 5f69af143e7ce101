package protobuf

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"tributary/connect"
	"tributary/internal/javatext"
)

// schemaReader makes Connect schemas of messages.
type schemaReader struct {
	fullNames bool // enhanced.protobuf.schema.support
	wrappers  bool // wrapper.for.nullables
	optionals bool // optional.for.nullables
	indexes   bool // generate.index.for.unions

	open map[protoreflect.FullName]bool
}

// maxDepth bounds how deep messages nest.
const maxDepth = 100

func isWrapper(m protoreflect.MessageDescriptor) bool {
	name, ok := strings.CutPrefix(string(m.FullName()), "google.protobuf.")
	return ok && strings.HasSuffix(name, "Value") && m.Fields().Len() == 1 && m.Fields().Get(0).Name() == "value" && m.Oneofs().Len() == 0
}

func isEntry(m protoreflect.MessageDescriptor) bool {
	fields := m.Fields()
	return strings.HasSuffix(string(m.Name()), entrySuffix) && fields.Len() == 2 && fields.Get(0).Name() == "key" && fields.Get(1).Name() == "value"
}

func isOneof(o protoreflect.OneofDescriptor) bool { return o != nil && !o.IsSynthetic() }

func (r *schemaReader) unionName(o protoreflect.OneofDescriptor) string {
	if !r.indexes {
		return string(o.Name())
	}
	return string(o.Name()) + "_" + strconv.Itoa(o.Index())
}

// message is the schema of a message. version is 0 where there is none.
func (r *schemaReader) message(m protoreflect.MessageDescriptor, version int) (*connect.Schema, error) {
	if r.open[m.FullName()] {
		return nil, dataError(fmt.Sprintf("message %s contains itself, which Connect's data model cannot hold here", m.FullName()), nil)
	}
	if r.open == nil {
		r.open = map[protoreflect.FullName]bool{}
	}
	r.open[m.FullName()] = true
	defer delete(r.open, m.FullName())
	s := &connect.Schema{Type: connect.Struct, Name: string(m.Name())}
	if r.fullNames {
		s.Name = string(m.FullName())
	}
	if version > 0 {
		s.Version = &version
	}
	for i := range m.Oneofs().Len() {
		o := m.Oneofs().Get(i)
		if !isOneof(o) {
			continue
		}
		union := &connect.Schema{Type: connect.Struct, Name: unionPrefix + string(o.Name()), Optional: true}
		if err := r.fields(union, o.Fields()); err != nil {
			return nil, err
		}
		s.Fields = append(s.Fields, connect.Field{Name: r.unionName(o), Schema: union})
	}
	return s, r.fields(s, m.Fields())
}

type fieldList interface {
	Len() int
	Get(int) protoreflect.FieldDescriptor
}

// fields adds the fields; those of unions are added to the union alone.
func (r *schemaReader) fields(s *connect.Schema, list fieldList) error {
	for i := range list.Len() {
		fd := list.Get(i)
		if isOneof(fd.ContainingOneof()) && !isUnion(s) {
			continue
		}
		own, err := r.field(fd)
		if err != nil {
			return fmt.Errorf("field %s: %w", fd.Name(), err)
		}
		s.Fields = append(s.Fields, connect.Field{Name: string(fd.Name()), Schema: own})
	}
	return nil
}

func (r *schemaReader) field(fd protoreflect.FieldDescriptor) (*connect.Schema, error) {
	s, err := r.single(fd)
	if err != nil {
		return nil, err
	}
	if fd.Cardinality() == protoreflect.Repeated && s.Type != connect.Map {
		s.Optional = true
		s = &connect.Schema{Type: connect.Array, Elements: s, Optional: true}
	}
	if !r.wrappers && !r.optionals || r.optionals && fd.HasOptionalKeyword() {
		s.Optional = true
	}
	return s.WithParameter(tagParameter, strconv.Itoa(int(fd.Number()))), nil
}

// single is the schema of one value of a field; it is the caller's to change.
func (r *schemaReader) single(fd protoreflect.FieldDescriptor) (*connect.Schema, error) {
	params := metaParams(fd)
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		switch params[connectType] {
		case "int8":
			return &connect.Schema{Type: connect.Int8}, nil
		case "int16":
			return &connect.Schema{Type: connect.Int16}, nil
		}
		return &connect.Schema{Type: connect.Int32}, nil
	case protoreflect.FloatKind:
		return &connect.Schema{Type: connect.Float32}, nil
	case protoreflect.DoubleKind:
		return &connect.Schema{Type: connect.Float64}, nil
	case protoreflect.BoolKind:
		return &connect.Schema{Type: connect.Boolean}, nil
	case protoreflect.StringKind:
		return &connect.Schema{Type: connect.String}, nil
	case protoreflect.BytesKind:
		return &connect.Schema{Type: connect.Bytes}, nil
	case protoreflect.EnumKind:
		return enumSchema(fd.Enum()), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return r.ofMessage(fd.Message(), params)
	}
	return &connect.Schema{Type: connect.Int64}, nil
}

func enumSchema(e protoreflect.EnumDescriptor) *connect.Schema {
	s := connect.StringSchema.WithName(string(e.Name())).WithParameter(enumParameter, string(e.Name()))
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		s.Parameters = s.Parameters.With(enumParameter+"."+string(v.Name()), strconv.Itoa(int(v.Number())))
	}
	s.Optional = true
	return s
}

func (r *schemaReader) ofMessage(m protoreflect.MessageDescriptor, params map[string]string) (*connect.Schema, error) {
	fresh := func(s *connect.Schema) (*connect.Schema, error) {
		c := *s
		c.Optional = true
		return &c, nil
	}
	switch m.FullName() {
	case "confluent.type.Decimal":
		scale, _ := strconv.ParseInt(params["scale"], 10, 32) // else 0
		s := connect.DecimalSchema(int32(scale))
		if precision := params["precision"]; precision != "" {
			s = s.WithParameter(precisionKey, precision)
		}
		return fresh(s)
	case "google.type.Date":
		return fresh(connect.DateSchema)
	case "google.type.TimeOfDay":
		return fresh(connect.TimeSchema)
	case "google.protobuf.Timestamp":
		return fresh(connect.TimestampSchema)
	}
	if isWrapper(m) {
		s, err := r.single(m.Fields().Get(0))
		if err != nil {
			return nil, err
		}
		if s.Type == connect.Int32 && params[connectType] != "" {
			s.Type = map[string]connect.Type{"int8": connect.Int8, "int16": connect.Int16}[params[connectType]]
		}
		return fresh(s)
	}
	if !isEntry(m) {
		s, err := r.message(m, 0)
		if err != nil {
			return nil, err
		}
		return fresh(s)
	}
	keys, err := r.field(m.Fields().Get(0))
	if err != nil {
		return nil, err
	}
	elements, err := r.field(m.Fields().Get(1))
	if err != nil {
		return nil, err
	}
	name := snake(strings.TrimSuffix(string(m.Name()), entrySuffix))
	return fresh(connect.MapOf(keys, elements).WithName(name))
}

// metaParams are the parameters that a field has in (confluent.field_meta).
func metaParams(fd protoreflect.FieldDescriptor) map[string]string {
	out := map[string]string{}
	options := fd.Options().ProtoReflect()
	options.Range(func(own protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if own.FullName() != "confluent.field_meta" {
			return true
		}
		meta := v.Message()
		params := meta.Descriptor().Fields().ByName("params")
		if params == nil || !params.IsMap() {
			return false
		}
		meta.Get(params).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()] = v.String()
			return true
		})
		return false
	})
	return out
}

// structOf is the value of a message by its schema.
func (r *schemaReader) structOf(m protoreflect.Message, s *connect.Schema) (*connect.StructValue, error) {
	out := connect.NewStruct(s)
	put := func(to *connect.StructValue, name string, v any, err error) error {
		if err == nil {
			err = to.Put(name, v)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		return nil
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		name := string(fd.Name())
		if o := fd.ContainingOneof(); isOneof(o) {
			if !m.Has(fd) {
				continue
			}
			unionSchema := s.Field(r.unionName(o))
			union := connect.NewStruct(unionSchema)
			v, err := r.value(m.Get(fd), fd, unionSchema.Field(name))
			if err := put(union, name, v, err); err != nil {
				return nil, err
			}
			if err := out.Put(r.unionName(o), union); err != nil {
				return nil, err
			}
			continue
		}
		if fd.HasPresence() && !m.Has(fd) {
			continue
		}
		v, err := r.value(m.Get(fd), fd, s.Field(name))
		if err := put(out, name, v, err); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *schemaReader) value(v protoreflect.Value, fd protoreflect.FieldDescriptor, s *connect.Schema) (any, error) {
	switch {
	case fd.IsMap():
		return r.realMap(v.Map(), fd, s)
	case !fd.IsList():
		return r.one(v, fd, s)
	case s.Type == connect.Map:
		return r.entries(v.List(), s)
	}
	list := make([]any, v.List().Len())
	for i := range list {
		var err error
		if list[i], err = r.one(v.List().Get(i), fd, s.Elements); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *schemaReader) realMap(m protoreflect.Map, fd protoreflect.FieldDescriptor, s *connect.Schema) (any, error) {
	entries := connect.MapEntries{}
	var failure error
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		var key, value any
		if key, failure = r.one(k.Value(), fd.MapKey(), s.Keys); failure != nil {
			return false
		}
		if value, failure = r.one(v, fd.MapValue(), s.Elements); failure != nil {
			return false
		}
		entries = append(entries, connect.MapEntry{Key: key, Value: value})
		return true
	})
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, failure
}

func (r *schemaReader) entries(list protoreflect.List, s *connect.Schema) (any, error) {
	built := connect.NewMapBuilder(nil)
	for i := range list.Len() {
		m := list.Get(i).Message()
		fields := m.Descriptor().Fields()
		pair := [2]any{}
		for j, schema := range []*connect.Schema{s.Keys, s.Elements} {
			fd := fields.Get(j)
			if fd.HasPresence() && !m.Has(fd) {
				continue
			}
			var err error
			if pair[j], err = r.value(m.Get(fd), fd, schema); err != nil {
				return nil, err
			}
		}
		built.Put(pair[0], pair[1])
	}
	entries := built.Entries()
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, nil
}

func (r *schemaReader) one(v protoreflect.Value, fd protoreflect.FieldDescriptor, s *connect.Schema) (any, error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return v.Bool(), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		switch s.Type {
		case connect.Int8:
			return int8(v.Int()), nil
		case connect.Int16:
			return int16(v.Int()), nil
		}
		return int32(v.Int()), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return v.Int(), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return int64(v.Uint()), nil // Java has no other
	case protoreflect.FloatKind:
		return float32(v.Float()), nil
	case protoreflect.DoubleKind:
		return v.Float(), nil
	case protoreflect.StringKind:
		return v.String(), nil
	case protoreflect.BytesKind:
		return append([]byte{}, v.Bytes()...), nil
	case protoreflect.EnumKind:
		if symbol := fd.Enum().Values().ByNumber(v.Enum()); symbol != nil {
			return string(symbol.Name()), nil
		}
		return fmt.Sprintf("UNKNOWN_ENUM_VALUE_%s_%d", fd.Enum().Name(), v.Enum()), nil
	}
	return r.ofValue(v.Message(), s)
}

func (r *schemaReader) ofValue(m protoreflect.Message, s *connect.Schema) (any, error) {
	number := func(name protoreflect.Name) int64 {
		if fd := m.Descriptor().Fields().ByName(name); fd != nil && fd.Kind() != protoreflect.BytesKind {
			if fd.Kind() == protoreflect.Uint32Kind {
				return int64(m.Get(fd).Uint())
			}
			return m.Get(fd).Int()
		}
		return 0
	}
	switch s.Name {
	case connect.DecimalName:
		fd := m.Descriptor().Fields().ByName("value")
		return connect.DecimalFromBytes(connect.DecimalSchema(int32(number("scale"))), m.Get(fd).Bytes())
	case connect.DateName:
		y, mo, d := number("year"), number("month"), number("day")
		t := time.Date(int(y), time.Month(mo), int(d), 0, 0, 0, 0, time.UTC)
		if int64(t.Year()) != y || int64(t.Month()) != mo || int64(t.Day()) != d {
			return nil, dataError(fmt.Sprintf("%d-%d-%d is no date", y, mo, d), nil)
		}
		return t, nil
	case connect.TimeName:
		h, mi, sec, n := number("hours"), number("minutes"), number("seconds"), number("nanos")
		if h < 0 || h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 59 || n < 0 || n >= 1e9 {
			return nil, dataError(fmt.Sprintf("%d:%d:%d and %d nanoseconds is no time of the day", h, mi, sec, n), nil)
		}
		return connect.TimeFromMillis(int32((h*3600+mi*60+sec)*1000 + n/1e6))
	case connect.TimestampName:
		return connect.TimestampFromMillis(number("seconds")*1000 + number("nanos")/1e6), nil
	}
	if s.Type == connect.Struct {
		return r.structOf(m, s)
	}
	if isWrapper(m.Descriptor()) {
		fd := m.Descriptor().Fields().Get(0)
		return r.one(m.Get(fd), fd, s)
	}
	return nil, dataError(fmt.Sprintf("message %s cannot be read as %s", m.Descriptor().FullName(), s.Type), nil)
}

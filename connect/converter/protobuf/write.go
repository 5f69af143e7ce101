package protobuf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tributary/connect"
	"tributary/connect/internal/values"
	"tributary/internal/javatext"
)

func dataError(message string, err error) error {
	return &connect.DataError{Message: message, Err: err}
}

// set is one field of a message with its value.
type set struct {
	field  protoreflect.FieldDescriptor
	schema *connect.Schema
	value  any
}

// appendMessage writes a struct as a message, fields in the order of their numbers.
func appendMessage(b []byte, m protoreflect.MessageDescriptor, s *connect.Schema, value any) ([]byte, error) {
	v, ok := value.(*connect.StructValue)
	if !ok {
		return nil, wrongType(s, value)
	}
	if !v.Schema().Equal(s) {
		return nil, dataError("Mismatching struct schema", nil)
	}
	fields := make([]set, 0, len(s.Fields))
	for i, f := range s.Fields {
		own := v.At(i)
		if own == nil {
			continue // an absent field is Protobuf's null
		}
		name, schema := f.Name, f.Schema
		if isUnion(schema) {
			union, ok := own.(*connect.StructValue)
			if !ok {
				return nil, wrongType(schema, own)
			}
			at := slices.IndexFunc(schema.Fields, func(f connect.Field) bool { return union.At(schema.FieldIndex(f.Name)) != nil })
			if at < 0 {
				return nil, dataError("Cannot find non-null field in the union "+name, nil)
			}
			name, own, schema = schema.Fields[at].Name, union.At(at), schema.Fields[at].Schema
		}
		fd := m.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return nil, dataError("Cannot find field with name "+name+" in "+string(m.FullName()), nil)
		}
		fields = append(fields, set{fd, schema, own})
	}
	slices.SortFunc(fields, func(a, b set) int { return cmp.Compare(a.field.Number(), b.field.Number()) })
	for _, f := range fields {
		var err error
		if b, err = appendField(b, f); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.field.Name(), err)
		}
	}
	return b, nil
}

func wrongType(s *connect.Schema, value any) error {
	return dataError(fmt.Sprintf("Invalid type for %s: class %s", s.Type, connect.ClassName(value)), nil)
}

func appendField(b []byte, f set) ([]byte, error) {
	switch {
	case f.schema.Type == connect.Map:
		return appendEntries(b, f)
	case f.schema.Type == connect.Array:
		list, ok := f.value.([]any)
		if !ok || !f.field.IsList() {
			return nil, wrongType(f.schema, f.value)
		}
		return appendList(b, f, list)
	case f.field.IsList() || f.field.IsMap():
		return nil, dataError("the schema has a list or map, the value none", nil)
	}
	return appendSingle(b, f.field, f.schema, f.value, !f.field.HasPresence())
}

func appendEntries(b []byte, f set) ([]byte, error) {
	entries := javatext.Entries(f.value)
	if entries == nil || f.field.Message() == nil {
		return nil, wrongType(f.schema, f.value)
	}
	entry := f.field.Message()
	key, value := entry.Fields().ByName("key"), entry.Fields().ByName("value")
	if key == nil || value == nil {
		return nil, dataError(fmt.Sprintf("%s has no fields key and value", entry.FullName()), nil)
	}
	for _, e := range entries {
		if e.Key == nil {
			return nil, dataError("Protobuf has no null as key of a map", nil)
		}
		// Entries of a map have both fields, even where they are zero.
		own, err := appendInEntry(nil, key, f.schema.Keys, e.Key)
		if err == nil && e.Value != nil {
			own, err = appendInEntry(own, value, f.schema.Elements, e.Value)
		}
		if err != nil {
			return nil, err
		}
		b = protowire.AppendTag(b, f.field.Number(), protowire.BytesType)
		b = protowire.AppendBytes(b, own)
	}
	return b, nil
}

func appendInEntry(b []byte, fd protoreflect.FieldDescriptor, s *connect.Schema, value any) ([]byte, error) {
	if s.Type == connect.Array || s.Type == connect.Map {
		return appendField(b, set{fd, s, value})
	}
	// A real map entry writes both; a message that only looks like one leaves zeros out.
	return appendSingle(b, fd, s, value, !fd.HasPresence() && !fd.ContainingMessage().IsMapEntry())
}

// appendList writes numbers packed, as proto3 does.
func appendList(b []byte, f set, list []any) ([]byte, error) {
	elements := f.schema.Elements
	var packed []byte
	for _, v := range list {
		if v == nil {
			return nil, dataError("Protobuf has no null in a list", nil)
		}
		if !f.field.IsPacked() {
			var err error
			if b, err = appendSingle(b, f.field, elements, v, false); err != nil {
				return nil, err
			}
			continue
		}
		own, err := appendSingle(nil, f.field, elements, v, false)
		if err != nil {
			return nil, err
		}
		_, _, size := protowire.ConsumeTag(own)
		packed = append(packed, own[size:]...)
	}
	if len(packed) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, f.field.Number(), protowire.BytesType), packed)
	}
	return b, nil
}

// appendSingle writes one value with its tag; zeros are left out where skipZero.
func appendSingle(b []byte, fd protoreflect.FieldDescriptor, s *connect.Schema, value any, skipZero bool) ([]byte, error) {
	n := fd.Number()
	varint := func(v uint64) ([]byte, error) {
		if v == 0 && skipZero {
			return b, nil
		}
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v), nil
	}
	fixed32 := func(v uint32) ([]byte, error) {
		if v == 0 && skipZero {
			return b, nil
		}
		return protowire.AppendFixed32(protowire.AppendTag(b, n, protowire.Fixed32Type), v), nil
	}
	fixed64 := func(v uint64) ([]byte, error) {
		if v == 0 && skipZero {
			return b, nil
		}
		return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), v), nil
	}
	sized := func(v []byte) ([]byte, error) {
		if len(v) == 0 && skipZero {
			return b, nil
		}
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v), nil
	}
	whole, isWhole := values.Whole(value)
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Uint32Kind:
		if isWhole && (whole == int64(int32(whole)) || fd.Kind() == protoreflect.Uint32Kind && whole == int64(uint32(whole))) {
			if fd.Kind() == protoreflect.Uint32Kind {
				return varint(uint64(uint32(whole)))
			}
			return varint(uint64(whole))
		}
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		if isWhole {
			return varint(uint64(whole))
		}
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		if isWhole {
			return varint(protowire.EncodeZigZag(whole))
		}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		if isWhole && (whole == int64(int32(whole)) || whole == int64(uint32(whole))) {
			return fixed32(uint32(whole))
		}
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		if isWhole {
			return fixed64(uint64(whole))
		}
	case protoreflect.FloatKind:
		if v, ok := value.(float32); ok {
			return fixed32(math.Float32bits(v))
		}
	case protoreflect.DoubleKind:
		switch v := value.(type) {
		case float64:
			return fixed64(math.Float64bits(v))
		case float32:
			return fixed64(math.Float64bits(float64(v)))
		}
	case protoreflect.BoolKind:
		if v, ok := value.(bool); ok {
			return varint(protowire.EncodeBool(v))
		}
	case protoreflect.StringKind:
		if v, ok := value.(string); ok {
			if !utf8.ValidString(v) {
				return nil, dataError("the text is not UTF-8, which Protobuf asks for", nil)
			}
			return sized([]byte(v))
		}
	case protoreflect.BytesKind:
		if v, ok := value.([]byte); ok {
			return sized(v)
		}
	case protoreflect.EnumKind:
		if v, ok := value.(string); ok {
			symbol := fd.Enum().Values().ByName(protoreflect.Name(v))
			if symbol == nil {
				return nil, dataError(fmt.Sprintf("%q is no value of the enum %s", v, fd.Enum().FullName()), nil)
			}
			return varint(uint64(int64(symbol.Number())))
		}
	case protoreflect.MessageKind:
		body, err := appendBody(fd.Message(), s, value)
		if err != nil {
			return nil, err
		}
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), body), nil
	}
	return nil, wrongType(s, value)
}

// appendBody is a message: of a struct, of a logical type, or a wrapper.
func appendBody(m protoreflect.MessageDescriptor, s *connect.Schema, value any) ([]byte, error) {
	number := func(b []byte, n protowire.Number, v int64) []byte {
		if v == 0 {
			return b
		}
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
	}
	switch s.Name {
	case connect.DecimalName:
		d, ok := value.(connect.Decimal)
		if !ok {
			return nil, dataError("Invalid type for Decimal, expected BigDecimal but was class "+connect.ClassName(value), nil)
		}
		data, err := connect.DecimalToBytes(connect.DecimalSchema(d.Scale()), d)
		if err != nil {
			return nil, err
		}
		b := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), data)
		b = number(b, 2, int64(digitsOf(d)))
		return number(b, 3, int64(d.Scale())), nil
	case connect.DateName, connect.TimeName, connect.TimestampName:
		t, ok := value.(time.Time)
		if !ok {
			return nil, dataError(fmt.Sprintf("Invalid type for %s, expected Date but was class %s", s.Name[len("org.apache.kafka.connect.data."):], connect.ClassName(value)), nil)
		}
		return appendTemporal(s.Name, t.UTC(), number)
	}
	if s.Type == connect.Struct {
		return appendMessage(nil, m, s, value)
	}
	if fd := m.Fields().ByName("value"); fd != nil && isWrapper(m) {
		return appendSingle(nil, fd, s, value, true)
	}
	return nil, wrongType(s, value)
}

// digitsOf is the precision of a BigDecimal.
func digitsOf(d connect.Decimal) int {
	n := d.Unscaled()
	return len(n.Abs(n).String())
}

func appendTemporal(name string, t time.Time, number func([]byte, protowire.Number, int64) []byte) ([]byte, error) {
	switch name {
	case connect.DateName:
		if _, err := connect.DateToDays(t); err != nil {
			return nil, err
		}
		b := number(nil, 1, int64(t.Year()))
		b = number(b, 2, int64(t.Month()))
		return number(b, 3, int64(t.Day())), nil
	case connect.TimeName:
		if _, err := connect.TimeToMillis(t); err != nil {
			return nil, err
		}
		b := number(nil, 1, int64(t.Hour()))
		b = number(b, 2, int64(t.Minute()))
		b = number(b, 3, int64(t.Second()))
		return number(b, 4, t.UnixMilli()%1000*1e6), nil
	}
	millis := t.UnixMilli()
	seconds, rest := millis/1000, millis%1000
	if rest < 0 { // nanoseconds count forward
		seconds, rest = seconds-1, rest+1000
	}
	return number(number(nil, 1, seconds), 2, rest*1e6), nil
}

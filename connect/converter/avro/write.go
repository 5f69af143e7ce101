package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"tributary/connect"
	"tributary/connect/internal/values"
	"tributary/internal/javatext"
)

func dataError(message string, err error) error {
	return &connect.DataError{Message: message, Err: err}
}

// physical is the value of a logical type as its physical type has it; any other value as
// it is.
func physical(s *connect.Schema, value any) (any, error) {
	if s == nil || s.Name == "" || value == nil {
		return value, nil
	}
	switch s.Name {
	case connect.DecimalName:
		d, ok := value.(connect.Decimal)
		if !ok {
			return nil, dataError("Invalid type for Decimal, expected BigDecimal but was class "+connect.ClassName(value), nil)
		}
		return connect.DecimalToBytes(s, d)
	case connect.DateName, connect.TimeName, connect.TimestampName:
		t, ok := value.(time.Time)
		if !ok {
			return nil, dataError(fmt.Sprintf("Invalid type for %s, expected Date but was class %s", s.Name[len("org.apache.kafka.connect.data."):], connect.ClassName(value)), nil)
		}
		switch s.Name {
		case connect.DateName:
			return connect.DateToDays(t)
		case connect.TimeName:
			return connect.TimeToMillis(t)
		}
		return t.UnixMilli(), nil
	}
	return value, nil
}

// appendWhole is appendValue for all that a record has as its key or value. Bytes alone stand
// there as they are, without their length: so Confluent's serializer writes them.
func appendWhole(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	if n.kind == bytes {
		if own, err := physical(s, value); err == nil {
			if data, ok := own.([]byte); ok {
				return append(b, data...), nil
			}
		}
	}
	return appendValue(b, n, s, value)
}

// appendValue appends the binary form of a value of the schema s by the Avro schema n. n
// is the one that was made of s, or one that the settings asked for instead.
func appendValue(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	if s == nil {
		return appendAnything(b, value, 0)
	}
	if value == nil && !s.Optional {
		return nil, dataError("Found null value for non-optional schema", nil)
	}
	if s.Name == unionName && s.Type == connect.Struct {
		return appendUnion(b, n, s, value)
	}
	if value == nil {
		return appendNull(b, n)
	}
	value, err := physical(s, value)
	if err != nil {
		return nil, err
	}
	if n.kind == union {
		i := branchFor(n, s)
		if i < 0 {
			return nil, fmt.Errorf("the union %s has no branch for %s", n, s)
		}
		b, n = binary.AppendVarint(b, int64(i)), n.branches[i]
	}
	return appendOf(b, n, s, value)
}

func appendNull(b []byte, n *node) ([]byte, error) {
	if n.kind == null {
		return b, nil
	}
	if i := n.nullBranch(); i >= 0 {
		return binary.AppendVarint(b, int64(i)), nil
	}
	return nil, dataError(fmt.Sprintf("Found null value, but the Avro schema is %s", n.kind), nil)
}

// appendUnion writes the one field of a union's struct that is set.
func appendUnion(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		return appendNull(b, n)
	}
	v, ok := value.(*connect.StructValue)
	if !ok {
		return nil, wrongType(s, value)
	}
	for i, f := range s.Fields {
		own := v.At(i)
		if own == nil {
			continue
		}
		return appendValue(b, n, f.Schema, own)
	}
	if !s.Optional {
		return nil, dataError("Found null value for non-optional schema", nil)
	}
	return appendNull(b, n)
}

// branchFor is the place of the branch that a value of s is written as, -1 if there is
// none: one of its type and name, else of its type, else of a wider type.
func branchFor(n *node, s *connect.Schema) int {
	best, rank := -1, 0
	for i, b := range n.branches {
		r := fit(b, s)
		if r > rank {
			best, rank = i, r
		}
	}
	return best
}

// fit is how well a branch suits a schema; 0 is not at all.
func fit(n *node, s *connect.Schema) int {
	const exact, typed, wider = 3, 2, 1
	named := func(full string) int {
		if full == s.Name || s.Name == "" && n.namespace == ownSpace {
			return exact
		}
		return typed
	}
	switch k := n.kind; s.Type {
	case connect.Int8, connect.Int16, connect.Int32:
		return rankOf(k, integer, long, float, double)
	case connect.Int64:
		return rankOf(k, long, float, double)
	case connect.Float32:
		return rankOf(k, float, double)
	case connect.Float64:
		return rankOf(k, double)
	case connect.Boolean:
		return rankOf(k, boolean)
	case connect.String:
		if k == enum {
			full, is := s.Parameters.Get(enumParameter)
			if is && full == n.fullName() {
				return exact
			}
			return wider
		}
		return rankOf(k, text)
	case connect.Bytes:
		if k == fixed {
			return named(n.fullName())
		}
		return rankOf(k, bytes)
	case connect.Array:
		if k == array && !isMapEntry(n.elements) {
			return exact
		}
	case connect.Map:
		if k == mapping || k == array && isMapEntry(n.elements) {
			return exact
		}
	case connect.Struct:
		if k == record {
			return named(n.fullName())
		}
	}
	return 0
}

func rankOf(k kind, first kind, wider ...kind) int {
	if k == first {
		return 3
	}
	for _, own := range wider {
		if k == own {
			return 1
		}
	}
	return 0
}

func wrongType(s *connect.Schema, value any) error {
	return dataError(fmt.Sprintf("Invalid type for %s: class %s", s.Type, connect.ClassName(value)), nil)
}

// appendOf writes a value that is not null by a schema that is no union.
func appendOf(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	switch n.kind {
	case integer, long:
		if whole, ok := values.Whole(value); ok && (n.kind == long || whole == int64(int32(whole))) {
			return binary.AppendVarint(b, whole), nil
		}
	case float:
		if v, ok := floatOf(value); ok {
			return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v))), nil
		}
	case double:
		if v, ok := floatOf(value); ok {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(v)), nil
		}
	case boolean:
		if v, ok := value.(bool); ok {
			if v {
				return append(b, 1), nil
			}
			return append(b, 0), nil
		}
	case text:
		if v, ok := value.(string); ok {
			return appendText(b, v), nil
		}
	case bytes:
		if v, ok := value.([]byte); ok {
			return append(binary.AppendVarint(b, int64(len(v))), v...), nil
		}
	case fixed:
		if v, ok := value.([]byte); ok {
			return appendFixed(b, n, s, v)
		}
	case enum:
		if v, ok := value.(string); ok {
			for i, symbol := range n.symbols {
				if symbol == v {
					return binary.AppendVarint(b, int64(i)), nil
				}
			}
			return nil, dataError(fmt.Sprintf("%q is no symbol of the enum %s", v, n.fullName()), nil)
		}
	case array:
		return appendArray(b, n, s, value)
	case mapping:
		return appendMap(b, n, s, value)
	case record:
		if v, ok := value.(*connect.StructValue); ok && s.Type == connect.Struct {
			return appendRecord(b, n, s, v)
		}
	}
	return nil, wrongType(s, value)
}

func floatOf(value any) (float64, bool) {
	switch v := value.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	whole, ok := values.Whole(value)
	return float64(whole), ok
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// appendFixed fills a decimal up at its front, with its sign.
func appendFixed(b []byte, n *node, s *connect.Schema, v []byte) ([]byte, error) {
	missing := n.size - len(v)
	if missing < 0 || missing > 0 && s.Name != connect.DecimalName {
		return nil, dataError(fmt.Sprintf("there are %d bytes, but fixed %s has %d", len(v), n.fullName(), n.size), nil)
	}
	sign := byte(0)
	if len(v) > 0 && v[0]&0x80 != 0 {
		sign = 0xff
	}
	for range missing {
		b = append(b, sign)
	}
	return append(b, v...), nil
}

func appendArray(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	if s.Type == connect.Map && isMapEntry(n.elements) {
		entries := javatext.Entries(value)
		if entries == nil {
			return nil, wrongType(s, value)
		}
		return appendEntries(b, len(entries), func(b []byte, i int) ([]byte, error) {
			b, err := appendValue(b, n.elements.field("key").node, s.Keys, entries[i].Key)
			if err != nil {
				return nil, err
			}
			return appendValue(b, n.elements.field("value").node, s.Elements, entries[i].Value)
		})
	}
	list, ok := value.([]any)
	if !ok || s.Type != connect.Array {
		return nil, wrongType(s, value)
	}
	return appendEntries(b, len(list), func(b []byte, i int) ([]byte, error) {
		return appendValue(b, n.elements, s.Elements, list[i])
	})
}

// appendEntries writes an array or a map as one block and the end.
func appendEntries(b []byte, count int, one func(b []byte, i int) ([]byte, error)) ([]byte, error) {
	if count > 0 {
		b = binary.AppendVarint(b, int64(count))
	}
	for i := range count {
		var err error
		if b, err = one(b, i); err != nil {
			return nil, err
		}
	}
	return append(b, 0), nil
}

func appendMap(b []byte, n *node, s *connect.Schema, value any) ([]byte, error) {
	entries := javatext.Entries(value)
	if entries == nil || s.Type != connect.Map {
		return nil, wrongType(s, value)
	}
	return appendEntries(b, len(entries), func(b []byte, i int) ([]byte, error) {
		key, ok := entries[i].Key.(string)
		if !ok {
			return nil, dataError(fmt.Sprintf("Invalid type for the key of a map: class %s", connect.ClassName(entries[i].Key)), nil)
		}
		return appendValue(appendText(b, key), n.elements, s.Elements, entries[i].Value)
	})
}

func appendRecord(b []byte, n *node, s *connect.Schema, v *connect.StructValue) ([]byte, error) {
	if !v.Schema().Equal(s) {
		return nil, dataError("Mismatching struct schema", nil)
	}
	for i := range n.fields {
		f := &n.fields[i]
		at := i
		if at >= len(s.Fields) || s.Fields[at].Name != f.name {
			at = s.FieldIndex(f.name)
		}
		var err error
		switch {
		case at >= 0:
			b, err = appendValue(b, f.node, s.Fields[at].Schema, v.At(at))
		case f.hasAny:
			b, err = appendPreset(b, f.node, f.preset)
		default:
			err = errors.New("the record has no such field, and the Avro schema no default for it")
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	return b, nil
}

// appendPreset writes the default of a field that the value does not have.
func appendPreset(b []byte, n *node, preset any) ([]byte, error) {
	if n.kind == union {
		i := 0
		if preset == nil {
			i = max(n.nullBranch(), 0)
		}
		b, n = binary.AppendVarint(b, int64(i)), n.branches[i]
	}
	if n.kind == null {
		return b, nil
	}
	r := schemaReader{metadata: true}
	s, err := r.schema(n)
	if err != nil {
		return nil, err
	}
	value, err := presetOf(n, s, preset)
	if err != nil {
		return nil, err
	}
	return appendValue(b, n, s, value)
}

// appendAnything writes a value without a schema. The fields of the record are unions
// of null and a type.
func appendAnything(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, dataError(fmt.Sprintf("the value nests deeper than %d", maxDepth), nil)
	}
	at := -1
	var body []byte
	var err error
	switch v := value.(type) {
	case nil:
	case bool:
		at, body = 0, []byte{0}
		if v {
			body[0] = 1
		}
	case []byte:
		at, body = 1, append(binary.AppendVarint(nil, int64(len(v))), v...)
	case float64:
		at, body = 2, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	case float32:
		at, body = 3, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	case int8, int16, int32:
		whole, _ := values.Whole(v)
		at, body = 4, binary.AppendVarint(nil, whole)
	case int64:
		at, body = 5, binary.AppendVarint(nil, v)
	case string:
		at, body = 6, appendText(nil, v)
	case []any:
		at = 7
		body, err = appendEntries(nil, len(v), func(b []byte, i int) ([]byte, error) { return appendAnything(b, v[i], depth+1) })
	case map[string]any, connect.MapEntries:
		at = 8
		entries := javatext.Entries(value)
		body, err = appendEntries(nil, len(entries), func(b []byte, i int) ([]byte, error) {
			b, err := appendAnything(b, entries[i].Key, depth+1)
			if err != nil {
				return nil, err
			}
			return appendAnything(b, entries[i].Value, depth+1)
		})
	default:
		err = dataError("Unknown Java type for schemaless data: class "+connect.ClassName(value), nil)
	}
	if err != nil {
		return nil, err
	}
	for i := range anything.fields {
		if i == at {
			b = append(append(b, 2), body...) // branch 1
			continue
		}
		b = append(b, 0)
	}
	return b, nil
}

package jsonschema

import (
	"encoding/base64"
	"fmt"

	"tributary/connect"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// kindOf is what messages call a node.
func kindOf(node any) string {
	switch node.(type) {
	case nil:
		return "NULL"
	case bool:
		return "BOOLEAN"
	case string:
		return "STRING"
	case javajson.Number:
		return "NUMBER"
	case []any:
		return "ARRAY"
	}
	return "OBJECT"
}

// readValue is the Connect value of a JSON value; a nil schema is none.
func readValue(s *connect.Schema, node any) (any, error) {
	if s == nil {
		return readPlain(node), nil
	}
	if node == nil {
		switch {
		case s.Default != nil:
			return s.Default, nil
		case s.Optional:
			return nil, nil
		}
		return nil, dataError(fmt.Sprintf("Invalid null value for required %s field", s.Type), nil)
	}
	switch s.Name {
	case connect.DecimalName:
		return readDecimal(s, node)
	case connect.DateName, connect.TimeName, connect.TimestampName:
		return readTemporal(s, node)
	case oneOfName:
		return readOneOf(s, node)
	}
	wrong := func() error {
		return dataError(fmt.Sprintf("Invalid type for %s: the JSON value is %s", s.Type, kindOf(node)), nil)
	}
	switch n := node.(type) {
	case bool:
		if s.Type == connect.Boolean {
			return n, nil
		}
	case javajson.Number:
		return readNumber(s, n, wrong)
	case string:
		switch s.Type {
		case connect.String:
			return n, nil
		case connect.Bytes:
			data, err := base64.StdEncoding.DecodeString(n)
			if err != nil {
				return nil, dataError("Invalid bytes field", err)
			}
			return data, nil
		}
	case []any:
		switch s.Type {
		case connect.Array:
			return readList(s, n)
		case connect.Map:
			if !objectKeys(s) {
				return readPairs(s, n)
			}
		}
	case javajson.Members:
		switch {
		case s.Type == connect.Struct:
			return readStruct(s, n)
		case s.Type == connect.Map && objectKeys(s):
			return readObject(s, n)
		}
	}
	return nil, wrong()
}

func readNumber(s *connect.Schema, n javajson.Number, wrong func() error) (any, error) {
	switch s.Type {
	case connect.Int8:
		return int8(n.Truncated()), nil
	case connect.Int16:
		return int16(n.Truncated()), nil
	case connect.Int32:
		return int32(n.Truncated()), nil
	case connect.Int64:
		return n.Truncated(), nil
	case connect.Float32:
		return n.Float32(), nil
	case connect.Float64:
		return n.Float64(), nil
	}
	return nil, wrong()
}

// readPlain is a value without a schema, as JsonConverter reads it.
func readPlain(node any) any {
	switch n := node.(type) {
	case javajson.Number:
		if n.Integer {
			return n.Truncated()
		}
		return n.Float64()
	case []any:
		out := make([]any, len(n))
		for i := range n {
			out[i] = readPlain(n[i])
		}
		return out
	case javajson.Members:
		out := make(connect.MapEntries, 0, len(n))
		for _, m := range n {
			out = append(out, connect.MapEntry{Key: m.Name, Value: readPlain(m.Value)})
		}
		javatext.SortAsHashMap(out, javatext.DefaultCapacity)
		return out
	}
	return node
}

func readDecimal(s *connect.Schema, node any) (any, error) {
	switch n := node.(type) {
	case javajson.Number:
		return connect.ParseDecimal(string(n.Text))
	case string:
		data, err := base64.StdEncoding.DecodeString(n)
		if err == nil {
			var d connect.Decimal
			if d, err = connect.DecimalFromBytes(s, data); err == nil {
				return d, nil
			}
		}
		return nil, dataError("Invalid bytes for Decimal field", err)
	}
	return nil, dataError("Invalid type for Decimal, underlying representation should be numeric or bytes but was "+kindOf(node), nil)
}

func readTemporal(s *connect.Schema, node any) (any, error) {
	n, _ := node.(javajson.Number)
	whole, ok := n.Int64()
	short := s.Name[len("org.apache.kafka.connect.data."):]
	if s.Name == connect.TimestampName {
		if !ok {
			return nil, dataError("Invalid type for Timestamp, underlying representation should be integral but was "+kindOf(node), nil)
		}
		return connect.TimestampFromMillis(whole), nil
	}
	if !ok || whole != int64(int32(whole)) {
		return nil, dataError(fmt.Sprintf("Invalid type for %s, underlying representation should be integer but was %s", short, kindOf(node)), nil)
	}
	if s.Name == connect.DateName {
		return connect.DateFromDays(int32(whole)), nil
	}
	return connect.TimeFromMillis(int32(whole))
}

// readOneOf takes the first alternative that the value may be, of structs the one of which it
// has most fields.
func readOneOf(s *connect.Schema, node any) (any, error) {
	best, most := -1, 0
	for i, f := range s.Fields {
		if maybe(f.Schema, node) {
			best = i
			break
		}
		if n := matching(f.Schema, node); n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return nil, dataError("Did not find matching oneof field for data of type "+kindOf(node), nil)
	}
	v, err := readValue(s.Fields[best].Schema, node)
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(s)
	return out, out.PutAt(best, v)
}

// matching counts the fields of a struct that a value has, those of structs inside included.
func matching(s *connect.Schema, node any) int {
	members, ok := node.(javajson.Members)
	if !ok || s.Type != connect.Struct {
		return 0
	}
	n := 0
	if s.Name == oneOfName {
		for _, f := range s.Fields {
			n = max(n, matching(f.Schema, node))
		}
		return n
	}
	for _, m := range members {
		if i := s.FieldIndex(m.Name); i >= 0 {
			n += 1 + matching(s.Fields[i].Schema, m.Value)
		}
	}
	return n
}

// maybe is whether a value may be one of a schema that is no struct's.
func maybe(s *connect.Schema, node any) bool {
	switch n := node.(type) {
	case bool:
		return s.Type == connect.Boolean
	case string:
		return s.Type == connect.String
	case javajson.Number:
		switch s.Type {
		case connect.Int8, connect.Int16, connect.Int32, connect.Int64:
			return n.Integer
		case connect.Float32, connect.Float64:
			return true
		}
		return s.Name == connect.DecimalName
	case []any:
		return s.Type == connect.Array || s.Type == connect.Map
	case javajson.Members:
		return s.Type == connect.Map
	}
	return false
}

func readList(s *connect.Schema, list []any) (any, error) {
	out := make([]any, len(list))
	for i := range list {
		var err error
		if out[i], err = readValue(s.Elements, list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readPairs(s *connect.Schema, list []any) (any, error) {
	built := connect.NewMapBuilder(make(connect.MapEntries, 0, len(list)))
	for _, own := range list {
		m, ok := own.(javajson.Members)
		if !ok {
			return nil, dataError("Found invalid map entry instead of object: "+kindOf(own), nil)
		}
		if len(m) != 2 {
			return nil, dataError(fmt.Sprintf("Found invalid map entry, expected length 2 but found :%d", len(m)), nil)
		}
		key, err := readValue(s.Keys, m.Get("key"))
		if err != nil {
			return nil, err
		}
		v, err := readValue(s.Elements, m.Get("value"))
		if err != nil {
			return nil, err
		}
		built.Put(key, v)
	}
	entries := built.Entries()
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, nil
}

func readObject(s *connect.Schema, members javajson.Members) (any, error) {
	entries := make(connect.MapEntries, 0, len(members))
	for _, m := range members {
		v, err := readValue(s.Elements, m.Value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, connect.MapEntry{Key: m.Name, Value: v})
	}
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, nil
}

// readStruct leaves fields null that are missing and have no default, required ones too: most
// schemas that no connector made say of no field that it must be there. Structs inside others
// are refused then, as in Java.
func readStruct(s *connect.Schema, members javajson.Members) (any, error) {
	out := connect.NewStruct(s)
	for i, f := range s.Fields {
		node, has := members.Find(f.Name)
		if !has && f.Schema.Default == nil {
			continue
		}
		v, err := readValue(f.Schema, node)
		if err == nil {
			err = out.PutAt(i, v)
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return out, nil
}

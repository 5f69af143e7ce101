package converter

import (
	"encoding/base64"
	"errors"
	"fmt"

	"tributary/connect"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// jsonReader reads values of a schema straight from the text. Where the text is of
// another kind than the schema wants, it takes the way over a tree: Java's typed reads
// turn such values into 0, false or null.
type jsonReader struct {
	*javajson.Parser
	replaceNull bool
}

// dataError makes syntax errors data errors.
func (r *jsonReader) dataError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connect.DataError](err); ok {
		return err
	}
	return dataError(r.Explain(err), deserializing)
}

func (r *jsonReader) skipRest() error {
	if r.AtEnd() {
		return nil
	}
	return r.Skip()
}

// read reads the next value, schemaless without schema.
func (r *jsonReader) read(s *connect.Schema) (any, error) {
	if s == nil {
		return r.plain()
	}
	c := r.Peek()
	if c == 'n' {
		if _, err := r.Literal(); err != nil {
			return nil, err
		}
		return r.null(s)
	}
	if isLogical(s.Name) {
		return r.viaTree(s)
	}
	switch s.Type {
	case connect.Boolean:
		if c == 't' || c == 'f' {
			return r.Literal()
		}
	case connect.String:
		if c == '"' {
			return r.String()
		}
	case connect.Array:
		if c == '[' {
			list := []any{}
			err := r.Array(func() error {
				v, err := r.read(s.Elements)
				list = append(list, v)
				return err
			})
			return list, err
		}
	case connect.Map:
		if c == '{' && s.Keys.Type == connect.String {
			return r.readMap(s.Elements)
		}
	case connect.Struct:
		if c == '{' {
			return r.readStruct(s)
		}
	case connect.Bytes:
	default:
		if c == '-' || c >= '0' && c <= '9' {
			n, err := r.Number()
			if err != nil {
				return nil, err
			}
			return numberAs(s.Type, n), nil
		}
	}
	return r.viaTree(s)
}

// plain reads a value without schema.
func (r *jsonReader) plain() (any, error) {
	switch r.Peek() {
	case '{':
		return r.readMap(nil)
	case '[':
		list := []any{}
		err := r.Array(func() error {
			v, err := r.plain()
			list = append(list, v)
			return err
		})
		return list, err
	}
	return r.Value()
}

// readMap reads an object as a map, in the order of Java's HashMap.
func (r *jsonReader) readMap(elements *connect.Schema) (any, error) {
	entries := connect.MapEntries{}
	var index map[string]int // once a search from begin to end would be slow
	err := r.Object(func(name []byte) error {
		v, err := r.read(elements)
		if err != nil {
			return err
		}
		if at := entryOf(entries, index, name); at >= 0 {
			entries[at].Value = v
			return nil
		}
		key := string(name)
		entries = append(entries, connect.MapEntry{Key: key, Value: v})
		switch {
		case index != nil:
			index[key] = len(entries) - 1
		case len(entries) == 32:
			index = make(map[string]int, 64)
			for i, e := range entries {
				index[e.Key.(string)] = i
			}
		}
		return nil
	})
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, err
}

// entryOf returns the place of an entry, -1 when there is none.
func entryOf(entries connect.MapEntries, index map[string]int, name []byte) int {
	if index != nil {
		if at, ok := index[string(name)]; ok {
			return at
		}
		return -1
	}
	for i := range entries {
		if entries[i].Key.(string) == string(name) {
			return i
		}
	}
	return -1
}

func (r *jsonReader) viaTree(s *connect.Schema) (any, error) {
	node, err := r.Tree()
	if err != nil {
		return nil, err
	}
	return r.fromTree(s, node)
}

func (r *jsonReader) null(s *connect.Schema) (any, error) {
	switch {
	case s.Default != nil && r.replaceNull:
		return s.Default, nil
	case s.Optional:
		return nil, nil
	}
	return nil, dataError(nil, fmt.Sprintf("Invalid null value for required %s field", s.Type))
}

func (r *jsonReader) readStruct(s *connect.Schema) (any, error) {
	out := connect.NewStruct(s)
	var few [64]bool
	seen := few[:]
	if len(s.Fields) > len(few) {
		seen = make([]bool, len(s.Fields))
	}
	next := 0 // fields are nearly always in the order of the schema
	err := r.Object(func(name []byte) error {
		i := next
		if i >= len(s.Fields) || s.Fields[i].Name != string(name) {
			if i = s.FieldIndex(string(name)); i < 0 {
				return r.Skip()
			}
		}
		next = i + 1
		seen[i] = true
		v, err := r.read(s.Fields[i].Schema)
		if err != nil {
			return err
		}
		return out.PutAt(i, v)
	})
	if err != nil {
		return nil, err
	}
	for i := range s.Fields {
		if seen[i] {
			continue
		}
		v, err := r.null(s.Fields[i].Schema)
		if err != nil {
			return nil, err
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// numberAs is a JSON number as a number type: integers wrap, fractions are cut off.
func numberAs(t connect.Type, n javajson.Number) any {
	switch t {
	case connect.Int8:
		return int8(n.Truncated())
	case connect.Int16:
		return int16(n.Truncated())
	case connect.Int32:
		return int32(n.Truncated())
	case connect.Int64:
		return n.Truncated()
	case connect.Float32:
		return n.Float32()
	}
	return n.Float64()
}

// fromTree makes a value of the schema of a JSON tree.
func (r *jsonReader) fromTree(s *connect.Schema, node any) (any, error) {
	if node == nil {
		return r.null(s)
	}
	if isLogical(s.Name) {
		return logicalFromTree(s, node)
	}
	switch s.Type {
	case connect.Boolean:
		b, _ := node.(bool)
		return b, nil
	case connect.String:
		if text, ok := node.(string); ok {
			return text, nil
		}
		return nil, nil
	case connect.Bytes:
		text, ok := node.(string)
		if !ok {
			return nil, nil
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, dataError(err, "Invalid bytes field")
		}
		return data, nil
	case connect.Array:
		return r.arrayFromTree(s, node)
	case connect.Map:
		return r.mapFromTree(s, node)
	case connect.Struct:
		return r.structFromTree(s, node)
	}
	n, ok := node.(javajson.Number)
	if !ok {
		n = javajson.Number{Text: []byte("0"), Integer: true}
	}
	return numberAs(s.Type, n), nil
}

// arrayFromTree takes the values of an object too, as Java does, and nothing of scalars.
func (r *jsonReader) arrayFromTree(s *connect.Schema, node any) (any, error) {
	nodes, _ := node.([]any)
	if members, ok := node.(javajson.Members); ok {
		for _, m := range members {
			nodes = append(nodes, m.Value)
		}
	}
	list := make([]any, 0, len(nodes))
	for _, n := range nodes {
		v, err := r.fromTree(s.Elements, n)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (r *jsonReader) mapFromTree(s *connect.Schema, node any) (any, error) {
	if s.Keys.Type == connect.String {
		members, ok := node.(javajson.Members)
		if !ok {
			return nil, dataError(nil, "Maps with string fields should be encoded as JSON objects, but found "+nodeType(node))
		}
		entries := make(connect.MapEntries, 0, len(members))
		for _, member := range members {
			v, err := r.fromTree(s.Elements, member.Value)
			if err != nil {
				return nil, err
			}
			entries = append(entries, connect.MapEntry{Key: member.Name, Value: v})
		}
		javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
		return entries, nil
	}
	pairs, ok := node.([]any)
	if !ok {
		return nil, dataError(nil, "Maps with non-string fields should be encoded as JSON array of tuples, but found "+nodeType(node))
	}
	built := connect.NewMapBuilder(make(connect.MapEntries, 0, len(pairs)))
	for _, node := range pairs {
		pair, ok := node.([]any)
		if !ok {
			return nil, dataError(nil, "Found invalid map entry instead of array tuple: "+nodeType(node))
		}
		if len(pair) != 2 {
			return nil, dataError(nil, fmt.Sprintf("Found invalid map entry, expected length 2 but found :%d", len(pair)))
		}
		key, err := r.fromTree(s.Keys, pair[0])
		if err != nil {
			return nil, err
		}
		v, err := r.fromTree(s.Elements, pair[1])
		if err != nil {
			return nil, err
		}
		built.Put(key, v)
	}
	entries := built.Entries()
	javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
	return entries, nil
}

func (r *jsonReader) structFromTree(s *connect.Schema, node any) (any, error) {
	members, ok := node.(javajson.Members)
	if !ok {
		return nil, dataError(nil, "Structs should be encoded as JSON objects, but found "+nodeType(node))
	}
	out := connect.NewStruct(s)
	for i, f := range s.Fields {
		v, err := r.fromTree(f.Schema, members.Get(f.Name))
		if err != nil {
			return nil, err
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func isLogical(name string) bool {
	switch name {
	case connect.DecimalName, connect.DateName, connect.TimeName, connect.TimestampName:
		return true
	}
	return false
}

func logicalFromTree(s *connect.Schema, node any) (any, error) {
	n, isNumber := node.(javajson.Number)
	if s.Name == connect.DecimalName {
		return decimalFromTree(s, node)
	}
	whole, fits := n.Int64()
	if s.Name == connect.TimestampName {
		if !isNumber || !n.Integer {
			return nil, dataError(nil, "Invalid type for Timestamp, underlying representation should be integral but was "+nodeType(node))
		}
		return connect.TimestampFromMillis(n.Truncated()), nil
	}
	if !isNumber || !fits || whole != int64(int32(whole)) {
		return nil, dataError(nil, fmt.Sprintf("Invalid type for %s, underlying representation should be integer but was %s",
			s.Name[len("org.apache.kafka.connect.data."):], nodeType(node)))
	}
	if s.Name == connect.DateName {
		return connect.DateFromDays(int32(whole)), nil
	}
	return connect.TimeFromMillis(int32(whole))
}

func decimalFromTree(s *connect.Schema, node any) (any, error) {
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
		return nil, dataError(err, "Invalid bytes for Decimal field")
	}
	return nil, dataError(nil, "Invalid type for Decimal, underlying representation should be numeric or bytes but was "+nodeType(node))
}

package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tributary/connect"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
)

// reader reads values in their binary form. Texts and bytes do not share its memory.
type reader struct {
	data []byte
	// empties bounds values that take no room, of which a few bytes could announce
	// milliards.
	empties int
	depth   int
}

var errShort = errors.New("the value ends too early")

func newReader(data []byte) *reader { return &reader{data: data, empties: 1 << 16} }

// logicalOf is the inverse of physical.
func logicalOf(s *connect.Schema, value any) (any, error) {
	switch v := value.(type) {
	case []byte:
		if s.Name == connect.DecimalName {
			return connect.DecimalFromBytes(s, v)
		}
	case int32:
		switch s.Name {
		case connect.DateName:
			return connect.DateFromDays(v), nil
		case connect.TimeName:
			return connect.TimeFromMillis(v)
		}
	case int64:
		if s.Name == connect.TimestampName {
			return connect.TimestampFromMillis(v), nil
		}
	}
	switch s.Name {
	case connect.DecimalName, connect.DateName, connect.TimeName, connect.TimestampName:
		return nil, dataError(fmt.Sprintf("Invalid type for %s: class %s", s.Name, connect.ClassName(value)), nil)
	}
	return value, nil
}

// readWhole is the inverse of appendWhole.
func readWhole(data []byte, n *node, s *connect.Schema) (any, error) {
	if n.kind == bytes {
		return logicalOf(s, append([]byte{}, data...))
	}
	return newReader(data).value(n, s)
}

// value reads a value of n, of which s is the Connect schema; nil is schemaless.
func (r *reader) value(n *node, s *connect.Schema) (any, error) {
	if s == nil {
		return r.anything()
	}
	if n.kind == union {
		i, err := r.index(len(n.branches))
		if err != nil {
			return nil, err
		}
		b := n.branches[i]
		switch {
		case b.kind == null:
			return nil, nil
		case n.isChoice():
			return r.branch(n, i, s)
		}
		n = b
	}
	v, err := r.bare(n, s)
	if err != nil {
		return nil, err
	}
	return logicalOf(s, v)
}

func (r *reader) branch(n *node, i int, s *connect.Schema) (any, error) {
	at := i
	if null := n.nullBranch(); null >= 0 && null < i {
		at--
	}
	v, err := r.value(n.branches[i], s.Fields[at].Schema)
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(s)
	return out, out.PutAt(at, v)
}

func (r *reader) bare(n *node, s *connect.Schema) (any, error) {
	switch n.kind {
	case boolean:
		b, err := r.take(1)
		return err == nil && b[0] == 1, err
	case integer:
		v, err := r.long()
		if err == nil && v != int64(int32(v)) {
			err = fmt.Errorf("%d is no int", v)
		}
		switch s.Type {
		case connect.Int8:
			return int8(v), err // cut as Java does
		case connect.Int16:
			return int16(v), err
		}
		return int32(v), err
	case long:
		return r.long()
	case float:
		b, err := r.take(4)
		if err != nil {
			return nil, err
		}
		return math.Float32frombits(binary.LittleEndian.Uint32(b)), nil
	case double:
		b, err := r.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	case text:
		b, err := r.sized()
		return string(b), err
	case bytes:
		b, err := r.sized()
		return append([]byte{}, b...), err
	case fixed:
		b, err := r.take(n.size)
		return append([]byte{}, b...), err
	case enum:
		i, err := r.index(len(n.symbols))
		if err != nil {
			return nil, err
		}
		return n.symbols[i], nil
	case array:
		return r.array(n, s)
	case mapping:
		return r.mapping(n, s)
	case record:
		return r.record(n, s)
	}
	return nil, fmt.Errorf("a value cannot be of type %s", n.kind)
}

func (r *reader) record(n *node, s *connect.Schema) (any, error) {
	out := connect.NewStruct(s)
	for i := range n.fields {
		v, err := r.value(n.fields[i].node, s.Fields[i].Schema)
		if err == nil {
			err = out.PutAt(i, v)
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", n.fields[i].name, err)
		}
	}
	return out, nil
}

func (r *reader) array(n *node, s *connect.Schema) (any, error) {
	if s.Type == connect.Map {
		built := connect.NewMapBuilder(nil)
		keyFirst := n.elements.fields[0].name == "key"
		err := r.blocks(func() error {
			var key, value any
			for i := range n.elements.fields {
				into, schema := &value, s.Elements
				if (i == 0) == keyFirst {
					into, schema = &key, s.Keys
				}
				var err error
				if *into, err = r.value(n.elements.fields[i].node, schema); err != nil {
					return err
				}
			}
			built.Put(key, value)
			return nil
		})
		entries := built.Entries()
		javatext.SortAsHashMap(entries, javatext.CapacityFor(len(entries)))
		return entries, err
	}
	list := []any{}
	err := r.blocks(func() error {
		v, err := r.value(n.elements, s.Elements)
		list = append(list, v)
		return err
	})
	return list, err
}

func (r *reader) mapping(n *node, s *connect.Schema) (any, error) {
	entries := connect.MapEntries{}
	places := map[string]int{}
	err := r.blocks(func() error {
		key, err := r.sized()
		if err != nil {
			return err
		}
		v, err := r.value(n.elements, s.Elements)
		if at, has := places[string(key)]; has {
			entries[at].Value = v // the last of equal keys counts
			return err
		}
		places[string(key)] = len(entries)
		entries = append(entries, connect.MapEntry{Key: string(key), Value: v})
		return err
	})
	javatext.SortAsHashMap(entries, javatext.CapacityFor(len(entries)))
	return entries, err
}

// blocks calls one for each item of an array or a map.
func (r *reader) blocks(one func() error) error {
	for {
		count, err := r.long()
		if err != nil || count == 0 {
			return err
		}
		if count < 0 { // the size of the block follows
			if count == math.MinInt64 {
				return errShort
			}
			count = -count
			if _, err := r.long(); err != nil {
				return err
			}
		}
		for range count {
			before := len(r.data)
			if err := one(); err != nil {
				return err
			}
			if len(r.data) == before {
				if r.empties--; r.empties < 0 {
					return errors.New("the value has too many items without content")
				}
			}
		}
	}
}

// anything reads data without a schema.
func (r *reader) anything() (any, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, errTooDeep
	}
	defer func() { r.depth-- }()
	var out any
	for i := range anything.fields {
		branch, err := r.index(2)
		if err != nil {
			return nil, err
		}
		if branch == 0 {
			continue
		}
		v, err := r.anythingField(i)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = v // the first that is set counts
		}
	}
	return out, nil
}

func (r *reader) anythingField(i int) (any, error) {
	switch i {
	case 7:
		list := []any{}
		err := r.blocks(func() error {
			v, err := r.anything()
			list = append(list, v)
			return err
		})
		return list, err
	case 8:
		built := connect.NewMapBuilder(nil)
		err := r.blocks(func() error {
			key, err := r.anything()
			if err != nil {
				return err
			}
			v, err := r.anything()
			built.Put(key, v)
			return err
		})
		entries := built.Entries()
		javatext.SortAsHashMap(entries, javatext.CapacityFor(len(entries)))
		return entries, err
	}
	return r.bare(anything.fields[i].node.branches[1], connect.Int32Schema)
}

func (r *reader) long() (int64, error) {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		return 0, errShort
	}
	r.data = r.data[n:]
	return v, nil
}

// index reads the number of a branch or symbol.
func (r *reader) index(count int) (int, error) {
	v, err := r.long()
	if err == nil && (v < 0 || v >= int64(count)) {
		err = fmt.Errorf("the value names the %d. of %d branches or symbols", v, count)
	}
	if err != nil {
		return 0, err
	}
	return int(v), nil
}

func (r *reader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.data) {
		return nil, errShort
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out, nil
}

func (r *reader) sized() ([]byte, error) {
	n, err := r.long()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(r.data)) {
		return nil, errShort
	}
	return r.take(int(n))
}

// presetOf is a default value, read from JSON.
func presetOf(n *node, s *connect.Schema, preset any) (any, error) {
	v, err := barePreset(n, s, preset)
	if err != nil || v == nil {
		return nil, err
	}
	return logicalOf(s, v)
}

func barePreset(n *node, s *connect.Schema, preset any) (any, error) {
	if preset == nil {
		return nil, nil
	}
	wrong := func() error {
		return dataError(fmt.Sprintf("Invalid default value for %s: %s", n.kind, appendTree(nil, preset)), nil)
	}
	if n.kind == union { // the default is one of the first branch
		first := n.branches[0]
		if first.kind == null || s.Name != unionName {
			return nil, wrong()
		}
		v, err := presetOf(first, s.Fields[0].Schema, preset)
		if err != nil {
			return nil, err
		}
		out := connect.NewStruct(s)
		return out, out.PutAt(0, v)
	}
	switch p := preset.(type) {
	case bool:
		if n.kind == boolean {
			return p, nil
		}
	case javajson.Number:
		return numberPreset(n, s, p, wrong)
	case string:
		switch n.kind {
		case text, enum:
			return p, nil
		case bytes, fixed:
			out := make([]byte, 0, len(p))
			for _, c := range p {
				if c > 0xff {
					return nil, wrong()
				}
				out = append(out, byte(c))
			}
			return out, nil
		}
	case []any:
		if n.kind == array {
			return listPreset(n, s, p, wrong)
		}
	case javajson.Members:
		return objectPreset(n, s, p, wrong)
	}
	return nil, wrong()
}

func numberPreset(n *node, s *connect.Schema, p javajson.Number, wrong func() error) (any, error) {
	whole, fits := p.Int64()
	switch n.kind {
	case integer:
		if !fits || whole != int64(int32(whole)) {
			return nil, wrong()
		}
		switch s.Type {
		case connect.Int8:
			return int8(whole), nil
		case connect.Int16:
			return int16(whole), nil
		}
		return int32(whole), nil
	case long:
		if fits {
			return whole, nil
		}
	case float:
		return p.Float32(), nil
	case double:
		return p.Float64(), nil
	}
	return nil, wrong()
}

func listPreset(n *node, s *connect.Schema, list []any, wrong func() error) (any, error) {
	if s.Type == connect.Map {
		built := connect.NewMapBuilder(nil)
		for _, own := range list {
			members, ok := own.(javajson.Members)
			if pair, isPair := own.([]any); isPair && len(pair) == 2 { // as connect.default has it
				members, ok = javajson.Members{{Name: "key", Value: pair[0]}, {Name: "value", Value: pair[1]}}, true
			}
			if !ok {
				return nil, wrong()
			}
			key, err := presetOf(n.elements.field("key").node, s.Keys, members.Get("key"))
			if err != nil {
				return nil, err
			}
			v, err := presetOf(n.elements.field("value").node, s.Elements, members.Get("value"))
			if err != nil {
				return nil, err
			}
			built.Put(key, v)
		}
		return built.Entries(), nil
	}
	out := make([]any, len(list))
	for i := range list {
		var err error
		if out[i], err = presetOf(inOptional(n.elements), s.Elements, list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inOptional is the other branch of a union with null, which is what Connect's default
// inside a container is written as, and the branch of a union with one alone; other schemas
// as they are.
func inOptional(n *node) *node {
	switch {
	case n.kind != union || n.isChoice():
		return n
	case len(n.branches) == 1:
		return n.branches[0]
	}
	return n.branches[1-n.nullBranch()]
}

func objectPreset(n *node, s *connect.Schema, p javajson.Members, wrong func() error) (any, error) {
	switch n.kind {
	case mapping:
		entries := make(connect.MapEntries, 0, len(p))
		for _, m := range p {
			v, err := presetOf(inOptional(n.elements), s.Elements, m.Value)
			if err != nil {
				return nil, err
			}
			entries = append(entries, connect.MapEntry{Key: m.Name, Value: v})
		}
		return entries, nil
	case record:
		out := connect.NewStruct(s)
		for i := range n.fields {
			own, has := p.Find(n.fields[i].name)
			v, err := s.Fields[i].Schema.Default, error(nil)
			if has {
				v, err = presetOf(inOptional(n.fields[i].node), s.Fields[i].Schema, own)
			}
			if err == nil {
				err = out.PutAt(i, v)
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, wrong()
}

package avro

import (
	"errors"
	"fmt"
	"strings"

	"tributary/internal/javajson"
)

// kind is a type of Avro's, by its name.
type kind string

const (
	null    kind = "null"
	boolean kind = "boolean"
	integer kind = "int"
	long    kind = "long"
	float   kind = "float"
	double  kind = "double"
	bytes   kind = "bytes"
	text    kind = "string"
	record  kind = "record"
	enum    kind = "enum"
	fixed   kind = "fixed"
	array   kind = "array"
	mapping kind = "map"
	union   kind = "union"
)

// node is one Avro schema. It is not changed once it was parsed or made.
type node struct {
	kind      kind
	namespace string // of record, enum and fixed
	name      string
	doc       *string
	fields    []field          // record
	elements  *node            // array and map
	branches  []*node          // union
	symbols   []string         // enum
	fallback  *string          // enum
	size      int              // fixed
	props     javajson.Members // what Avro has no meaning for, and logical types
}

type field struct {
	name   string
	node   *node
	doc    *string
	preset any // a tree of javajson
	hasAny bool
}

func (n *node) fullName() string {
	if n.namespace == "" {
		return n.name
	}
	return n.namespace + "." + n.name
}

func (n *node) named() bool { return n.kind == record || n.kind == enum || n.kind == fixed }

// prop is a property that is a text; "" where there is none.
func (n *node) prop(name string) string {
	s, _ := n.props.Get(name).(string)
	return s
}

func (n *node) field(name string) *field {
	for i := range n.fields {
		if n.fields[i].name == name {
			return &n.fields[i]
		}
	}
	return nil
}

// nullBranch is the place of null in a union, -1 if it is not there.
func (n *node) nullBranch() int {
	for i, b := range n.branches {
		if b.kind == null {
			return i
		}
	}
	return -1
}

// isChoice is true for a union of which values are of several types. One of a type and null
// is but optional, one of a single type is that type.
func (n *node) isChoice() bool {
	return len(n.branches) > 2 || len(n.branches) == 2 && n.nullBranch() < 0
}

// primitive holds the types that are a bare name in JSON.
var primitive = map[kind]bool{null: true, boolean: true, integer: true, long: true, float: true, double: true, bytes: true, text: true}

// parser reads schemas; names that one defines are known to those after it.
type parser struct {
	names map[string]*node
	depth int
}

// maxDepth bounds how deep schemas nest, and what is read by the recursive schema of
// schemaless data.
const maxDepth = 500

var errTooDeep = fmt.Errorf("the schema nests deeper than %d", maxDepth)

// parse reads the text of a schema.
func (p *parser) parse(schema string) (*node, error) {
	tree, err := javajson.ParseTree([]byte(schema))
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	return p.node(tree, "")
}

func (p *parser) node(tree any, space string) (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errTooDeep
	}
	defer func() { p.depth-- }()
	switch t := tree.(type) {
	case string:
		return p.named(t, space)
	case []any:
		out := &node{kind: union}
		for _, own := range t {
			b, err := p.node(own, space)
			if err != nil {
				return nil, err
			}
			if b.kind == union {
				return nil, errors.New("a union holds a union")
			}
			out.branches = append(out.branches, b)
		}
		if len(out.branches) == 0 {
			return nil, errors.New("a union has no branches")
		}
		return out, nil
	case javajson.Members:
		return p.object(t, space)
	}
	return nil, errors.New("a schema is neither a name, nor an object, nor a list")
}

func (p *parser) named(name, space string) (*node, error) {
	if primitive[kind(name)] {
		return &node{kind: kind(name)}, nil
	}
	full := name
	if !strings.Contains(name, ".") && space != "" {
		full = space + "." + name
	}
	for _, candidate := range []string{full, name} {
		if n := p.names[candidate]; n != nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the schema names %q, which is not defined", name)
}

// reserved are the members of each kind that are no properties.
var reserved = map[kind][]string{
	record: {"name", "namespace", "doc", "fields", "aliases"}, enum: {"name", "namespace", "doc", "symbols", "default", "aliases"},
	fixed: {"name", "namespace", "doc", "size", "aliases"}, array: {"items"}, mapping: {"values"},
}

func (p *parser) object(m javajson.Members, space string) (*node, error) {
	name, isName := m.Get("type").(string)
	if !isName {
		inner, has := m.Find("type")
		if !has {
			return nil, errors.New("a schema has no type")
		}
		return p.node(inner, space)
	}
	k := kind(name)
	if k == "error" {
		k = record
	}
	out := &node{kind: k}
	skip := reserved[k]
	for _, own := range m {
		if own.Name != "type" && !contains(skip, own.Name) {
			out.props = append(out.props, own)
		}
	}
	if primitive[k] {
		return out, nil
	}
	var err error
	switch k {
	case array:
		out.elements, err = p.node(m.Get("items"), space)
	case mapping:
		out.elements, err = p.node(m.Get("values"), space)
	case record, enum, fixed:
		err = p.define(out, m, space)
	default:
		return p.named(name, space)
	}
	return out, err
}

func contains(list []string, s string) bool {
	for _, own := range list {
		if own == s {
			return true
		}
	}
	return false
}

func (p *parser) define(n *node, m javajson.Members, space string) error {
	name, _ := m.Get("name").(string)
	if name == "" {
		return fmt.Errorf("a schema of type %s has no name", n.kind)
	}
	n.name, n.namespace = name, space
	if own, ok := m.Get("namespace").(string); ok {
		n.namespace = own
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		n.namespace, n.name = name[:dot], name[dot+1:]
	}
	if p.names == nil {
		p.names = map[string]*node{}
	}
	if p.names[n.fullName()] != nil {
		return fmt.Errorf("the schema defines %s twice", n.fullName())
	}
	p.names[n.fullName()] = n
	n.doc = textOf(m.Get("doc"))
	switch n.kind {
	case enum:
		symbols, _ := m.Get("symbols").([]any)
		for _, s := range symbols {
			symbol, ok := s.(string)
			if !ok {
				return fmt.Errorf("enum %s has a symbol that is no text", n.fullName())
			}
			n.symbols = append(n.symbols, symbol)
		}
		n.fallback = textOf(m.Get("default"))
	case fixed:
		size, isNumber := m.Get("size").(javajson.Number)
		whole, fits := size.Int64()
		if !isNumber || !fits || whole < 0 || whole > 1<<30 {
			return fmt.Errorf("fixed %s has no size", n.fullName())
		}
		n.size = int(whole)
	case record:
		return p.fields(n, m)
	}
	return nil
}

func (p *parser) fields(n *node, m javajson.Members) error {
	list, ok := m.Get("fields").([]any)
	if !ok {
		return fmt.Errorf("record %s has no fields", n.fullName())
	}
	for _, own := range list {
		members, _ := own.(javajson.Members)
		name, _ := members.Get("name").(string)
		if name == "" {
			return fmt.Errorf("record %s has a field without a name", n.fullName())
		}
		if n.field(name) != nil {
			return fmt.Errorf("record %s has the field %s twice", n.fullName(), name)
		}
		inner, err := p.node(members.Get("type"), n.namespace)
		if err != nil {
			return fmt.Errorf("field %s of record %s: %w", name, n.fullName(), err)
		}
		f := field{name: name, node: inner, doc: textOf(members.Get("doc"))}
		f.preset, f.hasAny = members.Find("default")
		n.fields = append(n.fields, f)
	}
	return nil
}

func textOf(v any) *string {
	if s, ok := v.(string); ok {
		return &s
	}
	return nil
}

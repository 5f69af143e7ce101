package avro

import (
	"fmt"
	"strconv"

	"tributary/internal/javajson"
)

// printer writes a schema as Avro's Java library does, since the registry knows schemas
// by their text.
type printer struct {
	defined map[string]*node
	space   string
	err     error
}

func (n *node) String() string { s, _ := n.text(); return s }

// text is the schema in JSON. An error says that two schemas have one name.
func (n *node) text() (string, error) {
	p := &printer{defined: map[string]*node{}}
	b := p.append(nil, n)
	return string(b), p.err
}

func (p *printer) append(b []byte, n *node) []byte {
	if n.kind == union {
		b = append(b, '[')
		for i, own := range n.branches {
			if i > 0 {
				b = append(b, ',')
			}
			b = p.append(b, own)
		}
		return append(b, ']')
	}
	if n.named() {
		full := n.fullName()
		if known := p.defined[full]; known != nil {
			if known != n {
				p.err = fmt.Errorf("Can't redefine: %s: two different schemas have this name", full)
			}
			if n.namespace == p.space {
				full = n.name
			}
			return javajson.AppendString(b, full)
		}
		p.defined[full] = n
	}
	if primitive[n.kind] && len(n.props) == 0 {
		return javajson.AppendString(b, string(n.kind))
	}
	b = append(append(b, `{"type":"`...), n.kind...)
	b = append(b, '"')
	saved := p.space
	switch n.kind {
	case array:
		b = p.append(append(b, `,"items":`...), n.elements)
	case mapping:
		b = p.append(append(b, `,"values":`...), n.elements)
	case record, enum, fixed:
		b = p.appendNamed(b, n)
	}
	p.space = saved
	for _, own := range n.props {
		b = javajson.AppendString(append(b, ','), own.Name)
		b = appendTree(append(b, ':'), own.Value)
	}
	return append(b, '}')
}

func (p *printer) appendNamed(b []byte, n *node) []byte {
	b = javajson.AppendString(append(b, `,"name":`...), n.name)
	if n.namespace != p.space {
		b = javajson.AppendString(append(b, `,"namespace":`...), n.namespace)
	}
	if n.doc != nil {
		b = javajson.AppendString(append(b, `,"doc":`...), *n.doc)
	}
	switch n.kind {
	case fixed:
		return strconv.AppendInt(append(b, `,"size":`...), int64(n.size), 10)
	case enum:
		b = append(b, `,"symbols":[`...)
		for i, s := range n.symbols {
			if i > 0 {
				b = append(b, ',')
			}
			b = javajson.AppendString(b, s)
		}
		b = append(b, ']')
		if n.fallback != nil {
			b = javajson.AppendString(append(b, `,"default":`...), *n.fallback)
		}
		return b
	}
	p.space = n.namespace
	b = append(b, `,"fields":[`...)
	for i, f := range n.fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = javajson.AppendString(append(b, `{"name":`...), f.name)
		b = p.append(append(b, `,"type":`...), f.node)
		if f.doc != nil {
			b = javajson.AppendString(append(b, `,"doc":`...), *f.doc)
		}
		if f.hasAny {
			b = appendTree(append(b, `,"default":`...), f.preset)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendTree writes what javajson read.
func appendTree(b []byte, tree any) []byte {
	switch t := tree.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, t)
	case string:
		return javajson.AppendString(b, t)
	case javajson.Number:
		return append(b, t.Text...)
	case []any:
		b = append(b, '[')
		for i, own := range t {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTree(b, own)
		}
		return append(b, ']')
	case javajson.Members:
		b = append(b, '{')
		for i, own := range t {
			if i > 0 {
				b = append(b, ',')
			}
			b = javajson.AppendString(b, own.Name)
			b = appendTree(append(b, ':'), own.Value)
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("avro: %T is no tree", tree))
}

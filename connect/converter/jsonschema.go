package converter

import (
	"strconv"

	"tributary/connect"
	"tributary/internal/javajson"
)

// jsonTypes are the names that JsonConverter gives to types.
var jsonTypes = [...]string{
	connect.Int8: "int8", connect.Int16: "int16", connect.Int32: "int32", connect.Int64: "int64", connect.Float32: "float", connect.Float64: "double",
	connect.Boolean: "boolean", connect.String: "string", connect.Bytes: "bytes", connect.Array: "array", connect.Map: "map", connect.Struct: "struct",
}

// appendSchema appends the JSON of a schema; none is null.
func (c *JSON) appendSchema(b []byte, schema *connect.Schema) ([]byte, error) {
	if schema == nil {
		return append(b, "null"...), nil
	}
	text, err := c.texts.Get(schema, c.schemaText)
	return append(b, text...), err
}

func (c *JSON) schemaText(s *connect.Schema) ([]byte, error) {
	b := append(append([]byte(`{"type":"`), jsonTypes[s.Type]...), '"')
	b, err := c.appendInner(b, s)
	if err != nil {
		return nil, err
	}
	b = strconv.AppendBool(append(b, `,"optional":`...), s.Optional)
	if s.Name != "" {
		b = javajson.AppendString(append(b, `,"name":`...), s.Name)
	}
	if s.Version != nil {
		b = strconv.AppendInt(append(b, `,"version":`...), int64(*s.Version), 10)
	}
	if s.Doc != "" {
		b = javajson.AppendString(append(b, `,"doc":`...), s.Doc)
	}
	if len(s.Parameters) > 0 {
		b = append(b, `,"parameters":{`...)
		for i, p := range s.Parameters {
			if i > 0 {
				b = append(b, ',')
			}
			b = javajson.AppendString(append(javajson.AppendString(b, p.Name), ':'), p.Value)
		}
		b = append(b, '}')
	}
	if s.Default != nil {
		if b, err = c.appendValue(append(b, `,"default":`...), s, s.Default); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendInner appends the schemas inside.
func (c *JSON) appendInner(b []byte, s *connect.Schema) ([]byte, error) {
	var err error
	switch s.Type {
	case connect.Array:
		return c.appendSchema(append(b, `,"items":`...), s.Elements)
	case connect.Map:
		if b, err = c.appendSchema(append(b, `,"keys":`...), s.Keys); err != nil {
			return nil, err
		}
		return c.appendSchema(append(b, `,"values":`...), s.Elements)
	case connect.Struct:
		b = append(b, `,"fields":[`...)
		for i, f := range s.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = c.appendSchema(b, f.Schema); err != nil {
				return nil, err
			}
			b = append(b[:len(b)-1], `,"field":`...)
			b = append(javajson.AppendString(b, f.Name), '}')
		}
		b = append(b, ']')
	}
	return b, nil
}

// schemaOf builds the schema that a JSON tree describes; null is none.
func (c *JSON) schemaOf(node any) (*connect.Schema, error) {
	s, err := c.buildSchema(node)
	if err != nil || s == nil {
		return nil, err
	}
	return s, s.Check()
}

func (c *JSON) buildSchema(node any) (*connect.Schema, error) {
	if node == nil {
		return nil, nil
	}
	members, _ := node.(javajson.Members)
	name, ok := members.Get("type").(string)
	if !ok {
		return nil, dataError(nil, "Schema must contain 'type' field")
	}
	s := &connect.Schema{Type: -1}
	for t, own := range jsonTypes {
		if own == name {
			s.Type = connect.Type(t)
		}
	}
	if err := c.buildInner(s, name, members); err != nil {
		return nil, err
	}
	s.Optional, _ = members.Get("optional").(bool)
	s.Name, _ = members.Get("name").(string)
	s.Doc, _ = members.Get("doc").(string)
	if n, ok := members.Get("version").(javajson.Number); ok && n.Integer {
		version := int(int32(n.Truncated()))
		s.Version = &version
	}
	parameters, _ := members.Get("parameters").(javajson.Members)
	for _, p := range parameters {
		text, ok := p.Value.(string)
		if !ok {
			return nil, dataError(nil, "Schema parameters must have string values.")
		}
		s.Parameters = append(s.Parameters, connect.Parameter{Name: p.Name, Value: text})
	}
	if node, given := members.Find("default"); given {
		var err error
		r := jsonReader{replaceNull: c.replaceNull}
		if s.Default, err = r.fromTree(s, node); err != nil {
			return nil, err
		}
		if s.Default == nil && !s.Optional {
			return nil, dataError(nil, "Invalid default value")
		}
	}
	return s, nil
}

func (c *JSON) buildInner(s *connect.Schema, name string, members javajson.Members) (err error) {
	switch s.Type {
	case -1:
		return dataError(nil, "Unknown schema type: "+name)
	case connect.Array:
		items := members.Get("items")
		if items == nil {
			return dataError(nil, "Array schema did not specify the element type")
		}
		s.Elements, err = c.buildSchema(items)
	case connect.Map:
		keys, hasKeys := members.Find("keys")
		elements, hasElements := members.Find("values")
		switch {
		case !hasKeys:
			return dataError(nil, "Map schema did not specify the key type")
		case !hasElements:
			return dataError(nil, "Map schema did not specify the value type")
		}
		if s.Keys, err = c.buildSchema(keys); err != nil {
			return err
		}
		s.Elements, err = c.buildSchema(elements)
	case connect.Struct:
		fields, ok := members.Get("fields").([]any)
		if !ok {
			return dataError(nil, `Struct schema's "fields" argument is not an array.`)
		}
		for _, node := range fields {
			field, _ := node.(javajson.Members)
			name, ok := field.Get("field").(string)
			if !ok {
				return dataError(nil, "Struct schema's field name not specified properly")
			}
			schema, err := c.buildSchema(node)
			if err != nil {
				return err
			}
			s.Fields = append(s.Fields, connect.Field{Name: name, Schema: schema})
		}
	}
	return err
}

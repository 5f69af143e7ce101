// Package avro is the converter of Connect data to Avro with a Schema Registry, as
// Confluent's AvroConverter: the same schemas, in the same text, and the same bytes.
package avro

import (
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tributary/connect"
	"tributary/connect/converter/registry"
	"tributary/connect/internal/schemacache"
)

// Class selects the converter.
const Class = "io.confluent.connect.avro.AvroConverter"

// Converter implements connect.Converter.
type Converter struct {
	registry *registry.Client
	shape    schemaWriter // how schemas are written; its memory stays empty
	scalars  schemaReader // how schemas are read; likewise

	made    *schemacache.Cache[*written]
	chosen  *simplelru.LRU[string, *node] // schemas of the registry to write with, by text
	readAs  *simplelru.LRU[readKey, *read]
	size    int // of the last value written, to begin the next with
	lastKey readKey
	last    *read
}

type written struct {
	node *node
	text string
	name string
}

type readKey struct {
	topic string
	id    int
}

type read struct {
	node   *node
	schema *connect.Schema
}

var definition = connect.NewConfigDef(append(registry.Keys(),
	connect.ConfigKey{Name: "connect.meta.data", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Doc: "Whether the Avro schema tells the name, version, documentation, parameters and default of the Connect schema, in properties that begin with connect."},
	connect.ConfigKey{Name: "enhanced.avro.schema.support", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether enums are written as enums again, and names in unions keep their namespace."},
	connect.ConfigKey{Name: "allow.optional.map.keys", Type: connect.TypeBoolean, Default: false, Importance: connect.Low,
		Doc: "Whether a map with optional string keys is an Avro map."},
)...)

// ConfigDef declares the settings.
func (*Converter) ConfigDef() *connect.ConfigDef { return definition }

// Configure implements connect.Converter.
func (c *Converter) Configure(config map[string]string, isKey bool) error {
	client, v, err := registry.Open(registry.Avro, definition, config, isKey)
	if err != nil {
		return err
	}
	c.registry = client
	c.shape = schemaWriter{enums: v.Bool("enhanced.avro.schema.support"), metadata: v.Bool("connect.meta.data"), optional: v.Bool("allow.optional.map.keys")}
	c.scalars = schemaReader{enums: c.shape.enums, metadata: c.shape.metadata}
	c.made = schemacache.New[*written](int(v.Int(registry.CacheSize)))
	c.chosen = registry.Memory[string, *node](v)
	c.readAs = registry.Memory[readKey, *read](v)
	return nil
}

func (c *Converter) schemaOf(s *connect.Schema) (*written, error) {
	w := c.shape
	n, err := w.node(s)
	if err != nil {
		return nil, err
	}
	text, err := n.text()
	if err != nil {
		return nil, dataError(err.Error(), nil)
	}
	out := &written{node: n, text: text}
	if body := inOptional(n); body.kind == record {
		out.name = body.fullName()
	}
	return out, nil
}

// anySchema stands for none, which a cache cannot have as key.
var anySchema = &written{node: anything, text: anything.String(), name: ownSpace + "." + anythingName}

// FromConnectData implements connect.Converter.
func (c *Converter) FromConnectData(topic string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if value == nil && (schema == nil || schema.Optional) {
		return nil, nil
	}
	what := "Failed to serialize Avro data from topic " + topic
	own := anySchema
	if schema != nil {
		var err error
		if own, err = c.made.Get(schema, c.schemaOf); err != nil {
			return nil, registry.Failure(what, err)
		}
	}
	chosen, err := c.registry.ForWriting(topic, own.name, own.text, func(s registry.Schema) error {
		n, err := c.nodeOf(s)
		if err != nil {
			return err
		}
		return readable(own.node, n)
	})
	if err != nil {
		return nil, registry.Failure(what, err)
	}
	n := own.node
	if chosen.Text != own.text {
		if n, err = c.nodeOf(chosen); err != nil {
			return nil, registry.Failure(what, err)
		}
	}
	b := registry.AppendHeader(make([]byte, 0, c.size+c.size/8+16), chosen.ID)
	if schema == nil && !isAnything(n) {
		err = fmt.Errorf("the value has no schema, and cannot be written as %s", n.fullName())
	} else {
		b, err = appendWhole(b, n, schema, value)
	}
	if err != nil {
		return nil, registry.Failure(what, err)
	}
	c.size = len(b)
	return b, nil
}

func (c *Converter) nodeOf(s registry.Schema) (*node, error) {
	if n, ok := c.chosen.Get(s.Text); ok {
		return n, nil
	}
	n, err := parseWhole(s)
	if err == nil {
		c.chosen.Add(s.Text, n)
	}
	return n, err
}

func parseWhole(s registry.Schema) (*node, error) {
	p := &parser{}
	for _, ref := range s.References {
		if _, err := p.parse(ref.Text); err != nil {
			return nil, fmt.Errorf("schema %d refers to %s: %w", s.ID, ref.Name, err)
		}
	}
	n, err := p.parse(s.Text)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", s.ID, err)
	}
	return n, nil
}

// ToConnectData implements connect.Converter.
func (c *Converter) ToConnectData(topic string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return nil, nil, nil
	}
	schema, value, err := c.read(topic, data)
	if err != nil {
		return nil, nil, registry.Failure("Failed to deserialize data for topic "+topic+" to Avro", err)
	}
	return schema, value, nil
}

func (c *Converter) read(topic string, data []byte) (*connect.Schema, any, error) {
	id, rest, err := registry.SplitHeader(data)
	if err != nil {
		return nil, nil, err
	}
	as, err := c.schemaFor(readKey{topic, id})
	if err != nil {
		return nil, nil, err
	}
	v, err := readWhole(rest, as.node, as.schema)
	return as.schema, v, err
}

func (c *Converter) schemaFor(key readKey) (*read, error) {
	if c.last != nil && c.lastKey == key {
		return c.last, nil
	}
	as, ok := c.readAs.Get(key)
	if !ok {
		found, err := c.registry.ForReading(key.topic, key.id)
		if err != nil {
			return nil, err
		}
		n, err := parseWhole(found)
		if err != nil {
			return nil, err
		}
		r := c.scalars
		r.version = found.Version
		schema, err := r.schema(n)
		if err != nil {
			return nil, err
		}
		as = &read{n, schema}
		c.readAs.Add(key, as)
	}
	c.lastKey, c.last = key, as
	return as, nil
}

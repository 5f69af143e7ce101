// Package jsonschema is the converter of Connect data to JSON with a Schema Registry, as
// Confluent's JsonSchemaConverter.
package jsonschema

import (
	"fmt"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"tributary/connect"
	"tributary/connect/converter/registry"
	"tributary/connect/internal/schemacache"
	"tributary/connect/plugin"
	"tributary/internal/javajson"
)

// Class selects the converter.
const Class = "io.confluent.connect.json.JsonSchemaConverter"

// Plugins lists the converter for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return []plugin.Plugin{{Class: Class, Kind: plugin.Converter, Version: version, New: func() any { return new(Converter) }}}
}

// Converter implements connect.Converter.
type Converter struct {
	registry *registry.Client
	schemas  schemaWriter
	optional bool
	check    bool // json.fail.invalid.schema

	texts  *schemacache.Cache[string]
	checks *simplelru.LRU[string, *jsonschema.Schema] // by the text of the schema
	readAs *simplelru.LRU[readKey, *read]
}

type readKey struct {
	topic string
	id    int
}

type read struct {
	registered registry.Schema
	schema     *connect.Schema
}

var definition = connect.NewConfigDef(append(registry.Keys(),
	connect.ConfigKey{Name: "decimal.format", Type: connect.TypeString, Default: "BASE64", Importance: connect.Low,
		Validate: connect.OneOfFold("BASE64", "NUMERIC"), Doc: "How decimals are written: BASE64, the bytes of the unscaled number, or NUMERIC, a JSON number. Both are read."},
	connect.ConfigKey{Name: "object.additional.properties", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Doc: "Whether the schemas of objects allow properties that they do not name."},
	connect.ConfigKey{Name: "use.optional.for.nonrequired", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether properties that a schema does not require are optional."},
	connect.ConfigKey{Name: "json.fail.invalid.schema", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether values are checked against their schema, when they are written and when they are read."},
)...)

// ConfigDef declares the settings.
func (*Converter) ConfigDef() *connect.ConfigDef { return definition }

// Configure implements connect.Converter.
func (c *Converter) Configure(config map[string]string, isKey bool) error {
	client, v, err := registry.Open(registry.JSON, definition, config, isKey)
	if err != nil {
		return err
	}
	c.registry = client
	c.schemas = schemaWriter{open: v.Bool("object.additional.properties"), values: valueWriter{numericDecimals: strings.EqualFold(v.String("decimal.format"), "NUMERIC")}}
	c.optional, c.check = v.Bool("use.optional.for.nonrequired"), v.Bool("json.fail.invalid.schema")
	c.texts = schemacache.New[string](int(v.Int(registry.CacheSize)))
	c.checks = registry.Memory[string, *jsonschema.Schema](v)
	c.readAs = registry.Memory[readKey, *read](v)
	return nil
}

func (c *Converter) textOf(s *connect.Schema) (string, error) {
	b, err := c.schemas.append(nil, s, noIndex)
	return string(b), err
}

// FromConnectData implements connect.Converter.
func (c *Converter) FromConnectData(topic string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if schema == nil && value == nil {
		return nil, nil
	}
	data, err := c.write(topic, schema, value)
	if err != nil {
		return nil, registry.Failure("Converting Kafka Connect data to byte[] failed due to serialization error of topic "+topic, err)
	}
	return data, nil
}

func (c *Converter) write(topic string, schema *connect.Schema, value any) ([]byte, error) {
	text, name := "{}", ""
	if schema != nil {
		var err error
		if text, err = c.texts.Get(schema, c.textOf); err != nil {
			return nil, err
		}
		name = schema.Name
	}
	var body []byte
	chosen, err := c.registry.ForWriting(topic, name, text, func(s registry.Schema) error {
		// Whether schemas fit is asked of the value itself, which is what counts.
		if body == nil {
			var err error
			if body, err = c.schemas.values.append(nil, schema, value); err != nil {
				return err
			}
		}
		return c.validate(s, body)
	})
	if err != nil {
		return nil, err
	}
	b := registry.AppendHeader(nil, chosen.ID)
	if b, err = c.schemas.values.append(b, schema, value); err != nil {
		return nil, err
	}
	if c.check {
		err = c.validate(chosen, b[len(registry.AppendHeader(nil, 0)):])
	}
	return b, err
}

func (c *Converter) validate(s registry.Schema, body []byte) error {
	check, ok := c.checks.Get(s.Text)
	if !ok {
		var err error
		if check, err = validator(s); err != nil {
			return fmt.Errorf("schema %d: %w", s.ID, err)
		}
		c.checks.Add(s.Text, check)
	}
	if err := validate(check, body); err != nil {
		return fmt.Errorf("the value does not fit schema %d: %w", s.ID, err)
	}
	return nil
}

// ToConnectData implements connect.Converter.
func (c *Converter) ToConnectData(topic string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return nil, nil, nil
	}
	schema, value, err := c.read(topic, data)
	if err != nil {
		return nil, nil, registry.Failure("Converting byte[] to Kafka Connect data failed due to serialization error of topic "+topic, err)
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
	if c.check {
		if err := c.validate(as.registered, rest); err != nil {
			return nil, nil, err
		}
	}
	node, err := javajson.ParseTree(rest)
	if err != nil {
		return nil, nil, err
	}
	v, err := readValue(as.schema, node)
	return as.schema, v, err
}

func (c *Converter) schemaFor(key readKey) (*read, error) {
	if as, ok := c.readAs.Get(key); ok {
		return as, nil
	}
	found, err := c.registry.ForReading(key.topic, key.id)
	if err != nil {
		return nil, err
	}
	schema, err := c.parse(found)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", key.id, err)
	}
	as := &read{found, schema}
	c.readAs.Add(key, as)
	return as, nil
}

func (c *Converter) parse(s registry.Schema) (*connect.Schema, error) {
	r := schemaReader{optional: c.optional, documents: map[string]any{}}
	for _, ref := range append(s.References, registry.Reference{Text: s.Text}) {
		node, err := javajson.ParseTree([]byte(ref.Text))
		if err != nil {
			return nil, fmt.Errorf("it is not JSON: %w", err)
		}
		r.documents[ref.Name] = node
	}
	return r.of(place{r.documents[""], ""}, s.Version, false)
}

package converter

import (
	"bytes"
	"fmt"
	"strings"

	"tributary/connect"
	"tributary/connect/internal/schemacache"
	"tributary/internal/javajson"
)

// JSON writes values as JSON, byte for byte as Java's JsonConverter: with their schema in
// an envelope {"schema":…,"payload":…}, or, with schemas.enable=false, bare.
type JSON struct {
	envelope        bool
	numericDecimals bool
	replaceNull     bool
	fixed           *connect.Schema // of everything that is read; nil takes the envelope's

	texts  *schemacache.Cache[[]byte]   // the JSON of schemas
	fields *schemacache.Cache[[][]byte] // the names of a struct's fields, quoted

	// Schemas by their text. Nearly always it is the text of the record before.
	schemas    *boundedMap[*connect.Schema]
	lastText   []byte
	lastSchema *connect.Schema

	parser javajson.Parser
	size   int // of the last record written, to begin the next with
}

var jsonDef = connect.NewConfigDef(typeKey,
	connect.ConfigKey{Name: "schemas.enable", Type: connect.TypeBoolean, Default: true, Importance: connect.High,
		Group: "Schemas", OrderInGroup: 0, Width: "MEDIUM", DisplayName: "Enable Schemas",
		Doc: "Whether each key and value is written with its schema, and read with one."},
	connect.ConfigKey{Name: "schemas.cache.size", Type: connect.TypeInt, Default: int64(1000), Importance: connect.High,
		Group: "Schemas", OrderInGroup: 1, Width: "MEDIUM", DisplayName: "Schema Cache Size",
		Doc: "How many schemas the converter remembers."},
	connect.ConfigKey{Name: "schema.content", Type: connect.TypeString, Importance: connect.High,
		Group: "Schemas", OrderInGroup: 2, Width: "MEDIUM", DisplayName: "Schema Content",
		Doc: "A schema, in JSON, for all that is read; records then hold the bare value. It counts only with schemas.enable=true, and only where records are read from Kafka."},
	connect.ConfigKey{Name: "decimal.format", Type: connect.TypeString, Default: "BASE64", Importance: connect.Low,
		Validate: connect.OneOfFold("BASE64", "NUMERIC"),
		Group:    "Serialization", OrderInGroup: 0, Width: "MEDIUM", DisplayName: "Decimal Format",
		Doc: "How decimals are written: BASE64, the bytes of the unscaled number, or NUMERIC, a JSON number. Both are read."},
	connect.ConfigKey{Name: "replace.null.with.default", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Group: "Serialization", OrderInGroup: 1, Width: "MEDIUM", DisplayName: "Replace null with default",
		Doc: "Whether a null is written and read as the default of its schema, where there is one."},
)

// ConfigDef declares the settings.
func (*JSON) ConfigDef() *connect.ConfigDef { return jsonDef }

// Configure implements connect.Converter.
func (c *JSON) Configure(config map[string]string, isKey bool) error {
	config = withType(config, isKey)
	v, err := jsonDef.ParseValues(config)
	if err != nil {
		return err
	}
	c.envelope, c.replaceNull = v.Bool("schemas.enable"), v.Bool("replace.null.with.default")
	c.numericDecimals = strings.EqualFold(v.String("decimal.format"), "NUMERIC")
	size := int(v.Int("schemas.cache.size"))
	c.texts, c.fields = schemacache.New[[]byte](size), schemacache.New[[][]byte](size)
	c.schemas = newBoundedMap[*connect.Schema](size)
	if content := v.String("schema.content"); content != "" {
		node, err := javajson.ParseTree([]byte(content))
		if err == nil {
			c.fixed, err = c.schemaOf(node)
		}
		if err != nil {
			return dataError(err, "Failed to parse schema in converter config")
		}
	}
	return nil
}

// withType adds converter.type, which only a worker sets.
func withType(config map[string]string, isKey bool) map[string]string {
	if config["converter.type"] != "" {
		return config
	}
	out := map[string]string{"converter.type": "value"}
	if isKey {
		out["converter.type"] = "key"
	}
	for k, v := range config {
		out[k] = v
	}
	return out
}

// FromConnectData implements connect.Converter.
func (c *JSON) FromConnectData(_ string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if schema == nil && value == nil {
		return nil, nil
	}
	b := make([]byte, 0, c.size+c.size/8+32)
	var err error
	if c.envelope {
		b = append(b, `{"schema":`...)
		if b, err = c.appendSchema(b, schema); err != nil {
			return nil, err
		}
		b = append(b, `,"payload":`...)
	}
	if b, err = c.appendValue(b, schema, value); err != nil {
		return nil, err
	}
	if c.envelope {
		b = append(b, '}')
	}
	c.size = len(b)
	return b, nil
}

// ToConnectData implements connect.Converter.
func (c *JSON) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return nil, nil, nil
	}
	if err := c.parser.Reset(data); err != nil {
		return nil, nil, dataError(err, deserializing)
	}
	defer c.parser.Reset(nil) // lest it keeps what was fetched with the record
	r := jsonReader{Parser: &c.parser, replaceNull: c.replaceNull}
	switch {
	case c.envelope && c.fixed != nil:
		v, err := r.read(c.fixed)
		return c.fixed, v, r.dataError(err)
	case c.envelope:
		return c.readEnvelope(&r)
	case r.AtEnd():
		return nil, nil, nil
	}
	v, err := r.read(nil)
	return nil, v, r.dataError(err)
}

const deserializing = "Converting byte[] to Kafka Connect data failed due to serialization error: "

var errNoEnvelope = dataError(nil, `JsonConverter with schemas.enable requires "schema" and "payload" fields and may not contain additional fields.`+
	" If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.")

// readEnvelope reads schema and payload in one pass when the schema comes first, as it
// nearly always does.
func (c *JSON) readEnvelope(r *jsonReader) (*connect.Schema, any, error) {
	if r.Peek() != '{' {
		if err := r.skipRest(); err != nil {
			return nil, nil, r.dataError(err)
		}
		return nil, nil, errNoEnvelope
	}
	var schema *connect.Schema
	var value any
	var payload []byte // when it came first
	var hasSchema, hasPayload, hasOther bool
	err := r.Object(func(name []byte) error {
		switch string(name) {
		case "schema":
			hasSchema = true
			var err error
			schema, err = c.readSchema(r.Parser)
			return err
		case "payload":
			hasPayload = true
			if hasSchema {
				var err error
				value, err = r.read(schema)
				return err
			}
			r.Peek()
			from := r.Offset()
			err := r.Skip()
			payload = r.Since(from)
			return err
		}
		hasOther = true
		return r.Skip()
	})
	switch {
	case err != nil:
		return nil, nil, r.dataError(err)
	case !hasSchema || !hasPayload || hasOther:
		return nil, nil, errNoEnvelope
	case payload != nil:
		p, err := javajson.NewParser(payload)
		if err != nil {
			return nil, nil, dataError(err, deserializing)
		}
		late := jsonReader{Parser: p, replaceNull: c.replaceNull}
		value, err = late.read(schema)
		return schema, value, late.dataError(err)
	}
	return schema, value, nil
}

// readSchema reads a schema, or recognises one by its text.
func (c *JSON) readSchema(p *javajson.Parser) (*connect.Schema, error) {
	if p.SkipKnown(c.lastText) {
		return c.lastSchema, nil
	}
	p.Peek()
	from := p.Offset()
	node, err := p.Tree()
	if err != nil || node == nil {
		return nil, err
	}
	text := p.Since(from)
	schema, ok := c.schemas.get(string(text))
	if !ok {
		if schema, err = c.schemaOf(node); err != nil {
			return nil, err
		}
		c.schemas.put(string(text), schema)
	}
	c.lastText, c.lastSchema = bytes.Clone(text), schema
	return schema, nil
}

// boundedMap forgets everything when it is full, which is as good as forgetting the
// oldest where nearly nothing is ever forgotten.
type boundedMap[V any] struct {
	size  int
	items map[string]V
}

func newBoundedMap[V any](size int) *boundedMap[V] {
	return &boundedMap[V]{size: max(size, 1), items: map[string]V{}}
}

func (m *boundedMap[V]) get(key string) (V, bool) {
	v, ok := m.items[key]
	return v, ok
}

func (m *boundedMap[V]) put(key string, value V) {
	if len(m.items) >= m.size {
		clear(m.items)
	}
	m.items[key] = value
}

func nodeType(node any) string {
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
	case javajson.Members:
		return "OBJECT"
	}
	return fmt.Sprintf("%T", node)
}

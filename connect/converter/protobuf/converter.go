// Package protobuf is the converter of Connect data to Protobuf with a Schema Registry, as
// Confluent's ProtobufConverter.
package protobuf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"tributary/connect"
	"tributary/connect/converter/registry"
	"tributary/connect/internal/schemacache"
	"tributary/connect/plugin"
)

// Class selects the converter.
const Class = "io.confluent.connect.protobuf.ProtobufConverter"

// Plugins lists the converter for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return []plugin.Plugin{{Class: Class, Kind: plugin.Converter, Version: version, New: func() any { return new(Converter) }}}
}

// Converter implements connect.Converter.
type Converter struct {
	registry *registry.Client
	schemas  schemaWriter // how schemas are written; its memory stays empty
	messages schemaReader // how messages are read; likewise

	made   *schemacache.Cache[*written]
	chosen *simplelru.LRU[string, protoreflect.FileDescriptor] // schemas of the registry to write with, by text
	readAs *simplelru.LRU[readKey, *read]
}

type written struct {
	text, name string
	message    protoreflect.MessageDescriptor
}

type readKey struct {
	topic string
	id    int
	path  string
}

type read struct {
	message protoreflect.MessageDescriptor
	schema  *connect.Schema
}

var configDef = connect.NewConfigDef(append(registry.Keys(),
	connect.ConfigKey{Name: "enhanced.protobuf.schema.support", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether schemas that are read are called by the full names of their messages, package included."},
	connect.ConfigKey{Name: "wrapper.for.nullables", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether optional scalars are written as the messages of google/protobuf/wrappers.proto, and nothing else is optional that is read."},
	connect.ConfigKey{Name: "optional.for.nullables", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Doc: "Whether optional scalars are written as optional fields, and only such are optional that are read."},
	connect.ConfigKey{Name: "generate.index.for.unions", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Doc: "Whether the field that stands for a oneof ends in its number."},
)...)

// ConfigDef declares the settings.
func (*Converter) ConfigDef() *connect.ConfigDef { return configDef }

// Configure implements connect.Converter.
func (c *Converter) Configure(config map[string]string, isKey bool) error {
	client, v, err := registry.Open(registry.Protobuf, configDef, config, isKey)
	if err != nil {
		return err
	}
	if v.Bool("wrapper.for.nullables") && v.Bool("optional.for.nullables") {
		return errors.New("wrapper.for.nullables and optional.for.nullables are both true; choose one")
	}
	c.registry = client
	c.schemas = schemaWriter{wrappers: v.Bool("wrapper.for.nullables"), optionals: v.Bool("optional.for.nullables")}
	c.messages = schemaReader{fullNames: v.Bool("enhanced.protobuf.schema.support"), wrappers: c.schemas.wrappers, optionals: c.schemas.optionals, indexes: v.Bool("generate.index.for.unions")}
	c.made = schemacache.New[*written](int(v.Int(registry.CacheSize)))
	c.chosen = registry.Memory[string, protoreflect.FileDescriptor](v)
	c.readAs = registry.Memory[readKey, *read](v)
	return nil
}

func (c *Converter) schemaOf(s *connect.Schema) (*written, error) {
	w := c.schemas
	text, name, err := w.file(s)
	if err != nil {
		return nil, err
	}
	file, err := compile(registry.Schema{Text: text})
	if err != nil {
		return nil, dataError("the schema has names that Protobuf does not allow, or numbers twice", err)
	}
	return &written{text: text, name: name, message: file.Messages().Get(0)}, nil
}

// FromConnectData implements connect.Converter.
func (c *Converter) FromConnectData(topic string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if value == nil && (schema == nil || schema.Optional) {
		return nil, nil
	}
	data, err := c.write(topic, schema, value)
	if err != nil {
		return nil, registry.Failure("Failed to serialize Protobuf data from topic "+topic, err)
	}
	return data, nil
}

func (c *Converter) write(topic string, schema *connect.Schema, value any) ([]byte, error) {
	switch {
	case schema == nil:
		return nil, errors.New("ProtobufConverter needs values with a schema; this one has none")
	case value == nil:
		return nil, errors.New("Found null value for non-optional schema")
	}
	own, err := c.made.Get(schema, c.schemaOf)
	if err != nil {
		return nil, err
	}
	chosen, err := c.registry.ForWriting(topic, own.name, own.text, func(s registry.Schema) error {
		m, _, err := c.messageOf(s, own.name)
		if err != nil {
			return err
		}
		return readable(own.message, m, 0)
	})
	if err != nil {
		return nil, err
	}
	m, path := own.message, []int{0}
	if chosen.Text != own.text {
		if m, path, err = c.messageOf(chosen, own.name); err != nil {
			return nil, err
		}
	}
	return appendMessage(appendPath(registry.AppendHeader(nil, chosen.ID), path), m, schema, value)
}

func (c *Converter) messageOf(s registry.Schema, name string) (protoreflect.MessageDescriptor, []int, error) {
	file, ok := c.chosen.Get(s.Text)
	if !ok {
		var err error
		if file, err = compile(s); err != nil {
			return nil, nil, err
		}
		c.chosen.Add(s.Text, file)
	}
	return messageNamed(file, name)
}

// appendPath writes which message of the schema a value is; the first is a zero.
func appendPath(b []byte, path []int) []byte {
	if len(path) == 1 && path[0] == 0 {
		return append(b, 0)
	}
	b = binary.AppendVarint(b, int64(len(path)))
	for _, i := range path {
		b = binary.AppendVarint(b, int64(i))
	}
	return b
}

func splitPath(data []byte) (path []int, rest []byte, err error) {
	broken := errors.New("the value does not say which message of its schema it is")
	next := func() int64 {
		v, n := binary.Varint(data)
		if n <= 0 {
			err = broken
			return 0
		}
		data = data[n:]
		return v
	}
	count := next()
	switch {
	case err != nil || count < 0 || count > maxDepth:
		return nil, nil, broken
	case count == 0:
		return []int{0}, data, nil
	}
	for range count {
		path = append(path, int(next()))
	}
	return path, data, err
}

// ToConnectData implements connect.Converter.
func (c *Converter) ToConnectData(topic string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return nil, nil, nil
	}
	schema, value, err := c.read(topic, data)
	if err != nil {
		return nil, nil, registry.Failure("Failed to deserialize data for topic "+topic+" to Protobuf", err)
	}
	return schema, value, nil
}

func (c *Converter) read(topic string, data []byte) (*connect.Schema, any, error) {
	id, rest, err := registry.SplitHeader(data)
	if err != nil {
		return nil, nil, err
	}
	path, rest, err := splitPath(rest)
	if err != nil {
		return nil, nil, err
	}
	as, err := c.schemaFor(topic, id, path)
	if err != nil {
		return nil, nil, err
	}
	m := dynamicpb.NewMessage(as.message)
	if err := unmarshal(rest, m); err != nil {
		return nil, nil, err
	}
	r := c.messages
	v, err := r.structOf(m, as.schema)
	if err != nil {
		return nil, nil, err
	}
	return as.schema, v, nil
}

// unmarshal is proto.Unmarshal, which panics at some entries of maps that are cut off.
func unmarshal(data []byte, m proto.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the bytes are no message of Protobuf: %v", p)
		}
	}()
	return proto.Unmarshal(data, m)
}

func (c *Converter) schemaFor(topic string, id int, path []int) (*read, error) {
	key := readKey{topic, id, fmt.Sprint(path)}
	if as, ok := c.readAs.Get(key); ok {
		return as, nil
	}
	found, err := c.registry.ForReading(topic, id)
	if err != nil {
		return nil, err
	}
	file, err := compile(found)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	m, err := messageAt(file, path)
	if err != nil {
		return nil, err
	}
	r := c.messages
	schema, err := r.message(m, found.Version)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	as := &read{m, schema}
	c.readAs.Add(key, as)
	return as, nil
}

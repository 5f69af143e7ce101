package converter

import (
	"fmt"

	"tributary/connect"
)

// ByteArray passes bytes and nulls through and refuses all else. The worker knows it
// and does not even call it for bytes.
type ByteArray struct{}

// ConfigDef declares the settings.
func (*ByteArray) ConfigDef() *connect.ConfigDef { return noSettings }

// Configure implements connect.Converter; there is nothing to configure.
func (*ByteArray) Configure(map[string]string, bool) error { return nil }

// FromConnectData implements connect.Converter.
func (*ByteArray) FromConnectData(_ string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if schema != nil && schema.Type != connect.Bytes {
		return nil, dataError(nil, "Invalid schema type for ByteArrayConverter: "+schema.Type.String())
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	}
	return nil, dataError(nil, fmt.Sprintf("ByteArrayConverter is not compatible with objects of type class %s", connect.ClassName(value)))
}

// ToConnectData implements connect.Converter.
func (*ByteArray) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return connect.OptionalBytesSchema, nil, nil
	}
	return connect.OptionalBytesSchema, data, nil
}

// ByteArrayHeader passes header values that are bytes through, as ByteArray does, and
// writes others as SimpleHeader does. Mirrors carry headers with it, and Java's, which
// refuses all but bytes, fails their tasks with the first header that a transformation
// adds.
type ByteArrayHeader struct{ ByteArray }

// Configure implements connect.HeaderConverter; there is nothing to configure.
func (*ByteArrayHeader) Configure(map[string]string) error { return nil }

// FromConnectHeader implements connect.HeaderConverter.
func (c *ByteArrayHeader) FromConnectHeader(topic, key string, schema *connect.Schema, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	}
	return new(SimpleHeader).FromConnectHeader(topic, key, schema, value)
}

// ToConnectHeader implements connect.HeaderConverter.
func (c *ByteArrayHeader) ToConnectHeader(topic, _ string, data []byte) (*connect.Schema, any, error) {
	return c.ToConnectData(topic, nil, data)
}

package converter

import (
	"fmt"

	"tributary/connect"
)

// ByteArray passes bytes and nulls through and refuses all else. The worker knows it
// and does not even call it for bytes.
type ByteArray struct{}

// Configure implements connect.Converter; there is nothing to configure.
func (*ByteArray) Configure(map[string]string, bool) error { return nil }

// FromConnectData implements connect.Converter.
func (*ByteArray) FromConnectData(_ string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	return bytesOf(schema, value)
}

// ToConnectData implements connect.Converter.
func (*ByteArray) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	return bytesToConnect(data)
}

// ByteArrayHeader is ByteArray for headers.
type ByteArrayHeader struct{}

// Configure implements connect.HeaderConverter; there is nothing to configure.
func (*ByteArrayHeader) Configure(map[string]string) error { return nil }

// FromConnectHeader implements connect.HeaderConverter.
func (*ByteArrayHeader) FromConnectHeader(_, _ string, schema *connect.Schema, value any) ([]byte, error) {
	return bytesOf(schema, value)
}

// ToConnectHeader implements connect.HeaderConverter.
func (*ByteArrayHeader) ToConnectHeader(_, _ string, data []byte) (*connect.Schema, any, error) {
	return bytesToConnect(data)
}

func bytesOf(schema *connect.Schema, value any) ([]byte, error) {
	if schema != nil && schema.Type != connect.Bytes {
		return nil, &connect.DataError{Message: fmt.Sprintf("Invalid schema type for ByteArrayConverter: %s; it takes BYTES only", schema.Type)}
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []byte:
		return v, nil
	}
	return nil, &connect.DataError{Message: fmt.Sprintf("ByteArrayConverter takes bytes only, not a value of type %T", value)}
}

func bytesToConnect(data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return connect.OptionalBytesSchema, nil, nil
	}
	return connect.OptionalBytesSchema, data, nil
}

package converter

import (
	"fmt"
	"strings"

	"tributary/connect"
)

// String writes the text form of any value, in UTF-8, and reads text. A null stays
// null.
type String struct{}

// Configure implements connect.Converter.
func (*String) Configure(config map[string]string, _ bool) error { return checkEncoding(config) }

// FromConnectData implements connect.Converter.
func (*String) FromConnectData(_ string, _ []connect.Header, _ *connect.Schema, value any) ([]byte, error) {
	return textBytes(value), nil
}

// ToConnectData implements connect.Converter.
func (*String) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	return textToConnect(data)
}

// StringHeader is String for headers.
type StringHeader struct{}

// Configure implements connect.HeaderConverter.
func (*StringHeader) Configure(config map[string]string) error { return checkEncoding(config) }

// FromConnectHeader implements connect.HeaderConverter.
func (*StringHeader) FromConnectHeader(_, _ string, _ *connect.Schema, value any) ([]byte, error) {
	return textBytes(value), nil
}

// ToConnectHeader implements connect.HeaderConverter.
func (*StringHeader) ToConnectHeader(_, _ string, data []byte) (*connect.Schema, any, error) {
	return textToConnect(data)
}

func checkEncoding(config map[string]string) error {
	encoding, given := config["converter.encoding"]
	switch strings.ToUpper(strings.TrimSpace(encoding)) {
	case "UTF-8", "UTF8", "US-ASCII", "ASCII":
		return nil
	}
	if !given {
		return nil
	}
	return fmt.Errorf("Invalid value %s for configuration converter.encoding: it must be UTF-8", encoding)
}

// textBytes is the text of a value. Bytes are taken for text; lists and maps look like
// Java's: [a, b] and {k=v}.
func textBytes(value any) []byte {
	switch v := value.(type) {
	case nil:
		return nil
	case []byte:
		return v
	}
	return appendText([]byte{}, value)
}

func appendText(out []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...)
	case string:
		return append(out, v...)
	case []byte:
		return append(out, v...)
	case []any:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = appendText(out, item)
		}
		return append(out, ']')
	case map[string]any:
		out = append(out, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = appendText(append(append(out, key...), '='), v[key])
		}
		return append(out, '}')
	}
	if scalar, ok := appendScalar(out, value); ok {
		return scalar
	}
	return fmt.Append(out, value)
}

func textToConnect(data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return connect.OptionalStringSchema, nil, nil
	}
	return connect.OptionalStringSchema, string(data), nil
}

package converter

import (
	"fmt"
	"unicode/utf8"

	"tributary/connect"
	"tributary/connect/internal/values"
)

// SimpleHeader writes header values as text: strings as they are, bytes in base64, lists
// and maps in a form like JSON. Reading, it infers the type from the text: null,
// booleans, numbers (whole ones as the smallest integer type), dates, times, timestamps,
// lists and maps; all else is a string. What is not UTF-8 is read as bytes.
type SimpleHeader struct{}

var simpleHeaderDef = connect.NewConfigDef()

// ConfigDef declares the settings; there are none.
func (*SimpleHeader) ConfigDef() *connect.ConfigDef { return simpleHeaderDef }

// Configure implements connect.HeaderConverter; there is nothing to configure.
func (*SimpleHeader) Configure(map[string]string) error { return nil }

// FromConnectHeader implements connect.HeaderConverter.
func (*SimpleHeader) FromConnectHeader(_, key string, _ *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	out, err := values.Append([]byte{}, value)
	if err != nil {
		return nil, dataError(err, fmt.Sprintf("Failed to serialize header %q", key))
	}
	return out, nil
}

// ToConnectHeader implements connect.HeaderConverter.
func (*SimpleHeader) ToConnectHeader(_, _ string, data []byte) (*connect.Schema, any, error) {
	switch {
	case data == nil:
		return nil, nil, nil
	case !utf8.Valid(data):
		return connect.BytesSchema, data, nil
	}
	schema, value := values.Parse(string(data))
	return schema, value, nil
}

package converter

import (
	"fmt"

	"tributary/connect"
)

// Boolean converts booleans to one byte, 0 or 1, and back.
type Boolean struct{}

// ConfigDef declares the settings.
func (*Boolean) ConfigDef() *connect.ConfigDef { return noSettings }

// Configure implements connect.Converter; there is nothing to configure.
func (*Boolean) Configure(map[string]string, bool) error { return nil }

// FromConnectData implements connect.Converter.
func (*Boolean) FromConnectData(_ string, _ []connect.Header, schema *connect.Schema, value any) ([]byte, error) {
	if schema != nil && schema.Type != connect.Boolean {
		return nil, dataError(nil, "Invalid schema type for BooleanConverter: "+schema.Type.String())
	}
	switch value {
	case nil:
		return nil, nil
	case true:
		return []byte{1}, nil
	case false:
		return []byte{0}, nil
	}
	return nil, dataError(nil, "BooleanConverter is not compatible with objects of type class "+connect.ClassName(value))
}

// ToConnectData implements connect.Converter.
func (*Boolean) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	switch {
	case data == nil:
		return connect.OptionalBooleanSchema, nil, nil
	case len(data) != 1 || data[0] > 1:
		return nil, nil, dataError(fmt.Errorf("there is not one byte of 0 or 1, but %x", data[:min(len(data), 8)]), "Failed to deserialize boolean: ")
	}
	return connect.OptionalBooleanSchema, data[0] == 1, nil
}

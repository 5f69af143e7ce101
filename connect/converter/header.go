package converter

import "tributary/connect"

// configured is a converter that declares its settings.
type configured interface {
	connect.Converter
	ConfigDef() *connect.ConfigDef
}

// forHeaders makes a header converter of a converter: most are both in Java.
type forHeaders struct{ configured }

// Configure implements connect.HeaderConverter.
func (c forHeaders) Configure(config map[string]string) error {
	return c.configured.Configure(config, false)
}

// FromConnectHeader implements connect.HeaderConverter.
func (c forHeaders) FromConnectHeader(topic, _ string, schema *connect.Schema, value any) ([]byte, error) {
	return c.FromConnectData(topic, nil, schema, value)
}

// ToConnectHeader implements connect.HeaderConverter.
func (c forHeaders) ToConnectHeader(topic, _ string, data []byte) (*connect.Schema, any, error) {
	return c.ToConnectData(topic, nil, data)
}

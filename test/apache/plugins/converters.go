package plugins

import "tributary/connect"

// keyConverter and headerConverter stand for TestConverterWithNoConfigDef: they make nothing of anything.
type (
	keyConverter    struct{}
	headerConverter struct{}
)

func (keyConverter) Configure(map[string]string, bool) error { return nil }

func (keyConverter) FromConnectData(string, []connect.Header, *connect.Schema, any) ([]byte, error) {
	return nil, nil
}

func (keyConverter) ToConnectData(string, []connect.Header, []byte) (*connect.Schema, any, error) {
	return nil, nil, nil
}

func (headerConverter) Configure(map[string]string) error { return nil }

func (headerConverter) FromConnectHeader(string, string, *connect.Schema, any) ([]byte, error) {
	return []byte{}, nil
}

func (headerConverter) ToConnectHeader(string, string, []byte) (*connect.Schema, any, error) {
	return nil, nil, nil
}

// definedKeyConverter and definedHeaderConverter stand for TestConverterWithSinglePropertyConfigDef.
type (
	definedKeyConverter    struct{ keyConverter }
	definedHeaderConverter struct{ headerConverter }
)

func (definedKeyConverter) ConfigDef() *connect.ConfigDef    { return propDef() }
func (definedHeaderConverter) ConfigDef() *connect.ConfigDef { return propDef() }

func propDef() *connect.ConfigDef {
	return connect.NewConfigDef(connect.ConfigKey{Name: "prop", Type: connect.TypeBoolean, Required: true, Importance: connect.High})
}

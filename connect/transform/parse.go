package transform

import (
	"tributary/connect"
	"tributary/connect/internal/parsing"
)

// Parse reads bytes with a converter, so that the transformations behind it see fields,
// and the connector's converter can write another format. It has no counterpart in Java.
type Parse struct {
	stateless
	side
	converter connect.Converter
}

const parseClass = "tributary.transforms.Parse"

var parseDef = connect.NewConfigDef(connect.ConfigKey{Name: "converter", Type: connect.TypeClass, Required: true, Importance: connect.High, Validate: parsing.Check,
	Doc: "The converter that reads the bytes, by class or alias; its settings stand below this key."})

// ConfigDef implements connect.Transformation.
func (*Parse) ConfigDef() *connect.ConfigDef { return parseDef }

// Configure implements connect.Transformation.
func (t *Parse) Configure(config map[string]string) error {
	if _, err := parseDef.ParseValues(config); err != nil {
		return err
	}
	var err error
	t.converter, err = parsing.New(config, "converter", t.side.key)
	return err
}

// Apply implements connect.Transformation.
func (t *Parse) Apply(r *connect.Record) (*connect.Record, error) {
	_, value := t.side.of(r)
	data, ok := value.([]byte)
	if !ok && value != nil {
		return nil, dataErrorf("Parse reads bytes, but found: %s", connect.ClassName(value))
	}
	schema, parsed, err := t.converter.ToConnectData(r.Topic, r.Headers, data)
	if err != nil {
		return nil, err
	}
	return t.side.with(r, schema, parsed), nil
}

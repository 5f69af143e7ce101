package converter

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tributary/connect"
	"tributary/internal/javatext"
)

// String writes the text form of any value and reads text. A null stays null.
type String struct{ latin bool }

var stringDef = connect.NewConfigDef(typeKey, connect.ConfigKey{
	Name: "converter.encoding", Type: connect.TypeString, Default: "UTF-8", Importance: connect.High, Width: "MEDIUM", DisplayName: "Encoding",
	Doc: "Character set of the texts: UTF-8, ISO-8859-1 or US-ASCII."})

// ConfigDef declares the settings.
func (*String) ConfigDef() *connect.ConfigDef { return stringDef }

// Configure implements connect.Converter.
func (c *String) Configure(config map[string]string, _ bool) error {
	encoding, given := config["converter.encoding"]
	switch strings.ToUpper(strings.TrimSpace(encoding)) {
	case "UTF-8", "UTF8", "US-ASCII", "ASCII":
	case "ISO-8859-1", "ISO8859-1", "ISO_8859-1", "LATIN1":
		c.latin = true
	default:
		if given {
			return fmt.Errorf("Invalid value %s for configuration converter.encoding: it must be UTF-8, ISO-8859-1 or US-ASCII", encoding)
		}
	}
	return nil
}

// FromConnectData implements connect.Converter.
func (c *String) FromConnectData(_ string, _ []connect.Header, _ *connect.Schema, value any) ([]byte, error) {
	var text []byte
	switch v := value.(type) {
	case nil:
		return nil, nil
	case []byte:
		text = v
	default:
		text = javatext.Append([]byte{}, value)
	}
	if c.latin {
		return toLatin(text), nil
	}
	return text, nil
}

// ToConnectData implements connect.Converter.
func (c *String) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	switch {
	case data == nil:
		return connect.OptionalStringSchema, nil, nil
	case c.latin:
		return connect.OptionalStringSchema, fromLatin(data), nil
	}
	return connect.OptionalStringSchema, string(data), nil
}

// toLatin writes what ISO-8859-1 has no character for as a question mark.
func toLatin(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 0xFF || r == utf8.RuneError {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}

func fromLatin(data []byte) string {
	var out strings.Builder
	for _, b := range data {
		out.WriteRune(rune(b))
	}
	return out.String()
}

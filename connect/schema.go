package connect

// Type is the physical type of a value in Connect's data model.
type Type int

// The types of Connect's data model, with Java's schema type names in
// Type.String.
const (
	Int8 Type = iota
	Int16
	Int32
	Int64
	Float32
	Float64
	Boolean
	String
	Bytes
	Array
	Map
	Struct
)

var typeNames = [...]string{"INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "BOOLEAN", "STRING", "BYTES", "ARRAY", "MAP", "STRUCT"}

// String returns Java's name of the type, e.g. "INT64".
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return "UNKNOWN"
	}
	return typeNames[t]
}

// Schema describes a value. A nil *Schema means that the value is schemaless.
// Schemas are immutable once used in a record and may be shared.
type Schema struct {
	Type       Type
	Optional   bool
	Name       string
	Version    *int
	Doc        string
	Default    any
	Parameters map[string]string
	Fields     []Field // Struct
	Keys       *Schema // Map
	Elements   *Schema // Array and Map
}

// Field is one field of a Struct schema.
type Field struct {
	Name   string
	Schema *Schema
}

// Schemas that many connectors share.
var (
	BytesSchema          = &Schema{Type: Bytes}
	OptionalBytesSchema  = &Schema{Type: Bytes, Optional: true}
	StringSchema         = &Schema{Type: String}
	OptionalStringSchema = &Schema{Type: String, Optional: true}
)

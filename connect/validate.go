package connect

import (
	"fmt"
	"time"
)

// Validate returns a *DataError when value is no value of the schema: null where it is
// required, another Go type than the schema's, or such a value inside.
func (s *Schema) Validate(value any) error { return validate(s, value, "value") }

// ValidateHeader is what Java asks of the value of a header: null where it may be, and a
// value of the schema's type, whatever is inside. Converters are laxer, so a header that
// one of them could read may still be none.
func (s *Schema) ValidateHeader(value any) error {
	if s == nil {
		return nil
	}
	if value == nil {
		if !s.Optional {
			return dataErrorf("A null value requires an optional schema but was %s", s)
		}
		return nil
	}
	if t, ok := TypeOf(value); ok && t == s.Type || s.Name != "" && s.accepts(value) {
		return nil
	}
	return dataErrorf("A value of class %s is not compatible with the schema %s", ClassName(value), s)
}

func dataErrorf(format string, args ...any) error {
	return &DataError{Message: fmt.Sprintf(format, args...)}
}

func validate(s *Schema, value any, place string) error {
	if value == nil {
		if !s.Optional {
			return dataErrorf("Invalid value: null used for required %s, schema type: %s", place, s.Type)
		}
		return nil
	}
	if !s.accepts(value) {
		name := ""
		if s.Name != "" {
			name = fmt.Sprintf(" %q", s.Name)
		}
		return dataErrorf("Invalid Java object for schema%s with type %s: class %s for %s", name, s.Type, ClassName(value), place)
	}
	switch v := value.(type) {
	case *StructValue:
		if !v.schema.Equal(s) {
			return dataErrorf("Struct schemas do not match.")
		}
		return v.Validate()
	case []any:
		return validateList(s, v, place)
	case map[string]any, MapEntries:
		return validateMap(s, value, place)
	}
	return nil
}

// accepts looks at the Go type of a value that is not null. The name of a logical type
// decides, whatever type bears it.
func (s *Schema) accepts(value any) bool {
	switch s.Name {
	case "":
	case DecimalName:
		_, ok := value.(Decimal)
		return ok
	case DateName, TimeName, TimestampName:
		_, ok := value.(time.Time)
		return ok
	}
	t, ok := TypeOf(value)
	return ok && t == s.Type
}

func validateList(s *Schema, list []any, place string) error {
	place = "element of array " + place
	if s.Elements == nil {
		return dataErrorf("No schema defined for %s", place)
	}
	for _, v := range list {
		if err := validate(s.Elements, v, place); err != nil {
			return err
		}
	}
	return nil
}

func validateMap(s *Schema, value any, place string) error {
	keyPlace, valuePlace := "key of map "+place, "value of map "+place
	if s.Keys == nil {
		return dataErrorf("No schema defined for %s", keyPlace)
	}
	if s.Elements == nil {
		return dataErrorf("No schema defined for %s", valuePlace)
	}
	for _, e := range EntriesOf(value) {
		if err := validate(s.Keys, e.Key, keyPlace); err != nil {
			return err
		}
		if err := validate(s.Elements, e.Value, valuePlace); err != nil {
			return err
		}
	}
	return nil
}

// TypeOf returns the type of a schemaless value; false for null, for logical values
// (times and decimals), whose type no one can tell, and for what is not of the data
// model.
func TypeOf(value any) (Type, bool) {
	switch value.(type) {
	case int8:
		return Int8, true
	case int16:
		return Int16, true
	case int32:
		return Int32, true
	case int64:
		return Int64, true
	case float32:
		return Float32, true
	case float64:
		return Float64, true
	case bool:
		return Boolean, true
	case string:
		return String, true
	case []byte:
		return Bytes, true
	case []any:
		return Array, true
	case map[string]any, MapEntries:
		return Map, true
	case *StructValue:
		return Struct, true
	}
	return 0, false
}

// ClassName is the Java class that messages call a Go value by, since operators search
// for the messages that they know; nil is "null", and what is not of the data model has
// the name of its Go type.
func ClassName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case int8:
		return "java.lang.Byte"
	case int16:
		return "java.lang.Short"
	case int32:
		return "java.lang.Integer"
	case int64:
		return "java.lang.Long"
	case float32:
		return "java.lang.Float"
	case float64:
		return "java.lang.Double"
	case bool:
		return "java.lang.Boolean"
	case string:
		return "java.lang.String"
	case []byte:
		return "[B"
	case []any:
		return "java.util.ArrayList"
	case map[string]any, MapEntries:
		return "java.util.HashMap"
	case time.Time:
		return "java.util.Date"
	case Decimal:
		return "java.math.BigDecimal"
	case *StructValue:
		return "org.apache.kafka.connect.data.Struct"
	}
	return fmt.Sprintf("%T", value)
}

package storage

import (
	"fmt"

	"tributary/internal/javajson"
)

// Record is a record of an internal topic, ready to be written and placed by Java's
// default partitioner. A nil Value is a tombstone.
type Record struct{ Key, Value []byte }

// IgnoredRecordError says why a record of an internal topic was ignored. It never shows
// the record's value, which may hold secrets.
type IgnoredRecordError struct {
	Key    string
	Reason string
}

func (e *IgnoredRecordError) Error() string {
	return fmt.Sprintf("ignored record %q: %s", e.Key, e.Reason)
}

// object builds a JSON object whose fields keep the order of the calls.
type object struct{ b []byte }

func (o *object) field(name string) *object {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(javajson.AppendString(o.b, name), ':')
	return o
}

func (o *object) text(name, value string) *object {
	o.field(name).b = javajson.AppendString(o.b, value)
	return o
}

// textOrNull writes null for "".
func (o *object) textOrNull(name, value string) *object {
	if value == "" {
		o.field(name).b = append(o.b, "null"...)
		return o
	}
	return o.text(name, value)
}

func (o *object) integer(name string, value int64) *object {
	o.field(name).b = fmt.Appendf(o.b, "%d", value)
	return o
}

func (o *object) boolean(name string, value bool) *object {
	o.field(name).b = fmt.Appendf(o.b, "%t", value)
	return o
}

func (o *object) end() []byte { return append(o.b, '}') }

// fields is a parsed JSON object.
type fields map[string]any

// parseFields parses a value that must be a JSON object.
func parseFields(key string, value []byte) (fields, error) {
	v, err := javajson.Parse(value)
	if err != nil {
		return nil, &IgnoredRecordError{Key: key, Reason: err.Error()}
	}
	return asFields(key, v)
}

func asFields(key string, v any) (fields, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &IgnoredRecordError{Key: key, Reason: fmt.Sprintf("the value must be a JSON object but is %s", jsonKind(v))}
	}
	return m, nil
}

func (f fields) text(key, name string) (string, error) {
	s, ok := f[name].(string)
	if !ok {
		return "", f.wrong(key, name, "a string")
	}
	return s, nil
}

// textOrNull returns "" for null and for an absent field.
func (f fields) textOrNull(key, name string) (string, error) {
	if f[name] == nil {
		return "", nil
	}
	return f.text(key, name)
}

func (f fields) integer(key, name string) (int64, error) {
	n, ok := f[name].(int64)
	if !ok {
		return 0, f.wrong(key, name, "an integer")
	}
	return n, nil
}

func (f fields) object(key, name string) (fields, error) {
	m, ok := f[name].(map[string]any)
	if !ok {
		return nil, f.wrong(key, name, "an object")
	}
	return m, nil
}

func (f fields) wrong(key, name, want string) error {
	return &IgnoredRecordError{Key: key, Reason: fmt.Sprintf("field %q must be %s but is %s", name, want, jsonKind(f[name]))}
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null or absent"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a fraction"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}

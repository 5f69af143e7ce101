package predicate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connect/internal/fieldpath"
	"tributary/connect/internal/parsing"
	"tributary/internal/javajson"
	"tributary/internal/javatext"
	"tributary/internal/jregex"
)

// RecordMatchesClass selects RecordMatches, which has no counterpart in Java.
const RecordMatchesClass = "tributary.predicates.RecordMatches"

// RecordMatches is true for records that meet every condition that is set: on key, a
// header, a field of the value, and timestamp. What is missing or null meets none.
//
// In a mirror, where keys and values are bytes, the key is taken for text and the value
// for JSON, or for what value.converter reads. Elsewhere both are looked at as the
// connector made them.
type RecordMatches struct {
	stateless
	key        *jregex.Pattern
	headerName string
	header     *jregex.Pattern
	field      fieldpath.Path
	value      *jregex.Pattern
	converter  connect.Converter // of bytes; nil reads JSON
	from, to   int64             // milliseconds; to is not included
}

func patternKey(name, doc string) connect.ConfigKey {
	return connect.ConfigKey{Name: name, Type: connect.TypeString, Importance: connect.Medium, Doc: doc, Validate: func(v any) string {
		if v == nil {
			return ""
		}
		if _, err := jregex.Compile(v.(string)); err != nil {
			return "Invalid regex: " + err.Error()
		}
		return ""
	}}
}

func timeKey(name, doc string) connect.ConfigKey {
	return connect.ConfigKey{Name: name, Type: connect.TypeString, Importance: connect.Medium,
		Doc: doc + " A time such as 2026-01-31T12:00:00Z, or milliseconds since 1970.",
		Validate: func(v any) string {
			if v == nil {
				return ""
			}
			if _, ok := parseTime(v.(string)); !ok {
				return "It must be a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970"
			}
			return ""
		}}
}

func parseTime(text string) (millis int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	t, err := time.Parse(time.RFC3339, text)
	return t.UnixMilli(), err == nil
}

var recordMatchesDef = connect.NewConfigDef(
	patternKey("key.pattern", "Java regular expression that the whole text of the key must match."),
	connect.ConfigKey{Name: "header.name", Type: connect.TypeString, Importance: connect.Medium, Validate: nonEmpty, Doc: "Name of a header that must be there."},
	patternKey("header.pattern", "Java regular expression that the whole text of one of these headers must match."),
	connect.ConfigKey{Name: "value.field", Type: connect.TypeString, Importance: connect.Medium, Validate: nonEmpty,
		Doc: "Path of a field of the value: dots separate the names of nested fields, a name with dots stands between backticks. Bytes are read as JSON."},
	patternKey("value.pattern", "Java regular expression that the whole text of that field must match; without it, the field must not be null."),
	connect.ConfigKey{Name: "value.converter", Type: connect.TypeClass, Importance: connect.Low, Validate: parsing.Check,
		Doc: "The converter that reads a value of bytes, by class or alias, such as AvroConverter; its settings stand below this key. Without it, bytes are JSON."},
	timeKey("timestamp.from", "The earliest timestamp."),
	timeKey("timestamp.to", "The timestamp before which records must be."))

// ConfigDef implements connect.Predicate.
func (*RecordMatches) ConfigDef() *connect.ConfigDef { return recordMatchesDef }

// Configure implements connect.Predicate.
func (p *RecordMatches) Configure(config map[string]string) error {
	v, err := recordMatchesDef.ParseValues(config)
	if err != nil {
		return err
	}
	set := false
	for key, to := range map[string]**jregex.Pattern{"key.pattern": &p.key, "header.pattern": &p.header, "value.pattern": &p.value} {
		*to = nil
		if v.IsNull(key) {
			continue
		}
		set = true
		if *to, err = jregex.Compile(v.String(key)); err != nil {
			return err
		}
	}
	p.headerName = v.String("header.name")
	p.field = nil
	if !v.IsNull("value.field") {
		if p.field, err = fieldpath.Parse(v.String("value.field"), "V2"); err != nil {
			return err
		}
	}
	p.converter = nil
	if !v.IsNull("value.converter") {
		if p.field == nil {
			return errors.New("value.converter is set, but value.field does not say which field it is for")
		}
		if p.converter, err = parsing.New(config, "value.converter", false); err != nil {
			return err
		}
	}
	p.from, p.to = minTime, maxTime
	for key, to := range map[string]*int64{"timestamp.from": &p.from, "timestamp.to": &p.to} {
		if !v.IsNull(key) {
			*to, _ = parseTime(v.String(key)) // validated
			set = true
		}
	}
	switch {
	case p.header != nil && p.headerName == "":
		return errors.New("header.pattern is set, but header.name does not say which header it is for")
	case p.value != nil && p.field == nil:
		return errors.New("value.pattern is set, but value.field does not say which field it is for")
	case !set && p.headerName == "" && p.field == nil:
		return errors.New("no condition is set: one of key.pattern, header.name, value.field, timestamp.from and timestamp.to is needed")
	}
	return nil
}

const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// Test implements connect.Predicate. A *connect.DataError says that the value is no JSON
// or has no fields where the path leads through.
func (p *RecordMatches) Test(r *connect.Record) (bool, error) {
	if p.from != minTime || p.to != maxTime {
		if r.Timestamp == connect.NoTimestamp || r.Timestamp < p.from || r.Timestamp >= p.to {
			return false, nil
		}
	}
	if p.key != nil {
		if ok, err := matches(p.key, r.Key); !ok {
			return false, err
		}
	}
	if p.headerName != "" {
		if ok, err := p.headerMatches(r.Headers); !ok {
			return false, err
		}
	}
	if p.field == nil {
		return true, nil
	}
	value, err := p.fieldOf(r)
	if err != nil || value == nil {
		return false, err
	}
	return matches(p.value, value)
}

func (p *RecordMatches) headerMatches(headers []connect.Header) (bool, error) {
	for _, h := range headers {
		if h.Key != p.headerName {
			continue
		}
		if p.header == nil {
			return true, nil
		}
		if ok, err := matches(p.header, h.Value); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (p *RecordMatches) fieldOf(r *connect.Record) (any, error) {
	value := r.Value
	if text, ok := value.(string); ok {
		value = []byte(text)
	}
	if data, ok := value.([]byte); ok {
		var err error
		if p.converter != nil {
			_, value, err = p.converter.ToConnectData(r.Topic, r.Headers, data)
		} else {
			value, err = javajson.Parse(data)
		}
		if again, ok := errors.AsType[*connect.RetriableError](err); ok {
			return nil, again // a registry that cannot be reached
		}
		if err != nil {
			return nil, &connect.DataError{Message: fmt.Sprintf("Cannot look up field %s in the value", strings.Join(p.field, ".")), Err: err}
		}
	}
	return p.field.In(value, true)
}

// matches compares the text of a value that is not null.
func matches(pattern *jregex.Pattern, value any) (bool, error) {
	switch {
	case value == nil:
		return false, nil
	case pattern == nil:
		return true, nil
	}
	return pattern.Match(javatext.String(value))
}

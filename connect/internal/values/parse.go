package values

import (
	"strings"
	"time"
	"unicode/utf8"

	"tributary/connect"
	"tributary/internal/simpledate"
)

// typed is a value with its schema; the zero value is null.
type typed struct {
	schema *connect.Schema
	value  any
}

// Parse infers a value from its text: null, booleans, numbers (whole ones as the smallest
// integer type), dates, times, timestamps, lists and maps; all else is a string.
func Parse(text string) (*connect.Schema, any) {
	if text == "" {
		return connect.StringSchema, text
	}
	p := parser{tokens: tokens{text: text}}
	v, err := p.parse(false)
	if err != nil { // only embedded values fail
		return connect.StringSchema, text
	}
	return v.schema, v.value
}

// maxDepth keeps what is nested from using up the stack.
const maxDepth = 1000

type parser struct {
	tokens
	depth int
}

func dataError(message string) error { return &connect.DataError{Message: message} }

func (p *parser) parse(embedded bool) (typed, error) {
	if p.depth++; p.depth > maxDepth {
		return typed{}, dataError("Values are nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case !p.more():
		return typed{}, nil
	case embedded && p.take(`"`):
		return p.quoted(), nil
	case p.literal("null", embedded):
		return typed{}, nil
	case p.literal("true", embedded):
		return typed{connect.BooleanSchema, true}, nil
	case p.literal("false", embedded):
		return typed{connect.BooleanSchema, false}, nil
	}
	start := p.mark()
	var container func() (typed, error)
	if p.take("[") {
		container = p.array
	} else if p.take("{") {
		container = p.object
	}
	if container != nil {
		if v, err := container(); err == nil {
			return v, nil
		}
		p.rewind(start)
	}
	token := p.next()
	if blank(token) {
		return typed{connect.StringSchema, token}, nil
	}
	return p.scalar(trim(token), embedded)
}

// literal takes a word. At the top, more text after it makes all of it a string.
func (p *parser) literal(word string, embedded bool) bool {
	start := p.mark()
	if p.take(word) && (embedded || !p.more()) {
		return true
	}
	p.rewind(start)
	return false
}

func (p *parser) scalar(token string, embedded bool) (typed, error) {
	digit := token[0] >= '0' && token[0] <= '9'
	if digit {
		if v, ok := p.temporalOfTokens(token); ok {
			return v, nil
		}
	}
	if digit || token[0] == '+' || token[0] == '-' {
		if number, err := connect.ParseDecimal(token); err == nil {
			return numberOf(number), nil
		}
	}
	if embedded {
		return typed{}, dataError("Failed to parse embedded value")
	}
	return typed{connect.StringSchema, p.text}, nil
}

// temporalOfTokens tries the token with the next four, because times hold colons.
func (p *parser) temporalOfTokens(token string) (typed, bool) {
	start := p.mark()
	if rest, ok := p.nextFew(4); ok {
		if v, ok := temporal(token + rest); ok {
			return v, true
		}
	}
	p.rewind(start)
	return temporal(token)
}

// temporal tells the three forms apart by their lengths.
func temporal(text string) (typed, bool) {
	text = strings.ReplaceAll(text, `\:`, ":")
	var format *simpledate.Format
	var schema *connect.Schema
	switch utf8.RuneCountInString(text) {
	case len("yyyy-MM-dd"):
		format, schema = datePattern, connect.DateSchema
	case len("HH:mm:ss.SSSZ"):
		format, schema = timePattern, connect.TimeSchema
	case len("yyyy-MM-ddTHH:mm:ss.SSSZ"):
		format, schema = timestampPattern, connect.TimestampSchema
	default:
		return typed{}, false
	}
	t, err := format.Parse(text, time.Now())
	if err != nil {
		return typed{}, false
	}
	return typed{schema, t}, true
}

// numberOf picks the smallest type: integers for whole numbers, then float32 even where
// it loses digits, then float64; Decimal only beyond those.
func numberOf(d connect.Decimal) typed {
	if n, ok := d.Whole(); ok {
		switch {
		case n == int64(int8(n)):
			return typed{connect.Int8Schema, int8(n)}
		case n == int64(int16(n)):
			return typed{connect.Int16Schema, int16(n)}
		case n == int64(int32(n)):
			return typed{connect.Int32Schema, int32(n)}
		}
		return typed{connect.Int64Schema, n}
	}
	if d.Scale() != 0 {
		if f := d.Float32(); !isInf(float64(f)) {
			return typed{connect.Float32Schema, f}
		}
		if f := d.Float64(); !isInf(f) {
			return typed{connect.Float64Schema, f}
		}
	}
	return typed{connect.DecimalSchema(d.Scale()), d}
}

func isInf(f float64) bool { return f-f != 0 }

// quoted reads up to the next quote. Escapes stay in the text.
func (p *parser) quoted() typed {
	var content strings.Builder
	for p.more() && !p.take(`"`) {
		content.WriteString(p.next())
	}
	if v, ok := temporal(content.String()); ok {
		return v
	}
	return typed{connect.StringSchema, content.String()}
}

func (p *parser) array() (typed, error) {
	list := []any{}
	var elements merger
	for p.more() {
		if p.take("]") {
			if elements.common == nil {
				return typed{&connect.Schema{Type: connect.Array}, list}, nil
			}
			return alignList(connect.ArrayOf(elements.common), list)
		}
		if p.take(",") {
			return typed{}, dataError("Unable to parse an empty array element: " + p.text)
		}
		v, err := p.parse(true)
		if err != nil {
			return typed{}, err
		}
		elements.merge(v.schema)
		list = append(list, v.value)
		here := p.mark()
		if p.take("]") {
			p.rewind(here)
		} else if !p.take(",") {
			return typed{}, dataError("Array elements missing ',' delimiter")
		}
	}
	return typed{}, dataError("Array is missing terminating ']': " + p.text)
}

func alignList(schema *connect.Schema, list []any) (typed, error) {
	for i, v := range list {
		var err error
		if list[i], err = convert(schema.Elements, v); err != nil {
			return typed{}, err
		}
	}
	return typed{schema, list}, nil
}

func (p *parser) object() (typed, error) {
	entries := connect.NewMapBuilder(nil)
	var keys, elements merger
	for p.more() {
		if p.take("}") {
			return alignMap(keys.common, elements.common, entries.Entries())
		}
		if p.take(",") {
			return typed{}, dataError("Unable to parse a map entry with no key or value: " + p.text)
		}
		key, err := p.parse(true)
		if err != nil {
			return typed{}, err
		}
		if key.value == nil {
			return typed{}, dataError("Map entry may not have a null key: " + p.text)
		}
		if !p.take(":") {
			return typed{}, dataError("Map entry is missing ':' in " + p.text)
		}
		v, err := p.parse(true)
		if err != nil {
			return typed{}, err
		}
		entries.Put(key.value, v.value)
		p.take(",")
		keys.merge(key.schema)
		elements.merge(v.schema)
	}
	return typed{}, dataError("Map is missing terminating '}': " + p.text)
}

// alignMap converts keys and values to what they have in common, keys alone when values
// have nothing.
func alignMap(keys, elements *connect.Schema, entries connect.MapEntries) (typed, error) {
	if keys == nil {
		return typed{&connect.Schema{Type: connect.Map}, entries}, nil
	}
	out := connect.NewMapBuilder(make(connect.MapEntries, 0, len(entries)))
	for _, e := range entries {
		key, err := convert(keys, e.Key)
		if err != nil {
			return typed{}, err
		}
		value := e.Value
		if elements != nil {
			if value, err = convert(elements, value); err != nil {
				return typed{}, err
			}
		}
		out.Put(key, value)
	}
	return typed{&connect.Schema{Type: connect.Map, Keys: keys, Elements: elements}, out.Entries()}, nil
}

// merger finds the schema that fits all it is told of; nil when there is none.
type merger struct {
	common   *connect.Schema
	disagree bool
}

func (m *merger) merge(schema *connect.Schema) {
	switch {
	case schema == nil || m.disagree:
	case m.common == nil || m.common.Type == schema.Type:
		m.common = schema
	case m.common.Type > connect.Float64 || schema.Type > connect.Float64:
		m.common, m.disagree = nil, true
	case schema.Type > m.common.Type: // numbers are in the order of their width
		m.common = schema
	}
}

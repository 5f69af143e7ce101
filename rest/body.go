package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tributary/api"
)

// Request bodies are read by Jackson's rules: numbers and booleans where a text is due
// become their literal, the last of equal keys counts, unknown fields are refused.
// Java's worker answers 500 to what it cannot read, with Jackson's message, and tools
// look for its first words; so the messages here have the same form.

// The Java types that messages name.
const (
	typeCreateRequest = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest"
	typeState         = typeCreateRequest + "$InitialState"
	typeString        = "java.lang.String"
	typeMap           = "java.util.LinkedHashMap"
	typeStringMap     = typeMap + "<java.lang.String,java.lang.String>"
	typeList          = "java.util.ArrayList"
	typeTaskConfigs   = typeList + "<java.util.Map<java.lang.String,java.lang.String>>"
)

var errNoBody = refuse(http.StatusInternalServerError, "The request has no body, or null; it needs one in JSON")

// decodeCreateRequest reads the body of POST /connectors. InitialState is in upper case.
func decodeCreateRequest(body []byte) (request api.CreateConnectorRequest, err error) {
	r := newBodyReader(body)
	err = r.object(typeCreateRequest, []string{"config", "name", "initial_state"}, func(name string) (err error) {
		switch name {
		case "name":
			var text *string
			if text, err = r.text(); text != nil {
				request.Name = *text
			}
		case "config":
			request.Config, err = r.stringMap()
		case "initial_state":
			request.InitialState, err = r.initialState()
		}
		return err
	})
	if err == nil {
		err = r.nothingMore()
	}
	if err != nil {
		return request, err
	}
	if request.Config == nil {
		return request, refuse(http.StatusInternalServerError, `The request has no "config"; it must be an object with the connector's configuration`)
	}
	return request, nil
}

// decodeConfig reads a flat configuration.
func decodeConfig(body []byte) (map[string]*string, error) {
	r := newBodyReader(body)
	config, err := r.stringMap()
	if err == nil {
		err = r.nothingMore()
	}
	if err == nil && config == nil {
		err = errNoBody
	}
	return config, err
}

// decodeTaskConfigs reads the body of the internal POST /connectors/{c}/tasks. A null
// value is as good as an absent key.
func decodeTaskConfigs(body []byte) ([]map[string]string, error) {
	r := newBodyReader(body)
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	if t.isNull() {
		return nil, errNoBody
	}
	if t.value != json.Delim('[') {
		return nil, r.mismatch(t, typeTaskConfigs)
	}
	configs := []map[string]string{}
	for r.dec.More() {
		leave := r.enter(typeList + "[" + strconv.Itoa(len(configs)) + "]")
		values, err := r.stringMap()
		if err != nil {
			return nil, err
		}
		leave()
		config := make(map[string]string, len(values))
		for k, v := range values {
			if v != nil {
				config[k] = *v
			}
		}
		configs = append(configs, config)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return configs, r.nothingMore()
}

// bodyReader reads a body token by token and knows where it is.
type bodyReader struct {
	body  []byte
	dec   *json.Decoder
	chain []string
	// empty says that there is nothing but blanks; depth is how many brackets are open.
	empty bool
	depth int
}

// maxDepth is how deeply a body may nest, as by Jackson: the readers of values call themselves, and a goroutine whose
// stack overflows ends the process.
const maxDepth = 1000

// token is one token and where it starts.
type token struct {
	value json.Token
	start int
}

func (t token) isNull() bool { return t.value == nil }

func newBodyReader(body []byte) *bodyReader {
	r := &bodyReader{body: body, dec: json.NewDecoder(bytes.NewReader(body)), empty: len(bytes.TrimSpace(body)) == 0}
	r.dec.UseNumber()
	return r
}

// enter adds to the chain of references that messages show, until the function that
// it returns is called.
func (r *bodyReader) enter(reference string) (leave func()) {
	r.chain = append(r.chain, reference)
	return func() { r.chain = r.chain[:len(r.chain)-1] }
}

func (r *bodyReader) next() (token, error) {
	if r.empty {
		return token{}, errNoBody
	}
	start := int(r.dec.InputOffset())
	for start < len(r.body) && strings.IndexByte(" \t\r\n,:", r.body[start]) >= 0 {
		start++
	}
	value, err := r.dec.Token()
	if err != nil {
		return token{}, r.syntaxError()
	}
	switch value {
	case json.Delim('{'), json.Delim('['):
		if r.depth++; r.depth > maxDepth {
			return token{}, r.fail(start, fmt.Sprintf("Document nesting depth (%d) exceeds the maximum allowed (%d, from `StreamReadConstraints.getMaxNestingDepth()`)", r.depth, maxDepth))
		}
	case json.Delim('}'), json.Delim(']'):
		r.depth--
	}
	return token{value, start}, nil
}

// end reads the bracket that closes the object or array after its last element.
func (r *bodyReader) end() error {
	_, err := r.next()
	return err
}

// nothingMore refuses what follows the document.
func (r *bodyReader) nothingMore() error {
	if rest := r.body[r.dec.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return r.syntaxError()
	}
	return nil
}

// skip passes over one value of any kind.
func (r *bodyReader) skip() error {
	around := r.depth
	for {
		if _, err := r.next(); err != nil {
			return err
		}
		if r.depth == around {
			return nil
		}
	}
}

// text reads a string, or what can stand for one; null is nil.
func (r *bodyReader) text() (*string, error) {
	t, err := r.next()
	if err != nil || t.isNull() {
		return nil, err
	}
	text, ok := t.scalar()
	if !ok {
		return nil, r.mismatch(t, typeString)
	}
	return &text, nil
}

// scalar is the text of a string, number or boolean.
func (t token) scalar() (string, bool) {
	switch v := t.value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// stringMap reads an object of texts; null is nil.
func (r *bodyReader) stringMap() (map[string]*string, error) {
	t, err := r.next()
	if err != nil || t.isNull() {
		return nil, err
	}
	if text, ok := t.value.(string); ok {
		return nil, r.fail(t.start, "Cannot construct instance of `"+typeMap+"` (although at least one Creator exists): "+
			"no String-argument constructor/factory method to deserialize from String value ('"+text+"')")
	}
	if t.value != json.Delim('{') {
		return nil, r.mismatch(t, typeStringMap)
	}
	values := map[string]*string{}
	for r.dec.More() {
		key, err := r.next()
		if err != nil {
			return nil, err
		}
		name := key.value.(string)
		leave := r.enter(fmt.Sprintf("%s[%q]", typeMap, name))
		if values[name], err = r.text(); err != nil {
			return nil, err
		}
		leave()
	}
	return values, r.end()
}

// object reads an object with the given fields; field reads the value of one.
func (r *bodyReader) object(javaType string, known []string, field func(name string) error) error {
	t, err := r.next()
	if err != nil {
		return err
	}
	if t.isNull() && len(r.chain) > 0 {
		return r.fail(t.start, "Cannot be null: it must be an object")
	}
	if t.isNull() {
		return errNoBody
	}
	if t.value != json.Delim('{') {
		return r.notAnObject(t, javaType)
	}
	unknown := ""
	for r.dec.More() {
		key, err := r.next()
		if err != nil {
			return err
		}
		name := key.value.(string)
		leave := r.enter(fmt.Sprintf("%s[%q]", javaType, name))
		isKnown := false
		for _, k := range known {
			isKnown = isKnown || k == name
		}
		if isKnown {
			err = field(name)
		} else {
			if unknown == "" {
				unknown = name
			}
			err = r.skip()
		}
		if err != nil {
			return err
		}
		leave()
	}
	if err := r.end(); err != nil {
		return err
	}
	if unknown == "" {
		return nil
	}
	properties := fmt.Sprintf("one known property: %q", known[0])
	if len(known) > 1 {
		properties = fmt.Sprintf("%d known properties: %q", len(known), known[0])
		for _, k := range known[1:] {
			properties += fmt.Sprintf(", %q", k)
		}
	}
	r.enter(fmt.Sprintf("%s[%q]", javaType, unknown))
	return r.fail(int(r.dec.InputOffset()), fmt.Sprintf("Unrecognized field %q (class %s), not marked as ignorable (%s)", unknown, javaType, properties))
}

func (r *bodyReader) initialState() (string, error) {
	t, err := r.next()
	if err != nil || t.isNull() {
		return "", err
	}
	text, ok := t.scalar()
	if !ok {
		return "", r.mismatch(t, typeState)
	}
	state := strings.ToUpper(text)
	if _, known := initialStates[state]; !known {
		return "", r.fail(t.start, "Cannot construct instance of `"+typeState+"`, problem: No enum constant "+
			strings.ReplaceAll(typeState, "$", ".")+"."+state)
	}
	return state, nil
}

// mismatch says that a token does not begin a value of the type.
func (r *bodyReader) mismatch(t token, javaType string) error {
	kind, name := "", ""
	switch v := t.value.(type) {
	case json.Delim:
		kind, name = "Object", "START_OBJECT"
		if v == '[' {
			kind, name = "Array", "START_ARRAY"
		}
	case bool:
		kind, name = "Boolean", "VALUE_"+strings.ToUpper(strconv.FormatBool(v))
	case json.Number:
		kind, name = "Integer", "VALUE_NUMBER_INT"
		if strings.ContainsAny(v.String(), ".eE") {
			kind, name = "Floating-point", "VALUE_NUMBER_FLOAT"
		}
	case string:
		kind, name = "String", "VALUE_STRING"
	}
	return r.fail(t.start, fmt.Sprintf("Cannot deserialize value of type `%s` from %s value (token `JsonToken.%s`)", javaType, kind, name))
}

// notAnObject says that a document is a bare value instead of an object.
func (r *bodyReader) notAnObject(t token, javaType string) error {
	how := ""
	switch v := t.value.(type) {
	case string:
		how = "String-argument constructor/factory method to deserialize from String value ('" + v + "')"
	case bool:
		how = "boolean/Boolean-argument constructor/factory method to deserialize from boolean value (" + strconv.FormatBool(v) + ")"
	case json.Number:
		how = "int/Int-argument constructor/factory method to deserialize from Number value (" + v.String() + ")"
		if strings.ContainsAny(v.String(), ".eE") {
			how = "double/Double-argument constructor/factory method to deserialize from Number value (" + v.String() + ")"
		}
	default:
		return r.mismatch(t, javaType)
	}
	return r.fail(t.start, "Cannot construct instance of `"+javaType+"` (although at least one Creator exists): no "+how)
}

// fail adds the place to a message.
func (r *bodyReader) fail(at int, message string) error {
	line := 1 + bytes.Count(r.body[:at], []byte("\n"))
	column := at - (bytes.LastIndexByte(r.body[:at], '\n') + 1) + 1
	message += fmt.Sprintf("\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]", line, column)
	if len(r.chain) > 0 {
		message += " (through reference chain: " + strings.Join(r.chain, "->") + ")"
	}
	return refuse(http.StatusInternalServerError, message)
}

// expectations translates what encoding/json says of a wrong character.
var expectations = []struct{ found, means string }{
	{"looking for beginning of value", "expected a value"},
	{"looking for beginning of object key string", "was expecting double-quote to start field name"},
	{"after object key:value pair", "was expecting comma to separate Object entries"},
	{"after object key", "was expecting a colon to separate field name and value"},
	{"after array element", "was expecting comma to separate Array entries"},
	{"in string literal", "has to be escaped using backslash to be included in string value"},
	{"in string escape code", "unrecognized character escape"},
	{"in numeric literal", "expected digit (0-9) for valid numeric value"},
	{"after top-level value", "expected nothing after the value"},
}

// syntaxError says what is wrong with a body that is not JSON.
func (r *bodyReader) syntaxError() error {
	r.chain = nil
	var whole json.RawMessage
	var wrong *json.SyntaxError
	if err := json.Unmarshal(r.body, &whole); !errors.As(err, &wrong) {
		return refuse(http.StatusInternalServerError, "Unexpected end-of-input")
	}
	at := int(wrong.Offset) - 1
	if strings.HasPrefix(wrong.Error(), "unexpected end") || at < 0 || at >= len(r.body) {
		return r.fail(len(r.body), "Unexpected end-of-input")
	}
	c := r.body[at]
	if word, start := r.wordAt(at); word != "" && (strings.Contains(wrong.Error(), "in literal") || isLetter(c) &&
		(strings.Contains(wrong.Error(), "beginning of value") || strings.Contains(wrong.Error(), "top-level"))) {
		return r.fail(start, "Unrecognized token '"+word+"': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
	}
	for _, e := range expectations {
		if strings.Contains(wrong.Error(), e.found) {
			return r.fail(at, fmt.Sprintf("Unexpected character (%s (code %d)): %s", quoted(c), c, e.means))
		}
	}
	return r.fail(at, fmt.Sprintf("Unexpected character (%s (code %d))", quoted(c), c))
}

func quoted(c byte) string {
	if c < ' ' {
		return "CTRL-CHAR"
	}
	return "'" + string(rune(c)) + "'"
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// wordAt is the run of letters that includes or ends before a place.
func (r *bodyReader) wordAt(at int) (word string, start int) {
	start, end := at, at
	for start > 0 && isLetter(r.body[start-1]) {
		start--
	}
	for end < len(r.body) && isLetter(r.body[end]) {
		end++
	}
	return string(r.body[start:end]), start
}

package jsonschema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"pgregory.net/rapid"

	"tributary/connect"
	"tributary/connect/converter/registry"
	"tributary/connect/internal/drawn"
	"tributary/internal/javajson"
	"tributary/test/fakeregistry"
)

func newConverter(t testing.TB, r *srfake.Registry, settings ...string) *Converter {
	t.Helper()
	return fakeregistry.Configure(t, new(Converter), r, settings...)
}

func hasNegativeZero(text string) bool { return strings.Contains(text, "-0") }

func TestWhatJSONSchemaWroteItReadsBackWithItsSchema(t *testing.T) {
	r := fakeregistry.Start(t)
	c, n := newConverter(t, r), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		topic := fmt.Sprint("t", n)
		schema := drawn.Shape{}.Schema(rt, 3)
		value := drawn.Value(rt, schema)
		data, err := c.FromConnectData(topic, nil, schema, value)
		if err != nil {
			rt.Fatal(err)
		}
		if hasNegativeZero(string(data[5:])) {
			rt.Skip("Java's reader has no negative zero")
		}
		gotSchema, got, err := c.ToConnectData(topic, nil, data)
		if err != nil {
			rt.Fatalf("%s: %v", data[5:], err)
		}
		want := schema
		if want.Version == nil {
			want = want.WithVersion(1) // of the registry
		}
		if !gotSchema.Equal(want) {
			a, _ := c.textOf(want)
			b, _ := c.textOf(gotSchema)
			rt.Fatalf("the schema %s reads back as %s", a, b)
		}
		if schema.Type == connect.Struct && !fakeregistry.SameButOrder(fmt.Sprint(got), fmt.Sprint(value)) || schema.Type != connect.Struct && !connect.EqualValues(got, value) {
			rt.Fatalf("%s reads back as %v, want %v", data[5:], got, value)
		}
	})
}

func TestSchemasAndValuesAreWrittenAsConfluentsConverterWritesThem(t *testing.T) {
	r := fakeregistry.Start(t)
	inner := connect.StructOf(connect.Field{Name: "b", Schema: connect.OptionalStringSchema}).WithName("Inner").AsOptional()
	schema := connect.StructOf(
		connect.Field{Name: "id", Schema: connect.Int32Schema.WithDoc("which")},
		connect.Field{Name: "amount", Schema: connect.DecimalSchema(2)},
		connect.Field{Name: "raw", Schema: connect.OptionalBytesSchema},
		connect.Field{Name: "inner", Schema: inner},
		connect.Field{Name: "color", Schema: connect.StringSchema.WithParameter("io.confluent.connect.json.Enum", "").WithParameter("io.confluent.connect.json.Enum.RED", "RED").WithDefault("RED")},
		connect.Field{Name: "counts", Schema: connect.MapOf(connect.StringSchema, connect.Int64Schema)},
		connect.Field{Name: "pairs", Schema: connect.MapOf(connect.Int8Schema, connect.BooleanSchema)},
		connect.Field{Name: "either", Schema: connect.StructOf(connect.Field{Name: "io.confluent.connect.json.OneOf.field.0", Schema: connect.OptionalStringSchema}, connect.Field{Name: "io.confluent.connect.json.OneOf.field.1", Schema: connect.OptionalInt64Schema}).WithName("io.confluent.connect.json.OneOf")},
	).WithName("Order").WithVersion(2).WithParameter("owner", "sales")
	value := connect.NewStruct(schema)
	put := func(s *connect.StructValue, name string, v any) {
		t.Helper()
		if err := s.Put(name, v); err != nil {
			t.Fatal(err)
		}
	}
	amount, err := connect.ParseDecimal("1.50")
	if err != nil {
		t.Fatal(err)
	}
	either := connect.NewStruct(schema.Field("either"))
	put(either, "io.confluent.connect.json.OneOf.field.1", int64(5))
	put(value, "id", int32(7))
	put(value, "amount", amount)
	put(value, "raw", []byte("ab"))
	put(value, "counts", connect.MapEntries{{Key: "x", Value: int64(1)}})
	put(value, "pairs", connect.MapEntries{{Key: int8(3), Value: true}})
	put(value, "either", either)
	data, err := newConverter(t, r).FromConnectData("t", nil, schema, value)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x00\x00\x00\x00\x01" + `{"id":7,"amount":"AJY=","raw":"YWI=","inner":null,"color":"RED","counts":{"x":1},"pairs":[{"key":3,"value":true}],"either":5}`; string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	numeric, err := newConverter(t, r, "decimal.format=numeric").FromConnectData("t", nil, schema, value)
	if err != nil || !strings.Contains(string(numeric), `"amount":1.50,`) {
		t.Errorf("got %s, %v", numeric, err)
	}
	registered, _ := r.GetSchema("t-value", 1)
	if want := `{"type":"object","properties":{"id":{"type":"integer","connect.type":"int32","description":"which","connect.index":0},` +
		`"amount":{"type":"string","connect.type":"bytes","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.parameters":{"scale":"2"},"connect.index":1},` +
		`"raw":{"oneOf":[{"type":"null"},{"type":"string","connect.type":"bytes"}],"connect.index":2},` +
		`"inner":{"oneOf":[{"type":"null"},{"type":"object","properties":{"b":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":0}},"title":"Inner"}],"connect.index":3},` +
		`"color":{"enum":["RED"],"default":"RED","connect.index":4},` +
		`"counts":{"type":"object","connect.type":"map","additionalProperties":{"type":"integer","connect.type":"int64"},"connect.index":5},` +
		`"pairs":{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer","connect.type":"int8","connect.index":0},"value":{"type":"boolean","connect.index":1}}},"connect.index":6},` +
		`"either":{"oneOf":[{"type":"string","connect.index":0},{"type":"integer","connect.type":"int64","connect.index":1}],"connect.index":7}},` +
		`"title":"Order","connect.version":2,"connect.parameters":{"owner":"sales"}}`; registered.Schema.Schema != want {
		t.Errorf("got  %s\nwant %s", registered.Schema.Schema, want)
	}
	gotSchema, got, err := newConverter(t, r).ToConnectData("t", nil, data)
	if err != nil || !gotSchema.Equal(schema) {
		t.Fatalf("got %v, %v", gotSchema, err)
	}
	if want := "Struct{id=7,amount=1.50,raw=[97 98],color=RED,counts=[{x 1}],pairs=[{3 true}],either=Struct{io.confluent.connect.json.OneOf.field.1=5}}"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestSchemasOfOthersAreRead(t *testing.T) {
	r := fakeregistry.Start(t)
	if _, _, err := r.RegisterSchema("address", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","title":"Address","properties":{"zip":{"type":["string","null"]}}}`}); err != nil {
		t.Fatal(err)
	}
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Type: sr.TypeJSON, Schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["n"],"properties":{
		"n":{"type":"number"},"home":{"$ref":"address.json"},"state":{"$ref":"#/definitions/State"},"mail":{"allOf":[{"type":"string"},{"format":"email"}]},
		"choice":{"anyOf":[{"type":"boolean"},{"type":"object","properties":{"k":{"type":"integer"}}}]},"kind":{"const":"x"}},
		"definitions":{"State":{"enum":["on","off"]}}}`,
		References: []sr.SchemaReference{{Name: "address.json", Subject: "address", Version: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	body := registry.AppendHeader(nil, id)
	body = append(body, `{"n":1,"home":{"zip":"123"},"state":"on","mail":"a@b","choice":{"k":3},"kind":"x","unknown":[1]}`...)
	schema, got, err := newConverter(t, r).ToConnectData("t", nil, body)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Struct{n=1,home=Struct{zip=123},state=on,mail=a@b,choice=Struct{io.confluent.connect.json.OneOf.field.1=Struct{k=3}},kind=x}"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if *schema.Version != 1 || schema.Field("home").Name != "Address" || schema.Field("home").Field("zip") == nil || !schema.Field("home").Field("zip").Optional || schema.Field("state").Parameters[1] != (connect.Parameter{Name: "io.confluent.connect.json.Enum.on", Value: "on"}) {
		t.Errorf("got %+v", schema)
	}
	for _, settings := range [][]string{nil, {"use.optional.for.nonrequired=true"}} {
		short := append(registry.AppendHeader(nil, id), `{"n":1}`...)
		schema, got, err := newConverter(t, r, settings...).ToConnectData("t", nil, short)
		if err != nil || fmt.Sprint(got) != "Struct{n=1}" || schema.Field("home").Optional != (settings != nil) {
			t.Errorf("%s: got %v, %v", settings, got, err)
		}
	}
	null := append(registry.AppendHeader(nil, id), `{"n":1,"home":null}`...)
	if _, _, err := newConverter(t, r).ToConnectData("t", nil, null); err == nil || !strings.Contains(err.Error(), "field home: Invalid null value for required STRUCT field") {
		t.Errorf("got %v", err)
	}
}

// readAs reads a value that others wrote with a schema.
func readAs(t *testing.T, schema, value string) (any, error) {
	t.Helper()
	r := fakeregistry.Start(t)
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Type: sr.TypeJSON, Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := newConverter(t, r).ToConnectData("t", nil, append(registry.AppendHeader(nil, id), value...))
	return got, err
}

func TestSchemasThatArePutTogetherHaveAllTheirFields(t *testing.T) {
	const base = `"definitions":{"Base":{"type":"object","properties":{"id":{"type":"integer"},"x":{"type":"integer"}}}}`
	for _, c := range []struct{ schema, value, want string }{
		{`{"type":"object","properties":{"name":{"type":"string"}},"allOf":[{"$ref":"#/definitions/Base"}],` + base + `}`, `{"id":1,"name":"n"}`, "Struct{id=1,name=n}"},
		{`{"type":"object","properties":{"x":{"type":"string"}},"allOf":[{"$ref":"#/definitions/Base"}],` + base + `}`, `{"id":1,"x":"own"}`, "Struct{id=1,x=own}"},
		{`{"type":"object","allOf":[{"$ref":"#/definitions/Base"},{"properties":{"name":{"type":"string"}}}],` + base + `}`, `{"id":1,"name":"n"}`, "Struct{id=1,name=n}"},
		{`{"type":"string","allOf":[{"minLength":1}]}`, `"text"`, "text"},
		{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"b":2}`, "Struct{b=2}"},
		{`{"type":["object","null"],"properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":2}`, "Struct{a=2}"},
	} {
		if got, err := readAs(t, c.schema, c.value); err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, %v; want %s", c.schema, got, err, c.want)
		}
	}
}

func TestAnObjectIsTheAlternativeOfWhichItHasMost(t *testing.T) {
	const (
		shape   = `{"type":"object","properties":{"kind":{"type":"string"},"body":{"type":"object","properties":{"%s":{"type":"integer"}}}}}`
		anyOf   = `{"oneOf":[%s,%s,{"type":"string"}]}`
		wrapped = "Struct{io.confluent.connect.json.OneOf.field.%d=%s}"
	)
	schema := fmt.Sprintf(anyOf, fmt.Sprintf(shape, "circle"), fmt.Sprintf(shape, "square"))
	for value, want := range map[string]string{
		`{"kind":"s","body":{"square":2}}`:             fmt.Sprintf(wrapped, 1, "Struct{kind=s,body=Struct{square=2}}"),
		`{"kind":"c","body":{"circle":2}}`:             fmt.Sprintf(wrapped, 0, "Struct{kind=c,body=Struct{circle=2}}"),
		`{"kind":"s","body":{"square":2},"more":true}`: fmt.Sprintf(wrapped, 1, "Struct{kind=s,body=Struct{square=2}}"),
		`"text"`: fmt.Sprintf(wrapped, 2, "text"),
	} {
		if got, err := readAs(t, schema, value); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, %v; want %s", value, got, err, want)
		}
	}
	if got, err := readAs(t, schema, `{"other":1}`); err == nil || !strings.Contains(err.Error(), "Did not find matching oneof field") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAChoiceOfOneIsThatOne(t *testing.T) {
	for schema, value := range map[string]string{
		`{"oneOf":[{"type":"string"}]}`: `"text"`,
		`{"anyOf":[{"type":"string"}]}`: `"text"`,
	} {
		if got, err := readAs(t, schema, value); err != nil || got != "text" {
			t.Errorf("%s: got %v, %v", schema, got, err)
		}
	}
}

func TestDecimalsFitTheSchemaTheyAreWrittenWith(t *testing.T) {
	d, err := connect.ParseDecimal("1.50")
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{"BASE64": `"AJY="`, "NUMERIC": "1.50"} {
		c := newConverter(t, fakeregistry.Start(t), "decimal.format="+format, "json.fail.invalid.schema=true")
		data, err := c.FromConnectData("t", nil, connect.DecimalSchema(2), d)
		if err != nil || string(data[5:]) != want {
			t.Errorf("%s: got %q, %v; want %s", format, data, err, want)
			continue
		}
		if s, got, err := c.ToConnectData("t", nil, data); err != nil || !connect.EqualValues(got, d) || !s.Equal(connect.DecimalSchema(2)) {
			t.Errorf("%s: read back as %v of %v, %v", format, got, s, err)
		}
	}
}

func TestValuesAreCheckedWhereTheSettingsAskForIt(t *testing.T) {
	r := fakeregistry.Start(t)
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","properties":{"n":{"type":"integer","minimum":3}}}`})
	if err != nil {
		t.Fatal(err)
	}
	data := append(registry.AppendHeader(nil, id), `{"n":1}`...)
	if _, got, err := newConverter(t, r).ToConnectData("t", nil, data); err != nil || fmt.Sprint(got) != "Struct{n=1}" {
		t.Errorf("got %v, %v", got, err)
	}
	strict := newConverter(t, r, "json.fail.invalid.schema=true")
	if _, got, err := strict.ToConnectData("t", nil, data); err == nil || !strings.Contains(err.Error(), "the value does not fit schema 1") || !strings.Contains(err.Error(), "minimum") {
		t.Errorf("got %v, %v", got, err)
	}
	latest := newConverter(t, r, "auto.register.schemas=false", "use.latest.version=true")
	schema := connect.StructOf(connect.Field{Name: "n", Schema: connect.Int64Schema})
	for n, fits := range map[int64]bool{2: false, 3: true} {
		v := connect.NewStruct(schema)
		if err := v.PutAt(0, n); err != nil {
			t.Fatal(err)
		}
		data, err := latest.FromConnectData("t", nil, schema, v)
		if (err == nil) != fits {
			t.Errorf("%d: got %s, %v", n, data, err)
		}
	}
	// Files of this machine are not read for a schema's sake.
	id, _, err = r.RegisterSchema("f-value", sr.Schema{Type: sr.TypeJSON, Schema: `{"$ref":"file:///etc/passwd"}`})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = strict.ToConnectData("f", nil, append(registry.AppendHeader(nil, id), `{}`...))
	if err == nil || !strings.Contains(err.Error(), `"file:///etc/passwd", which is not among its references`) {
		t.Errorf("got %v", err)
	}
	if _, err := validator(registry.Schema{Text: `{"$ref":"file:///etc/passwd"}`}); err == nil || !strings.Contains(err.Error(), "not among its references") {
		t.Errorf("got %v", err)
	}
}

func TestSchemalessDataAndNulls(t *testing.T) {
	r := fakeregistry.Start(t)
	c := newConverter(t, r)
	for _, v := range []any{int64(1), 1.5, true, "x", []any{int64(1), nil}, connect.MapEntries{{Key: "a", Value: "b"}}} {
		data, err := c.FromConnectData("t", nil, nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if schema, got, err := c.ToConnectData("t", nil, data); err != nil || schema != nil || !connect.EqualValues(got, v) {
			t.Errorf("%v: got %v of %v, %v", v, got, schema, err)
		}
	}
	if data, err := c.FromConnectData("t", nil, nil, nil); data != nil || err != nil {
		t.Errorf("null became %q, %v", data, err)
	}
	if data, err := c.FromConnectData("o", nil, connect.OptionalInt8Schema, nil); err != nil || string(data[5:]) != "null" {
		t.Errorf("an optional null became %q, %v", data, err)
	}
	if s, v, err := c.ToConnectData("t", nil, nil); s != nil || v != nil || err != nil {
		t.Errorf("a tombstone became %v of %v, %v", v, s, err)
	}
	for data, want := range map[string]string{"{}": "fewer than the 5", "{\"a\":1}": "Unknown magic byte!", "\x00\x00\x00\x00\x01{": "serialization error of topic t", "\x00\x00\x00\x00\x09{}": "answered 404"} {
		if _, v, err := c.ToConnectData("t", nil, []byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %s", data, v, err, want)
		}
	}
}

// FuzzJSONSchema checks that no schema and no value make reading panic or run away, and
// that what was read can be written and reads back the same.
func FuzzJSONSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int8"}],"connect.index":0}}}`, `{"a":3}`)
	f.Add(`{"$ref":"#/definitions/a","definitions":{"a":{"type":"array","items":{"$ref":"#"}}}}`, `[]`)
	f.Add(`{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"boolean"},"value":{"type":"number"}}}}`, `[{"key":true,"value":1.5}]`)
	f.Add(`{"anyOf":[{"type":"string","connect.type":"bytes"},{"type":"boolean"}]}`, `"AQ=="`)
	f.Add(`{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{},"value":{}}}}`, `[{"key":1,"value":[]}]`)
	f.Fuzz(func(t *testing.T, schema, value string) {
		s, err := new(Converter).parse(registry.Schema{Text: schema})
		if err != nil {
			return
		}
		node, err := javajson.ParseTree([]byte(value))
		if err != nil {
			return
		}
		v, err := readValue(s, node)
		if err != nil {
			return
		}
		out, err := new(valueWriter).append(nil, s, v)
		if err != nil {
			return // a null key, or a decimal of another scale
		}
		if node, err = javajson.ParseTree(out); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if _, err := readValue(s, node); err != nil {
			t.Fatalf("%s: %s was read as %v, and written as %s: %v", schema, value, v, out, err)
		}
	})
}

func TestAMapOfManyNumbersIsReadBack(t *testing.T) {
	fakeregistry.ReadBackManyNumbers(t, newConverter(t, fakeregistry.Start(t)))
}

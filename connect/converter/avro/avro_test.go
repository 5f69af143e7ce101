package avro

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"pgregory.net/rapid"

	"tributary/connect"
	"tributary/connect/converter/registry"
	"tributary/connect/internal/drawn"
	"tributary/test/fakeregistry"
)

func newConverter(t testing.TB, r *srfake.Registry, settings ...string) *Converter {
	t.Helper()
	return fakeregistry.Configure(t, new(Converter), r, settings...)
}

// shape has names that Avro allows, each struct's its own.
func shape() drawn.Shape {
	structs := 0
	return drawn.Shape{
		Field: rapidString(`[A-Za-z_][A-Za-z0-9_]{0,6}`),
		Name: func(t *rapid.T) string {
			if structs++; rapid.Bool().Draw(t, "named") {
				return fmt.Sprintf("%sR%d", rapid.SampledFrom([]string{"", "a.", "a.b."}).Draw(t, "space"), structs)
			}
			return ""
		},
	}
}

func rapidString(expr string) func(*rapid.T) string {
	return func(t *rapid.T) string { return rapid.StringMatching(expr).Draw(t, "name") }
}

func TestWhatAvroWroteItReadsBackWithItsSchema(t *testing.T) {
	r := fakeregistry.Start(t)
	c, n := newConverter(t, r), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		topic := fmt.Sprint("t", n)
		schema := shape().Schema(rt, 3)
		value := drawn.Value(rt, schema)
		data, err := c.FromConnectData(topic, nil, schema, value)
		if err != nil {
			rt.Fatal(err)
		}
		if value == nil {
			if data != nil {
				rt.Fatalf("null became %x", data)
			}
			return
		}
		gotSchema, got, err := c.ToConnectData(topic, nil, data)
		if err != nil {
			rt.Fatalf("%x: %v", data, err)
		}
		want := schema
		if want.Version == nil && !want.Optional { // Java's gives a union none
			want = want.WithVersion(1) // of the registry
		}
		if !gotSchema.Equal(want) {
			rt.Fatalf("the schema %s reads back as %s", schemaText(t, schema), schemaText(t, gotSchema))
		}
		// A struct knows its schema, which has the registry's version now.
		if schema.Type == connect.Struct && !fakeregistry.SameButOrder(fmt.Sprint(got), fmt.Sprint(value)) || schema.Type != connect.Struct && !connect.EqualValues(got, value) {
			rt.Fatalf("%x reads back as %v, want %v", data, got, value)
		}
		again, err := c.FromConnectData(topic, nil, gotSchema, got)
		if err != nil || !fakeregistry.SameButOrder(string(again[5:]), string(data[5:])) {
			rt.Fatalf("%x became %x, %v", data, again, err)
		}
		if schema.Type != connect.Bytes || schema.Optional { // those alone are not in Avro's form
			checkWithLibrary(rt, r, topic, data)
		}
	})
}

// sameButOrder compares bytes of values in which the entries of maps may be in any order.
// checkWithLibrary has another implementation of Avro read the schema and the value.
func checkWithLibrary(t *rapid.T, r *srfake.Registry, topic string, data []byte) {
	registered, ok := r.GetSchema(topic+"-value", 1)
	if !ok {
		t.Fatal("nothing was registered")
	}
	schema, err := avro.Parse(registered.Schema.Schema)
	if err != nil {
		t.Fatalf("%s: %v", registered.Schema.Schema, err)
	}
	var into any
	rest, err := schema.Decode(data[5:], &into, avro.TaggedUnions())
	if err != nil && !strings.Contains(err.Error(), "year outside of range") || len(rest) > 0 && err == nil {
		t.Fatalf("%s: %x leaves %x, %v", registered.Schema.Schema, data[5:], rest, err)
	}
}

func schemaText(t testing.TB, s *connect.Schema) string {
	t.Helper()
	w := schemaWriter{metadata: true, enums: true}
	n, err := w.node(s)
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.text()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The texts are those that Confluent's converter registers for the same schemas.
func TestSchemasAreWrittenAsConfluentsConverterWritesThem(t *testing.T) {
	order := connect.StructOf(
		connect.Field{Name: "id", Schema: connect.Int64Schema},
		connect.Field{Name: "tiny", Schema: connect.Int8Schema},
		connect.Field{Name: "small", Schema: connect.OptionalInt16Schema},
		connect.Field{Name: "note", Schema: connect.OptionalStringSchema.WithDefault("none").WithDoc("what for")},
		connect.Field{Name: "price", Schema: connect.DecimalSchema(2)},
		connect.Field{Name: "at", Schema: connect.OptionalTimestampSchema},
		connect.Field{Name: "day", Schema: connect.DateSchema},
		connect.Field{Name: "time", Schema: connect.TimeSchema},
	).WithName("com.acme.Order").WithVersion(3).WithParameter("owner", "sales")
	address := connect.StructOf(connect.Field{Name: "street", Schema: connect.StringSchema}).WithName("com.acme.Address")
	for _, c := range []struct {
		schema *connect.Schema
		want   string
	}{
		{connect.Int32Schema, `"int"`},
		{connect.OptionalStringSchema, `["null","string"]`},
		{connect.Int8Schema, `{"type":"int","connect.type":"int8"}`},
		{connect.MapOf(connect.StringSchema, connect.Int32Schema), `{"type":"map","values":"int"}`},
		{connect.MapOf(connect.Int32Schema, connect.OptionalBytesSchema), `{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":["null","bytes"],"default":null}]}}`},
		{order, `{"type":"record","name":"Order","namespace":"com.acme","fields":[{"name":"id","type":"long"},` +
			`{"name":"tiny","type":{"type":"int","connect.type":"int8"}},` +
			`{"name":"small","type":["null",{"type":"int","connect.type":"int16"}],"default":null},` +
			`{"name":"note","type":[{"type":"string","connect.doc":"what for","connect.default":"none"},"null"],"default":"none"},` +
			`{"name":"price","type":{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}},` +
			`{"name":"at","type":["null",{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}],"default":null},` +
			`{"name":"day","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}},` +
			`{"name":"time","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Time","logicalType":"time-millis"}}` +
			`],"connect.version":3,"connect.parameters":{"owner":"sales"},"connect.name":"com.acme.Order"}`},
		{connect.StructOf(connect.Field{Name: "home", Schema: address}, connect.Field{Name: "work", Schema: address.AsOptional()}).WithName("com.other.Person"),
			`{"type":"record","name":"Person","namespace":"com.other","fields":[{"name":"home","type":{"type":"record","name":"Address","namespace":"com.acme","fields":[{"name":"street","type":"string"}],"connect.name":"com.acme.Address"}},` +
				`{"name":"work","type":["null","com.acme.Address"],"default":null}],"connect.name":"com.other.Person"}`},
		{connect.StringSchema.WithParameter("io.confluent.connect.avro.Enum", "com.acme.Color").WithParameter("io.confluent.connect.avro.Enum.RED", "RED").WithParameter("io.confluent.connect.avro.Enum.BLUE", "BLUE"),
			`{"type":"enum","name":"Color","namespace":"com.acme","symbols":["RED","BLUE"],"connect.parameters":{"io.confluent.connect.avro.Enum":"com.acme.Color","io.confluent.connect.avro.Enum.RED":"RED","io.confluent.connect.avro.Enum.BLUE":"BLUE"}}`},
	} {
		if got := schemaText(t, c.schema); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.schema, got, c.want)
		}
	}
}

func TestTwoSchemasOfOneNameAreRefused(t *testing.T) {
	a := connect.StructOf(connect.Field{Name: "x", Schema: connect.Int32Schema}).WithName("a.A")
	b := connect.StructOf(connect.Field{Name: "x", Schema: connect.StringSchema}).WithName("a.A")
	both := connect.StructOf(connect.Field{Name: "a", Schema: a}, connect.Field{Name: "b", Schema: b})
	v := connect.NewStruct(both)
	for i, inner := range []*connect.StructValue{connect.NewStruct(a), connect.NewStruct(b)} {
		if err := inner.PutAt(0, []any{int32(1), "x"}[i]); err != nil {
			t.Fatal(err)
		}
		if err := v.PutAt(i, inner); err != nil {
			t.Fatal(err)
		}
	}
	_, err := newConverter(t, fakeregistry.Start(t)).FromConnectData("t", nil, both, v)
	if want := "Failed to serialize Avro data from topic t: Can't redefine: a.A: two different schemas have this name"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// foreign is what a producer of another kind may have registered.
const foreign = `{"type":"record","name":"Event","namespace":"com.acme","doc":"What happened","fields":[
 {"name":"kind","type":{"type":"enum","name":"Kind","doc":"kinds","symbols":["A","B"],"default":"A"}},
 {"name":"who","type":["null","string","int",{"type":"record","name":"Person","fields":[{"name":"n","type":"string"}]}],"default":null},
 {"name":"id","type":{"type":"fixed","name":"Id","size":2}},
 {"name":"price","type":{"type":"fixed","name":"Money","size":4,"logicalType":"decimal","precision":9,"scale":1}},
 {"name":"retries","type":"int","default":7,"doc":"how often"},
 {"name":"tags","type":{"type":"array","items":"string"},"default":["x"]},
 {"name":"more","type":{"type":"map","values":["null","double"]}}]}`

func TestSchemasOfOthersAreReadAsConfluentsConverterReadsThem(t *testing.T) {
	r := fakeregistry.Start(t)
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: foreign})
	if err != nil {
		t.Fatal(err)
	}
	library := avro.MustParse(foreign)
	body, err := library.Encode(map[string]any{
		"kind": "B", "who": map[string]any{"com.acme.Person": map[string]any{"n": "Ann"}}, "id": []byte{1, 2}, "price": []byte{0xff, 0xff, 0xff, 0x85},
		"retries": 1, "tags": []string{"a", "b"}, "more": map[string]any{"k": 1.5},
	})
	if err != nil {
		t.Fatal(err)
	}
	schema, value, err := newConverter(t, r).ToConnectData("t", nil, append(registry.AppendHeader(nil, id), body...))
	if err != nil {
		t.Fatal(err)
	}
	kind := connect.StringSchema.WithName("com.acme.Kind").WithParameter("io.confluent.connect.avro.enum.doc.Kind", "kinds").WithParameter("io.confluent.connect.avro.enum.default.Kind", "A").
		WithParameter("io.confluent.connect.avro.Enum", "com.acme.Kind").WithParameter("io.confluent.connect.avro.Enum.A", "A").WithParameter("io.confluent.connect.avro.Enum.B", "B")
	person := connect.StructOf(connect.Field{Name: "n", Schema: connect.StringSchema}).WithName("com.acme.Person").AsOptional()
	who := connect.StructOf(connect.Field{Name: "string", Schema: connect.OptionalStringSchema}, connect.Field{Name: "int", Schema: connect.OptionalInt32Schema}, connect.Field{Name: "Person", Schema: person}).
		WithName("io.confluent.connect.avro.Union").AsOptional().WithParameter("io.confluent.connect.avro.field.default", "true")
	want := connect.StructOf(
		connect.Field{Name: "kind", Schema: kind}, connect.Field{Name: "who", Schema: who}, connect.Field{Name: "id", Schema: connect.BytesSchema},
		connect.Field{Name: "price", Schema: connect.DecimalSchema(1).WithParameter("connect.decimal.precision", "9")},
		connect.Field{Name: "retries", Schema: connect.Int32Schema.WithDefault(int32(7)).WithParameter("io.confluent.connect.avro.field.default", "true")},
		connect.Field{Name: "tags", Schema: connect.ArrayOf(connect.StringSchema).WithDefault([]any{"x"}).WithParameter("io.confluent.connect.avro.field.default", "true")},
		connect.Field{Name: "more", Schema: connect.MapOf(connect.StringSchema, connect.OptionalFloat64Schema)},
	).WithName("com.acme.Event").WithVersion(1).WithParameter("io.confluent.connect.avro.record.doc", "What happened").WithParameter("io.confluent.connect.avro.field.doc.retries", "how often")
	if !schema.Equal(want) {
		t.Fatalf("got  %s\nwant %s", schemaText(t, schema), schemaText(t, want))
	}
	if got, want := fmt.Sprint(value), "Struct{kind=B,who=Struct{Person=Struct{n=Ann}},id=[1 2],price=-12.3,retries=1,tags=[a b],more=[{k 1.5}]}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Written with the registry's schema it is the same again, byte for byte.
	data, err := newConverter(t, r, "auto.register.schemas=false", "use.latest.version=true", "latest.compatibility.strict=false").FromConnectData("t", nil, schema, value)
	if err != nil || string(data[5:]) != string(body) {
		t.Errorf("got %x, %v; want %x", data, err, body)
	}
}

func TestSchemalessDataIsWrittenAsAnythingAndReadBack(t *testing.T) {
	r := fakeregistry.Start(t)
	for _, v := range []any{true, []byte("ab"), 1.5, float32(2.5), int32(7), int64(8), "text", []any{"a", int64(1), nil, []any{}},
		connect.MapEntries{{Key: "k", Value: int64(1)}, {Key: int32(2), Value: connect.MapEntries{{Key: true, Value: "x"}}}}} {
		data, err := newConverter(t, r).FromConnectData("t", nil, nil, v)
		if err != nil {
			t.Fatal(err)
		}
		schema, got, err := newConverter(t, r).ToConnectData("t", nil, data)
		if err != nil || schema != nil || !connect.EqualValues(got, v) {
			t.Errorf("%v: got %v of %s, %v", v, got, schema, err)
		}
	}
	if s, _ := r.GetSchema("t-value", 1); s.Schema.Schema != anything.String() {
		t.Errorf("registered is %s", s.Schema.Schema)
	} else if _, err := avro.Parse(s.Schema.Schema); err != nil {
		t.Error(err)
	}
	if data, err := newConverter(t, r).FromConnectData("t", nil, nil, nil); data != nil || err != nil {
		t.Errorf("null became %x, %v", data, err)
	}
}

func TestOlderAndNewerSchemasOfATopicAreEachReadWithTheirOwn(t *testing.T) {
	r := fakeregistry.Start(t)
	v1 := connect.StructOf(connect.Field{Name: "a", Schema: connect.Int32Schema}).WithName("R")
	v2 := v1.WithField("b", connect.OptionalStringSchema)
	c := newConverter(t, r)
	write := func(s *connect.Schema, values ...any) []byte {
		v := connect.NewStruct(s)
		for i := range values {
			if err := v.PutAt(i, values[i]); err != nil {
				t.Fatal(err)
			}
		}
		data, err := c.FromConnectData("t", nil, s, v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for i, data := range [][]byte{write(v1, int32(1)), write(v2, int32(2), "x"), write(v1, int32(3))} {
		schema, got, err := newConverter(t, r).ToConnectData("t", nil, data)
		want := []string{"Struct{a=1} 1", "Struct{a=2,b=x} 2", "Struct{a=3} 1"}[i]
		if err != nil || fmt.Sprint(got, *schema.Version) != want {
			t.Errorf("got %v of version %d, %v; want %s", got, *schema.Version, err, want)
		}
	}
	// With the latest schema, fields that the value lacks take their default.
	latest := newConverter(t, r, "auto.register.schemas=false", "use.latest.version=true")
	v := connect.NewStruct(v1)
	if err := v.PutAt(0, int32(9)); err != nil {
		t.Fatal(err)
	}
	data, err := latest.FromConnectData("t", nil, v1, v)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := newConverter(t, r).ToConnectData("t", nil, data); err != nil || fmt.Sprint(got) != "Struct{a=9}" || data[4] != 2 {
		t.Errorf("got %v with schema %d, %v", got, data[4], err)
	}
	other := connect.StructOf(connect.Field{Name: "z", Schema: connect.Int32Schema}).WithName("R")
	wrong := connect.NewStruct(other)
	if err := wrong.PutAt(0, int32(1)); err != nil {
		t.Fatal(err)
	}
	_, err = latest.FromConnectData("t", nil, other, wrong)
	if want := "Failed to serialize Avro data from topic t: the value's schema does not fit schema 2 of subject t-value; set latest.compatibility.strict=false to write it all the same: record R needs field a, which has no default"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBytesThatAreNoAvroOfTheRegistryAreRefused(t *testing.T) {
	r := fakeregistry.Start(t)
	if _, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: `{"type":"array","items":{"type":"record","name":"E","fields":[]}}`}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}`}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.RegisterSchema("json-value", sr.Schema{Schema: `{"type":"string"}`, Type: sr.TypeJSON}); err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		"\x01\x00\x00\x00\x01x":                        "Unknown magic byte!",
		"\x00\x00\x01":                                 "there are 3 bytes, fewer than the 5",
		"\x00\x00\x00\x00\x01":                         "the value ends too early",
		"\x00\x00\x00\x00\x01\xfe\xff\xff\xff\xff\x0f": "too many items without content",
		"\x00\x00\x00\x00\x02\x00":                     "contains itself",
		"\x00\x00\x00\x00\x03\x00":                     "schema 3 is of type JSON, not AVRO",
		"\x00\x00\x00\x00\x63\x00":                     "answered 404: schema not found",
	} {
		_, v, err := newConverter(t, r).ToConnectData("t", nil, []byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %s", data, v, err, want)
			continue
		}
		if _, ok := err.(*connect.DataError); !ok {
			t.Errorf("%q: %T %v is no DataError", data, err, err)
		}
	}
}

// Confluent's serializer writes them so, and so its deserializer reads them.
func TestAValueOfBytesAloneStandsAsItIs(t *testing.T) {
	r := fakeregistry.Start(t)
	c := newConverter(t, r)
	for topic, own := range map[string]struct {
		schema *connect.Schema
		value  any
		want   string
	}{
		"bytes":   {connect.BytesSchema, []byte("ab"), "ab"},
		"none":    {connect.BytesSchema, []byte{}, ""},
		"decimal": {connect.DecimalSchema(2), decimalOf(t, "-1.00"), "\x9c"},
		"maybe":   {connect.OptionalBytesSchema, []byte("ab"), "\x02\x04ab"},
		"list":    {connect.ArrayOf(connect.BytesSchema), []any{[]byte("ab")}, "\x02\x04ab\x00"},
	} {
		data, err := c.FromConnectData(topic, nil, own.schema, own.value)
		if err != nil || string(data[5:]) != own.want {
			t.Errorf("%s: got %q, %v; want %q", topic, data, err, own.want)
			continue
		}
		if _, got, err := c.ToConnectData(topic, nil, data); err != nil || !connect.EqualValues(got, own.value) {
			t.Errorf("%s: %q reads back as %v, %v", topic, data, got, err)
		}
	}
}

func TestANullIsNoValueOfBytesAlone(t *testing.T) {
	c := newConverter(t, fakeregistry.Start(t))
	if data, err := c.FromConnectData("t", nil, connect.BytesSchema, nil); err == nil || !strings.Contains(err.Error(), "Found null value for non-optional schema") {
		t.Errorf("got %q, %v", data, err)
	}
}

func decimalOf(t *testing.T, text string) connect.Decimal {
	t.Helper()
	d, err := connect.ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// readField reads a record of the one field, whose value's bytes are body.
func readField(t *testing.T, field, body string) (*connect.Schema, any, error) {
	t.Helper()
	r := fakeregistry.Start(t)
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Schema: `{"type":"record","name":"R","fields":[` + field + `]}`})
	if err != nil {
		t.Fatal(err)
	}
	schema, value, err := newConverter(t, r).ToConnectData("t", nil, append(registry.AppendHeader(nil, id), body...))
	if err != nil {
		return nil, nil, err
	}
	v, err := value.(*connect.StructValue).Get(schema.Fields[0].Name)
	return schema.Fields[0].Schema, v, err
}

func TestFieldsThatADefaultLeavesOutHaveTheirOwn(t *testing.T) {
	schema, got, err := readField(t, `{"name":"meta","type":{"type":"record","name":"M","fields":[{"name":"a","type":"string","default":"x"},{"name":"b","type":["null","int"],"default":null}]},"default":{}}`, "\x02y\x00")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "Struct{a=y}" || fmt.Sprint(schema.Default) != "Struct{a=x}" {
		t.Errorf("got %v, default %v", got, schema.Default)
	}
}

// Registries hold such schemas, since Avro's libraries have not always looked at defaults.
func TestADefaultThatIsNoneOfItsTypeIsIgnored(t *testing.T) {
	for field, body := range map[string]string{
		`{"name":"f","type":"boolean","default":"false"}`:                                                       "\x01",
		`{"name":"f","type":"int","default":"0"}`:                                                               "\x02",
		`{"name":"f","type":"string","default":0}`:                                                              "\x02y",
		`{"name":"f","type":{"type":"record","name":"M","fields":[{"name":"a","type":"string"}]},"default":{}}`: "\x02y",
		`{"name":"f","type":{"type":"array","items":"int"},"default":["x"]}`:                                    "\x00",
	} {
		if schema, got, err := readField(t, field, body); err != nil || got == nil || schema.Default != nil {
			t.Errorf("%s: got %v, %v", field, got, err)
		}
	}
}

func TestAUnionOfOneTypeIsThatType(t *testing.T) {
	for field, body := range map[string]string{
		`{"name":"f","type":["string"]}`:                          "\x00\x02y",
		`{"name":"f","type":{"type":"array","items":["string"]}}`: "\x02\x00\x02y\x00",
	} {
		schema, got, err := readField(t, field, body)
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		if schema.Type == connect.Array {
			schema = schema.Elements
		}
		if schema.Type != connect.String || strings.Trim(fmt.Sprint(got), "[]") != "y" {
			t.Errorf("%s: got %v of %s", field, got, schema)
		}
	}
}

// FuzzAvro checks that no value makes reading panic or run away, and that what was read
// is written and reads back the same.
func FuzzAvro(f *testing.F) {
	f.Add(foreign, []byte("\x02\x06\x06Ann\x01\x02\xff\xff\xff\x85\x02\x04\x02a\x02b\x00\x02\x02k\x02\x00\x00\x00\x00\x00\x00\xf8\x3f\x00"))
	f.Add(anything.String(), []byte("\x00\x00\x00\x00\x02\x0e\x00\x00\x00\x00"))
	f.Add(`{"type":"map","values":["int","string",{"type":"array","items":"long"}]}`, []byte("\x02\x02a\x02\x04hi\x00"))
	f.Add(`["null",{"type":"long","logicalType":"timestamp-millis","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp"}]`, []byte{2, 2})
	f.Add(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","scale":2}, "default":"\u0001"}]}`, []byte{2, 1})
	f.Add(`["null",{"type":"record","name":"Union","namespace":"io.confluent.connect.avro","fields":[]}]`, []byte{2})
	f.Fuzz(func(t *testing.T, schema string, data []byte) {
		n, err := new(parser).parse(schema)
		if err != nil {
			return
		}
		r := schemaReader{metadata: true, enums: true}
		s, err := r.schema(n)
		if err != nil {
			return
		}
		v, err := newReader(data).value(n, s)
		if err != nil {
			return
		}
		if v == nil || strings.Contains(schema, "Union") { // a record of the name that stands for unions is written as one
			return
		}
		out, err := appendValue(nil, n, s, v)
		if err != nil {
			return // a union of a union's names, or a decimal that is cut
		}
		back, err := newReader(out).value(n, s)
		if err != nil || !connect.EqualValues(back, v) {
			t.Fatalf("%s: %x was read as %v, and %x as %v, %v", schema, data, v, out, back, err)
		}
	})
}

func TestAMapOfManyNumbersIsReadBack(t *testing.T) {
	fakeregistry.ReadBackManyNumbers(t, newConverter(t, fakeregistry.Start(t)))
}

func TestAMapOfManyNumbersWithoutSchemaIsReadBack(t *testing.T) {
	entries := connect.MapEntries{}
	for i := range int32(200_000) {
		entries = append(entries, connect.MapEntry{Key: i, Value: -i})
	}
	c := newConverter(t, fakeregistry.Start(t))
	data, err := c.FromConnectData("t", nil, nil, entries)
	if err != nil {
		t.Fatal(err)
	}

	_, got, err := c.ToConnectData("t", nil, data)

	if err != nil || !connect.EqualValues(got, entries) {
		t.Errorf("not the same came back: %v", err)
	}
}

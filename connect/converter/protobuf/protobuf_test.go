package protobuf

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
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

// types lists the types of a schema's fields, and theirs.
func types(s *connect.Schema) string {
	switch s.Type {
	case connect.Array:
		return "[" + types(s.Elements) + "]"
	case connect.Map:
		return "{" + types(s.Keys) + ":" + types(s.Elements) + "}"
	case connect.Struct:
		out := "("
		for _, f := range s.Fields {
			out += f.Name + " " + types(f.Schema) + ","
		}
		return out + ")"
	}
	if isLogical(s.Name) {
		return s.Name
	}
	return s.Type.String()
}

func TestWhatProtobufWroteItReadsBack(t *testing.T) {
	r := fakeregistry.Start(t)
	n := 0
	for _, mode := range []string{"optional.for.nullables=true", "wrapper.for.nullables=true"} {
		c := newConverter(t, r, mode)
		t.Run(mode, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				n++
				topic := fmt.Sprint("t", n)
				structs := 0
				shape := drawn.Shape{
					Plain: true,
					Field: func(t *rapid.T) string { return rapid.StringMatching(`[a-z]{1,6}[0-9]`).Draw(t, "field") },
					Name: func(t *rapid.T) string {
						if structs++; rapid.Bool().Draw(t, "named") {
							return fmt.Sprintf("%sR%d", rapid.SampledFrom([]string{"", "a.", "a.b."}).Draw(t, "space"), structs)
						}
						return ""
					},
					Keys: []*connect.Schema{connect.Int8Schema, connect.Int64Schema, connect.BooleanSchema, connect.StringSchema},
				}
				schema := connect.StructOf().WithName("top.Root")
				for i := range rapid.IntRange(1, 4).Draw(rt, "fields") {
					schema = schema.WithField(fmt.Sprintf("f%d", i), shape.Schema(rt, 2))
				}
				value := drawn.Value(rt, schema)
				if years(value) {
					rt.Skip("dates beyond the years that a date of Protobuf has")
				}
				data, err := c.FromConnectData(topic, nil, schema, value)
				if err != nil {
					rt.Fatal(err)
				}
				registered, _ := r.GetSchema(topic+"-value", 1)
				gotSchema, got, err := c.ToConnectData(topic, nil, data)
				if err != nil {
					rt.Fatalf("%s: %x: %v", registered.Schema.Schema, data, err)
				}
				if types(gotSchema) != types(schema) {
					rt.Fatalf("%s:\n%s reads back as\n%s", registered.Schema.Schema, types(schema), types(gotSchema))
				}
				if !fakeregistry.SameButOrder(fmt.Sprint(got), fmt.Sprint(value)) {
					rt.Fatalf("%s: %x reads back as %v, want %v", registered.Schema.Schema, data, got, value)
				}
				// The bytes are those of Google's own encoder.
				file, err := compile(registry.Schema{Text: registered.Schema.Schema})
				if err != nil {
					rt.Fatal(err)
				}
				m := dynamicpb.NewMessage(file.Messages().Get(0))
				if err := proto.Unmarshal(data[6:], m); err != nil {
					rt.Fatal(err)
				}
				again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
				if err != nil || !fakeregistry.SameButOrder(string(again), string(data[6:])) || len(again) != len(data)-6 {
					rt.Fatalf("%s: %x is %x, %v", registered.Schema.Schema, data[6:], again, err)
				}
			})
		})
	}
}

// years reports whether a value has a time that java.util.Date has, but not Protobuf.
func years(v any) bool {
	switch x := v.(type) {
	case time.Time:
		return x.Year() < 1 || x.Year() > 9999 || x.UnixMilli() == 24*60*60*1000 // the hour 24
	case []any:
		for _, own := range x {
			if years(own) {
				return true
			}
		}
	case connect.MapEntries:
		for _, e := range x {
			if years(e.Value) {
				return true
			}
		}
	case *connect.StructValue:
		for i := range x.Schema().Fields {
			if years(x.RawAt(i)) {
				return true
			}
		}
	}
	return false
}

func TestSchemasAreWrittenAsProtobuf(t *testing.T) {
	r := fakeregistry.Start(t)
	inner := connect.StructOf(connect.Field{Name: "b", Schema: connect.OptionalStringSchema}).WithName("Inner").AsOptional()
	color := connect.StringSchema.WithName("Color").WithParameter("io.confluent.connect.protobuf.Enum", "Color").WithParameter("io.confluent.connect.protobuf.Enum.RED", "0").WithParameter("io.confluent.connect.protobuf.Enum.BLUE", "2")
	union := connect.StructOf(connect.Field{Name: "text", Schema: connect.OptionalStringSchema}, connect.Field{Name: "number", Schema: connect.OptionalInt64Schema}).WithName("io.confluent.connect.protobuf.Union.choice").AsOptional()
	schema := connect.StructOf(
		connect.Field{Name: "tiny", Schema: connect.Int8Schema},
		connect.Field{Name: "amount", Schema: connect.DecimalSchema(2)},
		connect.Field{Name: "at", Schema: connect.OptionalTimestampSchema},
		connect.Field{Name: "day", Schema: connect.DateSchema},
		connect.Field{Name: "list", Schema: connect.ArrayOf(connect.Int32Schema)},
		connect.Field{Name: "counts", Schema: connect.MapOf(connect.StringSchema, connect.Int64Schema)},
		connect.Field{Name: "color", Schema: color},
		connect.Field{Name: "inner", Schema: inner},
		connect.Field{Name: "again", Schema: inner},
		connect.Field{Name: "choice_0", Schema: union},
	).WithName("com.acme.Order")
	value := connect.NewStruct(schema)
	put := func(s *connect.StructValue, name string, v any) {
		t.Helper()
		if err := s.Put(name, v); err != nil {
			t.Fatal(err)
		}
	}
	amount, err := connect.ParseDecimal("-1.50")
	if err != nil {
		t.Fatal(err)
	}
	in, choice := connect.NewStruct(inner), connect.NewStruct(union)
	put(in, "b", "x")
	put(choice, "number", int64(7))
	put(value, "tiny", int8(-1))
	put(value, "amount", amount)
	put(value, "at", time.UnixMilli(-1).UTC())
	put(value, "day", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
	put(value, "list", []any{int32(1), int32(300)})
	put(value, "counts", connect.MapEntries{{Key: "k", Value: int64(5)}})
	put(value, "color", "BLUE")
	put(value, "inner", in)
	put(value, "choice_0", choice)
	data, err := newConverter(t, r).FromConnectData("t", nil, schema, value)
	if err != nil {
		t.Fatal(err)
	}
	registered, _ := r.GetSchema("t-value", 1)
	if want := `syntax = "proto3";
package com.acme;

import "confluent/meta.proto";
import "confluent/type/decimal.proto";
import "google/protobuf/timestamp.proto";
import "google/type/date.proto";

message Order {
  int32 tiny = 1 [(confluent.field_meta) = { params: [{ key: "connect.type", value: "int8" }] }];
  confluent.type.Decimal amount = 2 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }] }];
  google.protobuf.Timestamp at = 3;
  google.type.Date day = 4;
  repeated int32 list = 5;
  message ConnectDefault1Entry {
    string key = 1;
    int64 value = 2;
  }
  repeated ConnectDefault1Entry counts = 6;
  enum Color {
    RED = 0;
    BLUE = 2;
  }
  Color color = 7;
  message Inner {
    string b = 1;
  }
  Inner inner = 8;
  Inner again = 9;
  oneof choice {
    string text = 10;
    int64 number = 11;
  }
}
`; registered.Schema.Schema != want || registered.Schema.Type != sr.TypeProtobuf {
		t.Errorf("got %s\nwant %s", registered.Schema.Schema, want)
	}
	file, err := compile(registry.Schema{Text: registered.Schema.Schema})
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(file.Messages().Get(0))
	if err := proto.Unmarshal(data[6:], m); err != nil {
		t.Fatal(err)
	}
	shown, err := prototext.MarshalOptions{Multiline: false}.Marshal(m)
	if want := `tiny:-1 amount:{value:"\xffj" precision:3 scale:2} at:{seconds:-1 nanos:999000000} day:{year:2024 month:2 day:29} list:1 list:300 counts:{key:"k" value:5} color:BLUE inner:{b:"x"} number:7`; err != nil || strings.Join(strings.Fields(string(shown)), " ") != want {
		t.Errorf("got  %s, %v\nwant %s", shown, err, want)
	}
	gotSchema, got, err := newConverter(t, r).ToConnectData("t", nil, data)
	if want := "Struct{choice_0=Struct{number=7},tiny=-1,amount=-1.50,at=1969-12-31 23:59:59.999 +0000 UTC,day=2024-02-29 00:00:00 +0000 UTC,list=[1 300],counts=[{k 5}],color=BLUE,inner=Struct{b=x}}"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got  %v, %v\nwant %s", got, err, want)
	}
	if *gotSchema.Version != 1 || gotSchema.Name != "Order" || gotSchema.Field("tiny").Type != connect.Int8 || gotSchema.Field("color").Parameters[2].Value != "2" || gotSchema.Field("list").Parameters[0].Value != "5" {
		t.Errorf("got %+v", gotSchema)
	}
	// What was read is written as the same bytes, with the numbers that the fields had.
	again, err := newConverter(t, r).FromConnectData("t", nil, gotSchema, got)
	if err != nil || string(again[5:]) != string(data[5:]) {
		t.Errorf("got %x, %v; want %x", again, err, data)
	}
	if full, _, err := newConverter(t, r, "enhanced.protobuf.schema.support=true").ToConnectData("t", nil, data); err != nil || full.Name != "com.acme.Order" {
		t.Errorf("got %v, %v", full, err)
	}
}

func TestSchemasOfOthersAreRead(t *testing.T) {
	r := fakeregistry.Start(t)
	if _, _, err := r.RegisterSchema("shared", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; package shared; message Where { string city = 1; }`}); err != nil {
		t.Fatal(err)
	}
	id, _, err := r.RegisterSchema("t-value", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; package p;
import "shared/where.proto"; import "google/protobuf/wrappers.proto";
message First { bool b = 1; }
message Second { message Third { map<string, shared.Where> places = 1; google.protobuf.UInt32Value count = 2; optional int32 maybe = 3; fixed64 big = 4; repeated google.protobuf.StringValue names = 5; } }`,
		References: []sr.SchemaReference{{Name: "shared/where.proto", Subject: "shared", Version: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("\x0a\x0d\x0a\x04home\x12\x05\x0a\x03Ulm\x12\x02\x08\x07\x21\x01\x00\x00\x00\x00\x00\x00\x00\x2a\x03\x0a\x01x")
	data := append(appendPath(registry.AppendHeader(nil, id), []int{1, 0}), body...)
	schema, got, err := newConverter(t, r).ToConnectData("t", nil, data)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Struct{places=[{home Struct{city=Ulm}}],count=7,big=1,names=[x]}"; fmt.Sprint(got) != want || schema.Name != "Third" {
		t.Errorf("got %v of %s, want %s", got, schema, want)
	}
	latest := newConverter(t, r, "auto.register.schemas=false", "use.latest.version=true", "latest.compatibility.strict=false", "enhanced.protobuf.schema.support=true")
	schema, got, err = latest.ToConnectData("t", nil, data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := latest.FromConnectData("t", nil, schema, got); err != nil || string(again) != string(data) {
		t.Errorf("got %x, %v; want %x", again, err, data)
	}
	strict := newConverter(t, r, "auto.register.schemas=false", "use.latest.version=true")
	other := connect.StructOf(connect.Field{Name: "other", Schema: connect.StringSchema}).WithName("First")
	v := connect.NewStruct(other)
	if err := v.PutAt(0, "x"); err != nil {
		t.Fatal(err)
	}
	if data, err := strict.FromConnectData("t", nil, other, v); err == nil || !strings.Contains(err.Error(), "field 1 is called other in one schema, and b in the other") {
		t.Errorf("got %x, %v", data, err)
	}
}

func TestWhatProtobufCannotHoldIsRefused(t *testing.T) {
	r := fakeregistry.Start(t)
	if _, _, err := r.RegisterSchema("t-value", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; message Node { Node next = 1; int32 n = 2; }`}); err != nil {
		t.Fatal(err)
	}
	c := newConverter(t, r)
	for want, s := range map[string]*connect.Schema{
		"Unsupported root schema of type INT32":             connect.Int32Schema,
		"Array cannot be nested":                            connect.StructOf(connect.Field{Name: "a", Schema: connect.ArrayOf(connect.ArrayOf(connect.Int8Schema))}),
		"the schema has names that Protobuf does not allow": connect.StructOf(connect.Field{Name: "a-b", Schema: connect.Int8Schema}),
		"two different schemas would be the message": connect.StructOf(
			connect.Field{Name: "a", Schema: connect.StructOf(connect.Field{Name: "x", Schema: connect.Int8Schema}).WithName("X")},
			connect.Field{Name: "b", Schema: connect.StructOf(connect.Field{Name: "y", Schema: connect.Int8Schema}).WithName("X")}),
	} {
		var v any = int32(1)
		if s.Type == connect.Struct {
			v = connect.NewStruct(s)
		}
		data, err := c.FromConnectData("t", nil, s, v)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %x, %v; want %s", data, err, want)
		}
	}
	if _, err := c.FromConnectData("t", nil, nil, "x"); err == nil || !strings.Contains(err.Error(), "needs values with a schema") {
		t.Errorf("got %v", err)
	}
	if data, err := c.FromConnectData("t", nil, nil, nil); data != nil || err != nil {
		t.Errorf("null became %x, %v", data, err)
	}
	for data, want := range map[string]string{
		"\x00\x00\x00\x00\x01\x00\x10\x01": "Node contains itself",
		"\x00\x00\x00\x00\x01":             "does not say which message",
		"\x00\x00\x00\x00\x01\x02\x0a":     "names message [5]",
		"\x02\x00\x00\x00\x01\x00":         "Unknown magic byte!",
		"\x00\x00\x00\x00\x09\x00":         "answered 404",
	} {
		if _, v, err := c.ToConnectData("t", nil, []byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %s", data, v, err, want)
		}
	}
}

// FuzzProtobuf checks that no value makes reading panic, and that what was read can be
// written and reads back the same.
func FuzzProtobuf(f *testing.F) {
	registered := registry.Schema{Text: `syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto"; import "google/type/timeofday.proto";
message M { int32 a = 1; repeated string b = 2; map<string, double> c = 3; google.protobuf.Timestamp d = 4; confluent.type.Decimal e = 5; google.type.TimeOfDay f = 6;
 oneof g { bool h = 7; bytes i = 8; } enum E { X = 0; Y = 1; } E j = 9; sint64 k = 10; optional fixed32 l = 11; }`}
	file, err := compile(registered)
	if err != nil {
		f.Fatal(err)
	}
	m := file.Messages().Get(0)
	r := schemaReader{indexes: true}
	s, err := r.message(m, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x08\x01\x12\x01x\x1a\x0c\x0a\x01k\x11\x00\x00\x00\x00\x00\x00\xf8\x3f\x22\x02\x08\x07\x38\x01\x48\x01"))
	f.Add(binary.AppendUvarint([]byte{0x2a, 0x03, 0x0a, 0x01}, 0x7f))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := dynamicpb.NewMessage(m)
		if unmarshal(data, in) != nil {
			return
		}
		v, err := r.structOf(in, s)
		if err != nil {
			return
		}
		out, err := appendMessage(nil, m, s, v)
		if err != nil {
			return // a number of an enum that has no name
		}
		back := dynamicpb.NewMessage(m)
		if err := proto.Unmarshal(out, back); err != nil {
			t.Fatalf("%x was written as %x: %v", data, out, err)
		}
		again, err := r.structOf(back, s)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(v) {
			t.Fatalf("%x was read as %v, and %x as %v, %v", data, v, out, again, err)
		}
	})
}

func TestAMapOfManyNumbersIsReadBack(t *testing.T) {
	fakeregistry.ReadBackManyNumbers(t, newConverter(t, fakeregistry.Start(t)))
}

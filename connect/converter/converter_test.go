package converter

import (
	"errors"
	"math"
	"testing"

	"tributary/connect"
	"tributary/connect/plugin"
)

func TestPluginsAreFoundByClassAndAliasAndImplementTheirKind(t *testing.T) {
	r, err := plugin.NewRegistry(Plugins("1.2.3")...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"org.apache.kafka.connect.converters.ByteArrayConverter", "ByteArrayConverter", "ByteArray", "org.apache.kafka.connect.storage.StringConverter", "String", "JsonConverter", "Long"} {
		p, err := r.Find(name, plugin.Converter)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.New().(connect.Converter); !ok || p.Version != "1.2.3" {
			t.Errorf("%s: not a converter of version 1.2.3: %+v", name, p)
		}
	}
	for _, name := range []string{"ByteArrayConverter", "StringConverter", SimpleHeaderClass, "SimpleHeaderConverter", "JsonConverter", "BooleanConverter"} {
		p, err := r.Find(name, plugin.HeaderConverter)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.New().(connect.HeaderConverter); !ok {
			t.Errorf("%s is not a header converter", name)
		}
	}
}

func TestByteArrayPassesBytesAndNullsThroughAndRefusesTheRest(t *testing.T) {
	var c ByteArray
	in := []byte("x")
	out, err := c.FromConnectData("t", nil, connect.OptionalBytesSchema, in)
	if err != nil || &out[0] != &in[0] {
		t.Errorf("got %q, %v; want the same bytes", out, err)
	}
	if out, err := c.FromConnectData("t", nil, nil, nil); out != nil || err != nil {
		t.Errorf("null became %q, %v", out, err)
	}
	for _, wrong := range []struct {
		schema *connect.Schema
		value  any
	}{{nil, "text"}, {connect.StringSchema, []byte("x")}} {
		_, err := c.FromConnectData("t", nil, wrong.schema, wrong.value)
		if _, ok := errors.AsType[*connect.DataError](err); !ok {
			t.Errorf("%v %v: got %v, want a DataError", wrong.schema, wrong.value, err)
		}
	}
	if _, v, err := c.ToConnectData("t", nil, nil); v != nil || err != nil {
		t.Errorf("null was read as %#v, %v", v, err)
	}
	if schema, v, _ := c.ToConnectData("t", nil, in); schema != connect.OptionalBytesSchema || string(v.([]byte)) != "x" {
		t.Errorf("read %v %v", schema, v)
	}
}

func TestStringWritesTheTextFormOfAnyValue(t *testing.T) {
	var c String
	for _, test := range []struct {
		value any
		want  string
	}{
		{"", ""}, {"a b", "a b"}, {[]byte("raw"), "raw"}, {true, "true"}, {int8(-3), "-3"}, {int64(1 << 40), "1099511627776"},
		{1.0, "1.0"}, {1e10, "1.0E10"}, {float32(0.1), "0.1"}, {1.5e-5, "1.5E-5"}, {math.Inf(-1), "-Infinity"},
		{[]any{"a", int8(1), nil}, "[a, 1, null]"}, {map[string]any{"k": "v", "a": true}, "{a=true, k=v}"},
	} {
		got, err := c.FromConnectData("t", nil, nil, test.value)
		if err != nil || got == nil || string(got) != test.want {
			t.Errorf("%#v: got %q, %v; want %q", test.value, got, err, test.want)
		}
	}
	if got, err := c.FromConnectData("t", nil, nil, nil); got != nil || err != nil {
		t.Errorf("null became %q, %v", got, err)
	}
	if _, v, _ := c.ToConnectData("t", nil, []byte("x")); v != "x" {
		t.Errorf("read %#v", v)
	}
	if _, v, _ := c.ToConnectData("t", nil, nil); v != nil {
		t.Errorf("null was read as %#v", v)
	}
}

func TestStringKnowsTheEncodingsItSays(t *testing.T) {
	if err := new(String).Configure(map[string]string{"converter.encoding": "utf-8"}, true); err != nil {
		t.Error(err)
	}
	want := "Invalid value UTF-16 for configuration converter.encoding: it must be UTF-8, ISO-8859-1 or US-ASCII"
	if err := new(String).Configure(map[string]string{"converter.encoding": "UTF-16"}, false); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSimpleHeaderWritesWhatJavaWrites(t *testing.T) {
	var c SimpleHeader
	for _, test := range []struct {
		value any
		want  string
	}{
		{"", ""}, {"plain \"text\"", `plain "text"`}, {[]byte{0, 255}, "AP8="}, {int32(7), "7"}, {2.5, "2.5"}, {false, "false"},
		{[]any{int8(1), "a\"b\\", []byte("x"), nil}, `[1,"a\"b\\","eA==",null]`},
		{map[string]any{"b": []any{}, "a": map[string]any{"x": 1.0}}, `{"a":{"x":1.0},"b":[]}`},
	} {
		got, err := c.FromConnectHeader("t", "h", nil, test.value)
		if err != nil || got == nil || string(got) != test.want {
			t.Errorf("%#v: got %q, %v; want %q", test.value, got, err, test.want)
		}
	}
	if got, err := c.FromConnectHeader("t", "h", nil, nil); got != nil || err != nil {
		t.Errorf("null became %q, %v", got, err)
	}
	_, err := c.FromConnectHeader("t", "h", nil, []any{struct{}{}})
	if _, ok := errors.AsType[*connect.DataError](err); !ok {
		t.Errorf("got %v, want a DataError", err)
	}
}

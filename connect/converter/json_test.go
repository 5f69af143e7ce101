package converter

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tributary/connect"
	"tributary/connect/internal/drawn"
)

func newJSON(t testing.TB, settings ...string) *JSON {
	t.Helper()
	config := map[string]string{}
	for _, s := range settings {
		k, v, _ := strings.Cut(s, "=")
		config[k] = v
	}
	c := new(JSON)
	if err := c.Configure(config, false); err != nil {
		t.Fatal(err)
	}
	return c
}

// withoutNegativeZero gives floats the one zero that Java's reader knows.
func withoutNegativeZero(v any) any {
	switch x := v.(type) {
	case float32:
		return x + 0
	case float64:
		return x + 0
	case []any:
		for i := range x {
			x[i] = withoutNegativeZero(x[i])
		}
	case connect.MapEntries:
		for i := range x {
			x[i].Key, x[i].Value = withoutNegativeZero(x[i].Key), withoutNegativeZero(x[i].Value)
		}
	case *connect.StructValue:
		for i := range x.Schema().Fields {
			_ = x.PutAt(i, withoutNegativeZero(x.RawAt(i)))
		}
	}
	return v
}

func TestWhatJSONWroteItReadsBackWithItsSchema(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		schema := drawn.Shape{}.Schema(rt, 3)
		value := withoutNegativeZero(drawn.Value(rt, schema))
		c := newJSON(t)
		data, err := c.FromConnectData("t", nil, schema, value)
		if err != nil {
			rt.Fatal(err)
		}
		gotSchema, got, err := newJSON(t).ToConnectData("t", nil, data)
		if err != nil {
			rt.Fatalf("%s: %v", data, err)
		}
		if !gotSchema.Equal(schema) || !connect.EqualValues(got, value) {
			rt.Fatalf("%s reads back as %v of %s, want %v", data, got, gotSchema, value)
		}
		again, err := c.FromConnectData("t", nil, gotSchema, got)
		if err != nil {
			rt.Fatal(err)
		}
		if _, isMap := value.(connect.MapEntries); !isMap && schema.Type < connect.Array && string(again) != string(data) {
			rt.Fatalf("%s became %s", data, again)
		}
	})
}

func TestNumbersAreReadBackFromTheirBytes(t *testing.T) {
	for _, c := range []struct {
		converter configured
		value     any
		want      string
	}{
		{newShort(), int16(-2), "\xff\xfe"}, {newInteger(), int32(258), "\x00\x00\x01\x02"}, {newLong(), int64(-1), "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{newFloat(), float32(1), "\x3f\x80\x00\x00"}, {newDouble(), math.Inf(-1), "\xff\xf0\x00\x00\x00\x00\x00\x00"}, {new(Boolean), true, "\x01"}, {new(Boolean), false, "\x00"},
	} {
		data, err := c.converter.FromConnectData("t", nil, nil, c.value)
		if err != nil || string(data) != c.want {
			t.Errorf("%T %v: got %x, %v; want %x", c.value, c.value, data, err, c.want)
		}
		schema, back, err := c.converter.ToConnectData("t", nil, data)
		if err != nil || !connect.EqualValues(back, c.value) || !schema.Optional || schema.Validate(back) != nil {
			t.Errorf("%x: got %v of %s, %v", data, back, schema, err)
		}
		for _, null := range []func() (any, error){
			func() (any, error) { b, err := c.converter.FromConnectData("t", nil, nil, nil); return b == nil, err },
			func() (any, error) { _, v, err := c.converter.ToConnectData("t", nil, nil); return v == nil, err },
		} {
			if isNull, err := null(); isNull != true || err != nil {
				t.Errorf("%T: a null did not stay one: %v", c.value, err)
			}
		}
		if _, err := c.converter.FromConnectData("t", nil, nil, "1"); err == nil {
			t.Errorf("%T: a string was taken", c.value)
		}
		for _, wrong := range []string{"", "123", "\x02"} {
			if _, v, err := c.converter.ToConnectData("t", nil, []byte(wrong)); err == nil {
				t.Errorf("%T: %x was read as %v", c.value, wrong, v)
			}
		}
	}
}

// FuzzJSON checks that reading never panics, and that what was read can be written and
// reads back the same.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"schema":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"a","default":7}]},"payload":{"a":1.5}}`,
		`{"payload":[1,null],"schema":{"type":"array","items":{"type":"string","optional":true}}}`,
		`{"schema":{"type":"map","keys":{"type":"int8"},"values":{"type":"bytes"}},"payload":[[1,"AQ=="]]}`,
		`{"schema":{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}},"payload":"AQ=="}`,
		`{"schema":null,"payload":{"x":[1,2.5,"y",{"z":null}]}}`, `{"a":1}`, ``,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, envelope bool) {
		settings := "schemas.enable=false"
		if envelope {
			settings = "schemas.enable=true"
		}
		c := newJSON(t, settings)
		schema, value, err := c.ToConnectData("t", nil, data)
		if err != nil {
			return
		}
		text, err := c.FromConnectData("t", nil, schema, value)
		if err != nil || text == nil {
			return
		}
		again, back, err := c.ToConnectData("t", nil, text)
		if err != nil {
			t.Fatalf("%q was written as %s, which is refused: %v", data, text, err)
		}
		if !again.Equal(schema) {
			t.Fatalf("%s: the schema became %v", text, again)
		}
		if twice, err := c.FromConnectData("t", nil, again, back); err == nil && len(twice) != len(text) {
			t.Fatalf("%s became %s", text, twice)
		}
	})
}

// FuzzSimpleHeader checks that reading never panics, and that a text which is read as a
// scalar is written back as it reads.
func FuzzSimpleHeader(f *testing.F) {
	for _, seed := range []string{"1", "1.5", "[1,2]", `{"a":1,"b":[true,null]}`, "2020-01-01", "12:00:00.000Z", `["2020-01-01T00:00:00.000Z"]`, "{a:", `\[`, "[[[["} {
		f.Add([]byte(seed))
	}
	var c SimpleHeader
	f.Fuzz(func(t *testing.T, data []byte) {
		schema, value, err := c.ToConnectHeader("t", "h", data)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.FromConnectHeader("t", "h", schema, value)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := value.(string); ok && s != string(text) {
			t.Fatalf("the string %q became %q", s, text)
		}
	})
}

// If all that was read were searched for each key, this and the next would take minutes.
func TestMapsOfManyKeysThatAreNoStringsAreReadWithTheLastValueOfEach(t *testing.T) {
	const n = 1 << 16
	var pairs strings.Builder
	for i := range n {
		fmt.Fprintf(&pairs, "[%d,-1],", n-1-i)
	}
	for i := range n {
		fmt.Fprintf(&pairs, "[%d,%d],", i, i)
	}
	list := strings.TrimSuffix(pairs.String(), ",")

	_, got, err := newJSON(t).ToConnectData("t", nil, []byte(`{"schema":{"type":"map","keys":{"type":"int32"},"values":{"type":"int32"}},"payload":[`+list+`]}`))

	entries, _ := got.(connect.MapEntries)
	if err != nil || len(entries) != n {
		t.Fatalf("got %d entries of a %T, %v", len(entries), got, err)
	}
	for i, e := range entries { // the order of Java's HashMap, for numbers of 16 bits
		if e.Key != int32(i) || e.Value != int32(i) {
			t.Fatalf("entry %d is %v", i, e)
		}
	}
}

func TestHeadersWithMapsOfManyDatesAreReadWithTheLastValueOfEach(t *testing.T) {
	const n = 50_000
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `"%s": -1,`, day.AddDate(0, 0, i).Format(time.DateOnly))
	}
	for i := range n {
		fmt.Fprintf(&text, `"%s": %d,`, day.AddDate(0, 0, i).Format(time.DateOnly), i)
	}

	_, got, err := new(SimpleHeader).ToConnectHeader("t", "h", []byte("{"+text.String()+"}"))

	entries, _ := got.(connect.MapEntries)
	if err != nil || len(entries) != n {
		t.Fatalf("got %d entries of a %T, %v", len(entries), got, err)
	}
	for i, e := range entries {
		if !e.Key.(time.Time).Equal(day.AddDate(0, 0, i)) || e.Value != int32(i) {
			t.Fatalf("entry %d is %v", i, e)
		}
	}
}

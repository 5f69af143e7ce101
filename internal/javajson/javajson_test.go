package javajson_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"tributary/internal/javajson"
)

// The wanted bytes in this file were printed by JsonConverter 4.3.1.

func write(t *testing.T, m map[string]any) string {
	t.Helper()
	b, err := javajson.AppendMap(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStringsAreEscapedAsJacksonDoes(t *testing.T) {
	var all strings.Builder
	for c := range 32 {
		all.WriteByte(byte(c))
	}
	all.WriteString("\"\\/<>&'\u007f\u0080\u00e9\u2028\u2029\u20ac\ufeff\uffff\U0001F600\U0010FFFF")
	want := `"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000B\f\r\u000E\u000F` +
		`\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001A\u001B\u001C\u001D\u001E\u001F` +
		`\"\\/<>&'` + "\u007f\u0080\u00e9\u2028\u2029\u20ac\ufeff\uffff" + `\uD83D\uDE00\uDBFF\uDFFF"`
	if got := string(javajson.AppendString(nil, all.String())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(javajson.AppendString(nil, "a\xffb")); got != "\"a\ufffdb\"" {
		t.Errorf("invalid UTF-8: got %s", got)
	}
	if got := write(t, map[string]any{"\U0001F600\x01": 1}); got != `{"\uD83D\uDE00\u0001":1}` {
		t.Errorf("field name: got %s", got)
	}
}

func TestScalarsAreWrittenAsJacksonDoes(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "true"}, {false, "false"}, {"s", `"s"`},
		{[]byte{1, 2, 255, 0}, `"AQL/AA=="`},
		{int64(math.MinInt64), "-9223372036854775808"}, {uint8(7), "7"}, {-5, "-5"},
		{json.Number("12"), "12"}, {json.Number("1e2"), "100.0"},
		{0.0, "0.0"}, {math.Copysign(0, -1), "0.0"}, {1.0, "1.0"}, {1.5, "1.5"}, {0.001, "0.001"},
		{0.0001, "1.0E-4"}, {1e7, "1.0E7"}, {9999999.0, "9999999.0"}, {12345678.9, "1.23456789E7"},
		{1e21, "1.0E21"}, {4.9e-324, "4.9E-324"}, {math.MaxFloat64, "1.7976931348623157E308"},
		{2.2250738585072014e-308, "2.2250738585072014E-308"}, {2e-3, "0.002"}, {123456.789, "123456.789"},
		{0.30000000000000004, "0.30000000000000004"}, {9007199254740993.0, "9.007199254740992E15"},
		{math.NaN(), `"NaN"`}, {math.Inf(1), `"Infinity"`}, {math.Inf(-1), `"-Infinity"`},
		{float32(0.1), "0.1"}, {float32(1e10), "1.0E10"}, {float32(3.4e38), "3.4E38"}, {float32(16777216), "1.6777216E7"},
	} {
		got, err := javajson.AppendScalar(nil, c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("%T %v: got %s, %v, want %s", c.value, c.value, got, err, c.want)
		}
	}
}

func TestWhatIsNoScalarIsRefusedByNameOfItsField(t *testing.T) {
	for _, v := range []any{map[string]any{}, []any{}, struct{}{}, uint64(math.MaxUint64), json.Number("x"), json.Number("99999999999999999999")} {
		if b, err := javajson.AppendMap(nil, map[string]any{"field": v}); err == nil || !strings.Contains(err.Error(), `field "field"`) {
			t.Errorf("%T: got %s, %v", v, b, err)
		}
	}
}

func TestParseIsAsLenientAsJackson(t *testing.T) {
	for text, want := range map[string]any{
		"": nil, " ": nil, "null": nil, "null x": nil, "{}": map[string]any{}, "{} x": map[string]any{}, "{}}": map[string]any{}, "{}\x00": map[string]any{},
		`{"a":1,"a":2}`: map[string]any{"a": int64(2)}, `{"a":01}`: map[string]any{"a": int64(1)}, `{"a":-007}`: map[string]any{"a": int64(-7)},
		`{"a":1.0}`: map[string]any{"a": 1.0}, `{"a":1e2}`: map[string]any{"a": 100.0}, `{"a":00.5}`: map[string]any{"a": 0.5},
		`99999999999999999999`: int64(7766279631452241919), `9223372036854775808`: int64(math.MinInt64),
		`123456789012345678901234567890`: int64(-4362896299872285998), `1e400`: math.Inf(1), `1e-400`: 0.0, `-0`: int64(0), `-0.0`: 0.0,
		"\ufeff{\"a\":1}":                   map[string]any{"a": int64(1)},
		`{"a":{"b":[1,"x",null,true,2.5]}}`: map[string]any{"a": map[string]any{"b": []any{int64(1), "x", nil, true, 2.5}}},
		"true false":                        true, "12": int64(12), `"s"`: "s", "1 2": int64(1), "0123": int64(123), "[1]x": []any{int64(1)}, "{\"a\":\"\u007f\"}": map[string]any{"a": "\u007f"},
		`"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`: "é😀\"\\/\b\f\n\r\t", `"x\ud800"`: "x\ufffd", `"\ud800\ud83d\ude00"`: "\ufffd😀",
	} {
		got, err := javajson.Parse([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, %v, want %#v", text, got, err, want)
		}
		if f, ok := got.(float64); ok && math.Signbit(f) {
			t.Errorf("%s: got a negative zero", text)
		}
	}
	for _, text := range []string{
		`{"a":NaN}`, `{'a':1}`, `{"a":1,}`, "[1,2", "{\"\xff\":1}", "{\"a\":\"x\ty\"}", `{"a":"\q"}`, "//c\n{}", `{"a":+1}`, `{"a":.5}`, `{"a":5.}`,
		"nul", `{"a":-}`, "truex", "12x", `{"a":12x}`, `{"a":0x1}`, "\f{}", `{"a":1e}`, `{"a":`, `{"a"`, `{`, `{"a" 1}`, `{1:2}`, `[1 2]`, `"\u12`, `"\u12g4"`, `"\`, `"a\n` + "\n\"", `"\ud800\u12"`,
		strings.Repeat("[", 2000) + strings.Repeat("]", 2000), strings.Repeat("9", 1001),
	} {
		if got, err := javajson.Parse([]byte(text)); err == nil {
			t.Errorf("%.40s: got %#v, want an error", text, got)
		}
	}
}

// FuzzParse checks that Parse never panics, agrees with encoding/json on what both
// accept, and reads back what AppendMap wrote.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5,"x\u00e9\ud83d\ude00",null,true]}`, `{"a":-1e3} x`, ``, `"\`, `0012`, `{"offset":12345}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := javajson.Parse(data)
		var std any
		if stdErr := json.Unmarshal(data, &std); stdErr == nil && utf8.Valid(data) && len(data) < 500 {
			if err != nil {
				t.Fatalf("encoding/json accepts %q, Parse says %v", data, err)
			}
			again, err := json.Marshal(got)
			if err != nil {
				return // an infinity
			}
			var plain any
			if err := json.Unmarshal(again, &plain); err != nil || !(reflect.DeepEqual(plain, std) || strings.ContainsAny(string(data), "0123456789")) {
				t.Fatalf("%q: got %#v, want %#v (%v)", data, plain, std, err)
			}
		}
		m, ok := got.(map[string]any)
		if !ok {
			return
		}
		text, err := javajson.AppendMap(nil, m)
		if err != nil {
			return // nested
		}
		back, err := javajson.Parse(text)
		want := make(map[string]any, len(m))
		for k, v := range m {
			want[k], _ = javajson.Normalize(v)
		}
		if err != nil || !reflect.DeepEqual(back, any(want)) {
			t.Fatalf("%s reads back as %#v, %v, want %#v", text, back, err, want)
		}
	})
}

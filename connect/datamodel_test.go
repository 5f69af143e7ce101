package connect_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tributary/connect"
)

var person = connect.StructOf(
	connect.Field{Name: "name", Schema: connect.StringSchema},
	connect.Field{Name: "age", Schema: connect.OptionalInt32Schema},
	connect.Field{Name: "tags", Schema: connect.ArrayOf(connect.StringSchema).AsOptional()},
	connect.Field{Name: "level", Schema: connect.Int8Schema.WithDefault(int8(3))},
)

func wantDataError(t *testing.T, err error, want string) {
	t.Helper()
	if _, ok := err.(*connect.DataError); !ok || err.Error() != want {
		t.Errorf("got %T %v\nwant a DataError: %s", err, err, want)
	}
}

func TestStructTakesValuesOfItsSchemaAlone(t *testing.T) {
	s := connect.NewStruct(person)
	for _, put := range []struct {
		field string
		value any
		want  string
	}{
		{"name", "x", ""},
		{"name", nil, `Invalid value: null used for required field: "name", schema type: STRING`},
		{"name", int32(1), `Invalid Java object for schema with type STRING: class java.lang.Integer for field: "name"`},
		{"age", nil, ""},
		{"age", int64(1), `Invalid Java object for schema with type INT32: class java.lang.Long for field: "age"`},
		{"tags", []any{"a", nil}, `Invalid value: null used for required element of array field: "tags", schema type: STRING`},
		{"tags", []any{"a"}, ""},
		{"other", 1, "other is not a valid field name"},
	} {
		err := s.Put(put.field, put.value)
		if put.want == "" {
			if err != nil {
				t.Errorf("%s = %v: %v", put.field, put.value, err)
			}
			continue
		}
		wantDataError(t, err, put.want)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if v, err := s.Get("level"); v != int8(3) || err != nil || s.RawAt(3) != nil {
		t.Errorf("a null field with a default reads as %v, %v and raw as %v", v, err, s.RawAt(3))
	}
	if _, err := s.Get("other"); err == nil {
		t.Error("an unknown field was read")
	}
	wantDataError(t, connect.NewStruct(person).Validate(), `Invalid value: null used for required field: "name", schema type: STRING`)
	if got := s.String(); got != "Struct{name=x,tags=[a]}" {
		t.Error(got)
	}
}

// Java looks at the type of a header's value alone; a logical type may also be borne by what it is made of.
func TestHeadersTakeValuesOfTheTypeOfTheirSchema(t *testing.T) {
	var none *connect.Schema
	for _, good := range []struct {
		schema *connect.Schema
		value  any
	}{
		{none, struct{}{}}, {connect.OptionalInt32Schema, nil}, {connect.StringSchema, "x"}, {connect.ArrayOf(connect.StringSchema), []any{int8(1), nil}},
		{connect.DateSchema, time.UnixMilli(0)}, {connect.DateSchema, int32(1)}, {connect.TimestampSchema, time.UnixMilli(1)},
		{connect.DecimalSchema(2), connect.NewDecimal(big.NewInt(5), 2)}, {connect.DecimalSchema(2), []byte{5}}, {person, connect.NewStruct(person)},
	} {
		if err := good.schema.ValidateHeader(good.value); err != nil {
			t.Error(err)
		}
	}
	wantDataError(t, connect.StringSchema.ValidateHeader(nil), "A null value requires an optional schema but was Schema{STRING}")
	wantDataError(t, connect.OptionalInt32Schema.ValidateHeader(int64(1)), "A value of class java.lang.Long is not compatible with the schema Schema{INT32}")
	wantDataError(t, connect.DateSchema.ValidateHeader(int64(1)), "A value of class java.lang.Long is not compatible with the schema Schema{org.apache.kafka.connect.data.Date:INT32}")
	wantDataError(t, connect.StringSchema.ValidateHeader(time.UnixMilli(0)), "A value of class java.util.Date is not compatible with the schema Schema{STRING}")
}

func TestLogicalNamesDecideTheGoTypeOfValues(t *testing.T) {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	for _, good := range []struct {
		schema *connect.Schema
		value  any
	}{
		{connect.DateSchema, day}, {connect.TimeSchema, time.UnixMilli(1)}, {connect.TimestampSchema, day},
		{connect.DecimalSchema(2), connect.NewDecimal(big.NewInt(5), 2)},
	} {
		if err := good.schema.Validate(good.value); err != nil {
			t.Error(err)
		}
	}
	wantDataError(t, connect.DateSchema.Validate(int32(1)),
		`Invalid Java object for schema "org.apache.kafka.connect.data.Date" with type INT32: class java.lang.Integer for value`)
	if days, err := connect.DateToDays(day); days != 19782 || err != nil || !connect.DateFromDays(days).Equal(day) {
		t.Errorf("got %d, %v", days, err)
	}
	if days, err := connect.DateToDays(time.UnixMilli(-86400000)); days != -1 || err != nil {
		t.Errorf("got %d, %v", days, err)
	}
	_, err := connect.DateToDays(day.Add(time.Millisecond))
	wantDataError(t, err, "Kafka Connect Date type should not have any time fields set to non-zero values.")
	_, err = connect.TimeToMillis(day)
	wantDataError(t, err, "Kafka Connect Time type should not have any date fields set to non-zero values.")
	_, err = connect.TimeFromMillis(86400001)
	wantDataError(t, err, "Time values must use number of milliseconds greater than 0 and less than 86400000")
	if got, err := connect.TimeFromMillis(86400000); err != nil || got.UnixMilli() != 86400000 {
		t.Errorf("got %v, %v", got, err)
	}
	if got := connect.TimestampFromMillis(math.MaxInt64).UnixMilli(); got != math.MaxInt64 {
		t.Errorf("the last timestamp became %d", got)
	}
}

func TestSchemasAreEqualInEveryRespectButTheOrderOfParameters(t *testing.T) {
	base := func() *connect.Schema {
		return person.WithName("p").WithVersion(1).WithDoc("d").WithParameter("a", "1").WithParameter("b", "2")
	}
	same := person.WithParameter("b", "2").WithParameter("a", "1").WithDoc("d").WithVersion(1).WithName("p")
	if !base().Equal(same) || base().Hash() != same.Hash() {
		t.Error("equal schemas differ")
	}
	for name, other := range map[string]*connect.Schema{
		"name": base().WithName("q"), "version": base().WithVersion(2), "doc": base().WithDoc("e"), "parameter": base().WithParameter("a", "3"),
		"optional": base().AsOptional(), "field": base().WithField("x", connect.Int8Schema), "type": connect.StringSchema, "nil": nil,
		"one parameter more": base().WithParameter("c", ""),
	} {
		if base().Equal(other) {
			t.Errorf("schemas that differ in %s are equal", name)
		}
	}
	if connect.Int8Schema.WithDefault(int8(1)).Equal(connect.Int8Schema.WithDefault(int8(2))) {
		t.Error("defaults do not count")
	}
	if base().Parameters.With("a", "9")[0].Value != "9" || base().Parameters[0].Value != "1" {
		t.Error("With changed the original or nothing")
	}
}

func TestValuesAreEqualByContent(t *testing.T) {
	a, b := connect.NewStruct(person), connect.NewStruct(person.WithDoc("other"))
	for i, equal := range [][2]any{
		{[]any{int8(1), []byte("x")}, []any{int8(1), []byte("x")}},
		{map[string]any{"a": nil}, connect.MapEntries{{Key: "a"}}},
		{connect.MapEntries{{int8(1), "x"}, {int8(2), "y"}}, connect.MapEntries{{int8(2), "y"}, {int8(1), "x"}}},
		{math.NaN(), math.NaN()}, {time.UnixMilli(5), time.UnixMilli(5).UTC()}, {nil, nil}, {a, connect.NewStruct(person)},
	} {
		if !connect.EqualValues(equal[0], equal[1]) || !connect.EqualValues(equal[1], equal[0]) {
			t.Errorf("%d: %v and %v should be equal", i, equal[0], equal[1])
		}
	}
	one, precise := connect.NewDecimal(big.NewInt(1), 0), connect.NewDecimal(big.NewInt(10), 1)
	for i, different := range [][2]any{
		{int8(1), int16(1)}, {0.0, math.Copysign(0, -1)}, {one, precise}, {map[string]any{"a": nil}, map[string]any{"b": nil}},
		{map[string]any{}, nil}, {[]any{}, connect.MapEntries{}}, {a, b}, {float32(1), 1.0}, {"", nil}, {struct{}{}, struct{}{}},
	} {
		if connect.EqualValues(different[0], different[1]) || connect.EqualValues(different[1], different[0]) {
			t.Errorf("%d: %v and %v should differ", i, different[0], different[1])
		}
	}
}

func TestCheckFindsSchemasThatAreNotWhole(t *testing.T) {
	if err := connect.MapOf(connect.StringSchema, connect.ArrayOf(person)).Check(); err != nil {
		t.Error(err)
	}
	for want, schema := range map[string]*connect.Schema{
		"valueSchema cannot be null.":                                {Type: connect.Array},
		"keySchema cannot be null.":                                  {Type: connect.Map, Elements: person},
		"fieldName cannot be null.":                                  connect.StructOf(connect.Field{Schema: person}),
		"fieldSchema for field x cannot be null.":                    connect.StructOf(connect.Field{Name: "x"}),
		"Cannot create field because of field name duplication name": person.WithField("name", connect.Int8Schema),
		"Invalid default value: Invalid Java object for schema with type INT8: class java.lang.String for value": connect.ArrayOf(connect.Int8Schema.WithDefault("x")),
	} {
		wantDataError(t, schema.Check(), want)
	}
}

func TestMapEntriesKeepTheirOrder(t *testing.T) {
	var m connect.MapEntries
	m.Put("b", 1)
	m.Put("a", 2)
	m.Put("b", 3)
	if v, ok := m.Get("b"); v != 3 || !ok || len(m) != 2 || m[0].Key != "b" {
		t.Errorf("got %v", m)
	}
	if plain, ok := connect.StringMap(m); !ok || len(plain) != 2 || plain["a"] != 2 {
		t.Errorf("got %v", plain)
	}
	m.Put(int8(1), nil)
	if _, ok := connect.StringMap(m); ok {
		t.Error("a number became the key of a map[string]any")
	}
	if connect.EntriesOf("x") != nil || connect.EntriesOf(map[string]any{}) == nil {
		t.Error("EntriesOf does not tell maps from the rest")
	}
}

// The texts were printed by java.math.BigDecimal of Java 17.
func TestDecimalsReadAndPrintAsBigDecimal(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "0.00": "0.00", "0e7": "0E+7", "0.0000000": "0E-7", "1.00": "1.00", "-1.50": "-1.50", "1e3": "1E+3", "12e3": "1.2E+4",
		"0.000001": "0.000001", "0.0000001": "1E-7", "-0.00000123": "-0.00000123", "0.000000123": "1.23E-7", "+5": "5", ".5": "0.5", "5.": "5", "1E-2": "0.01",
		"123456789012345678901234567890.5": "123456789012345678901234567890.5", "-0": "0",
	} {
		d, err := connect.ParseDecimal(text)
		if err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v; want %s", text, d, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "e1", "1e", "1e99999999999", "--1", "+-1", "1_0", "0x1", " 1", "1 ", "NaN", "1.2.3", "1e2147483648"} {
		if d, err := connect.ParseDecimal(text); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
	for text, want := range map[string]int64{"1.9": 1, "-1.9": -1, "1e3": 1000, "18446744073709551617": 1, "1e64": 0, "1e2000000000": 0, "1e-2000000000": 0, "9223372036854775808": math.MinInt64} {
		d, _ := connect.ParseDecimal(text)
		if got := d.Int64(); got != want {
			t.Errorf("%s as 64 bits: got %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]bool{"1.0": true, "1.5": false, "1e18": true, "1e19": false, "1e2000000000": false, "0e2000000000": true, "1e-2000000000": false} {
		d, _ := connect.ParseDecimal(text)
		if _, got := d.Whole(); got != want {
			t.Errorf("%s is whole: got %t", text, got)
		}
	}
	if d, _ := connect.ParseDecimal("-1e400"); d.Float64() != math.Inf(-1) || d.Float32() != float32(math.Inf(-1)) {
		t.Error("what is beyond a float must be an infinity")
	}
	var zero connect.Decimal
	if zero.String() != "0" || zero.Sign() != 0 || zero.Unscaled().Sign() != 0 || !zero.Equal(connect.NewDecimal(new(big.Int), 0)) {
		t.Error("the zero value is not 0")
	}
}

func TestDecimalsSurviveTheirBytes(t *testing.T) {
	for number, want := range map[int64]string{0: "\x00", 1: "\x01", 127: "\x7f", 128: "\x00\x80", -1: "\xff", -128: "\x80", -129: "\xff\x7f", 156: "\x00\x9c"} {
		got, err := connect.DecimalToBytes(connect.DecimalSchema(2), connect.NewDecimal(big.NewInt(number), 2))
		if err != nil || string(got) != want {
			t.Errorf("%d: got %x, %v; want %x", number, got, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		unscaled := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "number"))
		if rapid.Bool().Draw(t, "negative") {
			unscaled.Neg(unscaled)
		}
		scale := rapid.Int32Range(-50, 50).Draw(t, "scale")
		d, schema := connect.NewDecimal(unscaled, scale), connect.DecimalSchema(scale)
		data, err := connect.DecimalToBytes(schema, d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := connect.DecimalFromBytes(schema, data)
		if err != nil || !back.Equal(d) {
			t.Fatalf("%s became %x and then %s, %v", d, data, back, err)
		}
		parsed, err := connect.ParseDecimal(d.String())
		if err != nil || !parsed.Equal(d) {
			t.Fatalf("%s is read as %s, %v", d, parsed, err)
		}
	})
	_, err := connect.DecimalToBytes(connect.DecimalSchema(1), connect.NewDecimal(big.NewInt(1), 2))
	wantDataError(t, err, "Decimal value has mismatching scale for given Decimal schema. Schema has scale 1, value has scale 2.")
	_, err = connect.DecimalFromBytes(connect.BytesSchema, []byte{1})
	wantDataError(t, err, "Invalid Decimal schema: scale parameter not found.")
	if _, err := connect.DecimalFromBytes(connect.DecimalSchema(1), nil); err == nil {
		t.Error("no bytes became a number")
	}
}

func TestProjectionFitsValuesToALaterSchema(t *testing.T) {
	later := connect.StructOf(
		connect.Field{Name: "age", Schema: connect.OptionalInt64Schema},
		connect.Field{Name: "name", Schema: connect.StringSchema},
		connect.Field{Name: "city", Schema: connect.StringSchema.WithDefault("?")},
		connect.Field{Name: "zip", Schema: connect.OptionalStringSchema},
	)
	s := connect.NewStruct(person)
	for name, v := range map[string]any{"name": "x", "age": int32(7)} {
		if err := s.Put(name, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := connect.Project(person, s, later)
	if err != nil {
		t.Fatal(err)
	}
	if text := got.(*connect.StructValue).String(); text != "Struct{age=7,name=x,city=?}" || got.(*connect.StructValue).At(0) != int64(7) {
		t.Errorf("got %s", text)
	}
	for _, c := range []struct {
		source *connect.Schema
		value  any
		target *connect.Schema
		want   any
	}{
		{connect.Int8Schema, int8(-1), connect.Float32Schema, float32(-1)},
		{connect.Float32Schema, float32(0.5), connect.Float64Schema, 0.5},
		{connect.OptionalInt8Schema, nil, connect.Int16Schema.WithDefault(int16(4)), int16(4)},
		{connect.OptionalInt8Schema, nil, connect.OptionalInt16Schema, nil},
		{connect.ArrayOf(connect.Int8Schema), []any{int8(1)}, connect.ArrayOf(connect.Int32Schema), []any{int32(1)}},
		{connect.MapOf(connect.StringSchema, connect.Int8Schema), map[string]any{"a": int8(1)}, connect.MapOf(connect.StringSchema, connect.Int64Schema), map[string]any{"a": int64(1)}},
		{connect.MapOf(connect.Int8Schema, connect.Int8Schema), connect.MapEntries{{int8(1), int8(2)}}, connect.MapOf(connect.Int16Schema, connect.Int8Schema), connect.MapEntries{{int16(1), int8(2)}}},
	} {
		got, err := connect.Project(c.source, c.value, c.target)
		if err != nil || !connect.EqualValues(got, c.want) {
			t.Errorf("%s to %s: got %v, %v; want %v", c.source, c.target, got, err, c.want)
		}
	}
	for want, c := range map[string]struct{ source, target *connect.Schema }{
		"Schema type mismatch. source type: INT64 and target type: INT32":                        {connect.Int64Schema, connect.Int32Schema},
		"Schema name mismatch. source name: a and target name: b":                                {connect.Int8Schema.WithName("a"), connect.Int8Schema.WithName("b")},
		"Writer schema is optional, however, target schema does not provide a default value.":    {connect.OptionalInt8Schema, connect.Int8Schema},
		"Required field `new` is missing from source schema: Schema{STRUCT}":                     {person, connect.StructOf(connect.Field{Name: "new", Schema: connect.Int8Schema})},
		"Error projecting name: Schema type mismatch. source type: STRING and target type: INT8": {person, connect.StructOf(connect.Field{Name: "name", Schema: connect.Int8Schema})},
	} {
		var value any = int8(1)
		if c.source.Type == connect.Struct {
			value = s
		}
		_, err := connect.Project(c.source, value, c.target)
		wantDataError(t, err, want)
	}
}

func TestALargeMapIsBuiltAsOneEntryAtATime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nan := math.Float64frombits(rapid.Uint64Range(0x7ff8000000000000, 0x7fffffffffffffff).Draw(rt, "nan"))
		number := rapid.Int64Range(-40, 40)
		key := func() any {
			n := number.Draw(rt, "n")
			switch rapid.IntRange(0, 15).Draw(rt, "kind") {
			case 0:
				return nil
			case 1:
				return n > 0
			case 2:
				return int8(n)
			case 3:
				return int32(n)
			case 4:
				return n
			case 5:
				return float32(n)
			case 6:
				return float64(n) * math.Copysign(1, float64(number.Draw(rt, "sign"))) // with both zeros
			case 7:
				return rapid.SampledFrom([]any{nan, math.NaN(), float32(math.NaN())}).Draw(rt, "no number")
			case 8:
				return string(rune('a' + n + 40))
			case 9:
				return []byte{byte(n)}
			case 10:
				return time.Unix(n, 0).In(rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("", 3600)}).Draw(rt, "zone"))
			case 11:
				return connect.NewDecimal(big.NewInt(n), int32(number.Draw(rt, "scale")/20))
			case 12:
				return connect.Decimal{}
			case 13:
				return []any{n, nil}
			case 14:
				return rapid.SampledFrom([]any{connect.MapEntries{{"a", n}, {"b", nil}}, connect.MapEntries{{"b", nil}, {"a", n}}, map[string]any{"a": n, "b": nil}}).Draw(rt, "map")
			}
			s := connect.NewStruct(person)
			if err := s.Put("age", int32(n)); err != nil {
				rt.Fatal(err)
			}
			return s
		}
		var want connect.MapEntries
		built := connect.NewMapBuilder(nil)
		for i := range 300 {
			k := key()
			want.Put(k, i)
			built.Put(k, i)
		}
		got := built.Entries()
		if len(got) != len(want) {
			rt.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for i := range want {
			if !connect.EqualValues(got[i].Key, want[i].Key) || got[i].Value != want[i].Value {
				rt.Fatalf("entry %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// If it were searched from begin to end for each key, this would take minutes.
func TestMapsOfManyKeysAreBuiltAndCompared(t *testing.T) {
	const n = 300_000
	for name, key := range map[string]func(i int) any{
		"numbers": func(i int) any { return int64(i) },
		"bytes":   func(i int) any { return []byte{byte(i), byte(i >> 8), byte(i >> 16)} },
		"lists":   func(i int) any { return []any{int32(i)} },
		"dates":   func(i int) any { return time.Unix(int64(i), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			up, down := connect.NewMapBuilder(nil), connect.NewMapBuilder(connect.MapEntries{})
			for i := range n {
				up.Put(key(i), "former")
				down.Put(key(n-1-i), int32(n-1-i))
			}
			for i := range n {
				up.Put(key(i), int32(i))
			}
			if !connect.EqualValues(up.Entries(), down.Entries()) {
				t.Error("the same entries in another order are not the same map")
			}
			for i, e := range up.Entries() {
				if e.Value != int32(i) {
					t.Fatalf("entry %d is %v", i, e)
				}
			}
		})
	}
}

package transform

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connect/internal/values"
	"tributary/internal/javatext"
)

// Cast converts fields, or the whole key or value, to another primitive type.
type Cast struct {
	stateless
	side
	whole       connect.Type // of the whole; -1 where fields are cast
	fields      []castField
	replaceNull bool
	plans       *cache[*castPlan]
}

type castField struct {
	name   string
	target connect.Type
}

// castPlan is what becomes of a schema: the new one and the target of each field, -1
// for those that stay.
type castPlan struct {
	schema  *connect.Schema
	targets []connect.Type
}

var castDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "spec", Type: connect.TypeList, Required: true, Importance: connect.High, Validate: func(v any) string {
		list, _ := v.([]string)
		if len(list) == 0 {
			return "Must specify at least one field to cast."
		}
		if _, _, err := parseCasts(list); err != nil {
			return err.Error()
		}
		return ""
	}, Doc: "Fields and the types to cast them to, as field:type; or one type alone for the whole key or value. Types are int8, int16, int32, int64, float32, float64, boolean and string. Bytes can be cast to string only."},
	replaceNullKey)

const castable = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING"

func parseCasts(spec []string) (whole connect.Type, fields []castField, err error) {
	whole = -1
	for _, entry := range spec {
		parts := javaSplit(entry, ":")
		if len(parts) > 2 {
			return 0, nil, fmt.Errorf("Invalid rename mapping: %s", entry)
		}
		word := strings.TrimSpace(parts[len(parts)-1])
		target := connect.Type(-1)
		for t := connect.Int8; t <= connect.Struct; t++ {
			if t.String() == strings.ToUpper(word) {
				target = t
			}
		}
		switch {
		case target < 0:
			return 0, nil, fmt.Errorf("Invalid type found in casting spec: %s", word)
		case target > connect.String:
			return 0, nil, fmt.Errorf("Cast transformation does not support casting to %s; supported types are %s]", target, castable)
		case len(parts) == 1:
			whole = target
		default:
			fields = putCast(fields, castField{strings.TrimSpace(parts[0]), target})
		}
	}
	if whole >= 0 && len(spec) > 1 {
		return 0, nil, fmt.Errorf("Cast transformations that specify a type to cast the entire value to may only specify a single cast in their spec")
	}
	return whole, fields, nil
}

func putCast(fields []castField, f castField) []castField {
	for i := range fields {
		if fields[i].name == f.name {
			fields[i] = f
			return fields
		}
	}
	return append(fields, f)
}

// ConfigDef implements connect.Transformation.
func (*Cast) ConfigDef() *connect.ConfigDef { return castDef }

// Configure implements connect.Transformation.
func (t *Cast) Configure(config map[string]string) error {
	v, err := castDef.ParseValues(config)
	if err != nil {
		return err
	}
	if t.whole, t.fields, err = parseCasts(v.List("spec")); err != nil {
		return err
	}
	// A HashMap's order decides where missing fields are added to a map.
	names := make(connect.MapEntries, 0, len(t.fields))
	for _, f := range t.fields {
		names.Put(f.name, f)
	}
	javatext.SortAsHashMap(names, javatext.DefaultCapacity)
	for i, e := range names {
		t.fields[i] = e.Value.(castField)
	}
	t.replaceNull = v.Bool("replace.null.with.default")
	t.plans = newCache[*castPlan]()
	return nil
}

// Apply implements connect.Transformation.
func (t *Cast) Apply(r *connect.Record) (*connect.Record, error) {
	schema, value := t.of(r)
	switch {
	case value == nil:
		return r, nil
	case schema == nil && t.whole >= 0:
		v, err := castValue(nil, value, t.whole)
		return t.with(r, nil, v), err
	case schema == nil:
		return t.applyToMap(r, value)
	}
	plan, err := t.plans.Get(schema, t.plan)
	if err != nil {
		return nil, err
	}
	if t.whole >= 0 {
		v, err := castValue(schema, value, t.whole)
		return t.with(r, plan.schema, v), err
	}
	s, err := requireStruct(value, "cast types")
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(plan.schema)
	for i, target := range plan.targets {
		v := field(s, i, t.replaceNull)
		if target >= 0 {
			if v, err = castValue(schema.Fields[i].Schema, v, target); err != nil {
				return nil, err
			}
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return t.with(r, plan.schema, out), nil
}

func (t *Cast) applyToMap(r *connect.Record, value any) (*connect.Record, error) {
	entries, err := requireMap(value, "cast types")
	if err != nil {
		return nil, err
	}
	m := copyMap(entries)
	for _, f := range t.fields {
		old, _ := entries.Get(f.name)
		v, err := castValue(nil, old, f.target)
		if err != nil {
			return nil, err
		}
		m.put(f.name, v)
	}
	return t.with(r, nil, m.done()), nil
}

func (t *Cast) plan(schema *connect.Schema) (*castPlan, error) {
	plan := &castPlan{}
	if t.whole >= 0 {
		plan.schema = basics(schema, t.whole)
	} else {
		if err := requireFields(schema); err != nil {
			return nil, err
		}
		plan.schema = basics(schema, connect.Struct)
		for _, f := range schema.Fields {
			target := t.target(f.Name)
			plan.targets = append(plan.targets, target)
			if target >= 0 {
				cast := &connect.Schema{Type: target, Optional: f.Schema.Optional}
				var err error
				if cast.Default, err = castValue(f.Schema, f.Schema.Default, target); err != nil {
					return nil, err
				}
				f.Schema = cast
			}
			plan.schema.Fields = append(plan.schema.Fields, f)
		}
	}
	plan.schema.Optional = schema.Optional
	var err error
	plan.schema.Default, err = castValue(schema, schema.Default, plan.schema.Type)
	return plan, err
}

func (t *Cast) target(name string) connect.Type {
	for _, f := range t.fields {
		if f.name == name {
			return f.target
		}
	}
	return -1
}

// castValue casts one value; null stays null.
func castValue(schema *connect.Schema, value any, target connect.Type) (any, error) {
	if value == nil {
		return nil, nil
	}
	from, ok := connect.TypeOf(value)
	if schema != nil {
		from, ok = schema.Type, true
	}
	switch {
	case !ok:
		return nil, dataErrorf("Cast transformation was passed a value of type class %s which is not supported by Connect's data API", connect.ClassName(value))
	case from > connect.Bytes:
		return nil, dataErrorf("Cast transformation does not support casting from %s; supported types are %s, BYTES]", from, castable)
	case target == connect.String:
		return castToString(value), nil
	}
	if schema != nil {
		var err error
		if value, err = physical(schema, value); err != nil {
			return nil, err
		}
	}
	return castToNumber(value, target)
}

// physical is the number that stands for a time.
func physical(schema *connect.Schema, value any) (any, error) {
	t, ok := value.(time.Time)
	if !ok {
		return value, nil
	}
	switch schema.Name {
	case connect.DateName:
		return connect.DateToDays(t)
	case connect.TimeName:
		return connect.TimeToMillis(t)
	case connect.TimestampName:
		return t.UnixMilli(), nil
	}
	return value, nil
}

func castToString(value any) string {
	switch v := value.(type) {
	case time.Time:
		return values.FormatTime(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	return javatext.String(value)
}

func castToNumber(value any, target connect.Type) (any, error) {
	switch v := value.(type) {
	case string:
		return castText(v, target)
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return wrap(n, target), nil
	case float32, float64:
		f, _ := values.ToFloat64(v)
		switch target {
		case connect.Float32:
			return float32(f), nil
		case connect.Float64:
			return f, nil
		case connect.Int64, connect.Boolean:
			return wrap(values.Truncate(f), target), nil
		}
		// Java goes through int, which saturates before it is cut to fewer bits.
		return wrap(min(max(values.Truncate(f), -1<<31), 1<<31-1), target), nil
	case connect.Decimal:
		switch target {
		case connect.Float32:
			return v.Float32(), nil
		case connect.Float64:
			return v.Float64(), nil
		}
		return wrap(v.Int64(), target), nil
	case int8, int16, int32, int64:
		n, err := values.ToInt64(v)
		return wrap(n, target), err
	}
	return nil, dataErrorf("Unexpected type in Cast transformation: class %s", connect.ClassName(value))
}

// wrap cuts a whole number to the type.
func wrap(n int64, target connect.Type) any {
	switch target {
	case connect.Int8:
		return int8(n)
	case connect.Int16:
		return int16(n)
	case connect.Int32:
		return int32(n)
	case connect.Float32:
		return float32(n)
	case connect.Float64:
		return float64(n)
	case connect.Boolean:
		return n != 0
	}
	return n
}

var bitsOf = map[connect.Type]int{connect.Int8: 8, connect.Int16: 16, connect.Int32: 32, connect.Int64: 64, connect.Float32: 32, connect.Float64: 64}

func castText(text string, target connect.Type) (any, error) {
	switch target {
	case connect.Boolean:
		return strings.EqualFold(text, "true"), nil
	case connect.Float32, connect.Float64:
		f, ok := javaFloat(text, bitsOf[target])
		if !ok {
			return nil, outOfRange(text)
		}
		if target == connect.Float32 {
			return float32(f), nil
		}
		return f, nil
	}
	n, err := strconv.ParseInt(text, 10, bitsOf[target])
	if err != nil {
		return nil, outOfRange(text)
	}
	return wrap(n, target), nil
}

func outOfRange(text string) error {
	return dataErrorf("Value (%s) was out of range for requested data type", text)
}

// javaFloat reads what Double.parseDouble does: blanks around, a suffix f or d, the words
// NaN and Infinity as they are written, hexadecimal with an exponent.
func javaFloat(text string, bits int) (float64, bool) {
	text = strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
	unsigned := strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+")
	hex := strings.HasPrefix(strings.ToLower(unsigned), "0x")
	switch {
	case unsigned == "NaN" || unsigned == "Infinity":
		f, err := strconv.ParseFloat(text, bits)
		if unsigned == "NaN" {
			f, err = strconv.ParseFloat("NaN", bits)
		}
		return f, err == nil
	case unsigned == "" || strings.Contains(text, "_") || !hex && unsigned[0] != '.' && (unsigned[0] < '0' || unsigned[0] > '9'):
		return 0, false // Go knows more words
	}
	if last := text[len(text)-1] | 0x20; last == 'f' || last == 'd' {
		if !hex || strings.ContainsAny(text, "pP") {
			text = text[:len(text)-1]
		}
	}
	f, err := strconv.ParseFloat(text, bits)
	if numError, ok := err.(*strconv.NumError); ok && numError.Err == strconv.ErrRange {
		return f, true // an infinity
	}
	return f, err == nil
}

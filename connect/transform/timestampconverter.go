package transform

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tributary/connect"
	"tributary/internal/simpledate"
)

// TimestampConverter turns a point in time, a field's or the whole key or value, from
// one form into another.
type TimestampConverter struct {
	stateless
	side
	field       string
	target      timeForm
	format      *simpledate.Format
	perMilli    int64 // of the Unix time's unit; negative is milliseconds in one of it
	replaceNull bool
	plans       *cache[*timestampPlan]
}

// timeForm is a form that a point in time can have.
type timeForm string

const (
	asString    timeForm = "string"
	asUnix      timeForm = "unix"
	asDate      timeForm = "Date"
	asTime      timeForm = "Time"
	asTimestamp timeForm = "Timestamp"
)

// timestampPlan is the new schema, where the field is in it (-1 for nowhere), and its
// form until now.
type timestampPlan struct {
	schema *connect.Schema
	at     int
	from   timeForm
}

var timestampConverterDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "field", Type: connect.TypeString, Default: "", Importance: connect.High, Doc: "Name of the field; empty is the whole key or value."},
	connect.ConfigKey{Name: "target.type", Type: connect.TypeString, Required: true, Importance: connect.High,
		Validate: requiredOneOf("string", "unix", "Date", "Time", "Timestamp"), Doc: "The form that is wanted: string, unix, Date, Time or Timestamp."},
	connect.ConfigKey{Name: "format", Type: connect.TypeString, Default: "", Importance: connect.Medium,
		Doc: "Pattern of Java's SimpleDateFormat, in UTC, by which strings are written and read."},
	connect.ConfigKey{Name: "unix.precision", Type: connect.TypeString, Default: "milliseconds", Importance: connect.Low,
		Validate: connect.OneOf("nanoseconds", "microseconds", "milliseconds", "seconds"),
		Doc:      "Unit of Unix times: seconds, milliseconds, microseconds or nanoseconds. What is finer than a millisecond is lost."},
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*TimestampConverter) ConfigDef() *connect.ConfigDef { return timestampConverterDef }

// Configure implements connect.Transformation.
func (t *TimestampConverter) Configure(config map[string]string) error {
	v, err := timestampConverterDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.field, t.target = v.String("field"), timeForm(v.String("target.type"))
	t.perMilli = map[string]int64{"seconds": -1000, "milliseconds": 1, "microseconds": 1000, "nanoseconds": 1000000}[v.String("unix.precision")]
	t.replaceNull = v.Bool("replace.null.with.default")
	t.plans = newCache[*timestampPlan]()
	pattern := v.String("format")
	t.format = nil
	if strings.TrimSpace(pattern) == "" {
		if t.target == asString {
			return configError("TimestampConverter requires format option to be specified when using string timestamps")
		}
		return nil
	}
	if t.format, err = simpledate.Compile(pattern, time.UTC); err != nil {
		return fmt.Errorf("TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: %s: %w", pattern, err)
	}
	return nil
}

// Apply implements connect.Transformation.
func (t *TimestampConverter) Apply(r *connect.Record) (*connect.Record, error) {
	schema, value := t.of(r)
	if schema == nil {
		return t.applySchemaless(r, value)
	}
	var s *connect.StructValue
	if t.field != "" && value != nil {
		var err error
		if s, err = requireStruct(value, timestampPurpose); err != nil {
			return nil, err
		}
	}
	plan, err := t.plans.Get(schema, t.plan)
	switch {
	case err != nil:
		return nil, err
	case t.field == "":
		v, err := t.convert(value, plan.from)
		return t.with(r, plan.schema, v), err
	case s == nil:
		return t.with(r, plan.schema, nil), nil
	}
	out, err := t.convertStruct(s, plan.schema, plan)
	if err != nil {
		return nil, err
	}
	return t.with(r, plan.schema, out), nil
}

const timestampPurpose = "converting timestamp formats"

func (t *TimestampConverter) applySchemaless(r *connect.Record, value any) (*connect.Record, error) {
	if value == nil || t.field == "" {
		v, err := t.infer(value)
		return t.with(r, nil, v), err
	}
	entries, err := requireMap(value, timestampPurpose)
	if err != nil {
		return nil, err
	}
	old, _ := entries.Get(t.field)
	v, err := t.infer(old)
	if err != nil {
		return nil, err
	}
	m := copyMap(entries)
	m.put(t.field, v)
	return t.with(r, nil, m.done()), nil
}

func (t *TimestampConverter) plan(schema *connect.Schema) (*timestampPlan, error) {
	plan := &timestampPlan{at: -1}
	var err error
	if t.field == "" {
		plan.schema = t.target.schema(schema.Optional)
		plan.from, err = formOf(schema)
		return plan, err
	}
	if err := requireFields(schema); err != nil {
		return nil, err
	}
	plan.schema = basics(schema, connect.Struct)
	plan.schema.Optional = schema.Optional
	plan.schema.Fields = append(plan.schema.Fields, schema.Fields...)
	if plan.at = schema.FieldIndex(t.field); plan.at >= 0 {
		old := schema.Fields[plan.at].Schema
		plan.schema.Fields[plan.at].Schema = t.target.schema(old.Optional)
		if plan.from, err = formOf(old); err != nil {
			return nil, err
		}
	}
	if s, ok := schema.Default.(*connect.StructValue); ok {
		bare := *plan.schema
		bare.Default = nil
		fallback, err := t.convertStruct(s, &bare, plan)
		if err != nil {
			return nil, err
		}
		plan.schema.Default = fallback
	}
	return plan, nil
}

func (t *TimestampConverter) convertStruct(s *connect.StructValue, to *connect.Schema, plan *timestampPlan) (*connect.StructValue, error) {
	out := connect.NewStruct(to)
	for i := range to.Fields {
		v := field(s, i, t.replaceNull)
		if i == plan.at {
			var err error
			if v, err = t.convert(v, plan.from); err != nil {
				return nil, err
			}
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// schema is that of values in the form.
func (f timeForm) schema(optional bool) *connect.Schema {
	var s *connect.Schema
	switch f {
	case asString:
		s = connect.StringSchema
	case asUnix:
		s = connect.Int64Schema
	case asDate:
		s = connect.DateSchema
	case asTime:
		s = connect.TimeSchema
	default:
		s = connect.TimestampSchema
	}
	if optional {
		return s.AsOptional()
	}
	return s
}

func formOf(schema *connect.Schema) (timeForm, error) {
	switch {
	case schema.Name == connect.TimestampName:
		return asTimestamp, nil
	case schema.Name == connect.DateName:
		return asDate, nil
	case schema.Name == connect.TimeName:
		return asTime, nil
	case schema.Type == connect.String:
		return asString, nil
	case schema.Type == connect.Int64:
		return asUnix, nil
	}
	return "", fmt.Errorf("Schema %s does not correspond to a known timestamp type format", schema)
}

// infer converts a value whose form its Go type tells.
func (t *TimestampConverter) infer(value any) (any, error) {
	switch value.(type) {
	case nil:
		return nil, nil
	case time.Time:
		return t.convert(value, asTimestamp)
	case int64:
		return t.convert(value, asUnix)
	case string:
		return t.convert(value, asString)
	}
	return nil, dataErrorf("TimestampConverter does not support class %s objects as timestamps", connect.ClassName(value))
}

func (t *TimestampConverter) convert(value any, from timeForm) (any, error) {
	if value == nil {
		return nil, nil
	}
	at, err := t.read(value, from)
	if err != nil {
		return nil, err
	}
	millis := at.UnixMilli()
	const day = 24 * 60 * 60 * 1000
	ofDay := (millis%day + day) % day
	switch t.target {
	case asString:
		return t.format.Format(at), nil
	case asUnix:
		return t.fromMillis(millis), nil
	case asDate:
		return time.UnixMilli(millis - ofDay).UTC(), nil
	case asTime:
		return time.UnixMilli(ofDay).UTC(), nil
	}
	return at, nil
}

func (t *TimestampConverter) read(value any, from timeForm) (time.Time, error) {
	switch v := value.(type) {
	case time.Time:
		if from != asString && from != asUnix {
			return v, nil
		}
	case string:
		if from != asString {
			break
		}
		if t.format == nil {
			return time.Time{}, dataErrorf("Could not parse timestamp: value (%s): configuration format is not set", v)
		}
		at, err := t.format.Parse(v, time.Now())
		if err != nil {
			return time.Time{}, dataErrorf("Could not parse timestamp: value (%s) does not match pattern (%s)", v, t.format.Pattern())
		}
		return at, nil
	case int64:
		if from == asUnix {
			return connect.TimestampFromMillis(t.toMillis(v)), nil
		}
	}
	switch from {
	case asString:
		return time.Time{}, dataErrorf("Expected string timestamp to be a String, but found class %s", connect.ClassName(value))
	case asUnix:
		return time.Time{}, dataErrorf("Expected Unix timestamp to be a Long, but found class %s", connect.ClassName(value))
	}
	return time.Time{}, dataErrorf("Expected %s to be a java.util.Date, but found class %s", from, connect.ClassName(value))
}

// toMillis and fromMillis cut off towards zero; what is beyond 64 bits becomes their end.
func (t *TimestampConverter) toMillis(unix int64) int64 {
	if t.perMilli < 0 {
		return saturate(unix, -t.perMilli)
	}
	return unix / t.perMilli
}

func (t *TimestampConverter) fromMillis(millis int64) int64 {
	if t.perMilli < 0 {
		return millis / -t.perMilli
	}
	return saturate(millis, t.perMilli)
}

func saturate(n, factor int64) int64 {
	switch {
	case n > math.MaxInt64/factor:
		return math.MaxInt64
	case n < math.MinInt64/factor:
		return math.MinInt64
	}
	return n * factor
}

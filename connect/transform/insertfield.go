package transform

import (
	"strings"

	"tributary/connect"
)

// InsertField adds fields with what is known of the record, or with a fixed text.
type InsertField struct {
	stateless
	side
	topic, partition, offset, timestamp, static insertion
	staticValue                                 any // a string
	replaceNull                                 bool
	plans                                       *cache[*insertPlan]
}

// insertion is a field to add; without name there is none.
type insertion struct {
	name     string
	given    bool
	required bool
}

// insertPlan is the schema with the fields added, and where each of the five is in it.
type insertPlan struct {
	schema                                      *connect.Schema
	topic, partition, offset, timestamp, static int
}

const optionality = " An exclamation mark at its end makes the field required, a question mark, or nothing, optional."

func insertionKey(name, doc string) connect.ConfigKey {
	return connect.ConfigKey{Name: name, Type: connect.TypeString, Importance: connect.Medium, Doc: doc}
}

var insertFieldDef = connect.NewConfigDef(
	insertionKey("topic.field", "Name of a field for the topic."+optionality),
	insertionKey("partition.field", "Name of a field for the partition."+optionality),
	insertionKey("offset.field", "Name of a field for the offset; sink connectors only."+optionality),
	insertionKey("timestamp.field", "Name of a field for the record's timestamp."+optionality),
	insertionKey("static.field", "Name of a field for a fixed text."+optionality),
	insertionKey("static.value", "The fixed text."),
	replaceNullKey)

// ConfigDef implements connect.Transformation.
func (*InsertField) ConfigDef() *connect.ConfigDef { return insertFieldDef }

// Configure implements connect.Transformation.
func (t *InsertField) Configure(config map[string]string) error {
	v, err := insertFieldDef.ParseValues(config)
	if err != nil {
		return err
	}
	any := false
	for key, to := range map[string]*insertion{"topic.field": &t.topic, "partition.field": &t.partition, "offset.field": &t.offset,
		"timestamp.field": &t.timestamp, "static.field": &t.static} {
		*to = insertion{}
		if v.IsNull(key) {
			continue
		}
		name := v.String(key)
		short, required := strings.CutSuffix(name, "!")
		if !required {
			short = strings.TrimSuffix(name, "?")
		}
		*to = insertion{short, true, required}
		any = true
	}
	if !any {
		return configError("No field insertion configured")
	}
	if t.static.given && v.IsNull("static.value") {
		return configError("Invalid value null for configuration static.value: No value specified for static field: " + t.static.name)
	}
	t.staticValue, t.replaceNull = v.String("static.value"), v.Bool("replace.null.with.default")
	t.plans = newCache[*insertPlan]()
	return nil
}

// Apply implements connect.Transformation.
func (t *InsertField) Apply(r *connect.Record) (*connect.Record, error) {
	const purpose = "field insertion"
	schema, value := t.of(r)
	if value == nil {
		return r, nil
	}
	if schema == nil {
		entries, err := requireMap(value, purpose)
		if err != nil {
			return nil, err
		}
		return t.applyToMap(r, entries)
	}
	s, err := requireStruct(value, purpose)
	if err != nil {
		return nil, err
	}
	plan, err := t.plans.Get(s.Schema(), t.plan)
	if err != nil {
		return nil, err
	}
	out := connect.NewStruct(plan.schema)
	for i := range s.Schema().Fields {
		if err := out.PutAt(i, field(s, i, t.replaceNull)); err != nil {
			return nil, err
		}
	}
	put := func(i int, v any) {
		if err == nil {
			err = out.PutAt(i, v)
		}
	}
	if plan.topic >= 0 {
		put(plan.topic, r.Topic)
	}
	if plan.partition >= 0 && r.Partition != connect.PartitionUnset {
		put(plan.partition, r.Partition)
	}
	if plan.offset >= 0 {
		if err := requireSink(r, purpose); err != nil {
			return nil, err
		}
		put(plan.offset, r.Origin.Offset)
	}
	if plan.timestamp >= 0 && r.Timestamp != connect.NoTimestamp {
		put(plan.timestamp, connect.TimestampFromMillis(r.Timestamp))
	}
	if plan.static >= 0 {
		put(plan.static, t.staticValue)
	}
	if err != nil {
		return nil, err
	}
	return t.with(r, plan.schema, out), nil
}

func requireSink(r *connect.Record, purpose string) error {
	if r.Origin == nil {
		return dataErrorf("Only SinkRecord supported for [%s], found: org.apache.kafka.connect.source.SourceRecord", purpose)
	}
	return nil
}

func (t *InsertField) applyToMap(r *connect.Record, entries connect.MapEntries) (*connect.Record, error) {
	m := copyMap(entries)
	if t.topic.given {
		m.put(t.topic.name, r.Topic)
	}
	if t.partition.given && r.Partition != connect.PartitionUnset {
		m.put(t.partition.name, r.Partition)
	}
	if t.offset.given {
		if err := requireSink(r, "field insertion"); err != nil {
			return nil, err
		}
		m.put(t.offset.name, r.Origin.Offset)
	}
	if t.timestamp.given && r.Timestamp != connect.NoTimestamp {
		m.put(t.timestamp.name, r.Timestamp)
	}
	if t.static.given {
		m.put(t.static.name, t.staticValue)
	}
	return t.with(r, nil, m.done()), nil
}

func (t *InsertField) plan(schema *connect.Schema) (*insertPlan, error) {
	plan := &insertPlan{schema: basics(schema, connect.Struct)}
	plan.schema.Fields = append(plan.schema.Fields, schema.Fields...)
	add := func(i insertion, optional, required *connect.Schema) int {
		if !i.given {
			return -1
		}
		fieldSchema := optional
		if i.required {
			fieldSchema = required
		}
		plan.schema.Fields = append(plan.schema.Fields, connect.Field{Name: i.name, Schema: fieldSchema})
		return len(plan.schema.Fields) - 1
	}
	plan.topic = add(t.topic, connect.OptionalStringSchema, connect.StringSchema)
	plan.partition = add(t.partition, connect.OptionalInt32Schema, connect.Int32Schema)
	plan.offset = add(t.offset, connect.OptionalInt64Schema, connect.Int64Schema)
	plan.timestamp = add(t.timestamp, connect.OptionalTimestampSchema, connect.TimestampSchema)
	plan.static = add(t.static, connect.OptionalStringSchema, connect.StringSchema)
	return plan, plan.schema.Check()
}

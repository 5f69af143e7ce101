package oracle

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/internal/javatext"
)

// Plugins are what the cases of a test may name.
type Plugins struct {
	registry *plugin.Registry
	envelope connect.Converter // JsonConverter, with schemas
	bare     connect.Converter // and without
}

// Load makes a registry of the plugins, JsonConverter among them. The answers were made
// in UTC, so that is the machine's zone until the test ends.
func Load(t *testing.T, lists ...[]plugin.Plugin) *Plugins {
	t.Helper()
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	var all []plugin.Plugin
	for _, l := range lists {
		all = append(all, l...)
	}
	registry, err := plugin.NewRegistry(all...)
	if err != nil {
		t.Fatal(err)
	}
	p := &Plugins{registry: registry}
	for to, schemas := range map[*connect.Converter]string{&p.envelope: "true", &p.bare: "false"} {
		found, err := registry.Find("JsonConverter", plugin.Converter)
		if err != nil {
			t.Fatal(err)
		}
		*to = found.New().(connect.Converter)
		if err := (*to).Configure(map[string]string{"schemas.enable": schemas}, false); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

type testCase struct {
	Name       string
	Chain      []stepCase
	Records    []recordCase
	Converter  string
	Config     map[string]any
	Write      []json.RawMessage
	Read       []json.RawMessage
	Definition string
}

type stepCase struct {
	Class     string
	Config    map[string]any
	Predicate *stepCase
	Negate    bool
}

type recordCase struct {
	Topic      string
	Partition  *int32
	Timestamp  *int64
	Offset     *int64
	Key, Value json.RawMessage
	Headers    []struct {
		Key   string
		Value json.RawMessage
	}
}

// answer is one record, value or bytes that came out. Missing members are nil.
type answer map[string]any

// Run compares every case of file, a path without .cases.json, with its golden answer.
// differs names answers that are not Java's, with the reason: they must differ.
func (p *Plugins) Run(t *testing.T, file string, differs map[string]string) {
	t.Helper()
	var cases []testCase
	var golden map[string]any
	for name, to := range map[string]any{".cases.json": &cases, ".golden.json": &golden} {
		data, err := os.ReadFile(file + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, to); err != nil {
			t.Fatalf("%s%s: %v", file, name, err)
		}
	}
	if len(cases) == 0 || len(cases) != len(golden) {
		t.Fatalf("%d cases have %d answers: run test/oracle/make.sh", len(cases), len(golden))
	}
	for _, c := range cases {
		got, err := normalize(p.run(t, c))
		if err != nil {
			t.Fatal(err)
		}
		problems := compare(c.Name, golden[c.Name], got)
		for _, problem := range problems {
			if differs[problem.place] == "" {
				t.Errorf("%s:\n got %s\nwant %s", problem.place, problem.got, problem.want)
			}
			delete(differs, problem.place)
		}
	}
	for place := range differs {
		t.Errorf("%s: is listed as different from Java, but it is not", place)
	}
}

// normalize brings what was made here into the types of parsed JSON.
func normalize(v any) (out any, err error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(data, &out)
}

type problem struct{ place, got, want string }

// compare lists the places that differ. Of errors, the messages of DataExceptions count;
// of others and of refused configurations only that there is one.
func compare(place string, want, got any) []problem {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		var out []problem
		if class, failed := w["error"].(string); failed {
			switch {
			case g["error"] == nil:
				return []problem{{place, text(got), text(want)}}
			case class == "org.apache.kafka.connect.errors.DataException" && ownMessage(g) != ownMessage(w):
				return []problem{{place, text(g["message"]), text(w["message"])}}
			}
			return nil
		}
		if w["refused"] != nil && g["refused"] != nil {
			return nil
		}
		for key, own := range w {
			if strings.HasSuffix(key, "JsonError") && g[key] != nil {
				continue // not what is tested
			}
			out = append(out, compare(place+"/"+key, own, g[key])...)
		}
		for key, own := range g {
			if _, known := w[key]; !known {
				out = append(out, problem{place + "/" + key, text(own), "nothing"})
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var out []problem
		for i := range w {
			out = append(out, compare(fmt.Sprintf("%s/%d", place, i), w[i], g[i])...)
		}
		return out
	}
	if text(want) == text(got) {
		return nil
	}
	return []problem{{place, text(got), text(want)}}
}

// ownMessage is a message without the colon that Java puts before a cause it does not show.
func ownMessage(failed map[string]any) string {
	return strings.TrimRight(fmt.Sprint(failed["message"]), ": ")
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (p *Plugins) run(t *testing.T, c testCase) any {
	t.Helper()
	switch {
	case c.Chain != nil:
		return p.chain(t, c)
	case c.Converter != "":
		return p.convert(t, c)
	}
	return p.definition(t, c.Definition)
}

func config(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}

type step struct {
	connect.Transformation
	when   connect.Predicate
	negate bool
}

func (p *Plugins) chain(t *testing.T, c testCase) any {
	t.Helper()
	var steps []step
	for _, s := range c.Chain {
		found, err := p.registry.Find(s.Class, plugin.Transformation)
		if err != nil {
			t.Fatal(err)
		}
		own := step{Transformation: found.New().(connect.Transformation), negate: s.Negate}
		if err := own.Configure(config(s.Config)); err != nil {
			return answer{"refused": err.Error()}
		}
		if s.Predicate != nil {
			if found, err = p.registry.Find(s.Predicate.Class, plugin.Predicate); err != nil {
				t.Fatal(err)
			}
			own.when = found.New().(connect.Predicate)
			if err := own.when.Configure(config(s.Predicate.Config)); err != nil {
				return answer{"refused": err.Error()}
			}
		}
		steps = append(steps, own)
	}
	out := []answer{}
	for _, r := range c.Records {
		out = append(out, p.record(steps, p.input(t, r)))
	}
	return out
}

func (p *Plugins) input(t *testing.T, c recordCase) *connect.Record {
	t.Helper()
	r := &connect.Record{Topic: "topic", Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp}
	if c.Topic != "" {
		r.Topic = c.Topic
	}
	if c.Partition != nil {
		r.Partition = *c.Partition
	}
	if c.Timestamp != nil {
		r.Timestamp = *c.Timestamp
	}
	if c.Offset != nil {
		r.Origin = &connect.Origin{Topic: r.Topic, Partition: r.Partition, Offset: *c.Offset}
	}
	r.KeySchema, r.Key = p.value(t, c.Key)
	r.ValueSchema, r.Value = p.value(t, c.Value)
	for _, h := range c.Headers {
		schema, value := p.value(t, h.Value)
		r.Headers = append(r.Headers, connect.Header{Key: h.Key, Schema: schema, Value: value})
	}
	return r
}

func (p *Plugins) record(steps []step, r *connect.Record) answer {
	for _, s := range steps {
		if s.when != nil {
			holds, err := s.when.Test(r)
			if err != nil {
				return failure(err)
			}
			if holds == s.negate {
				continue
			}
		}
		var err error
		if r, err = s.Apply(r); err != nil {
			return failure(err)
		}
		if r == nil {
			return answer{"dropped": true}
		}
	}
	out := answer{"topic": r.Topic}
	if r.Partition != connect.PartitionUnset {
		out["partition"] = r.Partition
	}
	if r.Timestamp != connect.NoTimestamp {
		out["timestamp"] = r.Timestamp
	}
	p.put(out, "key", r.KeySchema, r.Key)
	p.put(out, "value", r.ValueSchema, r.Value)
	var headers []answer
	for _, h := range r.Headers {
		own := answer{"key": h.Key}
		p.put(own, "value", h.Schema, h.Value)
		headers = append(headers, own)
	}
	if headers != nil {
		out["headers"] = headers
	}
	return out
}

// failure shows an error; of a *connect.DataError only its own message, without the cause,
// which Java keeps apart.
func failure(err error) answer {
	if d, ok := errors.AsType[*connect.DataError](err); ok {
		return answer{"error": "error", "message": d.Message}
	}
	return answer{"error": "error", "message": err.Error()}
}

func (p *Plugins) put(out answer, name string, schema *connect.Schema, value any) {
	out[name] = dump(value)
	data, err := p.envelope.FromConnectData("t", nil, schema, value)
	switch {
	case err != nil:
		out[name+"JsonError"] = failure(err)["message"]
	case data == nil:
		out[name+"Json"] = nil
	default:
		out[name+"Json"] = string(data)
	}
}

// codec is what converters and header converters have in common.
type codec struct {
	write func(*connect.Schema, any) ([]byte, error)
	read  func([]byte) (*connect.Schema, any, error)
}

func (p *Plugins) convert(t *testing.T, c testCase) any {
	t.Helper()
	var own codec
	var err error
	if found, findErr := p.registry.Find(c.Converter, plugin.Converter); findErr == nil {
		made := found.New().(connect.Converter)
		err = made.Configure(config(c.Config), false)
		own.write = func(s *connect.Schema, v any) ([]byte, error) { return made.FromConnectData("t", nil, s, v) }
		own.read = func(b []byte) (*connect.Schema, any, error) { return made.ToConnectData("t", nil, b) }
	} else {
		found, findErr := p.registry.Find(c.Converter, plugin.HeaderConverter)
		if findErr != nil {
			t.Fatal(findErr)
		}
		made := found.New().(connect.HeaderConverter)
		err = made.Configure(config(c.Config))
		own.write = func(s *connect.Schema, v any) ([]byte, error) { return made.FromConnectHeader("t", "h", s, v) }
		own.read = func(b []byte) (*connect.Schema, any, error) { return made.ToConnectHeader("t", "h", b) }
	}
	if err != nil {
		return answer{"refused": err.Error()}
	}
	out := map[string][]answer{}
	for _, v := range c.Write {
		schema, value := p.value(t, v)
		data, err := own.write(schema, value)
		switch {
		case err != nil:
			out["write"] = append(out["write"], failure(err))
		case data == nil:
			out["write"] = append(out["write"], answer{"bytes": nil})
		default:
			out["write"] = append(out["write"], answer{"bytes": latin(data)})
		}
	}
	for _, v := range c.Read {
		schema, value, err := own.read(input(t, v))
		if err != nil {
			out["read"] = append(out["read"], failure(err))
			continue
		}
		one := answer{}
		p.put(one, "value", schema, value)
		out["read"] = append(out["read"], one)
	}
	return out
}

// input is the bytes to read: null, a text, or {"bytes":"latin-1"}.
func input(t *testing.T, raw json.RawMessage) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	switch v := v.(type) {
	case string:
		return []byte(v)
	case map[string]any:
		return unlatin(v["bytes"].(string))
	}
	return nil
}

func latin(data []byte) string {
	var b strings.Builder
	for _, c := range data {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func unlatin(s string) []byte {
	out := []byte{}
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

func (p *Plugins) definition(t *testing.T, class string) any {
	t.Helper()
	found, err := p.registry.Find(class, plugin.Transformation, plugin.Predicate)
	if err != nil {
		if found, err = p.registry.Find(class, plugin.Converter); err != nil {
			found, err = p.registry.Find(class, plugin.HeaderConverter)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := []answer{}
	for _, k := range found.New().(interface{ ConfigDef() *connect.ConfigDef }).ConfigDef().Keys() {
		own := answer{"name": k.Name, "type": k.Type, "required": k.Required, "default": nil, "importance": k.Importance,
			"group": nil, "order": -1, "width": "NONE", "display": k.Name}
		if k.Default != nil {
			own["default"] = connect.FormatConfigValue(k.Default)
		}
		if k.Group != "" {
			own["group"], own["order"] = k.Group, k.OrderInGroup
		}
		if k.Width != "" {
			own["width"] = k.Width
		}
		if k.DisplayName != "" {
			own["display"] = k.DisplayName
		}
		keys = append(keys, own)
	}
	return keys
}

// value reads the notation of the cases.
func (p *Plugins) value(t *testing.T, raw json.RawMessage) (*connect.Schema, any) {
	t.Helper()
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var forms struct {
		JSON  *string
		Plain json.RawMessage
	}
	if err := json.Unmarshal(raw, &forms); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var schema *connect.Schema
	var value any
	var err error
	switch {
	case forms.JSON != nil:
		schema, value, err = p.bare.ToConnectData("t", nil, []byte(*forms.JSON))
	case forms.Plain != nil:
		value, err = plain(forms.Plain)
	default:
		schema, value, err = p.envelope.ToConnectData("t", nil, raw)
	}
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return schema, value
}

func plain(raw json.RawMessage) (any, error) {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return untag(v)
}

func untag(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = untag(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		for tag, n := range v {
			return tagged(tag, n)
		}
	}
	return v, nil
}

func tagged(tag string, n any) (any, error) {
	number := func(bits int) int64 {
		i, _ := strconv.ParseInt(fmt.Sprint(n), 10, bits) // the cases are right
		return i
	}
	switch tag {
	case "int8":
		return int8(number(8)), nil
	case "int16":
		return int16(number(16)), nil
	case "int32":
		return int32(number(32)), nil
	case "int64":
		return number(64), nil
	case "float32":
		f, err := strconv.ParseFloat(fmt.Sprint(n), 32)
		return float32(f), err
	case "float64":
		return strconv.ParseFloat(fmt.Sprint(n), 64)
	case "bytes":
		return unlatin(n.(string)), nil
	case "date":
		return time.UnixMilli(number(64)).UTC(), nil
	case "decimal":
		return connect.ParseDecimal(n.(string))
	case "map":
		entries := connect.MapEntries{}
		for _, pair := range n.([]any) {
			key, err := untag(pair.([]any)[0])
			if err != nil {
				return nil, err
			}
			value, err := untag(pair.([]any)[1])
			if err != nil {
				return nil, err
			}
			entries.Put(key, value)
		}
		javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
		return entries, nil
	}
	return nil, fmt.Errorf("unknown tag %s", tag)
}

// dump shows a value with its type, in the order in which Java iterates it.
func dump(v any) string {
	switch v := v.(type) {
	case string:
		return "'" + v + "'"
	case int8, int16, int32, int64, float32, float64:
		return fmt.Sprintf("%T:%s", v, javatext.String(v))
	case []byte:
		return "bytes:" + base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return "date:" + big.NewInt(v.UnixMilli()).String()
	case connect.Decimal:
		return "decimal:" + v.String()
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = dump(v[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any, connect.MapEntries:
		var items []string
		for _, e := range javatext.Entries(v) {
			items = append(items, dump(e.Key)+"="+dump(e.Value))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case *connect.StructValue:
		var items []string
		for i, f := range v.Schema().Fields {
			items = append(items, f.Name+"="+dump(v.RawAt(i)))
		}
		return "Struct{" + strings.Join(items, ", ") + "}"
	}
	return javatext.String(v)
}

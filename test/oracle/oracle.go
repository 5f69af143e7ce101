package oracle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tributary/connect"
	"tributary/connect/plugin"
)

// Plugins are what the cases of a test may name.
type Plugins struct {
	*Notation
	registry *plugin.Registry
}

// Load makes a registry of the plugins. The answers were made
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
	notation, err := NewNotation()
	if err != nil {
		t.Fatal(err)
	}
	return &Plugins{Notation: notation, registry: registry}
}

// answer is one record, value or bytes that came out. Missing members are nil.
type answer map[string]any

// Run compares every case of file, a path without .cases.json, with its golden answer.
// differs names answers that are not Java's, with the reason: they must differ.
func (p *Plugins) Run(t *testing.T, file string, differs map[string]string) {
	t.Helper()
	cases, golden := Cases(t, file), Golden(t, file)
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

func (p *Plugins) run(t *testing.T, c Case) any {
	t.Helper()
	switch {
	case c.Chain != nil:
		return p.chain(t, c)
	case c.Converter != "":
		return p.convert(t, c)
	}
	return p.definition(t, c.Definition)
}

type step struct {
	connect.Transformation
	when   connect.Predicate
	negate bool
}

func (p *Plugins) chain(t *testing.T, c Case) any {
	t.Helper()
	var steps []step
	for _, s := range c.Chain {
		found, err := p.registry.Find(s.Class, plugin.Transformation)
		if err != nil {
			t.Fatal(err)
		}
		own := step{Transformation: found.New().(connect.Transformation), negate: s.Negate}
		if err := own.Configure(s.Settings()); err != nil {
			return answer{"refused": err.Error()}
		}
		if s.Predicate != nil {
			if found, err = p.registry.Find(s.Predicate.Class, plugin.Predicate); err != nil {
				t.Fatal(err)
			}
			own.when = found.New().(connect.Predicate)
			if err := own.when.Configure(s.Predicate.Settings()); err != nil {
				return answer{"refused": err.Error()}
			}
		}
		steps = append(steps, own)
	}
	out := []answer{}
	for _, r := range c.Records {
		record, err := p.Record(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.record(steps, record))
	}
	return out
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
	return p.Show(r)
}

// failure shows an error; of a *connect.DataError only its own message, without the cause,
// which Java keeps apart.
func failure(err error) answer {
	if d, ok := errors.AsType[*connect.DataError](err); ok {
		return answer{"error": "error", "message": d.Message}
	}
	return answer{"error": "error", "message": err.Error()}
}

// codec is what converters and header converters have in common.
type codec struct {
	write func(*connect.Schema, any) ([]byte, error)
	read  func([]byte) (*connect.Schema, any, error)
}

func (p *Plugins) convert(t *testing.T, c Case) any {
	t.Helper()
	var own codec
	var err error
	if found, findErr := p.registry.Find(c.Converter, plugin.Converter); findErr == nil {
		made := found.New().(connect.Converter)
		err = made.Configure(Settings(c.Config), false)
		own.write = func(s *connect.Schema, v any) ([]byte, error) { return made.FromConnectData("t", nil, s, v) }
		own.read = func(b []byte) (*connect.Schema, any, error) { return made.ToConnectData("t", nil, b) }
	} else {
		found, findErr := p.registry.Find(c.Converter, plugin.HeaderConverter)
		if findErr != nil {
			t.Fatal(findErr)
		}
		made := found.New().(connect.HeaderConverter)
		err = made.Configure(Settings(c.Config))
		own.write = func(s *connect.Schema, v any) ([]byte, error) { return made.FromConnectHeader("t", "h", s, v) }
		own.read = func(b []byte) (*connect.Schema, any, error) { return made.ToConnectHeader("t", "h", b) }
	}
	if err != nil {
		return answer{"refused": err.Error()}
	}
	out := map[string][]answer{}
	for _, v := range c.Write {
		schema, value, err := p.Value(v)
		if err != nil {
			t.Fatal(err)
		}
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
		data, err := Bytes(v)
		if err != nil {
			t.Fatal(err)
		}
		schema, value, err := own.read(data)
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

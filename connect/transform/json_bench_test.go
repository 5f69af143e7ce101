package transform_test

import (
	"strings"
	"testing"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/transform"
)

// BenchmarkJSON sends a record of 1 kB through JSON with schema, Cast, ReplaceField, InsertField and JSON with schema.
func BenchmarkJSON(b *testing.B) {
	var chain []connect.Transformation
	for _, p := range transform.Plugins("1") {
		for class, config := range map[string]map[string]string{
			"Cast": {"spec": "number:string"}, "ReplaceField": {"renames": "document:text"}, "InsertField": {"static.field": "origin", "static.value": "bench"},
		} {
			if strings.HasSuffix(p.Class, "."+class+"$Value") {
				t := p.New().(connect.Transformation)
				if err := t.Configure(config); err != nil {
					b.Fatal(err)
				}
				chain = append(chain, t)
			}
		}
	}
	json := new(converter.JSON)
	if err := json.Configure(nil, false); err != nil {
		b.Fatal(err)
	}
	in := []byte(`{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"document"},{"type":"int64","optional":false,"field":"number"}],"optional":false},"payload":{"document":"` +
		strings.Repeat(`some text with \"quotes\", `, 36) + `","number":4711}}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		schema, value, err := json.ToConnectData("t", nil, in)
		if err != nil {
			b.Fatal(err)
		}
		r := &connect.Record{Topic: "t", ValueSchema: schema, Value: value}
		for _, t := range chain {
			if r, err = t.Apply(r); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := json.FromConnectData("t", nil, r.ValueSchema, r.Value); err != nil {
			b.Fatal(err)
		}
	}
}

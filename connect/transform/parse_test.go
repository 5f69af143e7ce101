package transform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/predicate"
	"tributary/connect/transform"
)

func find[T any](t *testing.T, plugins []plugin.Plugin, name string) T {
	t.Helper()
	registry, err := plugin.NewRegistry(plugins...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := registry.Find(name, plugin.Transformation, plugin.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	return p.New().(T)
}

// A mirror's records are bytes under the remote topic's name, which the registry has no
// subject for.
func mirrored(t *testing.T) (r *srfake.Registry, record *connect.Record) {
	t.Helper()
	r = srfake.New()
	t.Cleanup(r.Close)
	if _, _, err := r.RegisterSchema("orders-value", sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"region","type":"string"}]}`}); err != nil {
		t.Fatal(err)
	}
	return r, &connect.Record{Topic: "source.orders", KeySchema: connect.OptionalBytesSchema, Key: []byte("7"),
		ValueSchema: connect.OptionalBytesSchema, Value: []byte("\x00\x00\x00\x00\x01\x04eu"), Headers: []connect.Header{{Key: "h"}}}
}

func TestParseReadsTheBytesOfAMirror(t *testing.T) {
	r, record := mirrored(t)
	parse := find[connect.Transformation](t, transform.Plugins("1"), "Parse$Value")
	if err := parse.Configure(map[string]string{"converter": "AvroConverter", "converter.schema.registry.url": r.URL()}); err != nil {
		t.Fatal(err)
	}
	got, err := parse.Apply(record)
	if err != nil || fmt.Sprint(got.Value) != "Struct{region=eu}" || got.ValueSchema.Name != "Order" || string(got.Key.([]byte)) != "7" || len(got.Headers) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if string(record.Value.([]byte)) != "\x00\x00\x00\x00\x01\x04eu" {
		t.Error("the record was changed")
	}
	tombstone := *record
	tombstone.Value = nil
	if got, err := parse.Apply(&tombstone); err != nil || got.Value != nil {
		t.Errorf("a tombstone became %v, %v", got, err)
	}
	if _, err := parse.Apply(got); err == nil || !strings.Contains(err.Error(), "Parse reads bytes, but found: org.apache.kafka.connect.data.Struct") {
		t.Errorf("got %v", err)
	}
	key := find[connect.Transformation](t, transform.Plugins("1"), "tributary.transforms.Parse$Key")
	if err := key.Configure(map[string]string{"converter": "JsonConverter", "converter.schemas.enable": "false"}); err != nil {
		t.Fatal(err)
	}
	if got, err := key.Apply(record); err != nil || got.Key != int64(7) || got.KeySchema != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for want, config := range map[string]map[string]string{
		"Missing required configuration \"converter\"":                      {},
		"Failed to find any converter class which name matches NoConverter": {"converter": "NoConverter"},
		"Missing required configuration \"schema.registry.url\"":            {"converter": "AvroConverter"},
	} {
		if err := find[connect.Transformation](t, transform.Plugins("1"), "Parse$Value").Configure(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRecordMatchesLooksIntoValuesOfARegistry(t *testing.T) {
	r, record := mirrored(t)
	matches := find[connect.Predicate](t, predicate.Plugins("1"), "RecordMatches")
	config := map[string]string{"value.field": "region", "value.pattern": "e.", "value.converter": "AvroConverter", "value.converter.schema.registry.url": r.URL()}
	if err := matches.Configure(config); err != nil {
		t.Fatal(err)
	}
	if ok, err := matches.Test(record); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	other := *record
	other.Value = []byte("\x00\x00\x00\x00\x01\x04us")
	if ok, err := matches.Test(&other); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	other.Value = []byte(`{"region":"eu"}`)
	if _, err := matches.Test(&other); err == nil || !strings.Contains(err.Error(), "Cannot look up field region in the value: ") {
		t.Errorf("got %v", err)
	}
	r.Close()
	other.Value = []byte("\x00\x00\x00\x00\x02\x04us")
	if _, err := matches.Test(&other); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("got %v", err)
	} else if _, ok := err.(*connect.RetriableError); !ok {
		t.Errorf("%T %v is not retriable", err, err)
	}
	delete(config, "value.field")
	delete(config, "value.pattern")
	config["key.pattern"] = "x"
	if err := matches.Configure(config); err == nil || !strings.Contains(err.Error(), "value.converter is set, but value.field does not say") {
		t.Errorf("got %v", err)
	}
}

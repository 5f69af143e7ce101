package predicate_test

import (
	"errors"
	"testing"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/predicate"
)

func TestPredicatesLookAtTopicHeadersAndValue(t *testing.T) {
	registry, err := plugin.NewRegistry(predicate.Plugins("1")...)
	if err != nil {
		t.Fatal(err)
	}
	record := &connect.Record{Topic: "orders", Value: "v", Headers: []connect.Header{{Key: "a"}}}
	for _, c := range []struct {
		class, key, value string
		want              bool
	}{
		{"TopicNameMatches", "pattern", "ord.*", true}, {"TopicNameMatches", "pattern", "ord", false},
		{"HasHeaderKey", "name", "a", true}, {"HasHeaderKey", "name", "b", false}, {"RecordIsTombstone", "", "", false},
	} {
		found, err := registry.Find(c.class, plugin.Predicate)
		if err != nil {
			t.Fatal(err)
		}
		p := found.New().(connect.Predicate)
		if err := p.Configure(map[string]string{c.key: c.value}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Test(record); got != c.want || err != nil {
			t.Errorf("%s %s: got %t, %v", c.class, c.value, got, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if got, _ := new(predicate.RecordIsTombstone).Test(&connect.Record{}); !got {
		t.Error("a null value is no tombstone")
	}
}

func newRecordMatches(t *testing.T, config map[string]string) *predicate.RecordMatches {
	t.Helper()
	p := new(predicate.RecordMatches)
	if err := p.Configure(config); err != nil {
		t.Fatalf("%v: %v", config, err)
	}
	return p
}

func TestRecordMatchesWhenEveryConditionIsMet(t *testing.T) {
	record := &connect.Record{
		Topic: "orders", Timestamp: 1_700_000_000_000, Key: []byte("eu-17"),
		Value:   []byte(`{"region":"eu","amount":12.5,"id":7,"nested":{"a.b":true},"list":[1],"none":null}`),
		Headers: []connect.Header{{Key: "h", Value: []byte("one")}, {Key: "h", Value: []byte("two")}, {Key: "null"}},
	}
	for _, c := range []struct {
		config map[string]string
		want   bool
	}{
		{map[string]string{"key.pattern": "eu-.*"}, true},
		{map[string]string{"key.pattern": "eu"}, false},
		{map[string]string{"header.name": "h"}, true},
		{map[string]string{"header.name": "null"}, true},
		{map[string]string{"header.name": "null", "header.pattern": ".*"}, false},
		{map[string]string{"header.name": "h", "header.pattern": "two"}, true},
		{map[string]string{"header.name": "h", "header.pattern": "three"}, false},
		{map[string]string{"value.field": "region", "value.pattern": "eu|us"}, true},
		{map[string]string{"value.field": "amount", "value.pattern": "12\\.5"}, true},
		{map[string]string{"value.field": "id", "value.pattern": "7"}, true},
		{map[string]string{"value.field": "nested.`a.b`", "value.pattern": "true"}, true},
		{map[string]string{"value.field": "none"}, false},
		{map[string]string{"value.field": "missing.deeper"}, false},
		{map[string]string{"value.field": "id"}, true},
		{map[string]string{"timestamp.from": "2023-11-14T22:13:20Z"}, true},
		{map[string]string{"timestamp.to": "1700000000000"}, false},
		{map[string]string{"timestamp.from": "1700000000000", "timestamp.to": "1700000000001", "value.field": "region", "value.pattern": "us"}, false},
	} {
		if got, err := newRecordMatches(t, c.config).Test(record); got != c.want || err != nil {
			t.Errorf("%v: got %t, %v", c.config, got, err)
		}
	}
	schema := connect.StructOf(connect.Field{Name: "region", Schema: connect.StringSchema.WithDefault("eu")})
	region := newRecordMatches(t, map[string]string{"value.field": "region", "value.pattern": "eu"})
	for name, value := range map[string]any{"struct": connect.NewStruct(schema), "map": connect.MapEntries{{Key: "region", Value: "eu"}}, "text": `{"region":"eu"}`} {
		if got, err := region.Test(&connect.Record{Value: value}); !got || err != nil {
			t.Errorf("%s: got %t, %v", name, got, err)
		}
	}
	if got, err := region.Test(&connect.Record{}); got || err != nil {
		t.Errorf("a tombstone: got %t, %v", got, err)
	}
	for _, poison := range []string{"{", "7"} {
		_, err := region.Test(&connect.Record{Value: []byte(poison)})
		if _, ok := errors.AsType[*connect.DataError](err); !ok {
			t.Errorf("%s: got %v, want a DataError", poison, err)
		}
	}
	early := newRecordMatches(t, map[string]string{"timestamp.to": "1"})
	if got, _ := early.Test(&connect.Record{Timestamp: connect.NoTimestamp}); got {
		t.Error("a record without timestamp is not before any time")
	}
}

func TestRecordMatchesRefusesWhatCannotBeMeant(t *testing.T) {
	for want, config := range map[string]map[string]string{
		"no condition is set: one of key.pattern, header.name, value.field, timestamp.from and timestamp.to is needed":                         {},
		"header.pattern is set, but header.name does not say which header it is for":                                                           {"header.pattern": "a"},
		"value.pattern is set, but value.field does not say which field it is for":                                                             {"value.pattern": "a"},
		"Invalid value yesterday for configuration timestamp.from: It must be a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970": {"timestamp.from": "yesterday"},
	} {
		if err := new(predicate.RecordMatches).Configure(config); err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", config, err, want)
		}
	}
	for _, key := range []string{"key.pattern", "header.pattern", "value.pattern"} {
		if err := new(predicate.RecordMatches).Configure(map[string]string{key: "["}); err == nil {
			t.Errorf("%s: a broken pattern was accepted", key)
		}
	}
}

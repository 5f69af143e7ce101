package predicate_test

import (
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

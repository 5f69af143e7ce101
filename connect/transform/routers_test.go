package transform_test

import (
	"fmt"
	"testing"

	"tributary/connect"
	"tributary/connect/transform"
)

// A router remembers where topics go, and forgets when they are too many; what it answers is the same either way.
func TestRegexRouterAnswersAlikeHoweverOftenItIsAsked(t *testing.T) {
	router := find[connect.Transformation](t, transform.Plugins("1"), "org.apache.kafka.connect.transforms.RegexRouter")
	if err := router.Configure(map[string]string{"regex": "(.*)-(\\d+)", "replacement": "$2.$1"}); err != nil {
		t.Fatal(err)
	}
	route := func(topic string) *connect.Record {
		t.Helper()
		in := &connect.Record{Topic: topic, Value: topic}
		out, err := router.Apply(in)
		if err != nil {
			t.Fatal(err)
		}
		if in.Topic != topic {
			t.Fatalf("the record for %s that went in is for %s now", topic, in.Topic)
		}
		if out.Value != topic {
			t.Fatalf("the record for %s came out with the value %v", topic, out.Value)
		}
		if out.Topic == topic && out != in {
			t.Fatalf("the record for %s was copied without need", topic)
		}
		return out
	}
	const topics = 10_000 // more than are remembered
	for range 2 {
		for i := range topics {
			for range 2 {
				if got, want := route(fmt.Sprintf("orders-%d", i)).Topic, fmt.Sprintf("%d.orders", i); got != want {
					t.Fatalf("orders-%d was routed to %s, not %s", i, got, want)
				}
				if got := route("other").Topic; got != "other" {
					t.Fatalf("a topic that does not match was routed to %s", got)
				}
			}
		}
	}
	// Configured anew, it knows nothing of before.
	if err := router.Configure(map[string]string{"regex": "orders-(.*)", "replacement": "$1"}); err != nil {
		t.Fatal(err)
	}
	if got := route("orders-1").Topic; got != "1" {
		t.Fatalf("orders-1 was routed to %s, not 1", got)
	}
}

// A topic on which the pattern takes too long fails each time.
func TestRegexRouterDoesNotRememberFailures(t *testing.T) {
	router := find[connect.Transformation](t, transform.Plugins("1"), "org.apache.kafka.connect.transforms.RegexRouter")
	if err := router.Configure(map[string]string{"regex": "(a+)+\\1b", "replacement": "x"}); err != nil {
		t.Fatal(err)
	}
	topic := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"
	for range 2 {
		if out, err := router.Apply(&connect.Record{Topic: topic}); err == nil {
			t.Fatalf("the topic was routed to %s, and no match can be found in time", out.Topic)
		}
	}
}

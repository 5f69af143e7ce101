package kafka

import (
	"errors"
	"fmt"
	"testing"

	"tributary/internal/localkafka"
)

func TestManyTopicsAreCreatedWithFewRequestsAndEachWithAnErrorOfItsOwn(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	if err := a.CreateTopic(ctx, TopicSpec{Name: "topic-7", Partitions: 3, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	const count = 2*topicsTogether + 1
	specs := make([]TopicSpec, count)
	for i := range specs {
		specs[i] = TopicSpec{Name: fmt.Sprintf("topic-%d", i), Partitions: int32(1 + i%2), ReplicationFactor: 1}
	}
	specs[9].ReplicationFactor = 5
	requests := c.Count(localkafka.CreateTopics)

	errs := a.CreateTopics(ctx, specs)

	if requests.Hits() != 3 {
		t.Errorf("%d requests for %d topics, want 3", requests.Hits(), count)
	}
	want := map[int]error{7: ErrTopicExists, 9: ErrInvalidReplicationFactor}
	for i, err := range errs {
		if !errors.Is(err, want[i]) {
			t.Errorf("topic %d: %v, want %v", i, err, want[i])
		}
	}
	topics, err := a.ListTopics(ctx, false)
	if err != nil || len(topics) != count-1 || topics["topic-7"].Partitions != 3 || topics["topic-9"].Partitions != 0 {
		t.Errorf("%d topics (%v), want %d, the refused one not among them; topic 7 is %+v", len(topics), err, count-1, topics["topic-7"])
	}
	for i, spec := range specs {
		if got := topics[spec.Name].Partitions; want[i] == nil && got != spec.Partitions {
			t.Errorf("topic %d has %d partitions, want %d", i, got, spec.Partitions)
		}
	}
	if errs := a.CreateTopics(ctx, nil); len(errs) != 0 {
		t.Errorf("no topics, and errors %v", errs)
	}
}

func TestTopicsWhoseCreationMayYetSucceedAreTriedAgainAlone(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	requests := c.Count(localkafka.CreateTopics)
	c.Fail(localkafka.Fault{API: localkafka.CreateTopics, Code: int16(41), Topic: "b"}) // NOT_CONTROLLER
	spec := func(name string) TopicSpec { return TopicSpec{Name: name, Partitions: 1, ReplicationFactor: 1} }

	for i, err := range a.CreateTopics(ctx, []TopicSpec{spec("a"), spec("b"), spec("c")}) {
		if err != nil {
			t.Errorf("topic %d: %v", i, err)
		}
	}
	// Were a or c asked for again, they would exist.
	if topics, err := a.ListTopics(ctx, false); err != nil || len(topics) != 3 || requests.Hits() < 2 {
		t.Errorf("topics %v, %v after %d requests", topics, err, requests.Hits())
	}
}

func TestARequestHoldsAsManyTopicsAsAControllerTakes(t *testing.T) {
	of := func(partitions ...int32) (specs []TopicSpec) {
		for _, n := range partitions {
			specs = append(specs, TopicSpec{Partitions: n})
		}
		return specs
	}
	for name, test := range map[string]struct {
		specs []TopicSpec
		want  int
	}{
		"few":                  {of(1, 2, 3), 3},
		"many small ones":      {of(make([]int32, 1000)...), topicsTogether},
		"one that is too many": {of(partitionsTogether-1, 1, 1), 2},
		"a large one first":    {of(5*partitionsTogether, 1), 1},
	} {
		if got := together(test.specs); got != test.want {
			t.Errorf("%s: %d together, want %d", name, got, test.want)
		}
	}
}

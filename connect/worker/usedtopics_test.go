package worker

import (
	"testing"
	"testing/synctest"

	"tributary/connect"
)

func TestATopicIsToldOfOnceAndAgainAfterAReset(t *testing.T) {
	var resets int64
	u := &usedTopics{told: map[string]struct{}{}, resets: func() int64 { return resets }}
	for i, step := range []struct {
		reset bool
		topic string
		first bool
	}{
		{false, "a", true}, {false, "a", false}, {false, "b", true}, {false, "a", false},
		{true, "a", true}, {false, "a", false}, {false, "b", true}, {true, "b", true},
	} {
		if step.reset {
			resets++
		}
		if got := u.first(step.topic); got != step.first {
			t.Errorf("step %d: %s is told of: %v", i, step.topic, got)
		}
	}
	if (*usedTopics)(nil).first("a") {
		t.Error("topics are told of though they are not tracked")
	}
}

func TestATaskTellsItsTopicsAgainWhenTheyWereReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), record("a", 2, 0)}
		synctest.Wait()
		b.events.resets.Add(1)
		b.source.batches <- []*connect.SourceRecord{record("a", 3, 0), record("a", 4, 0)}
		synctest.Wait()
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 uses t")
		b.settle(t)
	})
}

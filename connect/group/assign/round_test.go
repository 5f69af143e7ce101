package assign

import (
	"maps"
	"reflect"
	"testing"
	"time"
)

func members(offsets map[string]int64) map[string]Member {
	result := map[string]Member{}
	for id, offset := range offsets {
		result[id] = Member{URL: "http://" + id + "/", ConfigOffset: offset}
	}
	return result
}

func TestLeaderAssignsAtTheRightConfigOffset(t *testing.T) {
	old := Configured{Offset: 5, Connectors: map[string]int{"old": 0}}
	tests := []struct {
		name      string
		offsets   map[string]int64
		fresh     *Configured
		mismatch  bool
		offset    int64
		connector string
		asksAgain bool
	}{
		{
			name:    "all members have read the same",
			offsets: map[string]int64{"w1": 5, "w2": 5},
			offset:  5, connector: "old",
		},
		{
			name:    "a member is behind the leader",
			offsets: map[string]int64{"w1": 5, "w2": -1},
			offset:  5, connector: "old",
		},
		{
			name:    "a fresh snapshot catches up, and its own offset is told",
			offsets: map[string]int64{"w1": 5, "w2": 7},
			fresh:   &Configured{Offset: 9, Connectors: map[string]int{"new": 0}},
			offset:  9, connector: "new", asksAgain: true,
		},
		{
			name:     "a fresh snapshot is still behind",
			offsets:  map[string]int64{"w1": 5, "w2": 7},
			fresh:    &Configured{Offset: 6, Connectors: map[string]int{"new": 0}},
			mismatch: true, offset: 7, asksAgain: true,
		},
		{
			name:     "there is no fresher snapshot",
			offsets:  map[string]int64{"w1": 5, "w2": 7},
			mismatch: true, offset: 7,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			r := Round{Leader: "w1", Members: members(test.offsets), Configured: old, Generation: 3}
			if test.fresh != nil {
				r.Fresh = func() Configured { asked++; return *test.fresh }
			}
			before := State{generation: 2, successive: 1}

			incremental, after := Incremental(Config{MaxDelay: time.Minute}, before, r)
			eager := Eager(r)

			if (asked == 2) != test.asksAgain || asked == 1 {
				t.Errorf("asked %d times for a fresh snapshot in two rounds", asked)
			}
			if changed := !reflect.DeepEqual(before, after); changed == test.mismatch {
				t.Errorf("state changed: %v, mismatch: %v", changed, test.mismatch)
			}
			for name, plan := range map[string]Plan{"incremental": incremental, "eager": eager} {
				if plan.Leader != "w1" || plan.LeaderURL != "http://w1/" || plan.Delay != 0 {
					t.Errorf("%s: %+v", name, plan)
				}
				if plan.Mismatch != test.mismatch || plan.ConfigOffset != test.offset {
					t.Errorf("%s: mismatch %v at offset %d", name, plan.Mismatch, plan.ConfigOffset)
				}
				want := map[string]Change{"w1": {}, "w2": {}}
				owners := map[string]string{}
				if test.connector != "" {
					want["w1"] = Change{Assigned: Work{Connectors: []string{test.connector}}}
					owners[test.connector] = "w1"
				}
				if !reflect.DeepEqual(plan.Members, want) {
					t.Errorf("%s: told %+v, want %+v", name, plan.Members, want)
				}
				if !maps.Equal(plan.Ownership.Connectors, owners) {
					t.Errorf("%s: owners %v, want %v", name, plan.Ownership.Connectors, owners)
				}
			}
		})
	}
}

func TestEagerDealsConnectorsThenTasksRoundRobin(t *testing.T) {
	plan := Eager(Round{
		Leader:  "w2",
		Members: members(map[string]int64{"w3": 1, "w1": 1, "w2": 1}),
		Configured: Configured{Offset: 1, Connectors: map[string]int{
			"b": 2, "a": 3, "c": 0, "d": 1,
		}},
	})

	got := showPlan(plan)
	want := "> w1 +a +d +a-2 +d-0\n" +
		"> w2 +b +a-0 +b-0\n" +
		"> w3 +c +a-1 +b-1\n"
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	if owner := plan.Ownership.Tasks[ConnectorTaskID{"b", 1}]; owner != "w3" {
		t.Errorf("b-1 belongs to %q, want w3", owner)
	}
	if plan.LeaderURL != "http://w2/" {
		t.Errorf("leader URL %q", plan.LeaderURL)
	}
}

func TestEagerIgnoresWhatMembersHold(t *testing.T) {
	held := members(map[string]int64{"w1": 1, "w2": 1})
	held["w2"] = Member{ConfigOffset: 1, Held: Work{Connectors: []string{"a", "gone"}}}

	got := showPlan(Eager(Round{
		Leader: "w1", Members: held,
		Configured: Configured{Offset: 1, Connectors: map[string]int{"a": 0}},
	}))

	if want := "> w1 +a\n> w2 .\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestRevokedWorkHasNoOwner(t *testing.T) {
	c := newCluster(time.Minute)
	c.configured.Connectors = map[string]int{"a": 1, "b": 1}
	c.join("w1")
	c.round()
	c.join("w2")

	plan := c.round()

	wantConnectors := map[string]string{"b": "w1"}
	wantTasks := map[ConnectorTaskID]string{{"b", 0}: "w1"}
	if !maps.Equal(plan.Ownership.Connectors, wantConnectors) || !maps.Equal(plan.Ownership.Tasks, wantTasks) {
		t.Errorf("owners %+v", plan.Ownership)
	}
}

// A delay of less than a millisecond would be cut to none on the wire, and
// lost work would wait for ever.
func TestDelaysAreWholeMilliseconds(t *testing.T) {
	c := newCluster(10*time.Millisecond + 700*time.Microsecond)
	c.configured.Connectors = map[string]int{"a": 0, "b": 0}
	c.join("w1")
	c.join("w2")
	c.round()
	c.crash("w2")
	c.now = c.now.Add(300 * time.Microsecond)
	if got := c.round().Delay; got != 10*time.Millisecond {
		t.Errorf("first delay %s, want 10ms", got)
	}
	c.now = c.now.Add(9*time.Millisecond + 500*time.Microsecond)
	if got := c.round().Delay; got != time.Millisecond {
		t.Errorf("rest of the delay %s, want 1ms", got)
	}
	c.now = c.now.Add(time.Millisecond)
	if plan := c.round(); plan.Delay != 0 || plan.Members["w1"].Assigned.Empty() {
		t.Errorf("after the delay: %+v", plan)
	}
}

func TestBackoffOfSuccessiveRevocations(t *testing.T) {
	tests := []struct {
		limit time.Duration
		want  []time.Duration // for 1, 2, ...
	}{
		{5 * time.Minute, []time.Duration{
			40 * time.Millisecond, 1600 * time.Millisecond, 64 * time.Second, 5 * time.Minute, 5 * time.Minute}},
		{time.Second, []time.Duration{40 * time.Millisecond, time.Second, time.Second}},
		{time.Millisecond, []time.Duration{time.Millisecond, time.Millisecond}},
		{0, []time.Duration{0, 0, 0}},
	}
	for _, test := range tests {
		for i, want := range test.want {
			if got := backoff(i+1, test.limit); got != want {
				t.Errorf("backoff(%d, %s) = %s, want %s", i+1, test.limit, got, want)
			}
		}
		if got := backoff(1<<30, test.limit); got != test.limit {
			t.Errorf("backoff(a billion, %s) = %s", test.limit, got)
		}
	}
}

func TestArgumentsAreNotModified(t *testing.T) {
	c := newCluster(time.Minute)
	c.configured.Connectors = map[string]int{"a": 2, "b": 2, "c": 2}
	c.join("w1")
	c.join("w2")
	c.join("w3")
	c.round()
	c.crash("w3")
	c.round()
	c.join("w4")
	c.now = c.now.Add(time.Second)
	r := Round{
		Leader: "w1", Generation: c.generation + 1, LastCompleted: c.generation,
		Configured: c.configured, Now: c.now.Add(2 * time.Minute),
		Members: map[string]Member{"w1": {Held: c.held["w1"]}, "w2": {Held: c.held["w2"]}, "w4": {}},
	}
	early := r
	early.Now = c.now

	first, _ := Incremental(c.cfg, c.state, r)
	Incremental(c.cfg, c.state, early)
	second, _ := Incremental(c.cfg, c.state, r)

	if !reflect.DeepEqual(first, second) {
		t.Errorf("the same round gave %+v, then %+v", first, second)
	}
	if showPlan(first) != "> w1 .\n> w2 .\n> w4 +c +b-0 +c-1\n" {
		t.Errorf("unexpected plan:\n%s", showPlan(first))
	}
}

func TestTaskIDsReadAsInStatusAndSortByNumber(t *testing.T) {
	id := ConnectorTaskID{Connector: "my-source", Task: 10}
	if id.String() != "my-source-10" {
		t.Errorf("String() = %q", id)
	}
	if id.Compare(ConnectorTaskID{"my-source", 9}) <= 0 || id.Compare(ConnectorTaskID{"n", 0}) >= 0 {
		t.Error("tasks must sort by connector, then by number")
	}
}

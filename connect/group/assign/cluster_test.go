package assign

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cluster is a group of simulated members that carry out the plans they get:
// the part of a worker that an assignor depends on.
type cluster struct {
	cfg        Config
	configured Configured
	now        time.Time

	held       map[string]Work   // by member id; what it runs
	completed  map[string]int32  // the last generation whose assignment arrived
	departed   map[string]bool   // who said goodbye since the last round
	urls       map[string]string // of members whose worker was started again
	generation int32
	leader     string
	state      State // the leader's
}

func newCluster(maxDelay time.Duration) *cluster {
	return &cluster{
		cfg:        Config{MaxDelay: maxDelay},
		configured: Configured{Connectors: map[string]int{}},
		now:        time.UnixMilli(1_700_000_000_000),
		held:       map[string]Work{},
		completed:  map[string]int32{},
		departed:   map[string]bool{},
		urls:       map[string]string{},
	}
}

func (c *cluster) url(id string) string {
	if url, ok := c.urls[id]; ok {
		return url
	}
	return "http://" + id + "/"
}

// restart makes a new member of the worker that a member was.
func (c *cluster) restart(old, id string) {
	c.urls[id] = c.url(old)
	c.join(id)
}

func (c *cluster) join(id string) {
	c.held[id] = Work{}
	c.completed[id] = -1
}

// crash ends a member without a word.
func (c *cluster) crash(id string) {
	delete(c.held, id)
	delete(c.completed, id)
}

func (c *cluster) goodbye(id string) {
	c.crash(id)
	c.departed[id] = true
}

func (c *cluster) ids() []string { return slices.Sorted(maps.Keys(c.held)) }

// round rebalances. Members in deaf do not receive their assignment.
func (c *cluster) round(deaf ...string) Plan {
	if _, ok := c.held[c.leader]; !ok {
		c.leader = c.ids()[0]
		c.state = State{}
	}
	c.generation++
	members := map[string]Member{}
	for id, work := range c.held {
		members[id] = Member{URL: c.url(id), ConfigOffset: c.configured.Offset, Held: work}
	}
	var plan Plan
	plan, c.state = Incremental(c.cfg, c.state, Round{
		Leader:        c.leader,
		Members:       members,
		Configured:    c.configured,
		Generation:    c.generation,
		LastCompleted: c.completed[c.leader],
		Departed:      c.departed,
		Now:           c.now,
	})
	c.departed = map[string]bool{}
	for id, change := range plan.Members {
		if slices.Contains(deaf, id) {
			continue
		}
		c.held[id] = carriedOut(c.held[id], change)
		c.completed[id] = c.generation
	}
	return plan
}

// carriedOut is what a member holds after a change, new work first.
func carriedOut(held Work, change Change) Work {
	return Work{
		Connectors: slices.Concat(change.Assigned.Connectors,
			without(held.Connectors, setOf(change.Revoked.Connectors...))),
		Tasks: slices.Concat(change.Assigned.Tasks,
			without(held.Tasks, setOf(change.Revoked.Tasks...))),
	}
}

// parseWork reads names of connectors (a) and tasks (a-0).
func parseWork(names ...string) (Work, error) {
	var w Work
	for _, name := range names {
		connector, number, isTask := strings.Cut(name, "-")
		if !isTask {
			w.Connectors = append(w.Connectors, connector)
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return Work{}, fmt.Errorf("task %q: %w", name, err)
		}
		w.Tasks = append(w.Tasks, ConnectorTaskID{Connector: connector, Task: n})
	}
	return w, nil
}

// show writes work as parseWork reads it, with a sign before each item.
func show(sign string, w Work) string {
	var b strings.Builder
	for _, name := range w.Connectors {
		fmt.Fprintf(&b, " %s%s", sign, name)
	}
	for _, id := range w.Tasks {
		fmt.Fprintf(&b, " %s%s", sign, id)
	}
	return b.String()
}

package assign

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const (
	modelSeeds  = 400
	modelEvents = 40
	// settleRounds bounds how long a cluster that is left alone may move work.
	settleRounds = 40
	calmRounds   = 3
)

// TestAnyHistoryConverges drives clusters through random joins, crashes,
// goodbyes, bounces, config changes, leader changes and lost assignments.
// Nothing ever runs twice; and once the cluster is left alone, everything
// configured runs exactly once, evenly spread, and nothing moves any more.
func TestAnyHistoryConverges(t *testing.T) {
	for seed := range uint64(modelSeeds) {
		rng := rand.New(rand.NewPCG(seed, 415))
		delays := []time.Duration{0, time.Millisecond, 5 * time.Second, 5 * time.Minute}
		m := model{
			cluster: newCluster(delays[rng.IntN(len(delays))]),
			rng:     rng,
		}
		for event := range modelEvents {
			m.step()
			if err := m.checkNothingTwice(); err != nil {
				t.Fatalf("seed %d, event %d: %v", seed, event, err)
			}
		}
		if err := m.settle(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := m.checkComplete(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestJoinMovesNoMoreThanTheShareOfTheNewMember checks that a balanced cluster
// gives a new member its even share, rounded down, and moves nothing else.
func TestJoinMovesNoMoreThanTheShareOfTheNewMember(t *testing.T) {
	for seed := range uint64(100) {
		m := model{cluster: newCluster(time.Minute), rng: rand.New(rand.NewPCG(seed, 415))}
		for range 1 + m.rng.IntN(6) {
			m.joinNew()
		}
		for range 1 + m.rng.IntN(10) {
			m.reconfigure()
		}
		if err := m.settle(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		before := maps.Clone(m.held)

		m.joinNew()
		if err := m.settle(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}

		var connectors, tasks int
		for id, work := range before {
			connectors += len(without(work.Connectors, setOf(m.held[id].Connectors...)))
			tasks += len(without(work.Tasks, setOf(m.held[id].Tasks...)))
			added := without(m.held[id].Connectors, setOf(work.Connectors...))
			if len(added) > 0 {
				t.Fatalf("seed %d: old member %s gained %v", seed, id, added)
			}
		}
		wantConnectors, wantTasks := m.totals()
		wantConnectors /= len(m.held)
		wantTasks /= len(m.held)
		if connectors != wantConnectors || tasks != wantTasks {
			t.Fatalf("seed %d: moved %d connectors and %d tasks, want %d and %d",
				seed, connectors, tasks, wantConnectors, wantTasks)
		}
	}
}

// model is a cluster that random things happen to.
type model struct {
	*cluster
	rng    *rand.Rand
	joined int
	delay  time.Duration
}

func (m *model) joinNew() {
	m.joined++
	m.join(fmt.Sprintf("w%03d", m.joined))
}

func (m *model) anybody() string {
	ids := m.ids()
	return ids[m.rng.IntN(len(ids))]
}

// reconfigure creates a connector or changes its number of tasks.
func (m *model) reconfigure() {
	m.configured.Offset++
	m.configured.Connectors = maps.Clone(m.configured.Connectors)
	m.configured.Connectors[fmt.Sprintf("c%d", m.rng.IntN(12))] = m.rng.IntN(7)
}

func (m *model) remove() {
	m.configured.Offset++
	m.configured.Connectors = maps.Clone(m.configured.Connectors)
	delete(m.configured.Connectors, fmt.Sprintf("c%d", m.rng.IntN(12)))
}

// step lets something happen, lets some time pass, and rebalances. Some
// members may miss the outcome.
func (m *model) step() {
	for range 1 + m.rng.IntN(2) {
		switch event := m.rng.IntN(10); {
		case len(m.held) == 0 || event < 3 && len(m.held) < 8:
			m.joinNew()
		case event < 4:
			m.crash(m.anybody())
		case event < 5:
			m.goodbye(m.anybody())
		case event < 6: // a bounce: back under a new id, mostly at the same address
			old := m.anybody()
			m.crash(old)
			m.joinNew()
			if m.rng.IntN(4) > 0 {
				m.urls[m.ids()[len(m.held)-1]] = m.url(old)
			}
		case event < 7:
			m.remove()
		default:
			m.reconfigure()
		}
	}
	if len(m.held) == 0 {
		m.joinNew()
	}
	if m.rng.IntN(2) == 0 {
		m.now = m.now.Add(m.delay)
	} else {
		m.now = m.now.Add(time.Duration(m.rng.Int64N(int64(2 * time.Second))))
	}
	var deaf []string
	for m.rng.IntN(4) == 0 {
		deaf = append(deaf, m.anybody())
	}
	m.delay = m.round(deaf...).Delay
}

// settle rebalances as the members ask for it, until nothing has changed for
// some rounds.
func (m *model) settle() error {
	calm := 0
	for range settleRounds {
		plan := m.round()
		if err := m.checkNothingTwice(); err != nil {
			return err
		}
		m.now = m.now.Add(plan.Delay)
		calm++
		if plan.Delay != 0 {
			calm = 0
		}
		for _, change := range plan.Members {
			if !change.Assigned.Empty() || !change.Revoked.Empty() {
				calm = 0
			}
		}
		if calm == calmRounds {
			return nil
		}
	}
	return fmt.Errorf("work still moves after %d rounds", settleRounds)
}

func (m *model) checkNothingTwice() error {
	runs := map[string]string{}
	for _, id := range m.ids() {
		names := slices.Clone(m.held[id].Connectors)
		for _, task := range m.held[id].Tasks {
			names = append(names, task.String())
		}
		for _, name := range names {
			if other, ok := runs[name]; ok {
				return fmt.Errorf("%s runs on %s and on %s", name, other, id)
			}
			runs[name] = id
		}
	}
	return nil
}

// checkComplete asks for every configured item, and nothing else, to run, for
// an even load, and for the leader to know where everything is.
func (m *model) checkComplete() error {
	want := Ownership{Connectors: map[string]string{}, Tasks: map[ConnectorTaskID]string{}}
	least, most := [2]int{1 << 30, 1 << 30}, [2]int{}
	for id, work := range m.held {
		for _, name := range work.Connectors {
			want.Connectors[name] = id
			if _, ok := m.configured.Connectors[name]; !ok {
				return fmt.Errorf("connector %s runs but is not configured", name)
			}
		}
		for _, task := range work.Tasks {
			want.Tasks[task] = id
			if task.Task >= m.configured.Connectors[task.Connector] {
				return fmt.Errorf("task %s runs but is not configured", task)
			}
		}
		for i, n := range [2]int{len(work.Connectors), len(work.Tasks)} {
			least[i], most[i] = min(least[i], n), max(most[i], n)
		}
	}
	connectors, tasks := m.totals()
	if len(want.Connectors) != connectors || len(want.Tasks) != tasks {
		return fmt.Errorf("%d connectors and %d tasks run, want %d and %d",
			len(want.Connectors), len(want.Tasks), connectors, tasks)
	}
	for i, kind := range [2]string{"connectors", "tasks"} {
		if most[i]-least[i] > 1 {
			return fmt.Errorf("members have from %d to %d %s", least[i], most[i], kind)
		}
	}
	got := m.round().Ownership
	if !maps.Equal(got.Connectors, want.Connectors) || !maps.Equal(got.Tasks, want.Tasks) {
		return fmt.Errorf("the leader believes in %v, members run %v", got, want)
	}
	return nil
}

func (m *model) totals() (connectors, tasks int) {
	for _, n := range m.configured.Connectors {
		connectors++
		tasks += n
	}
	return connectors, tasks
}

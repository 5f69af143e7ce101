package assign

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// settledModel is a cluster with some members and connectors that has come to rest.
func settledModel(t *testing.T, seed uint64, delay time.Duration) *model {
	t.Helper()
	m := &model{cluster: newCluster(delay), rng: rand.New(rand.NewPCG(seed, 5))}
	for range 2 + m.rng.IntN(6) {
		m.joinNew()
	}
	for range 1 + m.rng.IntN(12) {
		m.reconfigure()
	}
	if err := m.settle(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return m
}

// lost counts what each of the members held before and does not hold now.
func (m *model) lost(before map[string]Work) (connectors, tasks int) {
	for id, work := range before {
		if _, here := m.held[id]; !here {
			continue
		}
		connectors += len(without(work.Connectors, setOf(m.held[id].Connectors...)))
		tasks += len(without(work.Tasks, setOf(m.held[id].Tasks...)))
	}
	return connectors, tasks
}

// needed is how much has to be taken from members with these loads for an even spread of
// the total: the most loaded may keep the share rounded up, as many as there are such shares.
func needed(loads []int, total int) (moves int) {
	slices.SortFunc(loads, func(a, b int) int { return b - a })
	for i, n := range loads {
		share := total / len(loads)
		if i < total%len(loads) {
			share++
		}
		moves += max(0, n-share)
	}
	return moves
}

// TestNothingMovesWithoutNeed drives settled clusters through one event each: a member
// that leaves, by a crash or a goodbye, takes nothing from those who stay; one that
// is started again gets its work back and no other work moves; new, changed and deleted
// connectors move no other work than an even spread asks for; and a mere rebalance moves
// nothing.
func TestNothingMovesWithoutNeed(t *testing.T) {
	for seed := range uint64(120) {
		delay := []time.Duration{0, 5 * time.Second}[seed%2]
		for name, event := range map[string]func(m *model) error{
			"a rebalance": func(m *model) error {
				before := maps.Clone(m.held)
				return m.unmoved(before)
			},
			"a crash": func(m *model) error {
				before := maps.Clone(m.held)
				m.crash(m.anybody())
				return m.unmoved(before)
			},
			"a goodbye": func(m *model) error {
				before := maps.Clone(m.held)
				m.goodbye(m.anybody())
				return m.unmoved(before)
			},
			"a worker that is started again": func(m *model) error {
				before := maps.Clone(m.held)
				old := m.anybody()
				if delay == 0 || old == m.leader {
					return nil // nobody waits, or the leader's memory is gone: the work is dealt out at once
				}
				m.crash(old)
				m.round()
				m.joinNew()
				back := m.ids()[len(m.held)-1]
				m.urls[back] = m.url(old)
				if err := m.unmoved(before); err != nil {
					return err
				}
				if got, want := len(m.held[back].Tasks), len(before[old].Tasks); got != want {
					return fmt.Errorf("it has %d tasks, want %d", got, want)
				}
				if kept := without(before[old].Tasks, setOf(m.held[back].Tasks...)); len(kept) > 0 {
					return fmt.Errorf("it has not got back %v", kept)
				}
				return nil
			},
			"a changed connector": func(m *model) error {
				before := maps.Clone(m.held)
				// What goes away with the change has not moved.
				m.reconfigure()
				return m.movedAsNeeded(before)
			},
			"a deleted connector": func(m *model) error {
				before := maps.Clone(m.held)
				m.remove()
				return m.movedAsNeeded(before)
			},
		} {
			m := settledModel(t, seed, delay)
			if err := event(m); err != nil {
				t.Errorf("seed %d: %s: %v", seed, name, err)
			}
			if err := m.checkComplete(); err != nil {
				t.Errorf("seed %d: after %s: %v", seed, name, err)
			}
		}
	}
}

// unmoved settles the cluster and wants every member that is still there to hold what it held.
func (m *model) unmoved(before map[string]Work) error {
	if err := m.settle(); err != nil {
		return err
	}
	if connectors, tasks := m.lost(before); connectors+tasks > 0 {
		return fmt.Errorf("%d connectors and %d tasks were taken from members that stayed", connectors, tasks)
	}
	return nil
}

// movedAsNeeded settles the cluster and wants no more to be taken from members than an even
// spread of what is configured now asks for.
func (m *model) movedAsNeeded(before map[string]Work) error {
	var connectorLoads, taskLoads []int
	configured := map[string]Work{}
	for id, work := range before {
		var kept Work
		for _, name := range work.Connectors {
			if _, ok := m.configured.Connectors[name]; ok {
				kept.Connectors = append(kept.Connectors, name)
			}
		}
		for _, task := range work.Tasks {
			if task.Task < m.configured.Connectors[task.Connector] {
				kept.Tasks = append(kept.Tasks, task)
			}
		}
		configured[id] = kept
		connectorLoads, taskLoads = append(connectorLoads, len(kept.Connectors)), append(taskLoads, len(kept.Tasks))
	}
	if err := m.settle(); err != nil {
		return err
	}
	connectors, tasks := m.lost(configured)
	allConnectors, allTasks := m.totals()
	if most := needed(connectorLoads, allConnectors); connectors > most {
		return fmt.Errorf("%d connectors were taken from members, %d had to be", connectors, most)
	}
	if most := needed(taskLoads, allTasks); tasks > most {
		return fmt.Errorf("%d tasks were taken from members, %d had to be", tasks, most)
	}
	return nil
}

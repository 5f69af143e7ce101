package assign

import (
	"maps"
	"slices"
)

// Eager deals all connectors and then all tasks round robin onto the members.
// Members hold nothing at this point: the eager protocol stops the world.
//
// Connectors go first, and the tasks continue where they ended. Dealing each
// connector together with its tasks would give half of the members only
// connectors and the other half only tasks when connectors have one task each.
func Eager(r Round) Plan {
	snapshot, offset, ok := r.catchUp()
	if !ok {
		return r.mismatch(offset)
	}
	p := r.plan(offset)
	members := r.memberIDs()
	if len(members) == 0 {
		return p
	}
	dealt := 0
	next := func() string {
		id := members[dealt%len(members)]
		dealt++
		return id
	}
	connectors := slices.Sorted(maps.Keys(snapshot.Connectors))
	for _, name := range connectors {
		id := next()
		change := p.Members[id]
		change.Assigned.Connectors = append(change.Assigned.Connectors, name)
		p.Members[id] = change
		p.Ownership.Connectors[name] = id
	}
	for _, name := range connectors {
		for n := range snapshot.Connectors[name] {
			id, task := next(), ConnectorTaskID{Connector: name, Task: n}
			change := p.Members[id]
			change.Assigned.Tasks = append(change.Assigned.Tasks, task)
			p.Members[id] = change
			p.Ownership.Tasks[task] = id
		}
	}
	return p
}

package assign

import (
	"maps"
	"slices"
	"time"
)

// Round is everything a leader knows when it is asked to assign.
type Round struct {
	// Leader is the leader's own member id, a key of Members.
	Leader string
	// Members are all members of this generation by member id.
	Members map[string]Member
	// Configured is the leader's snapshot of the config topic, the one whose
	// offset it reported when it joined.
	Configured Configured
	// Fresh, if not nil, returns a newer snapshot without blocking. It is
	// called at most once, and only when a member has read further than
	// Configured.
	Fresh func() Configured

	// The fields below matter to the incremental assignor alone.

	// Generation is the generation that this round belongs to.
	Generation int32
	// LastCompleted is the last generation for which the leader received its
	// own assignment, -1 if there was none.
	LastCompleted int32
	// Departed holds member ids that said goodbye: their work is known to
	// have stopped for good, so it is placed anew at once instead of waiting
	// for them to come back. Ids of present or unknown members do no harm.
	Departed map[string]bool
	// Now is the leader's wall clock.
	Now time.Time
}

// Change is what one member is told in a round.
type Change struct {
	// Assigned is work to start. The incremental assignor lists only what
	// comes on top of the work held, the eager one lists everything.
	Assigned Work
	// Revoked is work to stop.
	Revoked Work
}

// Plan is the outcome of a round. Every member is told the same leader,
// config offset and delay, and its own Change.
type Plan struct {
	Leader    string
	LeaderURL string
	// Mismatch says that a member has read further in the config topic than
	// the leader, who therefore cannot assign. Members keep what they hold,
	// read to the end and join again.
	Mismatch bool
	// ConfigOffset is the offset that members must have read up to before
	// they act on the plan.
	ConfigOffset int64
	// Delay is the time, in whole milliseconds, after which members join
	// again so that work of missing workers can be placed; 0 for none.
	Delay time.Duration
	// Members has an entry for each member, possibly with empty lists.
	Members map[string]Change
	// Ownership says who runs what once the plan is carried out. It is empty
	// on a mismatch.
	Ownership Ownership
}

// Ownership maps each placed connector and task to a member id.
type Ownership struct {
	Connectors map[string]string
	Tasks      map[ConnectorTaskID]string
}

// catchUp picks the snapshot to assign from. The offset returned is what the
// members are told; ok is false when even a fresh snapshot is behind the
// furthest member.
func (r Round) catchUp() (snapshot Configured, offset int64, ok bool) {
	furthest := int64(-1)
	for _, m := range r.Members {
		furthest = max(furthest, m.ConfigOffset)
	}
	if r.Configured.Offset >= furthest {
		return r.Configured, furthest, true
	}
	if r.Fresh != nil {
		if fresh := r.Fresh(); fresh.Offset >= furthest {
			return fresh, fresh.Offset, true
		}
	}
	return Configured{}, furthest, false
}

func (r Round) memberIDs() []string {
	return slices.Sorted(maps.Keys(r.Members))
}

// plan is an empty plan for the round's members.
func (r Round) plan(offset int64) Plan {
	p := Plan{
		Leader:       r.Leader,
		LeaderURL:    r.Members[r.Leader].URL,
		ConfigOffset: offset,
		Members:      make(map[string]Change, len(r.Members)),
		Ownership: Ownership{
			Connectors: map[string]string{},
			Tasks:      map[ConnectorTaskID]string{},
		},
	}
	for id := range r.Members {
		p.Members[id] = Change{}
	}
	return p
}

// mismatch is the plan that sends everybody back to the config topic.
func (r Round) mismatch(offset int64) Plan {
	p := r.plan(offset)
	p.Mismatch = true
	return p
}

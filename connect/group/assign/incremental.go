package assign

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Config holds the leader's settings for the incremental assignor.
type Config struct {
	// MaxDelay is scheduled.rebalance.max.delay.ms, in whole milliseconds:
	// how long the work of a missing worker waits for it to come back, and
	// the cap of the delay between rounds that move work. 0 turns both off.
	MaxDelay time.Duration
}

// State is what the incremental assignor remembers from one round to the
// next. The zero value is that of a new leader. A leader may keep its state
// when leadership moves away: a round whose LastCompleted is not the
// generation of the state starts from what the members report.
type State struct {
	assigned   inventory         // believed to be placed, lost work included
	revoked    inventory         // revoked in the last round
	generation int32             // in which assigned was computed
	members    []string          // of the last round
	owners     Ownership         // who had what; lost work keeps its last owner
	urls       map[string]string // of the owners and members, by member id

	// revokedForBalance says that the last round moved work for balance.
	revokedForBalance bool
	// successive counts balancing rounds that followed one upon another.
	successive int

	scheduled time.Time // when the delayed round is due; zero if none is
	delay     time.Duration
	// candidates are members seen without work while lost work waited, in
	// the order of their appearance: one of them may be the missing worker
	// under a new member id, so the lost work goes to them first.
	candidates []string
}

type inventory struct {
	connectors set[string]
	tasks      set[ConnectorTaskID]
}

// Incremental assigns by the incremental cooperative algorithm: work stays
// where it is, and only what is new, lost, deleted, held twice or needed for
// balance moves. Work to be moved is revoked in one round and placed in the
// next, which the members start by joining again after a revocation.
//
// On a mismatch of config offsets the state comes back unchanged.
func Incremental(cfg Config, state State, r Round) (Plan, State) {
	snapshot, offset, ok := r.catchUp()
	if !ok {
		return r.mismatch(offset), state
	}
	a := newAssigner(cfg, state, r, snapshot)
	a.derive(r.LastCompleted)
	a.findReturned(r.Members)
	reassign := a.handleLost(r.Departed)
	a.balance()
	a.connectors.assign(slices.Concat(a.connectors.created, reassign.Connectors))
	a.tasks.assign(slices.Concat(a.tasks.created, reassign.Tasks))
	return a.finish(r, offset)
}

// assigner is one round in the making; the state in it is its own copy.
type assigner struct {
	State
	maxDelay   time.Duration
	now        time.Time
	present    []string // member ids, sorted
	connectors *book[string]
	tasks      *book[ConnectorTaskID]
	// returned maps members that are missing to the new member ids of their workers.
	returned map[string]string
}

func newAssigner(cfg Config, state State, r Round, snapshot Configured) *assigner {
	names, ids := set[string]{}, set[ConnectorTaskID]{}
	for name, tasks := range snapshot.Connectors {
		names.add(name)
		for n := range tasks {
			ids.add(ConnectorTaskID{Connector: name, Task: n})
		}
	}
	members := r.memberIDs()
	state.candidates = slices.Clone(state.candidates)
	return &assigner{
		State:    state,
		maxDelay: cfg.MaxDelay.Truncate(time.Millisecond),
		// The wire carries milliseconds. With a finer clock the rest of a
		// delay could be cut to 0 on its way, and the round would never come.
		now:     r.Now.Truncate(time.Millisecond),
		present: members,
		connectors: newBook(members, cmp.Compare[string], names,
			func(m string) []string { return r.Members[m].Held.Connectors }),
		tasks: newBook(members, ConnectorTaskID.Compare, ids,
			func(m string) []ConnectorTaskID { return r.Members[m].Held.Tasks }),
	}
}

// derive settles what was assigned before and sets up both books with it.
func (a *assigner) derive(lastCompleted int32) {
	if a.generation != lastCompleted {
		// The members never got what this leader computed, or another leader
		// has assigned since.
		a.assigned = inventory{}
	}
	if a.revoked.connectors.meets(a.connectors.active) || a.revoked.tasks.meets(a.tasks.active) {
		// A revocation did not take effect: what runs is what is assigned.
		a.assigned = inventory{connectors: a.connectors.active, tasks: a.tasks.active}
	}
	a.connectors.derive(a.assigned.connectors)
	a.tasks.derive(a.assigned.tasks)
}

// findReturned recognises workers that were started again, by their URL: what they ran
// is theirs to run again, and waiting any longer would serve nothing. (The Java worker
// does not look, and waits for the end of the delay.)
func (a *assigner) findReturned(members map[string]Member) {
	byURL := map[string]string{}
	for _, id := range a.present {
		if slices.Contains(a.members, id) {
			continue // it was never away
		}
		if url := members[id].URL; url != "" {
			byURL[url] = id
		}
	}
	a.returned = map[string]string{}
	for id, url := range a.urls {
		if now, ok := byURL[url]; ok && !slices.Contains(a.present, id) {
			a.returned[id] = now
		}
	}
}

// handleLost decides what happens to work that was assigned and is run by
// nobody. It returns what is to be placed like new work, deals to candidates
// itself, and sets the delay while there is reason to wait.
func (a *assigner) handleLost(departed map[string]bool) (reassign Work) {
	reassign, lost := a.splitLost(departed)
	all := func() Work {
		return Work{
			Connectors: slices.Concat(reassign.Connectors, lost.Connectors),
			Tasks:      slices.Concat(reassign.Tasks, lost.Tasks),
		}
	}
	if lost.Empty() && !a.revokedForBalance {
		a.resetDelay()
		return reassign
	}
	if a.scheduled.IsZero() && a.nobodyMissing(departed) {
		// Everybody is here, so a member failed to receive its assignment.
		return all()
	}
	if a.maxDelay == 0 {
		return all()
	}
	if a.scheduled.IsZero() || a.now.Before(a.scheduled) {
		a.wait()
		return reassign
	}
	candidates := slices.DeleteFunc(slices.Clone(a.candidates), func(m string) bool {
		return !slices.Contains(a.present, m)
	})
	a.resetDelay()
	// The full delay has gone by: balancing may revoke again at once.
	a.revokedForBalance = false
	if len(candidates) == 0 {
		return all()
	}
	a.connectors.deal(lost.Connectors, candidates)
	a.tasks.deal(lost.Tasks, candidates)
	return reassign
}

// splitLost divides the lost work into that of members who left for good and that of
// members who may come back. What belongs to members who are back is given to them.
func (a *assigner) splitLost(departed map[string]bool) (gone, lost Work) {
	gone.Connectors, lost.Connectors = splitLost(a.connectors, a.owners.Connectors, a.returned, departed)
	gone.Tasks, lost.Tasks = splitLost(a.tasks, a.owners.Tasks, a.returned, departed)
	return gone, lost
}

func splitLost[T comparable](b *book[T], owners map[T]string, returned map[string]string, departed map[string]bool) (gone, lost []T) {
	for _, item := range b.lost {
		owner := owners[item]
		if now, back := returned[owner]; back {
			b.next[now] = append(b.next[now], item)
		} else if departed[owner] {
			gone = append(gone, item)
		} else {
			lost = append(lost, item)
		}
	}
	return gone, lost
}

func (a *assigner) nobodyMissing(departed map[string]bool) bool {
	return !slices.ContainsFunc(a.members, func(m string) bool {
		return !departed[m] && a.returned[m] == "" && !slices.Contains(a.present, m)
	})
}

// wait starts or continues the delay and notes the members without work.
func (a *assigner) wait() {
	for _, member := range a.present {
		if a.idle(member) && !slices.Contains(a.candidates, member) {
			a.candidates = append(a.candidates, member)
		}
	}
	a.delay = a.maxDelay
	if !a.scheduled.IsZero() {
		a.delay = min(a.scheduled.Sub(a.now), a.maxDelay)
	}
	a.scheduled = a.now.Add(a.delay)
}

func (a *assigner) resetDelay() {
	a.candidates, a.scheduled, a.delay = nil, time.Time{}, 0
}

func (a *assigner) idle(member string) bool {
	return len(a.connectors.next[member]) == 0 && len(a.tasks.next[member]) == 0
}

// balance revokes what members have too much of. Rounds that revoke must not
// follow closely upon each other: a second one waits, longer each time.
func (a *assigner) balance() {
	if a.delay != 0 {
		a.revokedForBalance = false
		return
	}
	connectors, tasks := a.surplus()
	switch {
	case len(connectors) == 0 && len(tasks) == 0:
		if a.revokedForBalance {
			a.revokedForBalance = false
			a.successive = 0
		}
		return
	case a.revokedForBalance:
		a.successive++
		if a.delay = backoff(a.successive, a.maxDelay); a.delay != 0 {
			a.scheduled = a.now.Add(a.delay)
			return
		}
	default:
		a.revokedForBalance = true
	}
	a.connectors.revoke(connectors)
	a.tasks.revoke(tasks)
}

func (a *assigner) surplus() (map[string][]string, map[string][]ConnectorTaskID) {
	if !slices.ContainsFunc(a.present, func(m string) bool { return !a.idle(m) }) {
		return nil, nil
	}
	if len(a.connectors.configured) == 0 && len(a.tasks.configured) == 0 {
		return nil, nil
	}
	return a.connectors.surplus(), a.tasks.surplus()
}

// finish writes the plan and the state for the next round.
func (a *assigner) finish(r Round, offset int64) (Plan, State) {
	p := r.plan(offset)
	p.Delay = a.delay
	for _, member := range a.present {
		p.Members[member] = Change{
			Assigned: Work{
				Connectors: a.connectors.assigned(member),
				Tasks:      a.tasks.assigned(member),
			},
			Revoked: Work{
				Connectors: a.connectors.revoked[member],
				Tasks:      a.tasks.revoked[member],
			},
		}
	}
	p.Ownership = Ownership{Connectors: a.connectors.placed(), Tasks: a.tasks.placed()}

	a.owners = Ownership{
		Connectors: keepOwners(p.Ownership.Connectors, a.owners.Connectors, a.connectors.lost),
		Tasks:      keepOwners(p.Ownership.Tasks, a.owners.Tasks, a.tasks.lost),
	}
	a.assigned.connectors, a.revoked.connectors = a.connectors.ledger()
	a.assigned.tasks, a.revoked.tasks = a.tasks.ledger()
	a.generation = r.Generation
	a.members = a.present
	a.urls = a.keepURLs(r.Members)
	return p, a.State
}

// keepURLs are the URLs of the members and of those who had work that is still lost.
func (a *assigner) keepURLs(members map[string]Member) map[string]string {
	urls := make(map[string]string, len(members))
	keep := func(owner string) {
		if url, ok := a.urls[owner]; ok {
			urls[owner] = url
		}
	}
	for _, item := range a.connectors.lost {
		keep(a.owners.Connectors[item])
	}
	for _, item := range a.tasks.lost {
		keep(a.owners.Tasks[item])
	}
	for id, member := range members {
		urls[id] = member.URL
	}
	return urls
}

// keepOwners adds to the new owners the last known one of lost work that was
// not placed, so that a late goodbye of its owner still finds it.
func keepOwners[T comparable](placed, before map[T]string, lost []T) map[T]string {
	owners := maps.Clone(placed)
	for _, item := range lost {
		if _, ok := owners[item]; ok {
			continue
		}
		if owner, ok := before[item]; ok {
			owners[item] = owner
		}
	}
	return owners
}

// backoff is the delay before the nth balancing round in a row: 40 ms,
// 1600 ms, 64 s, then the cap.
func backoff(n int, limit time.Duration) time.Duration {
	delay := min(time.Millisecond, limit)
	for ; n > 0 && delay < limit; n-- {
		delay *= 40
	}
	return min(delay, limit)
}

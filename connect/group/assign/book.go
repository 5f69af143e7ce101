package assign

import (
	"cmp"
	"maps"
	"slices"
)

type set[T comparable] map[T]struct{}

func setOf[T comparable](items ...T) set[T] {
	s := make(set[T], len(items))
	s.add(items...)
	return s
}

func (s set[T]) add(items ...T) {
	for _, item := range items {
		s[item] = struct{}{}
	}
}

func (s set[T]) has(item T) bool {
	_, ok := s[item]
	return ok
}

func (s set[T]) meets(other set[T]) bool {
	for item := range s {
		if other.has(item) {
			return true
		}
	}
	return false
}

// without returns the items that are in none of the sets, in the same order.
func without[T comparable](items []T, sets ...set[T]) []T {
	var kept []T
	for _, item := range items {
		if !slices.ContainsFunc(sets, func(s set[T]) bool { return s.has(item) }) {
			kept = append(kept, item)
		}
	}
	return kept
}

// book is the arithmetic of one round for one kind of work. Connectors and
// tasks are balanced apart from each other, by the same rules, in two books.
type book[T comparable] struct {
	members []string // in the order of ids
	compare func(a, b T) int

	configured set[T]
	held       map[string][]T // as reported, without repetitions
	active     set[T]         // held by anybody
	duplicated set[T]         // held by several members

	deleted set[T] // assigned before, no longer configured
	lost    []T    // assigned before, held by nobody, still configured; sorted
	created []T    // configured, never assigned; sorted

	next    map[string][]T // what each member has at the end of the round
	revoked map[string][]T // what each member has to give up
}

func newBook[T comparable](
	members []string, compare func(a, b T) int, configured set[T], reported func(member string) []T,
) *book[T] {
	b := &book[T]{
		members:    members,
		compare:    compare,
		configured: configured,
		held:       make(map[string][]T, len(members)),
		active:     set[T]{},
		duplicated: set[T]{},
		next:       make(map[string][]T, len(members)),
		revoked:    map[string][]T{},
	}
	for _, member := range members {
		own := set[T]{}
		for _, item := range reported(member) {
			if own.has(item) {
				continue
			}
			own.add(item)
			b.held[member] = append(b.held[member], item)
			if b.active.has(item) {
				b.duplicated.add(item)
			}
			b.active.add(item)
		}
	}
	return b
}

// derive compares what was assigned before with what is held and configured
// now. Deleted work is taken away; so is work held twice, from all of its
// holders, since one of them alone cannot be told to go on safely. It is
// created anew in the round that follows.
func (b *book[T]) derive(previous set[T]) {
	b.deleted = setOf(without(slices.Collect(maps.Keys(previous)), b.configured)...)
	b.lost = b.sorted(previous, b.active, b.deleted)
	b.created = b.sorted(b.configured, previous, b.active)
	for _, member := range b.members {
		for _, item := range b.held[member] {
			if b.deleted.has(item) || b.duplicated.has(item) {
				b.revoked[member] = append(b.revoked[member], item)
			} else {
				b.next[member] = append(b.next[member], item)
			}
		}
	}
}

func (b *book[T]) sorted(base set[T], minus ...set[T]) []T {
	items := without(slices.Collect(maps.Keys(base)), minus...)
	slices.SortFunc(items, b.compare)
	return items
}

// surplus says what each member has to give up for the load to be even once
// everything configured is placed. Work that nobody has yet counts: it will go
// to the members with the least.
func (b *book[T]) surplus() map[string][]T {
	floor, extra := len(b.configured)/len(b.members), len(b.configured)%len(b.members)
	atFloor, aboveByOne := 0, 0
	for _, member := range b.members {
		switch len(b.next[member]) {
		case floor:
			atFloor++
		case floor + 1:
			aboveByOne++
		}
	}
	if aboveByOne == extra && atFloor+aboveByOne == len(b.members) {
		return nil
	}
	result := map[string][]T{}
	for _, member := range b.members {
		load := len(b.next[member])
		if load <= floor {
			continue
		}
		allowed := floor
		if extra > 0 {
			extra--
			allowed++
		}
		if load > allowed {
			result[member] = slices.Clone(b.next[member][:load-allowed])
		}
	}
	return result
}

// revoke takes work away from members.
func (b *book[T]) revoke(from map[string][]T) {
	for member, items := range from {
		b.revoked[member] = append(b.revoked[member], items...)
		b.next[member] = without(b.next[member], setOf(items...))
	}
}

// deal gives items to the chosen members in turn, whatever they have.
func (b *book[T]) deal(items []T, to []string) {
	for i, item := range items {
		member := to[i%len(to)]
		b.next[member] = append(b.next[member], item)
	}
}

// assign gives items to the members with the least, levelling them up.
func (b *book[T]) assign(items []T) {
	order := slices.SortedStableFunc(slices.Values(b.members), func(x, y string) int {
		return cmp.Compare(len(b.next[x]), len(b.next[y]))
	})
	if len(order) == 0 {
		return
	}
	for len(items) > 0 {
		level := len(b.next[order[0]])
		end := slices.IndexFunc(order, func(m string) bool { return len(b.next[m]) > level })
		if end < 0 {
			end = len(order)
		}
		n := min(end, len(items))
		b.deal(items[:n], order[:n])
		items = items[n:]
	}
}

// assigned is what a member has to start: all that it did not hold already.
func (b *book[T]) assigned(member string) []T {
	return without(b.next[member], setOf(b.held[member]...))
}

// placed maps each item to the member that has it at the end of the round.
func (b *book[T]) placed() map[T]string {
	owner := make(map[T]string, len(b.configured))
	for _, member := range b.members {
		for _, item := range without(b.next[member], setOf(b.revoked[member]...)) {
			owner[item] = member
		}
	}
	return owner
}

// ledger is what counts as assigned in the round that follows, and what was
// revoked. Lost work always stays in the ledger: while it waits for a missing
// worker, and also when it was just placed.
func (b *book[T]) ledger() (assigned, revoked set[T]) {
	revoked = set[T]{}
	for _, items := range b.revoked {
		revoked.add(items...)
	}
	assigned = set[T]{}
	for _, items := range b.next {
		assigned.add(without(items, revoked)...)
	}
	assigned.add(b.lost...)
	return assigned, revoked
}

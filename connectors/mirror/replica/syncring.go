package replica

// ringSize is the number of syncs kept of each partition: one for each bit of an
// offset, since their distance doubles from one to the next.
const ringSize = 64

// syncPoint is one offset sync in a ring. Two indices of a ring that hold the same
// pointer hold the same sync, and only then: a repeated sync is a point of its own.
type syncPoint struct {
	upstream, downstream int64
}

// syncRing keeps a thinned history of the syncs of one partition, newest first:
// dense where consumer groups usually are, sparse further back. These invariants
// hold after each update, up[i] being the upstream offset at index i. B and C do not
// bind two indices that hold the same sync, or one and its repetition.
//
//	A: ring[0] is the newest sync received.
//	B: for i < j, up[i] <= up[j] + 2^j - 2^i: no index falls too far behind.
//	C: for i < j, up[i] >= up[j] + 2^max(i-2, 0): no two are needlessly close.
//	D: ring[63] is the oldest sync that may be used.
//
// The rules, and thereby which syncs survive, are MirrorMaker 2's (KAFKA-14666), so
// that a group is translated alike whichever implementation does it.
type syncRing [ringSize]*syncPoint

// fill makes s the only sync of the ring, which fulfils B and C trivially.
func (r *syncRing) fill(s *syncPoint) {
	for i := range r {
		r[i] = s
	}
}

// invalidates reports whether s says that what was known before it is wrong: the
// source went back, or the target did (a topic recreated or truncated). For the
// latter MirrorMaker 2 keeps its history, and then translates groups that lag to
// offsets that the target no longer has.
func (s *syncPoint) invalidates(newest *syncPoint) bool {
	return s.upstream < newest.upstream || s.ofNewCopy(newest)
}

// ofNewCopy reports whether s says that the target went back. A source that went back
// does not: its records are written behind those that the target has.
func (s *syncPoint) ofNewCopy(newest *syncPoint) bool {
	return s.downstream < newest.downstream ||
		s.downstream == newest.downstream && s.upstream != newest.upstream // two records cannot have been there
}

// push adds a newer sync.
func (r *syncRing) push(s *syncPoint) {
	if s.invalidates(r[0]) {
		r.fill(s)
		return
	}
	old := *r
	r[0] = s // A
	// Each index keeps its sync as long as B allows. When it must give it up, it takes
	// replacement: a sync of old that fits B and C there, or else what the index
	// before it took. cursor is the place in old of the next candidate; it never
	// passes the current index, since syncs only move towards the end.
	replacement, cursor := s, 0
	for current := 1; current < ringSize; current++ {
		previous := current - 1
		for {
			candidate := old[cursor]
			separate := holdsC(r[previous], candidate, previous)
			promote := separate && holdsB(r[previous], candidate, previous, current) &&
				(current == ringSize-1 || holdsC(candidate, r[current+1], current))
			if promote {
				replacement = candidate
			}
			// A candidate too close to its predecessor, or the same as the one behind
			// it, will not be needed at any later index.
			same := cursor+1 < ringSize && candidate == old[cursor+1]
			skip := same || !separate
			if promote || skip {
				cursor++
			}
			if !skip || cursor >= current {
				break
			}
		}
		if holdsB(r[previous], r[current], previous, current) {
			// The rest of the ring has not changed, so it still fits.
			return
		}
		r[current] = replacement
	}
}

// lookup gives the newest sync at or before upstream, or else the oldest there is.
func (r *syncRing) lookup(upstream int64) *syncPoint {
	for _, s := range r {
		if s.upstream <= upstream {
			return s
		}
	}
	return r[ringSize-1] // D
}

// contradicts reports whether no group that had read the source up to upstream can have
// been translated to downstream by the copy that the ring tells of: that place lies
// further on than the newest sync allows, or than a sync behind upstream. (One at upstream
// says less: the record may have been mirrored twice, and that be the sync of the first.)
func (r *syncRing) contradicts(upstream, downstream int64) bool {
	if downstream > r[0].downstream+translationReach {
		return true
	}
	for _, s := range r {
		if s.upstream <= upstream {
			return false
		}
		if s.downstream < downstream {
			return true
		}
	}
	return false
}

// holdsB tests invariant B for the syncs at indices i < j. A bound beyond the largest
// offset comes out negative and cannot be violated.
func holdsB(at, behind *syncPoint, i, j int) bool {
	bound := behind.upstream + int64(1)<<j - int64(1)<<i
	return at == behind || bound < 0 || at.upstream <= bound
}

// holdsC tests invariant C for the sync at index i and one at any later index. A bound
// beyond the largest offset comes out negative and cannot be fulfilled.
func holdsC(at, behind *syncPoint, i int) bool {
	bound := behind.upstream + int64(1)<<max(i-2, 0)
	return at == behind || bound >= 0 && at.upstream >= bound
}

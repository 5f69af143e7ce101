package replica

import "sync"

// translationReach is how far past a sync an offset is translated. The record behind
// a synced one is known to be written behind it; how many of those that follow were
// mirrored is not.
const translationReach = 1

// TooOld is the translation of an offset before all syncs that are kept.
const TooOld int64 = -1

// OffsetSyncStore translates offsets of the source to offsets of the target by the
// offset syncs that it is told. It is safe for concurrent use: usually one goroutine
// follows the offset-syncs topic while another asks for translations.
type OffsetSyncStore struct {
	// onlyLast says that the initial read keeps the last sync of a partition alone.
	onlyLast bool

	mu    sync.RWMutex
	ready bool
	rings map[TopicPartition]*syncRing
	// newCopies counts the syncs since Ready that told of a copy made anew; newestCopy
	// is the count with the last of them, by partition.
	newCopies  int
	newestCopy map[TopicPartition]int
}

// NewOffsetSyncStore makes an empty store. keepHistory says whether the syncs read
// before Ready are all used, or only the last one of each partition.
//
// Keep them only when the checkpoints written so far are known. A history read anew
// is thinned out differently than the one that checkpoints were computed from, and
// may put a group further back than it was told before; whoever knows its last
// checkpoint can see that and keep quiet.
func NewOffsetSyncStore(keepHistory bool) *OffsetSyncStore {
	return &OffsetSyncStore{onlyLast: !keepHistory, rings: make(map[TopicPartition]*syncRing), newestCopy: make(map[TopicPartition]int)}
}

// Add takes in the next sync of the offset-syncs topic. Syncs come in the order of
// the topic.
func (s *OffsetSyncStore) Add(sync OffsetSync) {
	point := &syncPoint{upstream: sync.Upstream, downstream: sync.Downstream}
	s.mu.Lock()
	defer s.mu.Unlock()
	ring := s.rings[sync.TopicPartition]
	if ring == nil {
		ring = new(syncRing)
		ring.fill(point)
		s.rings[sync.TopicPartition] = ring
		return
	}
	if s.onlyLast && !s.ready {
		ring.fill(point)
		return
	}
	if s.ready && point.ofNewCopy(ring[0]) {
		s.newCopies++
		s.newestCopy[sync.TopicPartition] = s.newCopies
	}
	ring.push(point)
}

// NewCopies counts how often a partition of the target was found to have begun anew
// since Ready. Outlived wants to know it as it was before a translation.
func (s *OffsetSyncStore) NewCopies() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.newCopies
}

// Outlived reports whether the translation of upstream to downstream is that of a copy
// that is gone: a group sent there would miss records of the one there is now, or read
// many twice. newCopies is the count from before the translation, 0 for one that was
// made before Ready.
//
// A translation by the present copy has not outlived it, however coarse its syncs have
// become since. What was translated before Ready is judged by the syncs that are kept
// alone. If none of them lies between its place on the source and its place on the
// target, as when the new copy is much longer than the old one and its first syncs are
// thinned out or compacted, it cannot be told from one by the present copy, and is
// taken for such. Nor can it be told whether the target went back or two tasks that
// both mirrored a partition for a moment wrote their syncs in the wrong order: that is
// taken for a new copy, which costs a group records read twice, and none missed.
func (s *OffsetSyncStore) Outlived(tp TopicPartition, upstream, downstream int64, newCopies int) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ring := s.rings[tp]
	if !s.ready || ring == nil {
		return false
	}
	return s.newestCopy[tp] > newCopies || ring.contradicts(upstream, downstream)
}

// Ready tells the store that it has been given everything that was in the
// offset-syncs topic when the reading began. Before that nothing is translated, for
// syncs that are long outdated would be taken for the newest.
func (s *OffsetSyncStore) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// TranslateDownstream gives the offset in the partition of the target from which a
// consumer that has read the source up to upstream misses nothing: that of the newest
// sync at or before upstream, or, unless it is exactly there, one more. It is never
// further than the truth, but it may be earlier.
//
// It is false while the store is not ready or knows nothing of tp. It is TooOld when
// upstream lies before all syncs that are kept. For one state of the store it does
// not fall as upstream rises; over time it may, as old syncs are given up.
func (s *OffsetSyncStore) TranslateDownstream(tp TopicPartition, upstream int64) (int64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ring := s.rings[tp]
	if !s.ready || ring == nil {
		return 0, false
	}
	at := ring.lookup(upstream)
	switch {
	case at.upstream > upstream:
		return TooOld, true
	case at.upstream == upstream:
		return at.downstream, true
	default:
		return at.downstream + translationReach, true
	}
}

package replica

// PartitionSyncState is what the decision to send an offset sync needs to remember
// about one partition. Offsets are -1 before there are any.
type PartitionSyncState struct {
	// PrevUpstream and PrevDownstream are those of the record acknowledged last.
	PrevUpstream, PrevDownstream int64
	// LastSyncDownstream is the downstream offset of the last sync decided on, or,
	// once that has failed, of the last one acknowledged.
	LastSyncDownstream int64
}

// NewPartitionSyncState is the state of a partition at the start of a task.
func NewPartitionSyncState() PartitionSyncState {
	return PartitionSyncState{PrevUpstream: -1, PrevDownstream: -1, LastSyncDownstream: -1}
}

// Record takes an acknowledged record into account and reports whether rule wants a
// sync for it now.
func (s *PartitionSyncState) Record(rule SyncRule, upstream, downstream int64) bool {
	now := rule(*s, upstream, downstream)
	if now {
		s.LastSyncDownstream = downstream
	}
	s.PrevUpstream, s.PrevDownstream = upstream, downstream
	return now
}

// SyncRule decides whether the record at upstream, written at downstream, is worth a
// sync now. A record that is not is synced with the next periodic commit, unless a
// later one replaces it. The state is that before the record. A rule must be pure.
type SyncRule func(state PartitionSyncState, upstream, downstream int64) bool

// LagRule is MirrorMaker 2's rule. A sync is sent now for
//   - the first record of a partition in a task's life, for nobody else may know
//     where the partition stands;
//   - a record so far behind the last sync that consumers would be translated at
//     least offsetLagMax records short of it;
//   - a record that does not follow its predecessor on the source (compaction,
//     transaction markers, a seek), because translation counts no further than one
//     past a sync;
//   - a record written below its predecessor on the target (topic recreated or
//     truncated), because older syncs are wrong from then on.
//
// With offsetLagMax 0 each record is synced.
func LagRule(offsetLagMax int64) SyncRule {
	return func(state PartitionSyncState, upstream, downstream int64) bool {
		// Up to here consumers are translated without another sync.
		reach := state.LastSyncDownstream + translationReach
		return state.LastSyncDownstream == -1 ||
			downstream-reach >= offsetLagMax ||
			upstream-state.PrevUpstream != 1 ||
			downstream < state.PrevDownstream
	}
}

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

// begins reports whether the record at upstream, written at downstream, does not simply lie behind the one before it:
// it is the first of the task's life, the source is read again from an earlier place, or the target has lost its end or
// all of it. Two records cannot lie at one place of a target that lost nothing.
func (s *PartitionSyncState) begins(upstream, downstream int64) bool {
	return s.PrevDownstream == -1 || upstream <= s.PrevUpstream || downstream <= s.PrevDownstream
}

// SyncRule decides whether the record at upstream, written at downstream, is worth a
// sync now. A record that is not is synced with the next periodic commit, unless a
// later one replaces it. The state is that before the record. A rule must be pure.
type SyncRule func(state PartitionSyncState, upstream, downstream int64) bool

// LagRule bounds how far behind their true place consumers are translated, and how many
// syncs that costs. A sync is sent now for
//   - the first record of a partition in a task's life, for nobody else may know
//     where the partition stands;
//   - a record so far behind the last sync that consumers would be translated at
//     least offsetLagMax records short of it;
//   - a record that does not lie behind its predecessor on the source (a topic made
//     anew, an offset set back): readers must give up the syncs that they have;
//   - a record not written behind its predecessor on the target (topic recreated or
//     truncated), because older syncs are wrong from then on.
//
// With offsetLagMax 0 each record is synced.
//
// MirrorMaker 2 also sends one for each gap on the source: transaction markers,
// compacted and deleted records. A producer of small transactions leaves a marker behind
// each, and so gets a sync a transaction. A gap asks for none: a consumer in it, or
// behind it, has read the record of the last sync, and is translated to the one behind
// that on the target, which is never beyond its place, and short of it by no more
// records than the second case allows. With the next commit it is exact.
func LagRule(offsetLagMax int64) SyncRule {
	return func(state PartitionSyncState, upstream, downstream int64) bool {
		// Up to here consumers are translated without another sync.
		reach := state.LastSyncDownstream + translationReach
		return state.begins(upstream, downstream) || downstream-reach >= offsetLagMax
	}
}

// Package replica holds what both sides of a mirror agree on, as pure values:
// topic names (Policy), the records that link two clusters (OffsetSync, Checkpoint,
// Heartbeat), which topics and groups take part (filters), when an offset sync is
// sent (SyncQueue), how an offset of the source is translated to one of the target
// (OffsetSyncStore), and what follows from it for consumer groups (Checkpointer,
// GroupOffsetsToSet).
//
// Formats, names and rules are those of MirrorMaker 2 (KIP-382, KIP-545, KIP-618,
// KIP-875), so that either implementation can read what the other wrote and take
// over its work. Where this package does better than MirrorMaker 2, the comment on
// the function says so.
//
// Nothing here talks to a cluster, starts a goroutine or reads a clock. Values are
// not safe for concurrent use unless their comment says otherwise.
package replica

// Package chaos copies a stream of records with the mirror while tasks, workers and brokers
// are killed at random, and then holds what arrived against what was written.
//
// A run is made of a [load] that writes to the source, a [scene] of clusters and workers,
// and actions that a seeded generator chooses. CHAOS_SECONDS is how long it lasts
// (default: a short run), CHAOS_SEED what it starts from; the log says the seed of a run.
// CHAOS_LANES are the lanes to run in, such as raw,record (default: raw).
// The brokers are real ones; see tributary/test/cluster/realkafka.
package chaos

// Package distributed is the herder of a worker that shares its work with others
// through a Connect group.
//
// One goroutine, the loop, owns all state: which work is assigned, what runs, what
// the last round said. Others send it closures. The loop never waits for the network
// nor for a plugin: slow work is done by goroutines that report back to it. Writes
// to the config topic go through one writer goroutine, so that they keep their
// order.
//
//	config topic ──events──▶ loop ──start, stop──▶ worker
//	group ──rounds, revocations──▶ loop ──rejoin──▶ group
//	REST ──reads from the snapshot; writes──▶ writer ──▶ config topic
//
// The loop reconciles: an instance runs here exactly when the last settled round
// assigns it, the config topic has it, and its configuration is the one it was
// started with. A round is settled once this worker has read the config topic as far
// as the leader had.
//
// Life of an instance on this worker:
//
//	absent ──assigned, settled──▶ running ──revoked, changed, restarted──▶ stopping ──▶ absent
//
// Lock order: the loop holds no lock while it calls others; view is the only state
// that other goroutines read, and is replaced as a whole.
package distributed

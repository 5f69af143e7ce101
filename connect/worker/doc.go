// Package worker runs connectors and tasks on behalf of a herder: it creates
// plugin instances, drives their life cycles, moves records through the record
// lane, tracks acknowledgements and commits offsets. It knows nothing of groups,
// REST or which work it should have.
//
// Every connector and every task has one goroutine that calls its methods. What
// happens to them is told to the [Listener].
//
// # Life cycle of an instance
//
//	StartConnector → goroutine: build → Start → RUNNING ⇄ PAUSED/STOPPED → Stop → UNASSIGNED
//	StartTask      → goroutine: build → Start → RUNNING ⇄ PAUSED        → Stop → UNASSIGNED
//	               any failure → FAILED; only a stop and a new start lead out of it
//
// An instance that does not stop in time is cut off: its context ends, its
// producer is closed, nothing more is reported of it, and it is forgotten. Its
// goroutine ends as soon as the plugin returns.
//
// # Record lane
//
// The lane's records go to an outlet. At least once:
//
//	lane goroutine:  Poll → pipeline (transforms, converters) → delivery.send → Producer.Send
//	producer's:      done → CommitRecord → tracker.ack
//	committer's:     tracker.committable → OffsetStore.Record → OffsetWriter → Commit
//	delivery's:      opens the producer; after a retriable failure closes it and
//	                 sends again, in order, what was not acknowledged
//
// Exactly once (KIP-618), all on the lane's goroutine but done:
//
//	Poll → pipeline → exactlyOnce.send: Begin if need be, Producer.Send
//	at a boundary:    OffsetStore.Record → Producer.Send → Commit → CommitRecord, Commit
//	producer's:       done → noted for CommitRecord
//
// Lock order: delivery.sendMu before delivery.mu; committer.mu before delivery.mu.
// No plugin is called with a lock held, save Committer.Commit under committer.mu.
package worker

// Package group is a worker's membership in a Connect group: it joins, keeps the
// session alive, assigns the work when this worker leads, and tells the Handler what
// to run and what to give back. Member does so over Kafka's classic group protocol
// (protocol type "connect"), next to Java workers in the same group; Solo does it for
// a worker that is alone and has no group.
//
// One goroutine owns a membership and makes all calls to the Handler. While such a
// call blocks, or a request waits for other members, a second one sends the heartbeats
// and the first does nothing else, so the state needs no lock. Others only leave their
// wishes (Rejoin, Suspend, Settled).
//
//	finding ──coordinator found──▶ joining ──synced──▶ holding ──▶ joining ──▶ …
//	   ▲                              │                   │
//	   └──────coordinator lost────────┴───────────────────┘
//
//	any ──Suspend──▶ away ──Rejoin──▶ joining
//	any ──session.timeout.ms without the coordinator──▶ all work revoked
//
// What is assigned to whom is decided in package assign; the bytes are those of
// package protocol.
package group

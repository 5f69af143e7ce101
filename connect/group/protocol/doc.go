// Package protocol is what Connect workers of a group say to each other: the
// bytes inside JoinGroup and SyncGroup (KIP-415), and the signatures on their
// internal REST requests (KIP-507). It is byte for byte that of the Java
// worker, so both kinds of worker can share a group.
//
// Everything here is pure: no clock, no network, no goroutines. Decoders take
// bytes from the network. They allocate no more than in proportion to their
// input, and answer nonsense with an error that wraps ErrMalformed.
package protocol

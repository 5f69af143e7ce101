// Package assign decides which worker of a Connect group runs which connector
// and which task. It holds the two assignors of Kafka Connect: the eager one
// (subprotocol "default") and the incremental cooperative one of KIP-415
// (subprotocols "compatible" and "sessioned", with the successive revocations
// of KAFKA-12495).
//
// Both are pure: the group's leader hands in what the members reported, what
// is configured and what time it is, and gets back a Plan. What the
// incremental assignor must remember between rounds is a State value that the
// leader keeps and hands in again. Nothing here blocks, logs, starts
// goroutines or reads a clock, and arguments are never modified, so every
// function may be called from any goroutine.
//
// Members are visited in the order of their ids, so the same arguments always
// give the same Plan.
package assign

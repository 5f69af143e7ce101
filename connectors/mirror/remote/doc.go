// Package remote is for programs that use the target of a mirror: it tells which
// clusters feed it, which topics are copies, and where the consumer groups of another
// cluster may go on reading here. It is the counterpart of MirrorMaker 2's
// MirrorClient and RemoteClusterUtils (KIP-382), reads what Tributary and Java have
// written alike, and changes nothing.
package remote

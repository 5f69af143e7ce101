// Package mirror holds the three connectors that make a mirror from one Kafka cluster,
// the source, to another, the target (KIP-382): SourceConnector copies records,
// CheckpointConnector translates the offsets of consumer groups, HeartbeatConnector
// shows that the mirror is alive. They carry MirrorMaker 2's class names, read its
// configuration and write its formats, which package replica knows.
//
// # Life of a source connector
//
// Start checks the configuration and begins one goroutine, which owns all that the
// connector knows of the clusters. It waits for both, then looks at their topics every
// few seconds: creates what the target lacks, asks for new tasks when the set of
// partitions that can be mirrored has changed, and now and then carries over topic
// configurations and ACLs. TaskConfigs answers from its last look.
//
// Nothing here is all or nothing. A topic, group or feature that fails costs only
// itself; it is said once in the log when it begins to fail, once when it works again,
// and tried again meanwhile.
//
// # Life of a source task
//
// One goroutine, the worker's, polls a kafka.Fetcher and turns what it gets into
// records. Acknowledgements arrive on the producer's goroutine and go to the offset
// sync writer, which has a goroutine and a producer of its own.
package mirror

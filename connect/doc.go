// Package connect is what the author of a connector imports: the interfaces a
// connector and its tasks implement, the records they exchange with the worker,
// and the definition of their configuration.
//
// It imports the standard library alone, so that a connector's module depends on
// nothing else of Tributary and on no Kafka client.
//
// # Life cycle of a source connector
//
//	worker: NewConnector → Start → TaskConfigs (again after every RequestTaskReconfiguration) → Stop
//	worker: NewTask → Start → Poll, Poll, … → Stop
//	        acknowledgements, on the producer's goroutine: CommitRecord
//	        after each offset commit, on the committer's goroutine: Commit
//
// Small interfaces are mandatory; everything else a plugin can do is an optional
// one-method interface that the worker finds by type assertion, once, when it
// creates the instance: [RecordCommitter], [Committer], [ConfigValidator], [BatchTask],
// [LiveTask],
// [ExactlyOnceSupporter], [OffsetAlterer], [Versioned].
package connect

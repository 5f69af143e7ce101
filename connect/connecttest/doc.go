// Package connecttest is for authors of connectors: suites that hold a connector to what
// the plugin API promises the worker ([TestSource], [TestSink]), and the worker's side of
// that API to call tasks with in tests of one's own ([NewTaskContext],
// [NewSinkTaskContext]).
//
// A suite calls the connector as a worker does, in every order that a worker may. It needs
// no Kafka; whether it needs the system on the other side is the connector's business.
package connecttest

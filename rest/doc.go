// Package rest is the worker's HTTP interface: the Connect REST API as Kafka Connect
// 4.3.1 has it, with the same paths, codes, headers, messages and order of JSON
// fields, over one or several herders.
//
//	request → routes → call (media types, herder, time limit) → handler → herder
//	                       └─ another worker's work: Forwarder → that worker
//	error → errorTable → status and {"error_code":…,"message":…}
//
// Handlers return an answer or an error and write nothing themselves; the errorTable
// is the one place where an error gets its status.
//
// # Life cycle
//
// [New] → [Server.Start] binds the listeners and serves; the address it got is part of
// the worker's identity, so this comes before there is a herder, and until
// [Server.SetHerder] or [Server.AddFlow] requests are answered with 503. →
// [Server.Shutdown] awaits running requests and every goroutine.
//
// # Where it differs from Java on purpose
//
//   - A write that meets a rebalance is tried again for a while before it is refused
//     with 409, and the refusal has a Retry-After header.
//   - An internal request that reached a worker that is not the leader is forwarded
//     with its signature and its exact body, so that the leader can accept it.
//   - A worker that has no herder yet says so (503) instead of answering 404.
//   - Connector names may contain a slash, written as %2F.
//   - An unspecified listener address (0.0.0.0) is not advertised; the machine's is.
//   - Request bodies have a limit (413), answers to malformed bodies are worded like
//     Jackson's without being identical in every case.
//   - GET /metrics answers in Prometheus' text format, GET /openapi.json describes the
//     API.
package rest

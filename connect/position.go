package connect

// CommitRequester is a TaskContext that commits offsets when a source task asks for
// it, besides the periodic commits. A task finds out by a type assertion.
type CommitRequester interface {
	// RequestCommit returns at once. The commit covers what is acknowledged when it
	// begins; several requests may end in one commit.
	RequestCommit()
}

// Stopper is a ConnectorContext by which a connector that has done all its work can
// stop itself. A connector finds out by a type assertion.
type Stopper interface {
	// RequestStop asks for the target state STOPPED, as an operator would by REST, and
	// returns at once. reason is for the log. The request is lost if the worker ends
	// before it is written: a connector that is started again asks again.
	RequestStop(reason string)
}

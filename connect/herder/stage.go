package herder

// StageReporter is a Herder that can say what its loop is doing, in Java's words: "The
// worker is currently …, which began at ….". Requests that time out and health checks
// show it. "" is nothing to say.
type StageReporter interface {
	Stage() string
}

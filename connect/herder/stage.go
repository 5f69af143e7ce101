package herder

import (
	"fmt"
	"time"
)

// StageReporter is a Herder that can say what its loop is doing, in Java's words: "The
// worker is currently …, which began at ….". Requests that time out and health checks
// show it. "" is nothing to say.
type StageReporter interface {
	Stage() string
}

// StageInitializing is what a worker does until its herder's loop runs.
const StageInitializing = "initializing and reading to the end of internal topics"

// CurrentStage is the sentence for a stage that has not ended.
func CurrentStage(what string, began time.Time) string {
	return fmt.Sprintf("The worker is currently %s, which began at %s.", what, StageInstant(began))
}

// StageInstant is a time in such a sentence.
func StageInstant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

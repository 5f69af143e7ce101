package kafkatest

import "go.uber.org/goleak"

// LeftByKfake ignores what an embedded cluster may leave when it is closed while a request waits that a test held or
// delayed: the goroutine that runs the disturbance then waits for a lock that nobody gives back.
func LeftByKfake() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).runControl.func1")
}

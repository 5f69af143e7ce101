package connect

// TargetTeller is a TaskContext that knows which partitions of the target do not take what is written to them. A source
// task finds out by a type assertion.
type TargetTeller interface {
	TaskContext
	// Unwritable returns the partitions of which several writes in a row have failed, with the last reason. The worker
	// goes on trying. Any goroutine may ask, from Start on; nil while the producer is being replaced.
	Unwritable() map[TopicPartition]error
}

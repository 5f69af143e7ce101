package assign

import (
	"cmp"
	"strconv"
)

// ConnectorTaskID names one task of a connector. Tasks are numbered from 0.
type ConnectorTaskID struct {
	Connector string
	Task      int
}

// String is the form used in status and log lines: name, dash, number.
func (id ConnectorTaskID) String() string {
	return id.Connector + "-" + strconv.Itoa(id.Task)
}

// Compare orders by connector name, then by task number.
func (id ConnectorTaskID) Compare(other ConnectorTaskID) int {
	return cmp.Or(
		cmp.Compare(id.Connector, other.Connector),
		cmp.Compare(id.Task, other.Task),
	)
}

// Work is a list of connector instances and tasks. The order is meaningful:
// load balancing takes work away from the head of what a member reports.
type Work struct {
	Connectors []string
	Tasks      []ConnectorTaskID
}

// Empty reports whether there is neither a connector nor a task.
func (w Work) Empty() bool {
	return len(w.Connectors) == 0 && len(w.Tasks) == 0
}

// Member is what one member of the group said about itself when it joined.
type Member struct {
	// URL is the worker's advertised REST address.
	URL string
	// ConfigOffset is how far the worker has read the config topic.
	ConfigOffset int64
	// Held is the work that the member runs at this moment. It stays empty
	// under the eager protocol, where members stop everything before joining.
	Held Work
}

// Configured is what the config topic asks the cluster to run, up to an
// offset. Target states play no part: a paused connector is placed as well.
type Configured struct {
	// Offset is the config offset that the rest is read at.
	Offset int64
	// Connectors maps each connector's name to its number of tasks. A
	// connector whose task records are inconsistent has none.
	Connectors map[string]int
}

package protocol

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tributary/connect/group/assign"
	"tributary/internal/wire"
)

// ConnectorTaskID names one task of a connector.
type ConnectorTaskID = assign.ConnectorTaskID

// connectorTask stands for the connector instance itself where the wire has a
// task number.
const connectorTask = -1

// Error codes of an Assignment.
const (
	// NoError is the code of every usable assignment.
	NoError int16 = 0
	// ConfigMismatch says that the leader was behind a member in the config
	// topic: read the topic to its end, then join again.
	ConfigMismatch int16 = 1
)

// Assignment is what the leader tells a member in SyncGroup. The same shape,
// updated by Merge, is the member's own snapshot of what it runs.
type Assignment struct {
	Version int16
	Error   int16
	// Leader is the member id of the leader, LeaderURL its REST address.
	Leader    string
	LeaderURL string
	// ConfigOffset is the config offset the assignment was made at.
	ConfigOffset int64
	// Assigned is work to start: all of it under version 0, else only what
	// is new. In a snapshot it is everything held.
	Assigned assign.Work
	// Revoked is work to stop. It is not sent under version 0.
	Revoked assign.Work
	// Delay is the time after which to join again, 0 for none. It travels in
	// whole milliseconds, and not under version 0.
	Delay time.Duration
}

// Failed reports whether the leader could not assign.
func (a Assignment) Failed() bool { return a.Error != NoError }

// EncodeAssignment returns the assignment of one member in SyncGroup. Empty
// lists are written as empty arrays, never as null ones.
func EncodeAssignment(a Assignment) ([]byte, error) {
	if a.Version < 0 {
		return nil, fmt.Errorf("assignment has version %d: it must not be negative", a.Version)
	}
	delay := a.Delay.Milliseconds()
	if delay < math.MinInt32 || delay > math.MaxInt32 {
		return nil, fmt.Errorf("assignment has a delay of %d ms: it must fit 32 bits", delay)
	}
	var w writer
	w.int16(a.Version)
	w.int16(a.Error)
	w.string("leader", a.Leader)
	w.string("leader URL", a.LeaderURL)
	w.int64(a.ConfigOffset)
	w.work(a.Assigned)
	if a.Version >= Compatible.Version {
		w.work(a.Revoked)
		w.int32(int32(delay))
	}
	return w.result()
}

// DecodeAssignment reads an assignment of any version. Lists and delay may be
// missing at the end, which is how version 0 is read as well; bytes after them
// are ignored. A null list reads as an empty one.
func DecodeAssignment(data []byte) (Assignment, error) {
	r := reader{wire.NewReader(data)}
	var a Assignment
	a.Version = r.version()
	a.Error = r.Int16("error code")
	a.Leader = r.String("leader")
	a.LeaderURL = r.String("leader URL")
	a.ConfigOffset = r.Int64("config offset")
	if r.More() {
		a.Assigned = r.work("assigned work")
	}
	if r.More() {
		a.Revoked = r.work("revoked work")
	}
	if r.More() {
		a.Delay = time.Duration(r.Int32("delay")) * time.Millisecond
	}
	if r.Err() != nil {
		return Assignment{}, fmt.Errorf("assignment: %w", r.Err())
	}
	return a, nil
}

// work writes one array entry for each connector: first those whose instance
// is listed, then those of which there are only tasks, in order.
func (w *writer) work(work assign.Work) {
	var names []string
	numbers := map[string][]int{}
	entry := func(name string, number int) {
		if _, ok := numbers[name]; !ok {
			names = append(names, name)
		}
		numbers[name] = append(numbers[name], number)
	}
	for _, name := range work.Connectors {
		if _, repeated := numbers[name]; !repeated {
			entry(name, connectorTask)
		}
	}
	for _, id := range work.Tasks {
		if id.Task < 0 || id.Task > math.MaxInt32 {
			w.fail(fmt.Errorf("task %v: the number must lie between 0 and %d", id, math.MaxInt32))
			return
		}
		entry(id.Connector, id.Task)
	}
	w.count("connectors", len(names))
	for _, name := range names {
		w.string("connector name", name)
		w.count("tasks", len(numbers[name]))
		for _, n := range numbers[name] {
			w.int32(int32(n))
		}
	}
}

func (r reader) work(field string) assign.Work {
	var work assign.Work
	// An entry has at least the length of a name and a count of tasks.
	n, null := r.count(field, 2+4)
	if null {
		return work
	}
	for range n {
		name := r.String("connector name")
		tasks, null := r.count("tasks", 4)
		if null {
			r.Fail("array of tasks is null")
		}
		for range tasks {
			switch number := r.Int32("task number"); {
			case number == connectorTask:
				work.Connectors = append(work.Connectors, name)
			case number < 0:
				r.Fail("task number %d is negative", number)
			default:
				work.Tasks = append(work.Tasks, ConnectorTaskID{Connector: name, Task: int(number)})
			}
		}
		if r.Err() != nil {
			return assign.Work{}
		}
	}
	return work
}

// Assignments turns a leader's plan into what each member is sent under the
// subprotocol in force.
func Assignments(inForce Subprotocol, plan assign.Plan) map[string]Assignment {
	code := NoError
	if plan.Mismatch {
		code = ConfigMismatch
	}
	result := make(map[string]Assignment, len(plan.Members))
	for id, change := range plan.Members {
		result[id] = Assignment{
			Version:      inForce.Version,
			Error:        code,
			Leader:       plan.Leader,
			LeaderURL:    plan.LeaderURL,
			ConfigOffset: plan.ConfigOffset,
			Assigned:     change.Assigned,
			Revoked:      change.Revoked,
			Delay:        plan.Delay,
		}
	}
	return result
}

// Merge returns a member's snapshot after it received an assignment; held is
// the snapshot before, nil if it had none. Under the default subprotocol the
// new assignment replaces the old one. Under the others it comes on top of
// what is held and not revoked, new work first. Nothing is shared with the
// arguments.
//
// The snapshot keeps the revoked lists, because the member's next metadata
// repeats them until it has dealt with the rebalance.
func Merge(inForce Subprotocol, held *Assignment, received Assignment) Assignment {
	snapshot := received
	snapshot.Assigned = cloneWork(received.Assigned)
	snapshot.Revoked = cloneWork(received.Revoked)
	if held != nil && inForce.Incremental() {
		snapshot.Assigned.Connectors = union(received.Assigned.Connectors,
			subtract(held.Assigned.Connectors, received.Revoked.Connectors))
		snapshot.Assigned.Tasks = union(received.Assigned.Tasks,
			subtract(held.Assigned.Tasks, received.Revoked.Tasks))
	}
	return snapshot
}

func cloneWork(w assign.Work) assign.Work {
	return assign.Work{Connectors: slices.Clone(w.Connectors), Tasks: slices.Clone(w.Tasks)}
}

func subtract[T comparable](items, minus []T) []T {
	gone := make(map[T]bool, len(minus))
	for _, item := range minus {
		gone[item] = true
	}
	var kept []T
	for _, item := range items {
		if !gone[item] {
			kept = append(kept, item)
		}
	}
	return kept
}

func union[T comparable](first, second []T) []T {
	return append(slices.Clone(first), subtract(second, first)...)
}

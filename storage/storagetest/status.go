package storagetest

import (
	"fmt"
	"testing"
	"time"

	"tributary/connect"
	"tributary/storage"
)

// OpenStatus makes an empty status topic and returns how to open stores over it. The
// stores are not started.
type OpenStatus func(t *testing.T) (open func() storage.StatusStore)

// TestStatusStore runs the suite for status stores.
func TestStatusStore(t *testing.T, newTopic OpenStatus) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func() storage.StatusStore)
	}{
		{"statuses reach every worker", statusesReachEveryone},
		{"safe writes do not hide a later generation", safeWrites},
		{"a stale UNASSIGNED does not hide RUNNING", staleUnassigned},
		{"a late UNASSIGNED does not hide the next owner of a connector", lateUnassigned},
		{"removal of a connector takes its tasks along", statusRemoval},
		{"topics that connectors used", topicStatuses},
		{"the last write counts", lastWriteCounts},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newTopic(t)) })
	}
}

func startStatus(t *testing.T, store storage.StatusStore) storage.StatusStore {
	t.Helper()
	must(t, store.Start(testContext(t)))
	t.Cleanup(store.Stop)
	return store
}

func running(worker string, generation int) storage.Status {
	return storage.Status{State: storage.StateRunning, WorkerID: worker, Generation: generation, Version: "1.2"}
}

// flushed awaits the writes that a store has taken.
func flushed(t *testing.T, store storage.StatusStore) {
	t.Helper()
	must(t, store.Flush(testContext(t)))
}

func statusesReachEveryone(t *testing.T, open func() storage.StatusStore) {
	a, b := startStatus(t, open()), startStatus(t, open())
	a.SetGeneration(3)
	b.SetGeneration(3)
	failed := storage.Status{State: storage.StateFailed, Trace: "it \"broke\"\n\tat é😀", WorkerID: "w1:8083", Generation: 3}
	task := connect.TaskID{Connector: "c-1", Task: 0}
	a.PutConnector("c-1", running("w1:8083", 3))
	a.PutTaskSafe(task, failed)
	b.PutTask(connect.TaskID{Connector: "c-1", Task: 1}, running("w2:8083", 3))
	flushed(t, a)
	flushed(t, b)

	late := startStatus(t, open())
	for _, store := range []storage.StatusStore{a, b, late} {
		eventually(t, "all statuses are there", func() bool {
			_, ok := store.Connector("c-1")
			return ok && len(store.Tasks("c-1")) == 2
		})
		connector, _ := store.Connector("c-1")
		same(t, "connector", connector, running("w1:8083", 3))
		same(t, "tasks", store.Tasks("c-1"), map[connect.TaskID]storage.Status{task: failed, {Connector: "c-1", Task: 1}: running("w2:8083", 3)})
		one, _ := store.Task(task)
		same(t, "task", one, failed)
		same(t, "connectors", store.Connectors(), []string{"c-1"})
	}
	_, ok := late.Task(connect.TaskID{Connector: "c-1", Task: 2})
	same(t, "an unknown task is known", ok, false)
}

func safeWrites(t *testing.T, open func() storage.StatusStore) {
	store := startStatus(t, open())
	task := connect.TaskID{Connector: "c"}
	store.PutConnector("c", running("young", 5))
	store.PutTask(task, running("young", 5))
	eventually(t, "the writes are read", func() bool { _, a := store.Connector("c"); _, b := store.Task(task); return a && b })

	old := storage.Status{State: storage.StateFailed, Trace: "late", WorkerID: "old", Generation: 4}
	store.PutConnectorSafe("c", old)
	store.PutTaskSafe(task, old)
	flushed(t, store)
	// Had they been written they would be before these in their partitions.
	store.PutConnectorSafe("c", storage.Status{State: storage.StateFailed, Trace: "mine", WorkerID: "young", Generation: 4})
	store.PutTaskSafe(task, storage.Status{State: storage.StateFailed, Trace: "younger", WorkerID: "other", Generation: 6})
	eventually(t, "safe writes of the same worker and of a later generation", func() bool {
		connector, _ := store.Connector("c")
		status, _ := store.Task(task)
		if connector.Trace == "late" || status.Trace == "late" {
			t.Fatal("a safe write hid a later generation")
		}
		return connector.Trace == "mine" && status.Trace == "younger"
	})
}

func staleUnassigned(t *testing.T, open func() storage.StatusStore) {
	store := startStatus(t, open())
	task := connect.TaskID{Connector: "c"}
	store.PutTask(task, running("w", 5))
	eventually(t, "the task runs", func() bool { _, ok := store.Task(task); return ok })
	unassigned := storage.Status{State: storage.StateUnassigned, WorkerID: "w", Generation: 5}
	store.PutTask(task, unassigned)
	paused := storage.Status{State: storage.StatePaused, WorkerID: "w", Generation: 5}
	seen := map[storage.State]bool{}
	store.PutTask(task, paused)
	eventually(t, "the task is paused", func() bool {
		status, _ := store.Task(task)
		seen[status.State] = true
		return status == paused
	})
	same(t, "UNASSIGNED was seen", seen[storage.StateUnassigned], false)
	// From PAUSED it is taken.
	store.PutTask(task, unassigned)
	eventually(t, "the task is unassigned", func() bool { status, _ := store.Task(task); return status == unassigned })
}

func lateUnassigned(t *testing.T, open func() storage.StatusStore) {
	owner, leader := startStatus(t, open()), startStatus(t, open())
	owner.PutConnector("c", running("new", 5))
	flushed(t, owner)
	for _, late := range []storage.Status{
		{State: storage.StateUnassigned, WorkerID: "old", Generation: 5},
		{State: storage.StateUnassigned, WorkerID: "new", Generation: 4},
	} {
		leader.PutConnector("c", late)
	}
	// What follows shows that those were read.
	leader.PutConnector("d", running("new", 5))
	flushed(t, leader)
	for _, store := range []storage.StatusStore{owner, leader} {
		eventually(t, "the writes are read", func() bool { _, ok := store.Connector("d"); return ok })
		status, _ := store.Connector("c")
		same(t, "status", status, running("new", 5))
	}
	own := storage.Status{State: storage.StateUnassigned, WorkerID: "new", Generation: 5}
	owner.PutConnector("c", own)
	for _, store := range []storage.StatusStore{owner, leader} {
		eventually(t, "the owner's own UNASSIGNED is read", func() bool { status, _ := store.Connector("c"); return status == own })
	}
}

func statusRemoval(t *testing.T, open func() storage.StatusStore) {
	store := startStatus(t, open())
	for i := range 3 {
		store.PutTask(connect.TaskID{Connector: "c", Task: i}, running("w", 1))
	}
	store.PutConnector("c", running("w", 1))
	store.PutConnector("other", running("w", 1))
	eventually(t, "all are there", func() bool { return len(store.Tasks("c")) == 3 && len(store.Connectors()) == 2 })
	store.RemoveTask(connect.TaskID{Connector: "c", Task: 1})
	eventually(t, "one task is gone", func() bool { return len(store.Tasks("c")) == 2 })
	store.RemoveConnector("c")
	eventually(t, "the connector is gone", func() bool { return len(store.Tasks("c")) == 0 && len(store.Connectors()) == 1 })
	same(t, "connectors", store.Connectors(), []string{"other"})
}

func topicStatuses(t *testing.T, open func() storage.StatusStore) {
	a, b := startStatus(t, open()), startStatus(t, open())
	use := func(topic string) storage.TopicStatus {
		return storage.TopicStatus{Topic: topic, Connector: "c:d-", Task: 2, Discovered: time.UnixMilli(1795388290077)}
	}
	a.PutTopic(use("t.2"))
	a.PutTopic(use("t-1"))
	for _, store := range []storage.StatusStore{a, b} {
		eventually(t, "both topics are there", func() bool { return len(store.Topics("c:d-")) == 2 })
		same(t, "topics", store.Topics("c:d-"), []storage.TopicStatus{use("t-1"), use("t.2")})
		same(t, "has t-1", store.HasTopic("t-1", "c:d-"), true)
		same(t, "has t-1 of another connector", store.HasTopic("t-1", "c"), false)
	}
	before := a.TopicResets()
	b.RemoveTopic("t-1", "c:d-")
	eventually(t, "one topic is gone", func() bool { return !a.HasTopic("t-1", "c:d-") })
	if after := a.TopicResets(); after <= before {
		t.Errorf("the removal is not counted: %d, before it %d", after, before)
	}
	same(t, "topics", a.Topics("c:d-"), []storage.TopicStatus{use("t.2")})
}

func lastWriteCounts(t *testing.T, open func() storage.StatusStore) {
	store := startStatus(t, open())
	for i := range 200 {
		store.PutConnector("c", storage.Status{State: storage.StateRunning, WorkerID: fmt.Sprint(i), Generation: 1})
	}
	flushed(t, store)
	late := startStatus(t, open())
	status, _ := late.Connector("c")
	same(t, "worker of the last write", status.WorkerID, "199")
}

package kafkastore_test

import (
	"testing"

	"tributary/internal/localkafka"
	"tributary/storage"
	"tributary/storage/kafkastore"
	"tributary/test/cluster/kafkatest"
)

// Java's readers take the last record of a connector, so the owner has the last word.
func TestAnOwnerRepeatsWhatALateRecordOverwrote(t *testing.T) {
	cluster := startKafka(t, localkafka.Options{})
	name := newName("statuses")
	open := func() *kafkastore.StatusStore {
		store := must[*kafkastore.StatusStore](t)(kafkastore.NewStatusStore(options(cluster, name, 1)))
		if err := store.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Stop)
		return store
	}
	write := func(store *kafkastore.StatusStore, connector string, state storage.State, worker string, generation int) {
		t.Helper()
		store.PutConnector(connector, storage.Status{State: state, WorkerID: worker, Generation: generation})
		if err := store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	owner, newer, leader := open(), open(), open()
	write(owner, "c", storage.StateRunning, "new", 5)
	write(owner, "moved", storage.StateRunning, "new", 5)
	write(newer, "moved", storage.StateRunning, "newer", 6)
	write(leader, "c", storage.StateUnassigned, "gone", 4)
	write(leader, "moved", storage.StateUnassigned, "gone", 4)

	client := kafkatest.Dial(t, cluster.Bootstrap())
	last := func(connector string) (value string) {
		for _, record := range client.ReadPartition(name, 0, kafkatest.ReadUncommitted) {
			if string(record.Key) == "status-connector-"+connector {
				value = string(record.Value)
			}
		}
		return value
	}
	eventually(t, "both owners' words are the last ones", func() bool {
		return last("c") == `{"state":"RUNNING","trace":null,"worker_id":"new","generation":5,"version":null}` &&
			last("moved") == `{"state":"RUNNING","trace":null,"worker_id":"newer","generation":6,"version":null}`
	})
}

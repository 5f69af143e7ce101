package kafkastore

import (
	"fmt"
	"testing"

	"tributary/storage"
)

func TestWhatAWorkerHasWrittenOfConnectorsThatItLostIsForgotten(t *testing.T) {
	s := &StatusStore{mine: map[string]storage.Status{}}
	for n := range 100 {
		connector := fmt.Sprint("c", n)
		s.PutConnector(connector, storage.Status{State: storage.StateRunning, WorkerID: "a", Generation: 1})
		if len(s.mine) != 1 {
			t.Fatalf("of one connector it knows %v", s.mine)
		}
		if n%2 == 0 { // another worker has it by now
			taken := storage.Status{State: storage.StateRunning, WorkerID: "b", Generation: 2}
			if err := s.table.Apply(storage.ConnectorStatusRecord(connector, &taken)); err != nil {
				t.Fatal(err)
			}
		}
		s.PutConnectorSafe(connector, storage.Status{State: storage.StateUnassigned, WorkerID: "a", Generation: 1})
		if len(s.mine) != 0 {
			t.Fatalf("it remembers %v", s.mine)
		}
	}
}

package kafkastore

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// withStore is withWriter for the store around it, which reads what test gives it.
func withStore(t *testing.T, test func(t *testing.T, s *StatusStore, b *broker, read func(storage.Record))) {
	withWriter(t, func(t *testing.T, w *statusWriter, b *broker, _ func(string, string, statusWrite)) {
		s := &StatusStore{journal: &journal{logger: slog.New(slog.DiscardHandler)}, mine: map[string]storage.Status{}, writer: w}
		test(t, s, b, func(r storage.Record) { s.apply(kafka.Record{Key: r.Key, Value: r.Value}) })
	})
}

func running(worker string, generation int) *storage.Status {
	return &storage.Status{State: storage.StateRunning, WorkerID: worker, Generation: generation}
}

func TestARetryEndsWhenAnotherWorkerHasTheWork(t *testing.T) {
	id := connect.TaskID{Connector: "c", Task: 3}
	for _, test := range []struct {
		name        string
		put         func(s *StatusStore)
		first, then *storage.Status // what is read before and after
		written     bool
	}{
		{"as it was", func(s *StatusStore) { s.PutTask(id, *running("a", 5)) }, nil, nil, true},
		{"a task that has moved on", func(s *StatusStore) { s.PutTask(id, *running("a", 5)) }, nil, running("b", 6), false},
		{"a connector that has moved on", func(s *StatusStore) { s.PutConnector("c", *running("a", 5)) }, nil, running("b", 6), false},
		{"a former owner's late word", func(s *StatusStore) { s.PutTask(id, *running("a", 5)) }, nil, running("b", 4), true},
		{"a group that counts its generations anew", func(s *StatusStore) { s.PutTask(id, *running("a", 1)) }, running("b", 6), nil, true},
	} {
		withStore(t, func(t *testing.T, s *StatusStore, b *broker, read func(storage.Record)) {
			readBoth := func(status *storage.Status) {
				if status != nil {
					read(storage.ConnectorStatusRecord("c", status))
					read(storage.TaskStatusRecord(id, status))
				}
			}
			readBoth(test.first)
			b.becomes(errAway)
			test.put(s)
			synctest.Wait()
			readBoth(test.then)
			b.becomes(nil)
			if err := s.Flush(t.Context()); err != nil || (b.wrote() != "") != test.written {
				t.Errorf("%s: flush %v, wrote %q", test.name, err, b.wrote())
			}
		})
	}
}

// The next generation's leader removes what is to be removed, and what is there may be new.
func TestRemovalsEndWithTheirGeneration(t *testing.T) {
	for name, remove := range map[string]func(s *StatusStore){
		"a connector": func(s *StatusStore) { s.RemoveConnector("c") },
		"a task":      func(s *StatusStore) { s.RemoveTask(connect.TaskID{Connector: "c"}) },
	} {
		for _, next := range []int{7, 8} {
			withStore(t, func(t *testing.T, s *StatusStore, b *broker, _ func(storage.Record)) {
				s.SetGeneration(7)
				b.becomes(errAway)
				remove(s)
				synctest.Wait()
				s.SetGeneration(next)
				b.becomes(nil)
				if err := s.Flush(t.Context()); err != nil || (b.wrote() != "") != (next == 7) {
					t.Errorf("%s, generation %d: flush %v, wrote %q", name, next, err, b.wrote())
				}
			})
		}
	}
}

func TestAStatusIsNotRepeatedOverThatOfTheNextOwner(t *testing.T) {
	withStore(t, func(t *testing.T, s *StatusStore, b *broker, read func(storage.Record)) {
		s.PutConnector("c", *running("a", 5))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		read(storage.ConnectorStatusRecord("c", running("a", 5)))
		b.becomes(errAway)
		written := b.wrote()
		read(storage.ConnectorStatusRecord("c", &storage.Status{State: storage.StateUnassigned, WorkerID: "gone", Generation: 4}))
		synctest.Wait() // the repetition cannot be written
		read(storage.ConnectorStatusRecord("c", running("b", 6)))
		b.becomes(nil)
		if err := s.Flush(t.Context()); err != nil || b.wrote() != written {
			t.Errorf("flush %v, wrote %q", err, b.wrote())
		}
	})
}

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

func TestWhatAWorkerHasWrittenOfADeletedConnectorIsForgotten(t *testing.T) {
	withStore(t, func(t *testing.T, s *StatusStore, _ *broker, read func(storage.Record)) {
		for _, connector := range []string{"deleted", "kept"} {
			// It was deleted before it was started again: nothing more is written of it here.
			restarting := &storage.Status{State: storage.StateRestarting, WorkerID: "a", Generation: 1}
			s.PutConnector(connector, *restarting)
			read(storage.ConnectorStatusRecord(connector, restarting))
		}
		read(storage.ConnectorStatusRecord("deleted", nil))
		if len(s.mine) != 1 {
			t.Errorf("it remembers %v", s.mine)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

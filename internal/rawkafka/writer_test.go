package rawkafka

import (
	"fmt"
	"testing"
	"time"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// A broker works on one request of a connection at a time, so one that takes long holds up the partitions of its connection
// alone. Without compression one connection does.
func TestPartitionsAreSharedOutAmongConnections(t *testing.T) {
	target := start(t, localkafka.Options{Topics: map[string]int32{"t": 4}})
	s := newSender(t, target.Bootstrap())
	outcomes := make(chan string, 12)
	send := func(partition int32, what string) {
		t.Helper()
		o := &Outgoing{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: partition}, Data: mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte(what)}}, 4)}
		o.Done = func(out Outcome) { outcomes <- fmt.Sprintf("%d %s %v", partition, what, out.Err) }
		if err := s.Send(o); err != nil {
			t.Fatal(err)
		}
	}
	next := func() string {
		t.Helper()
		select {
		case outcome := <-outcomes:
			return outcome
		case <-time.After(patience):
			t.Fatal("nothing more is stored")
			return ""
		}
	}
	for partition := range int32(4) { // connections are there, and the identity is known
		send(partition, "first")
		next()
	}

	held := target.HoldNext(localkafka.Produce)
	defer held.Undo()
	send(0, "held")
	kafkatest.Await(t, patience, "the first request is held", func() (bool, string) { return held.Hits() == 1, fmt.Sprint(held.Hits(), " held") })
	send(2, "behind")
	send(1, "beside")
	send(3, "beside")

	free := map[string]bool{next(): true, next(): true}
	if !free["1 beside <nil>"] || !free["3 beside <nil>"] {
		t.Errorf("while a request is held, these get through: %v", free)
	}
	held.Undo()
	if got := [2]string{next(), next()}; got != [2]string{"0 held <nil>", "2 behind <nil>"} {
		t.Errorf("then: %q", got)
	}

	plain := newSender(t, target.Bootstrap())
	for partition := range int32(4) {
		o := &Outgoing{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: partition}, Data: mustEncode(t, []kafka.Record{{Timestamp: 1}}, 0), Done: func(Outcome) {}}
		if err := plain.Send(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := plain.Flush(t.Context()); err != nil || len(plain.writers) != 1 {
		t.Errorf("%d connections for batches that are not compressed: %v", len(plain.writers), err)
	}
}

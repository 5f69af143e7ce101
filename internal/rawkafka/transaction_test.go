package rawkafka

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newTransactional(t *testing.T, bootstrap string) *Sender {
	t.Helper()
	s := newSender(t, bootstrap, "transactional.id", "tx")
	if err := s.InitTransactions(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// write sends a batch with one record for each value.
func write(t *testing.T, s *Sender, partition int32, values ...string) {
	t.Helper()
	records := make([]kafka.Record, len(values))
	for i, v := range values {
		records[i] = kafka.Record{Topic: "t", Partition: partition, Timestamp: 1, Value: []byte(v)}
	}
	b := mustEncode(t, records, 0)
	err := s.Send(&Outgoing{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: partition}, Data: b, Done: func(Outcome) {}})
	if err != nil {
		t.Fatal(err)
	}
}

func committed(c *kafkatest.Client, partition int32) []string {
	var values []string
	for _, r := range c.ReadPartition("t", partition, kafkatest.ReadCommitted) {
		values = append(values, string(r.Value))
	}
	return values
}

func TestTransactionsAreCommittedOrAbortedAsAWhole(t *testing.T) {
	b := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": 2, "offsets": 1}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	for i := range 6 {
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		for p := range int32(2) {
			write(t, s, p, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
			write(t, s, p, fmt.Sprint(i, "c"))
		}
		offset := &kafka.Record{Topic: "offsets", Partition: kafka.AnyPartition, Timestamp: kafka.NoTimestamp, Key: []byte("at"), Value: fmt.Append(nil, i)}
		if err := (Producer{s}).Send(ctx, offset, nil); err != nil {
			t.Fatal(err)
		}
		end := s.Commit
		if i%3 == 1 {
			end = s.Abort
		}
		if err := end(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"0a", "0b", "0c", "2a", "2b", "2c", "3a", "3b", "3c", "5a", "5b", "5c"}
	for p := range int32(2) {
		if diff := cmp.Diff(want, committed(target, p)); diff != "" {
			t.Errorf("partition %d: %s", p, diff)
		}
	}
	var offsets []string
	for _, r := range target.ReadPartition("offsets", 0, kafkatest.ReadCommitted) {
		offsets = append(offsets, string(r.Key)+string(r.Value))
	}
	if diff := cmp.Diff([]string{"at0", "at2", "at3", "at5"}, offsets); diff != "" {
		t.Error(diff)
	}
}

// A broker that is asked on two connections at once to take first batches of a transaction refuses some. What is not the first of
// its partition goes on.
func TestOneConnectionAtATimeAddsPartitionsToATransaction(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 4}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	outcomes := make(chan string, 12)
	send := func(partition int32, what string) {
		t.Helper()
		o := &Outgoing{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: partition}, Data: mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte(what)}}, 4)}
		o.Done = func(out Outcome) { outcomes <- fmt.Sprint(what, out.Err) }
		if err := s.Send(o); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want string) {
		t.Helper()
		select {
		case got := <-outcomes:
			if got != want+"<nil>" {
				t.Fatalf("%s is done, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("%s is not done", want)
		}
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	for partition := range int32(4) { // connections are there, and have their partitions
		send(partition, "before")
		next("before")
	}
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}

	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	send(3, "added")
	next("added")
	held := b.HoldNext(localkafka.Produce)
	defer held.Undo()
	send(0, "held")
	kafkatest.Await(t, patience, "a first batch is held", func() (bool, string) { return held.Hits() == 1, fmt.Sprint(held.Hits(), " held") })
	send(1, "waits") // would be stored before what is sent on its connection after it
	send(3, "goes on")
	next("goes on")
	if len(outcomes) > 0 {
		t.Errorf("while a first batch is held, %s", <-outcomes)
	}
	held.Undo()
	next("held")
	next("waits")
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	for partition, want := range [][]string{{"before", "held"}, {"before", "waits"}, {"before"}, {"before", "added", "goes on"}} {
		if diff := cmp.Diff(want, committed(target, int32(partition))); diff != "" {
			t.Errorf("partition %d: %s", partition, diff)
		}
	}
}

// A task that is cut off closes its sender while it may be about to commit.
func TestNothingIsCommittedWithoutABatchThatCloseGaveUp(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "stored")
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	b.Fail(localkafka.Fault{API: localkafka.Produce, Code: notEnoughReplicas, Topic: "t", Times: -1})
	write(t, s, 1, "given up")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_ = s.Close(ended)
	if err := s.Commit(ctx); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if got := append(committed(target, 0), committed(target, 1)...); len(got) > 0 {
		t.Errorf("committed: %q", got)
	}
}

func TestATakenOverSenderCommitsNothing(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	old := newTransactional(t, b.Bootstrap())
	if err := old.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, old, 0, "old")
	if err := old.Flush(ctx); err != nil {
		t.Fatal(err)
	}

	fresh := newTransactional(t, b.Bootstrap())

	// kfake says INVALID_TXN_STATE where brokers say that the producer is fenced.
	if err := old.Commit(ctx); err == nil {
		t.Error("the old one commits")
	}
	if err := old.Begin(); err == nil {
		t.Error("the old one begins again")
	}
	if err := fresh.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, fresh, 0, "new")
	if err := fresh.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"new"}, committed(target, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestFencingIsSeenWhileSending(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	old := newTransactional(t, b.Bootstrap())
	newTransactional(t, b.Bootstrap())
	if err := old.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, old, 0, "late")
	if err := old.Commit(testContext(t)); !errors.Is(err, kafka.ErrFenced) {
		t.Errorf("commit: %v", err)
	}
}

func TestAFailedBatchLeavesNothingButAnAbort(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "good")
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	fault := b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 87, Topic: "t", Partitions: []int32{1}})
	write(t, s, 1, "refused")
	if err := s.Commit(ctx); err == nil {
		t.Fatal("a transaction of which a part is missing was committed")
	}
	fault.Undo()
	if err := s.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "again 0")
	write(t, s, 1, "again 1")
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		if diff := cmp.Diff([]string{fmt.Sprint("again ", p)}, committed(target, p)); diff != "" {
			t.Errorf("partition %d: %s", p, diff)
		}
	}
}

// withoutImplicitAdds has a sender speak the protocol from before KIP-890, until it registers again.
func withoutImplicitAdds(s *Sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txn.implicit = false
}

func TestAnAbortThatTheCoordinatorTookIsFinishedByTheNextOne(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 2}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	withoutImplicitAdds(s)
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "aborted")
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 87, Topic: "t", Partitions: []int32{1}})
	write(t, s, 1, "refused")
	if err := s.Commit(ctx); err == nil {
		t.Fatal("a transaction of which a part is missing was committed")
	}
	ends := b.Count(localkafka.EndTxn)
	fault := b.Fail(localkafka.Fault{API: localkafka.InitProducerID, Code: 15, TopLevel: true, Times: -1})
	cut, cancel := context.WithCancel(ctx)
	aborted := make(chan error, 1)
	go func() { aborted <- s.Abort(cut) }()
	kafkatest.Await(t, patience, "a new epoch is asked for", func() (bool, string) { return fault.Hits() > 0, "not yet" })
	cancel()
	if err := <-aborted; err == nil {
		t.Fatal("the abort succeeded without a new epoch")
	}
	if err := s.Begin(); err == nil {
		t.Error("a transaction begins whose sequences may have gaps")
	}
	fault.Undo()

	if err := s.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if n := ends.Hits(); n != 1 {
		t.Errorf("the transaction was ended %d times", n)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "next")
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"next"}, committed(target, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestATransactionThatTheCoordinatorNeverHeardOfIsAborted(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	withoutImplicitAdds(s)
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "committed") // after which an abort is refused
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	b.Fail(localkafka.Fault{API: localkafka.AddPartitionsToTxn, Code: 29, Topic: "t"})
	write(t, s, 0, "refused")
	if _, ok := errors.AsType[*kafka.AuthorizationError](s.Commit(ctx)); !ok {
		t.Fatal("a transaction of which a part is missing was committed")
	}
	if err := s.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 0, "next")
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"committed", "next"}, committed(target, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestCoordinatorsAndConnectionsMayGoAway(t *testing.T) {
	b := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": 1}})
	target, ctx := kafkatest.Dial(t, b.Bootstrap()), testContext(t)
	s := newTransactional(t, b.Bootstrap())
	var want []string
	for i := range 5 {
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		write(t, s, 0, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
		switch i {
		case 1:
			b.DropConnections()
		case 2:
			b.Refuse(localkafka.EndTxn, 1)
		case 3:
			b.Fail(localkafka.Fault{API: localkafka.EndTxn, Code: 51, TopLevel: true, Times: 3})
		case 4:
			b.Fail(localkafka.Fault{API: localkafka.Produce, Code: 51, Topic: "t", Times: 2})
		}
		if err := s.Commit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, committed(target, 0)); diff != "" {
		t.Error(diff)
	}
}

package rawkafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// sending is a batch of a record on its way, whose outcome goes to outcomes.
func sending(t *testing.T, partition int32, value []byte, outcomes chan<- error) *Outgoing {
	t.Helper()
	return &Outgoing{
		TopicPartition: kafka.TopicPartition{Topic: "t", Partition: partition},
		Data:           mustEncode(t, []kafka.Record{{Timestamp: 1, Value: value}}, 4),
		Done:           func(o Outcome) { outcomes <- o.Err },
	}
}

// await awaits so many outcomes, all of them good.
func await(ctx context.Context, t *testing.T, s *Sender, outcomes <-chan error, n int) {
	t.Helper()
	for i := range n {
		select {
		case err := <-outcomes:
			if err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatalf("%d of %d batches are stored; %v", i, n, s.Unwritable())
		}
	}
}

// Partitions whose leaders move are written to at the new ones, however much of them waits: while the old broker answers, and
// when it is gone.
func TestPartitionsWithMuchToSendFollowTheirLeaders(t *testing.T) {
	for name, gone := range map[string]bool{"moved": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			const partitions, each = 40, 3
			b := start(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"t": partitions}})
			move := func(to int32) {
				t.Helper()
				for p := range int32(partitions) {
					if err := b.MoveLeader("t", p, to); err != nil {
						t.Fatal(err)
					}
				}
			}
			move(0)
			s, ctx, outcomes := newSender(t, b.Bootstrap()), testContext(t), make(chan error, partitions*each)
			value := func(p int32, i int) []byte { // three of them are a request
				v := make([]byte, 300<<10)
				_, _ = rand.NewChaCha8([32]byte{byte(p), byte(i)}).Read(v)
				return v
			}
			for p := range int32(partitions) {
				if err := s.Send(sending(t, p, value(p, 0), outcomes)); err != nil {
					t.Fatal(err)
				}
			}
			await(ctx, t, s, outcomes, partitions)
			move(1)
			if gone {
				if err := b.StopBroker(0); err != nil {
					t.Fatal(err)
				}
			}
			s.mu.Lock() // all of it is there when the first request is made
			for i := 1; i < each; i++ {
				for p := range int32(partitions) {
					s.put(s.streams[kafka.TopicPartition{Topic: "t", Partition: p}], sending(t, p, value(p, i), outcomes))
				}
			}
			s.mu.Unlock()
			await(ctx, t, s, outcomes, partitions*(each-1))
			if gone { // who reads knows both
				if err := b.StartBroker(0); err != nil {
					t.Fatal(err)
				}
			}
			target := kafkatest.Dial(t, b.Bootstrap())
			for p := range int32(partitions) {
				var want, got []string
				for i := range each {
					want = append(want, string(value(p, i)))
				}
				for _, r := range target.ReadPartition("t", p, kafkatest.ReadUncommitted) {
					got = append(got, string(r.Value))
				}
				if !cmp.Equal(want, got) {
					t.Errorf("partition %d holds %d records, not the %d that were sent in their order", p, len(got), each)
				}
			}
		})
	}
}

// A bundle that cannot be made is found out when it is sent, and what was sent before it may have failed by then: in the order in
// which two goroutines do it.
func TestWhatFailsBeforeABundleThatCannotBeMadeIsSentAgain(t *testing.T) {
	b := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	s, ctx, told := newSender(t, b.Bootstrap()), testContext(t), make(chan string, 4)
	send := func(value string) {
		t.Helper()
		o := sending(t, 0, nil, nil)
		o.Data = mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte(value)}}, 0)
		if value == "unreadable" { // no bundle can be made of it; the embedded broker does not look into it
			o.Data[headerSize] = 0xff
			batch(o.Data).sum()
		}
		o.Done = func(out Outcome) { told <- fmt.Sprint(value, out.Pieces, out.Err) }
		if err := s.Send(o); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("nothing is told of, want %s", want)
		}
	}
	send("connects")
	next("connects[{0 1 0}] <nil>")
	s.mu.Lock()
	w := s.writer(s.streams[kafka.TopicPartition{Topic: "t"}])
	s.mu.Unlock()
	gone := &kafka.ConnectionError{Addr: "x", Reason: "is gone"}
	w.sending.Lock() // as who transmits
	send("first")
	first, _ := w.load()
	send("second")
	send("unreadable")
	bundle, _ := w.load()
	if len(first) != 1 || len(bundle) != 1 || bundle[0].parcel.parts == nil {
		t.Fatalf("loads of %v and %v", first, bundle)
	}
	w.failed(nil, first, gone) // the reading goroutine
	w.leaveApart(bundle)       // the writer's: nothing is left in its request
	w.failed(nil, nil, gone)
	w.sending.Unlock()
	next("first[{0 1 1}] <nil>")
	next("second[{0 1 2}] <nil>")
	next("unreadable[{0 1 3}] <nil>")
}

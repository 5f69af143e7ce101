package rawkafka

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// What is handed over while a batch is given up waits until that is told, and is asked then whether it is still to be
// written: so nothing behind a refused batch is stored before it, however the two cross.
func TestNothingOvertakesABatchThatIsGivenUp(t *testing.T) {
	a := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	target := kafkatest.Dial(t, a.Bootstrap())
	target.DeleteTopic("t")
	target.CreateTopic("t", 1, map[string]string{"max.message.bytes": "2000"})
	s := newSender(t, a.Bootstrap())
	tp := kafka.TopicPartition{Topic: "t"}
	var rewound atomic.Bool
	outcomes := make(chan error, 2)
	behind := &Outgoing{TopicPartition: tp, Data: mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte("behind")}}, 0),
		Stale: rewound.Load, Done: func(o Outcome) { outcomes <- o.Err }}
	sent := make(chan error, 1)
	large := &Outgoing{TopicPartition: tp, Data: mustEncode(t, []kafka.Record{{Timestamp: 1, Value: make([]byte, 5000)}}, 0), Done: func(o Outcome) {
		go func() { sent <- s.Send(behind) }()
		for range 1000 { // time enough for it to overtake, if it can
			runtime.Gosched()
		}
		rewound.Store(true)
		outcomes <- o.Err
	}}

	if err := s.Send(large); err != nil {
		t.Fatal(err)
	}

	var tooLarge *kafka.RecordTooLargeError
	if err := <-outcomes; !errors.As(err, &tooLarge) {
		t.Errorf("the large record: %v", err)
	}
	if err := <-outcomes; !errors.Is(err, kafka.ErrStale) {
		t.Errorf("the one behind it: %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := target.ReadPartition("t", 0, kafkatest.ReadUncommitted); len(got) != 0 {
		t.Errorf("%d records were stored", len(got))
	}
}

// Brokers take any first number from a producer they do not know: until one parcel is stored, none flies behind another.
func TestTheFirstParcelOfAnIdentityFliesAlone(t *testing.T) {
	st := &stream{id: noIdentity, bundleLimit: bundleBytes}
	for range 3 {
		st.parcels = append(st.parcels, &parcel{data: mustEncode(t, []kafka.Record{{Timestamp: 1}}, 0), id: noIdentity})
	}
	fly := func() *parcel {
		p := st.next()
		if p != nil {
			st.takeOff(p)
			st.number(p, identity{7, 0})
		}
		return p
	}
	first := fly()
	if first != st.parcels[0] || fly() != nil {
		t.Fatal("not the first parcel alone is sent")
	}
	st.landed(first, 0, nil)
	if fly() != st.parcels[1] || fly() != st.parcels[2] {
		t.Fatal("the others do not follow once it is stored")
	}
	for _, p := range st.parcels[1:] {
		st.landed(p, -1, errOutOfOrderSequence)
	}
	st.refused, st.failure = nil, nil
	st.renumber()
	if fly() != st.parcels[1] || fly() != nil {
		t.Fatal("under another identity not the first parcel alone is sent")
	}
}

package kafka

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

func TestATransactionWithARecordThatEndedIsAbortedAndTheNextOneIsWhole(t *testing.T) {
	for name, disturb := range map[string]func(*localkafka.Cluster) *localkafka.Disturbance{
		"not enough replicas": func(c *localkafka.Cluster) *localkafka.Disturbance {
			return c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 19, Times: -1})
		},
		"stored, but the answer says timed out": func(c *localkafka.Cluster) *localkafka.Disturbance {
			return c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 7, Times: -1})
		},
		"connection closed": func(c *localkafka.Cluster) *localkafka.Disturbance { return c.Refuse(localkafka.Produce, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
			p := newTestProducer(t, c.Bootstrap(), "transactional.id", "tx", "delivery.timeout.ms", "300", "request.timeout.ms", "200", "linger.ms", "0")
			ctx := testContext(t)
			if err := p.InitTransactions(ctx); err != nil {
				t.Fatal(err)
			}
			if err := p.Begin(); err != nil {
				t.Fatal(err)
			}
			mustSend(t, p, &Record{Topic: "a", Value: []byte("aborted")})
			disturbance := disturb(c)
			err := p.SendSync(ctx, &Record{Topic: "a", Value: []byte("ended")})
			if timeout, ok := errors.AsType[*TimeoutError](err); !ok || timeout.Key != "delivery.timeout.ms" {
				t.Fatalf("the record ended with %v", err)
			}
			disturbance.Undo()

			sending := p.Send(ctx, &Record{Topic: "a", Value: []byte("late")}, nil)
			for what, err := range map[string]error{"Send": sending, "Commit": p.Commit(ctx)} {
				// Who takes it for retriable tries for ever.
				timeout, ok := errors.AsType[*TimeoutError](err)
				if !ok || timeout.Key != "delivery.timeout.ms" || IsRetriable(err) || !strings.Contains(err.Error(), "the transaction can only be aborted") {
					t.Errorf("%s: error %v, retriable: %v", what, err, IsRetriable(err))
				}
			}
			if err := p.Abort(ctx); err != nil {
				t.Fatal(err)
			}
			if err := p.Begin(); err != nil {
				t.Fatal(err)
			}
			mustSend(t, p, &Record{Topic: "a", Value: []byte("first")})
			mustSend(t, p, &Record{Topic: "a", Value: []byte("second")})
			if err := p.Commit(ctx); err != nil {
				t.Fatal(err)
			}

			f := newTestFetcher(t, c.Bootstrap(), "isolation.level", "read_committed")
			tp := TopicPartition{"a", 0}
			f.Assign(map[TopicPartition]int64{tp: 0})
			if diff := cmp.Diff([]string{"first", "second"}, valuesOf(readTo(t, f, tp, endOf(t, c, tp)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// failedInTransaction begins a transaction in which a record was stored and another one failed for good.
func failedInTransaction(t *testing.T, c *localkafka.Cluster, p *Producer) {
	t.Helper()
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Value: []byte("aborted")})
	fault := c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 87, Times: -1})
	defer fault.Undo()
	if err := p.SendSync(testContext(t), &Record{Topic: "a", Value: []byte("refused")}); err == nil {
		t.Fatal("nothing failed")
	}
}

func TestAnAbortThatTheCoordinatorTookIsFinishedByTheNextOne(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "transactional.id", "tx", "linger.ms", "0")
	ctx := testContext(t)
	if err := p.InitTransactions(ctx); err != nil {
		t.Fatal(err)
	}
	failedInTransaction(t, c, p)
	ends := c.Count(localkafka.EndTxn)
	held := c.Fail(localkafka.Fault{API: localkafka.InitProducerID, Code: 15, TopLevel: true, Times: -1})
	cut, cancel := context.WithCancel(ctx)
	aborted := make(chan error, 1)
	go func() { aborted <- p.Abort(cut) }()
	eventually(t, "a new epoch is asked for", func() bool { return held.Hits() > 0 })
	cancel()
	if err := <-aborted; err == nil {
		t.Fatal("the abort succeeded without a new epoch")
	}
	if err := p.Begin(); err == nil {
		t.Error("a transaction begins whose sequences may have gaps")
	}
	held.Undo()

	if err := p.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if n := ends.Hits(); n != 1 {
		t.Errorf("the transaction was ended %d times", n)
	}
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Value: []byte("next")})
	if err := p.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestATransactionThatTheCoordinatorNeverHeardOfIsAborted(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "transactional.id", "tx", "linger.ms", "0")
	ctx := testContext(t)
	if err := p.InitTransactions(ctx); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int16{0, 29, 17} { // none, no rights, invalid topic
		if err := p.Begin(); err != nil {
			t.Fatal(err)
		}
		if code == 0 { // after a commit an abort is refused
			mustSend(t, p, &Record{Topic: "a", Value: []byte("committed")})
			if err := p.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			continue
		}
		c.Fail(localkafka.Fault{API: localkafka.AddPartitionsToTxn, Code: code, Topic: "a"})
		if err := p.SendSync(ctx, &Record{Topic: "a", Value: []byte("refused")}); codeOf(err) != sarama.KError(code) {
			t.Fatalf("code %d: the record ended with %v", code, err)
		}
		if err := p.Abort(ctx); err != nil {
			t.Fatalf("code %d: %v", code, err)
		}
	}
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Value: []byte("next")})
	if err := p.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

// Whether the coordinator has taken partitions is not known when its answer was lost.
func TestATransactionOfWhichTheCoordinatorMayHaveHeardIsEndedThere(t *testing.T) {
	for _, err := range []error{nil, &ConnectionError{Err: io.EOF}, &ServerError{Code: 15}, &ServerError{Code: -1}, &TimeoutError{Err: ErrConcurrentTransactions}} {
		state := TransactionState{Partitions: 3}
		if state.Refused(2, err); state.Partitions != 3 {
			t.Errorf("%v: %d partitions left", err, state.Partitions)
		}
	}
}

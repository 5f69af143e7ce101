package kafka

import (
	"errors"
	"strings"
	"testing"

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

package localkafka_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"tributary/internal/localkafka"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, o localkafka.Options) *localkafka.Cluster {
	t.Helper()
	c, err := localkafka.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t *testing.T, c *localkafka.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(c.Bootstrap(), ",")...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func consume(t *testing.T, c *localkafka.Cluster, topic string, n int) []string {
	t.Helper()
	cl := client(t, c, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func TestTopicsOfTheOptionsExistAndKeepWhatIsWritten(t *testing.T) {
	c := start(t, localkafka.Options{Topics: map[string]int32{"a": 1}})

	produce(t, client(t, c), "a", "one", "two")

	if diff := cmp.Diff([]string{"one", "two"}, consume(t, c, "a", 2)); diff != "" {
		t.Error(diff)
	}
	if c.NumBrokers() != 1 {
		t.Errorf("%d brokers by default, want 1", c.NumBrokers())
	}
}

func TestADataDirKeepsRecordsOverARestart(t *testing.T) {
	dir := t.TempDir()
	first, err := localkafka.Start(localkafka.Options{DataDir: dir, Topics: map[string]int32{"a": 1}})
	if err != nil {
		t.Fatal(err)
	}
	produce(t, client(t, first), "a", "kept")
	first.Close()

	second := start(t, localkafka.Options{DataDir: dir})

	if diff := cmp.Diff([]string{"kept"}, consume(t, second, "a", 1)); diff != "" {
		t.Error(diff)
	}
}

func TestAStoppedBrokerIsUnreachableUntilItIsStartedAgain(t *testing.T) {
	c := start(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	cl := client(t, c)
	produce(t, cl, "a", "before")

	if err := c.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := cl.Ping(ctx); err == nil {
		t.Error("a stopped broker answered")
	}
	if err := c.StartBroker(0); err != nil {
		t.Fatal(err)
	}
	produce(t, cl, "a", "after")

	if diff := cmp.Diff([]string{"before", "after"}, consume(t, c, "a", 2)); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsMeetAsManyRequestsAsAskedFor(t *testing.T) {
	c := start(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	notLeader := c.Fail(localkafka.Fault{API: localkafka.Produce, Code: 6, Topic: "a", Times: 2})
	refused := c.Refuse(localkafka.Produce, 1)
	counted := c.Count(localkafka.Produce)
	defer counted.Undo()

	produce(t, client(t, c), "a", "x")

	if diff := cmp.Diff([]string{"x"}, consume(t, c, "a", 1)); diff != "" {
		t.Error(diff)
	}
	got := fmt.Sprint(notLeader.Hits(), refused.Hits(), counted.Hits())
	if got != "2 1 3" {
		t.Errorf("not-leader, refused and counted requests: %s, want 2 1 3", got)
	}
}

func TestHoldDelaysARequestUntilUndo(t *testing.T) {
	c := start(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	cl := client(t, c)
	held := c.Hold(localkafka.Produce)
	done := make(chan error, 1)
	cl.Produce(t.Context(), &kgo.Record{Topic: "a", Value: []byte("v")}, func(_ *kgo.Record, err error) { done <- err })
	for held.Hits() == 0 {
		select {
		case err := <-done:
			t.Fatalf("answered although held: %v", err)
		case <-time.After(time.Millisecond):
		}
	}

	held.Undo()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAKickedBrokerHandsItsPartitionsToTheRest(t *testing.T) {
	c := start(t, localkafka.Options{Brokers: 3, Topics: map[string]int32{"a": 1}})
	cl := client(t, c)
	produce(t, cl, "a", "before")
	old := c.Leader("a", 0)

	if err := c.KickBroker(old); err != nil {
		t.Fatal(err)
	}

	if now := c.Leader("a", 0); now == old {
		t.Errorf("broker %d is gone and still leads", old)
	}
	if c.NumBrokers() != 2 {
		t.Errorf("%d brokers left, want 2", c.NumBrokers())
	}
}

func TestUsersLogInAndOthersDoNot(t *testing.T) {
	c := start(t, localkafka.Options{Users: []localkafka.User{{Mechanism: "PLAIN", Name: "u", Password: "p", Super: true}}})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client(t, c).Ping(ctx); err == nil {
		t.Error("a client without credentials was let in")
	}
}

func TestTLSListenersSpeakTLS(t *testing.T) {
	cert := selfSigned(t)
	c := start(t, localkafka.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	cl := client(t, c, kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec // a test certificate
	if err := cl.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

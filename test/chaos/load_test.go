package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// partitions of each topic that is mirrored.
	partitions = 4
	// pace is the pause between two portions of records, portion their size.
	pace    = 25 * time.Millisecond
	portion = 25
)

// load writes to topics until it is ended, whatever happens to the brokers. What it
// managed to write is for the topics to say.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startLoad writes to plain, and to transactional in transactions of which a third is
// aborted. An empty name leaves a topic out.
func startLoad(t *testing.T, bootstrap string, seed uint64, plain, transactional string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	t.Cleanup(l.end)
	open := func(more ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(more, kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if plain != "" {
		c := open()
		l.wg.Go(func() { defer c.Close(); writePlain(ctx, c, plain) })
	}
	if transactional != "" {
		l.wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 2))
			for life := 0; ctx.Err() == nil; life++ {
				// A transaction that cannot be ended costs the client; the next one fences it.
				c := open(kgo.TransactionalID("load-"+transactional), kgo.TransactionTimeout(10*time.Second))
				writeTransactions(ctx, c, transactional, random, life)
				c.CloseAllowingRebalance()
			}
		})
	}
	return l
}

// end stops writing and waits for what is under way.
func (l *load) end() {
	l.cancel()
	l.wg.Wait()
}

var filler = strings.Repeat("filler ", 12)

func recordOf(topic, series string, n int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: int32(n % partitions), Key: strconv.AppendInt(nil, int64(n), 10),
		Value: fmt.Appendf(nil, "%s %d %s", series, n, filler),
	}
}

func writePlain(ctx context.Context, c *kgo.Client, topic string) {
	for n := 0; ; {
		for range portion {
			c.Produce(ctx, recordOf(topic, "plain", n), nil)
			n++
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

func writeTransactions(ctx context.Context, c *kgo.Client, topic string, random *rand.Rand, life int) {
	for n := 0; ctx.Err() == nil; {
		if err := c.BeginTransaction(); err != nil {
			return
		}
		commit := kgo.TransactionEndTry(random.IntN(3) > 0)
		for range 1 + random.IntN(4) {
			for range portion {
				c.Produce(ctx, recordOf(topic, fmt.Sprintf("life %d, commit %v", life, commit), n), nil)
				n++
			}
			time.Sleep(pace)
		}
		// The end of the run must not leave a transaction to its time-out.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := c.Flush(ending)
		if err != nil {
			commit = kgo.TryAbort
		}
		if errors.Is(c.EndTransaction(ending, commit), kerr.OperationNotAttempted) {
			err = c.EndTransaction(ending, kgo.TryAbort)
		}
		cancel()
		if err != nil {
			return
		}
	}
}

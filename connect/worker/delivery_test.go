package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

var (
	errLeader   = connect.Retriable(errors.New("no leader"))
	errTooLarge = errors.New("message too large")
)

func batchOf(p string, target int32, from, to int) []*connect.SourceRecord {
	var out []*connect.SourceRecord
	for n := from; n <= to; n++ {
		out = append(out, record(p, n, target))
	}
	return out
}

func TestRecordsThatFailForNowAreSentAgainInOrderByANewProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.judge = func(n int, r *kafka.Record) error {
			if n == 2 || n == 5 { // a2 and a4: a3 lands between them
				return errLeader
			}
			return nil
		}
		b.beginTask(t)
		b.source.batches <- []*connect.SourceRecord{
			record("a", 1, 0), record("a", 2, 0), record("b", 1, 1), record("a", 3, 0), record("a", 4, 0),
		}
		time.Sleep(time.Second) // the task is idle meanwhile: nothing but the failure calls for a new producer
		synctest.Wait()
		expect(t, "partition 0", b.cluster.log("t-0"), "a1 a3 a2 a3 a4")
		expect(t, "partition 1", b.cluster.log("t-1"), "b1")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 b1@0 a2@2 a3@3 a4@4")
		if len(b.cluster.opened) != 2 || b.cluster.closed != 1 {
			t.Errorf("%d producers were opened and %d closed, want 2 and 1", len(b.cluster.opened), b.cluster.closed)
		}
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t")
		b.settle(t)
		expect(t, "offsets", b.offsets.written(), "ca=4,cb=1")
	})
}

func TestProducerIsReplacedEvenIfRecordsInFlightNeverResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first := true
		b.cluster.judge = func(n int, r *kafka.Record) error {
			if n == 1 {
				return errLeader
			}
			return nil
		}
		b.cluster.hold = func(r *kafka.Record) bool {
			if first && string(r.Value) == "a1" {
				time.Sleep(time.Millisecond) // passes once the others are in flight, too
			}
			held := first && string(r.Value) == "a2"
			first = first && !held
			return held
		}
		b.beginTask(t)
		b.source.batches <- batchOf("a", 0, 1, 3)
		time.Sleep(2 * drainLimit)
		synctest.Wait()
		expect(t, "partition 0", b.cluster.log("t-0"), "a1 a2 a3")
		b.settle(t)
		expect(t, "offsets", b.offsets.written(), "ca=3")
	})
}

// TestNothingIsLostOrReorderedWhateverFails sends records of several source partitions
// to several target partitions while sends, producers and commits fail at random. In
// each target partition the last copies must be complete and in order, and no offset
// may be committed before everything up to it is there.
func TestNothingIsLostOrReorderedWhateverFails(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tortureDelivery(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func tortureDelivery(t *testing.T, random *rand.Rand) {
	const partitions, each = 3, 200
	b := newBench(t)
	b.options.Config.FlushInterval = 50 * time.Millisecond
	var mu sync.Mutex
	faults := rand.New(rand.NewPCG(random.Uint64(), 11)) // of its own: faults strike in other goroutines
	chance := func(percent int) bool {
		mu.Lock()
		defer mu.Unlock()
		return faults.IntN(100) < percent
	}
	var calm atomic.Bool
	b.cluster.judge = func(int, *kafka.Record) error {
		if !calm.Load() && chance(3) {
			return errLeader
		}
		return nil
	}
	b.cluster.refuse = func() error {
		if !calm.Load() && chance(30) {
			return errLeader
		}
		return nil
	}
	b.offsets.fault = func(context.Context) error {
		if !calm.Load() && chance(30) {
			return errors.New("not now")
		}
		for p := range partitions {
			checkCommitted(t, b, p)
		}
		return nil
	}
	b.beginTask(t)
	next := [partitions]int{}
	for sent := 0; sent < partitions*each; {
		var batch []*connect.SourceRecord
		for range 20 {
			if p := random.IntN(partitions); next[p] < each {
				next[p]++
				sent++
				batch = append(batch, record(strconv.Itoa(p)+"-", next[p], int32(p)))
			}
		}
		b.source.batches <- batch
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
	}
	time.Sleep(10 * time.Minute)
	calm.Store(true)
	b.settle(t)
	for p := range partitions {
		if got := keptOrder(b.cluster.logs[fmt.Sprintf("t-%d", p)], strconv.Itoa(p)+"-"); got != each {
			t.Errorf("partition %d holds %d records in order, want %d", p, got, each)
		}
		if got := b.offsets.values[fmt.Sprintf("c%d-", p)]; got != strconv.Itoa(each) {
			t.Errorf("partition %d: offset %s was committed last, want %d", p, got, each)
		}
	}
	if len(b.cluster.opened) < 3 {
		t.Errorf("%d producers were opened: too little went wrong", len(b.cluster.opened))
	}
	checkHeardOnce(t, b.source.committed, partitions, each)
}

// keptOrder counts how many records the last copies in a log are, if they are 1, 2, 3…
func keptOrder(log []string, prefix string) int {
	last := map[string]int{}
	for i, v := range log {
		last[v] = i
	}
	n, at := 0, -1
	for {
		i, ok := last[prefix+strconv.Itoa(n+1)]
		if !ok || i < at {
			return n
		}
		n, at = n+1, i
	}
}

func checkCommitted(t *testing.T, b *bench, p int) {
	b.offsets.mu.Lock()
	offset, _ := strconv.Atoi(b.offsets.values[fmt.Sprintf("c%d-", p)])
	b.offsets.mu.Unlock()
	b.cluster.mu.Lock()
	defer b.cluster.mu.Unlock()
	there := map[string]bool{}
	for _, v := range b.cluster.logs[fmt.Sprintf("t-%d", p)] {
		there[v] = true
	}
	for n := 1; n <= offset; n++ {
		if !there[fmt.Sprintf("%d-%d", p, n)] {
			t.Errorf("offset %d of partition %d was committed, but record %d is missing", offset, p, n)
			return
		}
	}
}

func checkHeardOnce(t *testing.T, heard []string, partitions, each int) {
	next := make([]int, partitions)
	for _, h := range heard {
		value, _, _ := strings.Cut(h, "@")
		p, n, _ := strings.Cut(value, "-")
		i, _ := strconv.Atoi(p)
		next[i]++
		if n != strconv.Itoa(next[i]) {
			t.Fatalf("CommitRecord was called for %s when it was the turn of %d", value, next[i])
		}
	}
	for p, n := range next {
		if n != each {
			t.Errorf("CommitRecord was called %d times for partition %d, want %d", n, p, each)
		}
	}
}

func TestRecordThatCanNeverBeDeliveredFailsTheTaskEvenIfItIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.source.noisy = true
		b.cluster.judge = func(n int, r *kafka.Record) error {
			if string(r.Value) == "a2" {
				return errTooLarge
			}
			return nil
		}
		b.beginTask(t)
		b.source.batches <- batchOf("a", 0, 1, 3)
		synctest.Wait()
		expect(t, "events", b.events.take(), "start, c-0 RUNNING, c-0 uses t, c-0 FAILED, stop")
		expect(t, "trace", b.events.lastTrace(),
			`Unrecoverable exception from producer send callback: record for topic-partition t-0, source partition {"p":"a"}, source offset map[at:2]: message too large`)
		expect(t, "offsets", b.offsets.written(), "ca=1")
		b.settle(t)
	})
}

func TestRecordThatCanNeverBeDeliveredIsSkippedIfErrorsAreTolerated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.cluster.judge = func(n int, r *kafka.Record) error {
			if string(r.Value) == "a2" {
				return errTooLarge
			}
			return nil
		}
		b.beginTask(t, "errors.tolerance", "all", "errors.log.enable", "true", "errors.log.include.messages", "true")
		b.source.batches <- batchOf("a", 0, 1, 2)
		synctest.Wait()
		expect(t, "CommitRecord", b.source.heard(), "a1@0 a2@-")
		if b.logs.count("ERROR Error encountered in task c-0. Executing stage 'KAFKA_PRODUCE' with class 'org.apache.kafka.connect.runtime.WorkerSourceTask'. error=message too large topic=t partition=0") != 1 {
			t.Errorf("not logged: %v", b.logs.lines)
		}
		// As in Java, what a producer refuses is a failure, but neither an error nor skipped.
		for name, want := range map[string]float64{"total_record_failures": 1, "total_record_errors": 0, "total_records_skipped": 0, "total_errors_logged": 1} {
			if got := m.read("kafka_connect_task_error_metrics_" + name + " connector=c task=0"); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		b.settle(t)
		expect(t, "offsets", b.offsets.written(), "ca=2")
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 UNASSIGNED")
	})
}

func TestStopEndsARecordThatWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cluster.hold = func(*kafka.Record) bool { return true }
		b.beginTask(t)
		b.source.batches <- batchOf("a", 0, 1, 20) // more than the producer takes
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			b.cluster.resume()
		}()
		b.settle(t)
		expect(t, "records", b.cluster.log("t-0"), "a1 a2 a3 a4 a5")
		expect(t, "offsets", b.offsets.written(), "ca=5")
	})
}

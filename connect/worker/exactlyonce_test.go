package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

// txCluster is a target cluster that keeps what was committed, one entry a transaction:
// [records | offsets].
type txCluster struct {
	mu        sync.Mutex
	committed []string
	aborted   int
	calls     []string // of the producers' life
	opened    []ProducerSpec
	producers []*txProducer
	epoch     int
	// judge decides about the n-th Commit, counted from 1; nil accepts all.
	judge   func(n int) error
	commits int
}

func (c *txCluster) open(_ context.Context, spec ProducerSpec) (Producer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = append(c.opened, spec)
	p := &txProducer{cluster: c}
	c.producers = append(c.producers, p)
	return p, nil
}

func (c *txCluster) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.committed, " ")
}

func (c *txCluster) life() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.calls, " ")
}

// txProducer acknowledges its records when the transaction ends.
type txProducer struct {
	cluster *txCluster
	epoch   int
	open    bool
	closed  bool
	pending []sent
	next    int64
}

func (p *txProducer) InitTransactions(context.Context) error {
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	p.cluster.epoch++
	p.epoch = p.cluster.epoch
	p.cluster.calls = append(p.cluster.calls, "init")
	return nil
}

func (p *txProducer) Begin() error {
	if p.open {
		return errors.New("a transaction is open")
	}
	p.open = true
	return nil
}

func (p *txProducer) Send(_ context.Context, r *kafka.Record, done func(kafka.Metadata, error)) error {
	if !p.open || p.closed {
		return errors.New("no transaction is open")
	}
	own := *r
	p.pending = append(p.pending, sent{&own, done})
	return nil
}

func (p *txProducer) flush(stored bool) (records, offsets []string) {
	for _, s := range p.pending {
		if s.record.Topic == "offsets" {
			offsets = append(offsets, string(s.record.Key)+"="+string(s.record.Value))
		} else {
			records = append(records, string(s.record.Value))
		}
		if s.done != nil {
			var err error
			if !stored {
				err = kafka.ErrTransactionAborted
			}
			s.done(kafka.Metadata{Topic: s.record.Topic, Partition: s.record.Partition, Offset: p.next}, err)
			p.next++
		}
	}
	p.pending = nil
	slices.Sort(offsets)
	return records, offsets
}

func (p *txProducer) Commit(context.Context) error {
	c := p.cluster
	c.mu.Lock()
	c.commits++
	n, fenced := c.commits, p.epoch != c.epoch
	c.mu.Unlock()
	if fenced {
		return kafka.ErrFenced
	}
	if c.judge != nil {
		if err := c.judge(n); err != nil {
			return err
		}
	}
	records, offsets := p.flush(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committed = append(c.committed, fmt.Sprintf("[%s | %s]", strings.Join(records, " "), strings.Join(offsets, ",")))
	p.open = false
	return nil
}

func (p *txProducer) Abort(context.Context) error {
	p.flush(false)
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	p.cluster.aborted++
	p.open = false
	return nil
}

func (*txProducer) Unwritable() map[kafka.TopicPartition]error { return nil }

func (p *txProducer) Close(context.Context) error {
	p.closed = true
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	p.cluster.calls = append(p.cluster.calls, "close")
	return nil
}

// txBench is a bench with an exactly-once task.
type txBench struct {
	*bench
	target *txCluster
	herder ExactlyOnce
	tc     connect.TransactionContext
}

func newTxBench(t *testing.T) *txBench {
	b := &txBench{bench: newBench(t), target: &txCluster{}}
	b.options.Producers = b.target.open
	b.options.Config.Properties["group.id"] = "g"
	note := func(what string) func(context.Context) error {
		return func(context.Context) error {
			b.target.mu.Lock()
			defer b.target.mu.Unlock()
			b.target.calls = append(b.target.calls, what)
			return nil
		}
	}
	b.herder = ExactlyOnce{Fence: note("fence"), Confirm: note("confirm")}
	b.source.taskStart = func(_ context.Context, tc connect.TaskContext, _ map[string]string) error {
		b.tc = connect.TransactionContextOf(tc)
		return note("start")(nil)
	}
	return b
}

func (b *txBench) begin(t *testing.T, more ...string) {
	t.Helper()
	if err := b.StartExactlyOnceTask(b.task, b.configWith(more...), nil, storage.Started, 1, b.herder); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// feed hands the task one batch and waits until it is dealt with.
func (b *txBench) feed(records ...*connect.SourceRecord) {
	b.source.batches <- records
	synctest.Wait()
}

func TestExactlyOnceTaskIsFencedInitialisedAndConfirmedBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t, "producer.override.transactional.id", "mine")
		expect(t, "order", b.target.life(), "fence init confirm start")
		if o := b.target.opened[0]; o.TransactionalID != "g-c-0" || o.ClientID != "connector-producer-c-0" {
			t.Errorf("the producer was opened with %+v", o)
		}
		if b.tc != nil {
			t.Error("a task that does not define its transactions has a TransactionContext")
		}
		b.settle(t)
		expect(t, "order", b.target.life(), "fence init confirm start close")
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 UNASSIGNED")
	})
}

func TestExactlyOnceTaskFailsBeforeItsStartIfTheHerderRefuses(t *testing.T) {
	refusal := func(context.Context) error { return errors.New("it has already been revoked") }
	for _, test := range []struct {
		name        string
		refuse      func(*ExactlyOnce)
		life, trace string
	}{
		{"fencing", func(e *ExactlyOnce) { e.Fence = refusal }, "", "Failed to perform round of zombie fencing: it has already been revoked"},
		{"confirmation", func(e *ExactlyOnce) { e.Confirm = refusal }, "fence init close", "it has already been revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTxBench(t)
				test.refuse(&b.herder)
				b.begin(t)
				expect(t, "order", b.target.life(), test.life)
				expect(t, "events", b.events.take(), "c-0 FAILED")
				if !strings.Contains(b.events.lastTrace(), test.trace) {
					t.Errorf("the trace is %q", b.events.lastTrace())
				}
				b.settle(t)
			})
		})
	}
}

func TestPollBoundaryCommitsEachBatchWithItsOffsetsAndTellsTheTaskAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		m := &meter{}
		b.options.Metrics = m
		b.begin(t)
		b.feed(record("a", 1, 0), record("b", 1, 1), record("a", 2, 0))
		b.feed(record("b", 2, 1))
		expect(t, "committed", b.target.seen(), "[a1 b1 a2 | ca=2,cb=1] [b2 | cb=2]")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 b1@1 a2@2 b2@3")
		expect(t, "offsets written outside of transactions", b.offsets.written(), "")
		if b.source.commits != 2 {
			t.Errorf("Commit was called %d times, want after each transaction", b.source.commits)
		}
		const labels = " connector=c task=0"
		for name, want := range map[string]float64{
			"source_task_metrics_transaction_size_min": 1, "source_task_metrics_transaction_size_max": 3, "source_task_metrics_transaction_size_avg": 2,
			"source_task_metrics_source_record_write_total": 4, "connector_task_metrics_offset_commit_success_total": 2,
		} {
			if got := m.read("kafka_connect_" + name + labels); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t")
		b.settle(t)
	})
}

func TestIntervalBoundaryCommitsWhenTheIntervalIsOverThoughTheSourceIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t, "transaction.boundary", "INTERVAL", "transaction.boundary.interval.ms", "1000")
		b.feed(record("a", 1, 0))
		time.Sleep(900 * time.Millisecond)
		b.feed(record("a", 2, 0))
		expect(t, "committed within the interval", b.target.seen(), "")
		expect(t, "CommitRecord within the interval", b.source.heard(), "")
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		expect(t, "committed", b.target.seen(), "[a1 a2 | ca=2]")
		expect(t, "CommitRecord", b.source.heard(), "a1@0 a2@1")
		b.feed(record("a", 3, 0))
		b.settle(t)
		expect(t, "committed with the stop", b.target.seen(), "[a1 a2 | ca=2] [a3 | ca=3]")
	})
}

func TestIntervalBoundaryIsTheFlushIntervalByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t, "transaction.boundary", "interval")
		b.feed(record("a", 1, 0))
		time.Sleep(b.options.Config.FlushInterval - time.Second)
		synctest.Wait()
		expect(t, "committed within the interval", b.target.seen(), "")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "committed", b.target.seen(), "[a1 | ca=1]")
		b.settle(t)
	})
}

func TestConnectorBoundaryDoesWhatTheTaskAsksFor(t *testing.T) {
	a1, a2, a3, a4 := record("a", 1, 0), record("a", 2, 0), record("a", 3, 0), record("a", 4, 0)
	for _, test := range []struct {
		name            string
		ask             func(connect.TransactionContext)
		committed, told string
		aborted         int
		trace           string
	}{
		{"nothing", func(connect.TransactionContext) {}, "", "", 1, ""},
		{"commit after the batch", connect.TransactionContext.CommitTransaction, "[a1 a2 a3 a4 | ca=4]", "a1@0 a2@1 a3@2 a4@3", 0, ""},
		{"abort of the batch", connect.TransactionContext.AbortTransaction, "[ | ca=4]", "a1@- a2@- a3@- a4@-", 1, ""},
		{"commit after a record", func(c connect.TransactionContext) { c.CommitTransactionAfter(a2) }, "[a1 a2 | ca=2]", "a1@0 a2@1", 1, ""},
		{"abort after a record, commit after another", func(c connect.TransactionContext) {
			c.AbortTransactionAfter(a2)
			c.CommitTransactionAfter(a4)
		}, "[ | ca=2] [a3 a4 | ca=4]", "a1@- a2@- a3@2 a4@3", 1, ""},
		{"both after the batch", func(c connect.TransactionContext) {
			c.CommitTransaction()
			c.AbortTransaction()
		}, "", "", 1, "Connector requested both commit and abort of same transaction"},
		{"both after a record", func(c connect.TransactionContext) {
			c.CommitTransactionAfter(a3)
			c.AbortTransactionAfter(a3)
		}, "", "", 1, "Connector requested both commit and abort of same record against topic/partition t/0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTxBench(t)
				b.begin(t, "transaction.boundary", "connector")
				test.ask(b.tc)
				b.feed(a1, a2, a3, a4)
				b.settle(t)
				expect(t, "committed", b.target.seen(), test.committed)
				expect(t, "CommitRecord", b.source.heard(), test.told)
				if b.target.aborted != test.aborted {
					t.Errorf("%d transactions were aborted, want %d", b.target.aborted, test.aborted)
				}
				if !strings.Contains(b.events.lastTrace(), test.trace) || (test.trace == "") != (b.events.lastTrace() == "") {
					t.Errorf("the trace is %q, want %q", b.events.lastTrace(), test.trace)
				}
			})
		})
	}
}

// onlyToBeAborted is what producers answer to the commit of a transaction with a record that was given up.
func onlyToBeAborted(t *testing.T) error {
	var state kafka.TransactionState
	state.Registered()
	if err := state.Begin(); err != nil {
		t.Fatal(err)
	}
	state.Fail(&kafka.TimeoutError{What: "writing", Key: "delivery.timeout.ms"})
	return state.Failed()
}

func TestFailedCommitFailsTheTaskAndLeavesNothingBehind(t *testing.T) {
	for _, test := range []struct {
		name, trace string
		err         error
	}{
		{"a record that the broker refuses", "Failed to flush offsets and/or records for task c-0: too large", errors.New("too large")},
		{"a record that was not written in time", "Failed to flush offsets and/or records for task c-0: the transaction can only be aborted: writing did not succeed within delivery.timeout.ms = 0", onlyToBeAborted(t)},
		{"another producer with the id", "was unable to finish writing records to Kafka before its producer transaction expired", kafka.ErrFenced},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTxBench(t)
				b.target.judge = func(n int) error {
					if n >= 2 {
						return test.err
					}
					return nil
				}
				b.begin(t, "errors.tolerance", "all")
				b.feed(record("a", 1, 0))
				b.feed(record("a", 2, 0))
				expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 FAILED")
				if !strings.Contains(b.events.lastTrace(), test.trace) {
					t.Errorf("the trace is %q, want %q", b.events.lastTrace(), test.trace)
				}
				expect(t, "committed", b.target.seen(), "[a1 | ca=1]")
				expect(t, "CommitRecord", b.source.heard(), "a1@0")
				b.settle(t)
				if b.target.aborted != 1 {
					t.Errorf("%d transactions were aborted, want 1", b.target.aborted)
				}
			})
		})
	}
}

func TestCommitWhoseOutcomeIsOpenIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.target.judge = func(n int) error {
			if n <= 3 {
				return kafka.ErrCoordinatorNotAvailable
			}
			return nil
		}
		b.begin(t)
		b.feed(record("a", 1, 0))
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "committed", b.target.seen(), "[a1 | ca=1]")
		b.settle(t)
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 UNASSIGNED")
	})
}

func TestCutOffExactlyOnceTaskCommitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		stuck := make(chan struct{})
		polls := 0
		b.source.poll = func(context.Context) ([]*connect.SourceRecord, error) {
			if polls++; polls == 1 {
				return []*connect.SourceRecord{record("a", 1, 0)}, nil
			}
			<-stuck
			return nil, nil
		}
		b.begin(t, "transaction.boundary", "interval")
		if cut := b.StopTasks(t.Context(), b.task); len(cut) != 1 {
			t.Fatalf("%v were cut off", cut)
		}
		synctest.Wait()
		expect(t, "order", b.target.life(), "fence init confirm start close")
		close(stuck)
		synctest.Wait()
		expect(t, "committed", b.target.seen(), "")
		expect(t, "CommitRecord", b.source.heard(), "")
	})
}

func TestPauseCommitsTheTransactionOfAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t, "transaction.boundary", "interval")
		b.feed(record("a", 1, 0))
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		expect(t, "committed before the pause", b.target.seen(), "[a1 | ca=1]")
		time.Sleep(time.Hour)
		b.SetTargetState("c", storage.Started)
		b.feed(record("a", 2, 0))
		expect(t, "committed after the pause", b.target.seen(), "[a1 | ca=1]")
		b.settle(t)
		expect(t, "committed", b.target.seen(), "[a1 | ca=1] [a2 | ca=2]")
		expect(t, "events", b.events.take(), "c-0 RUNNING, c-0 uses t, c-0 PAUSED, c-0 RUNNING, c-0 UNASSIGNED")
	})
}

func TestExactlyOnceTaskMustNotWriteToItsOffsetsTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t)
		r := record("a", 2, 0)
		r.Topic = "offsets"
		b.feed(record("a", 1, 0), r)
		if want := "Source tasks may not produce to their own offsets topics when exactly-once support is enabled"; !strings.Contains(b.events.lastTrace(), want) {
			t.Errorf("the trace is %q", b.events.lastTrace())
		}
		expect(t, "committed", b.target.seen(), "")
		b.settle(t)
	})
}

func TestOffsetsThatCannotBeWrittenKeepTheirRecordsFromBeingCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTxBench(t)
		b.begin(t)
		r := record("a", 1, 0)
		r.SourceOffset = connect.OffsetMap{"wrong": true}
		b.feed(r)
		if want := "cannot be written down"; !strings.Contains(b.events.lastTrace(), want) {
			t.Errorf("the trace is %q", b.events.lastTrace())
		}
		expect(t, "committed", b.target.seen(), "")
		b.settle(t)
	})
}

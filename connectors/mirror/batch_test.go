package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// stops waits until the connector has asked to be stopped, and stops it.
func (r *runner) awaitBatch(stops int) connect.ReplicationBatch {
	r.t.Helper()
	r.await("the end of the batch", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.stopReasons) == stops
	})
	r.stop()
	batch := r.instance.(connect.ReplicationReporter).Replication().Batch
	if batch == nil || !batch.Done {
		r.t.Fatalf("the connector reports %+v, want a batch that is done", batch)
	}
	return *batch
}

func TestABatchEndsAtTheEndsOfItsStartAndTheNextGoesOnThere(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 2, nil)
	p.source.CreateTopic("empty", 1, nil)
	p.source.Produce("t", text("0", "1", "2")...)
	config := p.with("replication.mode=batch")
	held := p.a.Hold(localkafka.Fetch) // what comes after the start is the next batch's
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.start(config)
	r.await("the start of the batch", func() bool { return len(r.log.lines("A batch begins", "to_copy=3")) == 1 })
	p.source.Produce("t", text("3", "4")...)
	p.source.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("x")})
	held.Undo()

	batch := r.awaitBatch(1)
	if want := (connect.ReplicationBatch{Done: true, Copied: 3}); batch != want {
		t.Errorf("the batch is %+v, want %+v", batch, want)
	}
	got := p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)
	if diff := cmp.Diff([]string{"0", "1", "2"}, values(got[0])); diff != "" || len(got[1]) != 0 {
		t.Errorf("%s, and %d records in partition 1", diff, len(got[1]))
	}

	r.start(config)
	batch = r.awaitBatch(2)
	if want := (connect.ReplicationBatch{Done: true, Copied: 3}); batch != want {
		t.Errorf("the next batch is %+v, want %+v", batch, want)
	}
	got = p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, values(got[0])); diff != "" || len(got[1]) != 1 {
		t.Errorf("%s, and %d records in partition 1", diff, len(got[1]))
	}
	r.start(config)
	if batch = r.awaitBatch(3); batch != (connect.ReplicationBatch{Done: true}) {
		t.Errorf("a batch with nothing to copy is %+v", batch)
	}
}

func TestABatchEndsBehindMarkersAndAbortedRecordsToo(t *testing.T) {
	for _, isolation := range []string{"read_committed", "read_uncommitted"} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			p.source.ProduceInTransaction("one", true, "t", text("a")...)
			p.source.ProduceInTransaction("two", false, "t", text("aborted")...)
			p.source.CreateTopic("aborted", 1, nil)
			p.source.ProduceInTransaction("three", false, "aborted", text("x", "y")...)
			r := startSource(t, p, "replication.mode=batch", "source.consumer.isolation.level="+isolation)

			if batch := r.awaitBatch(1); batch.Left != 0 || batch.StoppedPartitions != 0 {
				t.Errorf("the batch is %+v, want it complete", batch)
			}
			want := []string{"a"}
			if isolation == "read_uncommitted" {
				want = []string{"a", "aborted"}
			}
			if diff := cmp.Diff(want, values(p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestABatchUntilATimeLeavesWhatIsYoungerToTheNext(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	at := time.UnixMilli(1_700_000_000_000).UTC()
	p.source.Produce("t", numbered(5, at)...)
	r := startSource(t, p, "replication.mode=batch", "batch.until="+at.Add(3*time.Second).Format(time.RFC3339))
	r.awaitBatch(1)
	if diff := cmp.Diff([]string{"0", "1", "2"}, values(p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)[0])); diff != "" {
		t.Error(diff)
	}
}

func TestAPartitionThatDoesNotMoveIsGivenUpAndCounted(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("secret", 1, nil)
	p.source.CreateTopic("open", 1, nil)
	p.source.Produce("secret", text("x", "y")...)
	p.source.Produce("open", text("z")...)
	const topicAuthorizationFailed = 29
	p.a.Fail(localkafka.Fault{API: localkafka.Fetch, Code: topicAuthorizationFailed, Topic: "secret", Times: -1})
	r := startSource(t, p, "replication.mode=batch", "batch.stall.seconds=3")

	want := connect.ReplicationBatch{Done: true, Copied: 1, Left: 2, StoppedPartitions: 1}
	if batch := r.awaitBatch(1); batch != want {
		t.Errorf("the batch is %+v, want %+v", batch, want)
	}
	if lines := r.log.lines("level=WARN", "A batch ends incomplete", "secret-0"); len(lines) != 1 {
		t.Errorf("said %d times, want once", len(lines))
	}
	p.target.AwaitRecords("A.open", 1, patience)
}

func TestAPartitionWhoseEndIsNotToldYetHoldsBackNoOtherOfTheBatch(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CreateTopic("u", 1, nil)
	p.source.Produce("t", text("0", "1", "2")...)
	p.source.Produce("u", text("x")...)
	const leaderNotAvailable = 5
	leaderless := p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "u", Times: -1})
	r := startSource(t, p, "replication.mode=batch")

	got := p.target.AwaitRecords("A.t", 3, patience)
	if diff := cmp.Diff([]string{"0", "1", "2"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.await("the batch to have copied what it could", func() bool {
		batch := r.instance.(connect.ReplicationReporter).Replication().Batch
		return *batch == connect.ReplicationBatch{Copied: 3}
	})
	if lines := r.log.lines("level=WARN", "u-0", "end"); len(lines) != 1 {
		t.Errorf("said %d times, want once", len(lines))
	}

	leaderless.Undo()
	if batch := r.awaitBatch(1); batch != (connect.ReplicationBatch{Done: true, Copied: 4}) {
		t.Errorf("the batch is %+v, want it complete", batch)
	}
	if diff := cmp.Diff([]string{"x"}, values(p.target.ReadTopic("A.u", kafkatest.ReadUncommitted)[0])); diff != "" {
		t.Error(diff)
	}
}

func TestAPartitionWhoseEndIsNeverToldIsGivenUpAndCounted(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CreateTopic("u", 1, nil)
	p.source.Produce("t", text("0")...)
	p.source.Produce("u", text("x")...)
	const leaderNotAvailable = 5
	p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "u", Times: -1})
	r := startSource(t, p, "replication.mode=batch", "batch.stall.seconds=3")

	want := connect.ReplicationBatch{Done: true, Copied: 1, StoppedPartitions: 1}
	if batch := r.awaitBatch(1); batch != want {
		t.Errorf("the batch is %+v, want %+v", batch, want)
	}
	if lines := r.log.lines("level=WARN", "A batch ends incomplete", "u-0"); len(lines) != 1 {
		t.Errorf("said %d times, want once", len(lines))
	}
	p.target.AwaitRecords("A.t", 1, patience)
}

func TestABatchIsRepeatedWithoutStoppingTheConnector(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.Produce("t", text("0")...)
	r := startSource(t, p, "replication.mode=batch", "batch.interval.seconds=3")
	p.target.AwaitRecords("A.t", 1, patience)
	r.await("the end of the first batch", func() bool { return len(r.log.lines("A batch is complete", "copied=1")) == 1 })
	if next := r.instance.(connect.ReplicationReporter).Replication().Batch.Next; time.Until(next) > 3*time.Second || next.IsZero() {
		t.Errorf("the next batch is said to begin at %v", next)
	}
	p.source.Produce("t", text("1")...)
	got := p.target.AwaitRecords("A.t", 2, patience)
	if diff := cmp.Diff([]string{"0", "1"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	if len(r.stopReasons) != 0 {
		t.Errorf("the connector asked to be stopped: %q", r.stopReasons)
	}
}

func TestKeysOfAnotherModeAreMistakes(t *testing.T) {
	for config, want := range map[string]string{
		"batch.until=2026-01-01":                                                 "batch.until",
		"replication.mode=delayed":                                               "replication.delay.ms",
		"replication.mode=batch replication.delay.ms=1":                          "replication.delay.ms",
		"replication.mode=simple batch.interval.seconds=5":                       "batch.interval.seconds",
		"replication.mode=batch":                                                 "",
		"replication.mode=delayed replication.delay.ms=60000":                    "",
		"replication.mode=batch batch.until=2026-01-01 batch.interval.seconds=5": "batch.interval.seconds",
	} {
		props := map[string]string{"source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1"}
		for _, kv := range strings.Fields(config) {
			k, v, _ := strings.Cut(kv, "=")
			props[k] = v
		}
		errs := NewSourceConnector().ValidateConfig(props)
		var keys []string
		for k := range errs {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if got := fmt.Sprint(strings.Join(keys, " ")); got != want {
			t.Errorf("%s: mistakes at %q, want %q", config, got, want)
		}
	}
}

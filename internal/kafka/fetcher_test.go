package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

// transactional fills topic a with: committed 0,1 (marker at 2), aborted 3,4 (marker at 5), plain 6,
// and an aborted tail 7 (marker at 8). Its end is 9.
func fillWithTransactions(t *testing.T, c *localkafka.Cluster) {
	t.Helper()
	p := newTestProducer(t, c.Bootstrap(), "transactional.id", "tx")
	ctx := testContext(t)
	if err := p.InitTransactions(ctx); err != nil {
		t.Fatal(err)
	}
	round := func(commit bool, values ...string) {
		if err := p.Begin(); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := p.SendSync(ctx, &Record{Topic: "a", Value: []byte(v)}); err != nil {
				t.Fatal(err)
			}
		}
		end := p.Abort
		if commit {
			end = p.Commit
		}
		if err := end(ctx); err != nil {
			t.Fatal(err)
		}
	}
	round(true, "c0", "c1")
	round(false, "a3", "a4")
	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Value: []byte("p6")})
	round(false, "a7")
}

func TestPositionsPassMarkersAndAbortedData(t *testing.T) {
	for _, level := range []struct {
		isolation string
		want      []string
	}{
		{"read_uncommitted", []string{"c0", "c1", "a3", "a4", "p6", "a7"}},
		{"read_committed", []string{"c0", "c1", "p6"}},
	} {
		t.Run(level.isolation, func(t *testing.T) {
			c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
			fillWithTransactions(t, c)
			f := newTestFetcher(t, c.Bootstrap(), "isolation.level", level.isolation)
			tp := TopicPartition{"a", 0}
			f.Assign(map[TopicPartition]int64{tp: Earliest})

			got := readTo(t, f, tp, 9)

			if diff := cmp.Diff(level.want, valuesOf(got)); diff != "" {
				t.Error(diff)
			}
			if hw, ok := f.HighWatermark(tp); !ok || hw != 9 {
				t.Errorf("high watermark %d %v, want 9", hw, ok)
			}
		})
	}
}

func TestReadCommittedWaitsForOpenTransactions(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap(), "transactional.id", "tx")
	ctx := testContext(t)
	if err := p.InitTransactions(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, p, &Record{Topic: "a", Value: []byte("v")})
	f := newTestFetcher(t, c.Bootstrap(), "isolation.level", "read_committed")
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: Earliest})
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := f.Poll(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("before the commit: %v %v", got, err)
	}

	if err := p.Commit(ctx); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"v"}, valuesOf(readTo(t, f, tp, 2))); diff != "" {
		t.Error(diff)
	}
}

func TestAFetchFromInsideABatchBeginsAtItsPosition(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	sendNumbered(t, newTestProducer(t, c.Bootstrap(), "linger.ms", "100"), "a", 1, 10)
	f := newTestFetcher(t, c.Bootstrap())
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: 7})

	got := readTo(t, f, tp, 10)

	if diff := cmp.Diff([]string{"7", "8", "9"}, valuesOf(got)); diff != "" {
		t.Error(diff)
	}
	if got[0].Offset != 7 {
		t.Errorf("first offset %d, want 7", got[0].Offset)
	}
}

func TestOffsetsOutOfRangeFollowAutoOffsetReset(t *testing.T) {
	tp := TopicPartition{"a", 0}
	setUp := func(t *testing.T, reset string) (*localkafka.Cluster, *Fetcher, *logLines) {
		c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
		sendNumbered(t, newTestProducer(t, c.Bootstrap()), "a", 1, 5)
		lines := &logLines{}
		f := NewFetcher(newTestClient(t, c.Bootstrap()), testConfig(t, RoleConsumer, c.Bootstrap(), "auto.offset.reset", reset), slog.New(lines))
		t.Cleanup(f.Close)
		f.Assign(map[TopicPartition]int64{tp: 99})
		return c, f, lines
	}
	t.Run("earliest", func(t *testing.T) {
		_, f, lines := setUp(t, "earliest")
		got, err := f.Poll(testContext(t))
		if err != nil || got[0].NextOffset != 0 || len(got[0].Records) != 0 {
			t.Fatalf("the reset itself: %+v %v", got, err)
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, valuesOf(readTo(t, f, tp, 5))); diff != "" {
			t.Error(diff)
		}
		want := "WARN position is out of range and was reset as auto.offset.reset says topic=a partition=0 from=99 to=0 auto.offset.reset=earliest"
		if diff := cmp.Diff([]string{want}, lines.all()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("latest", func(t *testing.T) {
		c, f, _ := setUp(t, "latest")
		got, err := f.Poll(testContext(t))
		if err != nil || got[0].NextOffset != 5 {
			t.Fatalf("the reset itself: %+v %v", got, err)
		}
		mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "a", Value: []byte("new")})
		if diff := cmp.Diff([]string{"new"}, valuesOf(readTo(t, f, tp, 6))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("none", func(t *testing.T) {
		_, f, _ := setUp(t, "none")
		got, err := f.Poll(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		out, ok := errors.AsType[*OffsetOutOfRangeError](got[0].Err)
		if !ok || out.Offset != 99 || out.TopicPartition != tp || !errors.Is(got[0].Err, ErrOffsetOutOfRange) {
			t.Fatalf("got %+v", got)
		}
		f.Add(map[TopicPartition]int64{tp: 3})
		if diff := cmp.Diff([]string{"3", "4"}, valuesOf(readTo(t, f, tp, 5))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLatestBeginsAfterWhatIsThere(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	p := newTestProducer(t, c.Bootstrap())
	mustSend(t, p, &Record{Topic: "a", Value: []byte("old")})
	f := newTestFetcher(t, c.Bootstrap())
	tp := TopicPartition{"a", 0}
	f.Assign(map[TopicPartition]int64{tp: Latest})
	eventually(t, "position known", func() bool { at, ok := f.Position(tp); return ok && at == 1 })

	mustSend(t, p, &Record{Topic: "a", Value: []byte("new")})

	if diff := cmp.Diff([]string{"new"}, valuesOf(readTo(t, f, tp, 2))); diff != "" {
		t.Error(diff)
	}
}

func TestReadingGoesOnAfterLeaderMovesAndLostBrokers(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 3, Topics: map[string]int32{"a": 4}})
	p := newTestProducer(t, c.Bootstrap())
	f := newTestFetcher(t, c.Bootstrap())
	positions := make(map[TopicPartition]int64)
	for i := range int32(4) {
		positions[TopicPartition{"a", i}] = Earliest
	}
	f.Assign(positions)
	got := make(map[int32][]string)
	want := make(map[int32][]string)
	readAll := func() {
		ctx := testContext(t)
		for left := true; left; {
			left = false
			for i := range int32(4) {
				left = left || len(got[i]) < len(want[i])
			}
			if !left {
				break
			}
			batch, err := f.Poll(ctx)
			if err != nil {
				t.Fatalf("%v: got %v, want %v, problems %v", err, got, want, f.Problems())
			}
			for _, b := range batch {
				got[b.Partition] = append(got[b.Partition], valuesOf(b.Records)...)
			}
		}
	}
	for round, change := range []func() error{
		func() error { return nil },
		func() error { return c.MoveLeader("a", 0, (c.Leader("a", 0)+1)%3) },
		func() error { c.DropConnections(); return nil },
		func() error { return c.KickBroker(c.Leader("a", 1)) },
		func() error { c.Fail(localkafka.Fault{API: localkafka.Fetch, Code: 6, Times: 3}); return nil },
		func() error { c.Refuse(localkafka.Fetch, 2); return nil },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for i := range int32(4) {
			v := fmt.Sprintf("%d/%d", round, i)
			mustSend(t, p, &Record{Topic: "a", Partition: i, Value: []byte(v)})
			want[i] = append(want[i], v)
		}
		readAll()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATopicCreatedLaterIsReadFromItsBeginning(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	lines := &logLines{}
	f := NewFetcher(newTestClient(t, c.Bootstrap()), testConfig(t, RoleConsumer, c.Bootstrap()), slog.New(lines))
	t.Cleanup(f.Close)
	tp := TopicPartition{"late", 0}
	f.Assign(map[TopicPartition]int64{tp: Earliest})
	eventually(t, "problem logged", func() bool { return len(lines.all()) > 0 })
	if err := f.Problems()[tp]; !errors.Is(err, ErrUnknownTopicOrPartition) {
		t.Errorf("problem %v", err)
	}

	if err := newTestAdmin(t, c.Bootstrap()).CreateTopic(testContext(t), TopicSpec{Name: "late", Partitions: 1, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	mustSend(t, newTestProducer(t, c.Bootstrap()), &Record{Topic: "late", Value: []byte("v")})

	if diff := cmp.Diff([]string{"v"}, valuesOf(readTo(t, f, tp, 1))); diff != "" {
		t.Error(diff)
	}
	if len(f.Problems()) != 0 {
		t.Errorf("problems left: %v", f.Problems())
	}
	warnings := 0
	for _, l := range lines.all() {
		if strings.HasPrefix(l, "WARN") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings for one problem: %q", warnings, lines.all())
	}
}

func TestAnOutageIsOneLineHoweverManyPartitions(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"many": 30}})
	lines := &logLines{}
	f := NewFetcher(newTestClient(t, c.Bootstrap()), testConfig(t, RoleConsumer, c.Bootstrap()), slog.New(lines))
	t.Cleanup(f.Close)
	positions := make(map[TopicPartition]int64)
	for i := range int32(30) {
		positions[TopicPartition{"many", i}] = Earliest
	}
	if err := c.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	f.Assign(positions)
	eventually(t, "all partitions fail for long", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, p := range f.parts {
			if p.logged == "" {
				return false
			}
		}
		return true
	})
	if err := c.StartBroker(0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all partitions can be read", func() bool { return len(f.Problems()) == 0 })

	got := lines.all()
	if len(got) != 2 || !strings.HasPrefix(got[0], "WARN Kafka cluster cannot be read, trying on cluster="+c.Bootstrap()) ||
		!strings.HasPrefix(got[1], "INFO Kafka cluster can be read again cluster="+c.Bootstrap()) {
		t.Errorf("logged %q, want one line for the beginning and one for the end", got)
	}
}

func TestPauseKeepsWhatIsFetchedForResume(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	p := newTestProducer(t, c.Bootstrap())
	paused, other := TopicPartition{"a", 0}, TopicPartition{"a", 1}
	mustSend(t, p, &Record{Topic: "a", Partition: 0, Value: []byte("held")})
	f := newTestFetcher(t, c.Bootstrap())
	f.Assign(map[TopicPartition]int64{paused: 0, other: 0})
	eventually(t, "fetched", func() bool { _, ok := f.HighWatermark(paused); return ok })
	f.Pause(paused)
	mustSend(t, p, &Record{Topic: "a", Partition: 1, Value: []byte("free")})

	if diff := cmp.Diff([]string{"free"}, valuesOf(readTo(t, f, other, 1))); diff != "" {
		t.Error(diff)
	}
	if at, _ := f.Position(paused); at != 0 {
		t.Errorf("position of the paused partition is %d", at)
	}
	f.Resume(paused)
	if diff := cmp.Diff([]string{"held"}, valuesOf(readTo(t, f, paused, 1))); diff != "" {
		t.Error(diff)
	}
}

func TestAddAndRemoveLeaveTheOthersAlone(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 3}})
	p := newTestProducer(t, c.Bootstrap())
	for i := range int32(3) {
		mustSend(t, p, &Record{Topic: "a", Partition: i, Value: []byte(fmt.Sprint(i))})
	}
	f := newTestFetcher(t, c.Bootstrap())
	zero, one, two := TopicPartition{"a", 0}, TopicPartition{"a", 1}, TopicPartition{"a", 2}
	f.Assign(map[TopicPartition]int64{zero: 0, one: 0})
	f.Remove(one)
	f.Add(map[TopicPartition]int64{two: 0})
	ctx := testContext(t)
	var got []string
	for len(got) < 2 {
		batch, err := f.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batch {
			got = append(got, valuesOf(b.Records)...)
		}
	}
	if diff := cmp.Diff(map[string]bool{"0": true, "2": true}, map[string]bool{got[0]: true, got[1]: true}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[TopicPartition]int64{zero: 1, two: 1}, f.Assignment()); diff != "" {
		t.Error(diff)
	}
}

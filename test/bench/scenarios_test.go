package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster/kafkatest"
)

func TestAStreamThatIsFollowedHasALagThatDoesNotGrow(t *testing.T) {
	steady, growing := []lagSample{}, []lagSample{}
	for second := range int64(9) {
		at := time.Duration(second) * time.Second
		steady = append(steady, lagSample{at, 50_000 * second, 50_000*second - 4000})
		growing = append(growing, lagSample{at, 50_000 * second, 30_000 * second})
	}
	want := []figure{{"sent", "MB/s", 50}, {"mirrored of sent", "%", 100}, {"lag p50", "MB", 4}, {"lag max", "MB", 4}, {"lag growth", "MB/s", 0}}
	if diff := cmp.Diff(want, linkFigures(steady[1:])); diff != "" {
		t.Errorf("a steady stream (-want +got):\n%s", diff)
	}
	want = []figure{{"sent", "MB/s", 50}, {"mirrored of sent", "%", 60}, {"lag p50", "MB", 80}, {"lag max", "MB", 160}, {"lag growth", "MB/s", 22.5}}
	if diff := cmp.Diff(want, linkFigures(growing), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("a stream that runs away (-want +got):\n%s", diff)
	}
}

func TestAFarListenerIsReachedOverALongLine(t *testing.T) {
	err := inScope(t.Context(), "far", silent, func(s *scope) {
		listener := far(s)[0]
		bootstrap, _ := cluster(t, "near")
		through := listener.Advertise(1, bootstrap)
		client, err := kgo.NewClient(kgo.SeedBrokers(through))
		if err != nil {
			s.Fatalf("%v", err)
		}
		defer client.Close()
		begun := time.Now()
		if err := client.Ping(s.ctx); err != nil {
			s.Fatalf("%v", err)
		}
		if passed := time.Since(begun); through == bootstrap || passed < roundTrip {
			t.Errorf("an answer from %s through %s took %s, want %s or more", bootstrap, through, passed, roundTrip)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheEndOfATopicIsSeenBehindTransactionMarkers(t *testing.T) {
	bootstrap, client := cluster(t, "orders")
	record := func(number int) kafkatest.Record {
		return kafkatest.Record{Partition: int32(number % partitions), Key: []byte(orderKey(number)), Value: []byte("v")}
	}
	const count = 3 * partitions
	for first := 0; first < count; first += partitions {
		var batch []kafkatest.Record
		for number := first; number < first+partitions; number++ {
			batch = append(batch, record(number))
		}
		if first == 2*partitions {
			client.ProduceInTransaction("t", true, "orders", batch[:partitions-1]...)
			break
		}
		client.ProduceInTransaction("t", true, "orders", batch...)
	}
	watcher, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	committed := func() bool {
		ends, err := endOffsets(t.Context(), watcher, partitions, "orders")
		if err != nil {
			t.Fatal(err)
		}
		if total(ends) <= count {
			t.Fatalf("there are no markers: the topic ends at %v", ends)
		}
		all, err := allCommitted(t.Context(), place{bootstrap, "orders"}, ends["orders"], count)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if committed() {
		t.Error("all records are there while one is missing")
	}
	client.ProduceInTransaction("t", true, "orders", record(count-1))
	if !committed() {
		t.Error("the last record is not seen")
	}
}

func TestMarkersAreTakenOutOfSamples(t *testing.T) {
	samples := withoutMarkers([]sample{{records: 0}, {records: 55}, {records: 110}}, 100)
	if samples[0].records != 0 || samples[1].records != 50 || samples[2].records != 100 {
		t.Errorf("samples %+v, want 0, 50 and 100 records", samples)
	}
}

func TestLinesAreCountedAsTheFileGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	lines, finish := inFile(path)
	defer finish()
	look := func(want int64) {
		t.Helper()
		if got, err := lines(); got != want || err != nil {
			t.Errorf("%d lines and error %v, want %d", got, err, want)
		}
	}
	look(0)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, step := range []struct {
		text string
		want int64
	}{{"a\nb", 1}, {"b\n", 2}, {"", 2}, {strings.Repeat("line\n", 500_000), 500_002}} {
		if _, err := file.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		look(step.want)
	}
}

func TestLinesThatDifferFromThoseOfTheRunBeforeAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	same, swapped, changed, fewer := file("same", "a\nb\nc\n"), file("swapped", "c\na\nb\n"), file("changed", "a\nb\nd\n"), file("fewer", "a\nb\n")
	for _, test := range []struct{ second, want string }{{swapped, ""}, {changed, "differ"}, {fewer, "2 lines came out of 3"}} {
		b := &bench{}
		err := inScope(t.Context(), "lines", silent, func(s *scope) {
			b.compareLines(s, same, 3)
			b.compareLines(s, test.second, 3)
		})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s after %s: error %v, want %q", filepath.Base(test.second), filepath.Base(same), err, test.want)
		}
	}
}

func TestBothHalvesTakeTheTimeOfEach(t *testing.T) {
	half := func(rate, cost float64) []figure {
		return []figure{{"throughput", "records/s", rate}, {"CPU per payload", "s/GB", cost}, {"start to last record", "s", 3}}
	}
	want := []figure{{"throughput", "records/s", 20}, {"CPU per payload", "s/GB", 5}}
	if diff := cmp.Diff(want, bothHalves(half(30, 2), half(60, 3)), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("both halves (-want +got):\n%s", diff)
	}
}

func TestRecordsHaveTheSizeThatIsAskedFor(t *testing.T) {
	records := newPayload()
	var last []byte
	for number, size := range []int{100, valueBytes, 10_000, 1_000_000} {
		key, value := records.sized(size)
		if string(key) != orderKey(number) || len(value) != size || bytes.Equal(value, last) {
			t.Errorf("record %d is %s with %d bytes, want %s with %d", number, key, len(value), orderKey(number), size)
		}
		last = value
	}
	for point, want := range map[string]int{"100 B": 100, "1 kB": 1000, "1 MB": 1_000_000} {
		if got := bytesOf(point); got != want {
			t.Errorf("%s is %d bytes", point, got)
		}
	}
}

func TestEveryScenarioIsDescribedAndKnownByItsName(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios() {
		if seen[s.name] || scenarioNamed(s.name).name != s.name || s.measure == nil || s.describe(options{Records: 1000}) == "" {
			t.Errorf("scenario %q is there twice or says nothing", s.name)
		}
		seen[s.name] = true
	}
	if vars := scenarioNames(); vars["byDefault"] != "plain,zstd,latency,idle" || !strings.HasPrefix(vars["scenarios"], "plain,zstd,exactly-once,record-lane,latency,") {
		t.Errorf("the command line has %v", vars)
	}
}

package main

import (
	"encoding/binary"
	"encoding/json"
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

func TestRatesLeaveOutTheStartUp(t *testing.T) {
	samples := []sample{
		{1 * time.Second, 0, 2 * time.Second},
		{2 * time.Second, 10, 3 * time.Second},    // the first record
		{3 * time.Second, 2000, 4 * time.Second},  // 5 % are there, and more
		{5 * time.Second, 8000, 6 * time.Second},  // steady
		{7 * time.Second, 10000, 8 * time.Second}, // all
	}
	got, err := arrivalFigures(samples, 10_000, 10_000_000)
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{"throughput", "records/s", 2000},
		{"throughput", "MB/s", 2},
		{"CPU per payload", "s/GB", 500},
		{"cores busy", "cores", 1},
		{"measured for", "s", 4},
		{"start to first record", "s", 2},
		{"start to last record", "s", 7},
		{"CPU since start", "s/GB", 800},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if _, err := arrivalFigures(samples[:4], 10_000, 1); err == nil {
		t.Error("samples without the end gave figures")
	}
	if _, err := arrivalFigures(samples[4:], 10_000, 1); err == nil || !strings.Contains(err.Error(), "measure more") {
		t.Errorf("a single sample gave error %v, want one that asks for more records", err)
	}
}

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	var sorted []time.Duration
	for ms := range 200 {
		sorted = append(sorted, time.Duration(ms+1)*time.Millisecond)
	}
	for share, want := range map[float64]time.Duration{0.5: 100, 0.99: 198, 1: 200, 0: 1} {
		if got := percentile(sorted, share); got != want*time.Millisecond {
			t.Errorf("percentile %v is %s, want %d ms", share, got, want)
		}
	}
	if got := percentile(sorted[:1], 0.5); got != time.Millisecond {
		t.Errorf("the median of one value is %s", got)
	}
}

func stamped(number, sent uint64, at time.Time) arrival {
	a := arrival{at: at}
	binary.BigEndian.PutUint64(a.stamp[:], number)
	binary.BigEndian.PutUint64(a.stamp[8:], sent)
	return a
}

func TestLatenciesNeedEachRecordExactlyOnce(t *testing.T) {
	epoch := time.Now()
	first := stamped(0, 5, epoch.Add(10))
	second := stamped(1, 7, epoch.Add(9))
	got, err := latenciesOf([]arrival{second, first}, epoch, 2)
	if diff := cmp.Diff([]time.Duration{5, 2}, got); diff != "" || err != nil {
		t.Errorf("error %v; latencies (-want +got):\n%s", err, diff)
	}
	for name, arrivals := range map[string][]arrival{
		"one is missing": {first}, "one came twice": {first, first}, "one was never sent": {first, stamped(2, 0, epoch)},
	} {
		if _, err := latenciesOf(arrivals, epoch, 2); err == nil {
			t.Errorf("%s, and no error", name)
		}
	}
}

func TestStampedRecordsAreTimedOnTheirWay(t *testing.T) {
	bootstrap, _ := cluster(t, "stamps")
	producer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	arrivals, err := listen(t.Context(), place{bootstrap, "stamps"})
	if err != nil {
		t.Fatal(err)
	}
	defer arrivals.close()
	stamps := &stamper{epoch: time.Now(), producer: producer, topic: "stamps", records: newPayload()}
	if err := stamps.send(t.Context(), 100, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := arrivals.await(t.Context(), 100, time.Minute); err != nil {
		t.Fatal(err)
	}
	passed := time.Since(stamps.epoch)
	latencies, err := latenciesOf(arrivals.close(), stamps.epoch, 100)
	if err != nil {
		t.Fatal(err)
	}
	for number, latency := range latencies {
		if latency <= 0 || latency > passed {
			t.Errorf("record %d took %s in a test of %s", number, latency, passed)
		}
	}
	if passed < 99*time.Millisecond {
		t.Errorf("100 records a millisecond apart took %s", passed)
	}
	silence := arrivals.await(t.Context(), 101, time.Millisecond)
	if silence == nil || !strings.Contains(silence.Error(), "101 records") {
		t.Errorf("waiting for a record that never comes: %v", silence)
	}
}

func TestFlowPropertiesLeaveEverythingElseAtItsDefault(t *testing.T) {
	got := flowProperties(flow{
		source: "a", target: "acopy", sourceBootstrap: "s:1", targetBootstrap: "t:2", topic: "plain",
		set: map[string]string{"tasks.max": "4", "offset.lag.max": "0"},
	})
	want := `clusters = a, acopy
a.bootstrap.servers = s:1
acopy.bootstrap.servers = t:2
a->acopy.enabled = true
a->acopy.topics = plain
a->acopy.offset.lag.max = 0
a->acopy.tasks.max = 4
replication.factor = 1
checkpoints.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
config.storage.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

func sampleReport() report {
	rate := func(scenario, tool string, run int, rate, cpu float64) measurement {
		return measurement{
			Scenario: scenario, Tool: tool, Run: run, TargetCodec: "none",
			Figures: []figure{{"throughput", "records/s", rate}, {"CPU per payload", "s/GB", cpu}},
		}
	}
	return report{
		Started: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Machine: machine{
			Commit: "abc", Processor: "chip", Cores: 2, Memory: "8 GB", System: "linux/amd64 6.1", Go: "1.26", Java: "openjdk version 17", Kafka: "4.3.1", Load: "0.10",
		},
		Options: options{Records: 5000, Runs: 2, Seconds: 20, BatchBytes: 16384, Touch: 70},
		Measurements: []measurement{
			rate("plain", java, 1, 1000, 20), rate("plain", tributary, 1, 5000, 2),
			rate("plain", tributary, 2, 7000, 4), rate("plain", java, 2, 3000, 10),
			{Scenario: "latency", Tool: straight, Run: 1, Figures: []figure{{"latency p50", "ms", 0.5}}},
			{Scenario: "latency", Tool: java, Run: 1, Figures: []figure{{"latency p50", "ms", 12.5}, {"CPU", "% of a core", 0}}},
			{Scenario: "latency", Tool: tributary, Run: 1, Figures: []figure{{"latency p50", "ms", 2.5}, {"CPU", "% of a core", 1}}},
		},
	}
}

const sampleText = `Tributary beside Java MirrorMaker 2, 2026-05-04 03:02 UTC

commit       abc
processor    chip, 2 cores
memory       8 GB
system       linux/amd64 6.1
Go           1.26
Java         openjdk version 17
Kafka        4.3.1, one broker a cluster
load before  0.10
runs         2 of each tool; the figures are medians
before each  all is written to the disk, and 70 MB of free memory are touched

plain: 5000 records of 1000 bytes, 8 partitions, uncompressed batches of at most 16384 bytes before compression; rates are those after the first 5 % had arrived
                          java   tributary   tributary/java         to reach   reached
  throughput, records/s   2000        6000             3.00    ≥ 3.50 × java        no
  CPU per payload, s/GB   15.0        3.00             0.20   ≤ 0.091 × java        no
  batches on the target   none        none

latency: 1000 records a second for 20 s, 8 partitions; straight is the source broker without a mirror
                     straight   java   tributary   tributary/java   to reach   reached
  latency p50, ms        0.50   12.5        2.50             0.20     ≤ 1.50        no
  CPU, % of a core          -   0.00        1.00                -
`

func TestTheReportSetsMediansBesideEachOther(t *testing.T) {
	path, err := sampleReport().write(filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(sampleText, "\n"), strings.Split(string(text), "\n")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	data, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		report
		Medians []measurement
	}
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleReport(), read.report); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if len(read.Medians) != 5 || read.Medians[1].Figures[0] != (figure{"throughput", "records/s", 6000}) || read.Medians[1].Run != 0 {
		t.Errorf("medians in the JSON: %+v", read.Medians)
	}
}

func TestGoalsAreJudgedByWhatTheyCountFrom(t *testing.T) {
	measured := map[string]float64{java: 10, straight: 2}
	for _, test := range []struct {
		goal  goal
		value float64
		text  string
		want  string
	}{
		{atMost(5), 5, "≤ 5.00", "yes"},
		{atMost(5), 5.1, "≤ 5.00", "no"},
		{timesJava(3), 30, "≥ 3.00 × java", "yes"},
		{timesJava(3), 29, "≥ 3.00 × java", "no"},
		{shareOfJava(0.5), 5, "≤ 0.50 × java", "yes"},
		{shareOfJava(0.5), 6, "≤ 0.50 × java", "no"},
		{above(straight, 5), 7, "≤ straight + 5.00", "yes"},
		{above(straight, 5), 8, "≤ straight + 5.00", "no"},
	} {
		if got := test.goal.String(); got != test.text {
			t.Errorf("goal %q, want %q", got, test.text)
		}
		if got := test.goal.reached(test.value, measured); got != test.want {
			t.Errorf("%s by %v: %s, want %s", test.text, test.value, got, test.want)
		}
	}
	if got := timesJava(3).reached(30, nil); got != "-" {
		t.Errorf("a goal that counts from what was not measured is %q", got)
	}
}

func TestOptionsThatMeasureNothingAreRefused(t *testing.T) {
	good := options{Records: 1000, Runs: 1, Seconds: 1, BatchBytes: 2 * valueBytes, Connectors: 1, JavaConnectors: 1, Topics: 1, LinkRate: 1, Settle: 1}
	if err := good.Validate(); err != nil {
		t.Errorf("the smallest benchmark is refused: %v", err)
	}
	for name, spoil := range map[string]func(*options){
		"records":     func(o *options) { o.Records-- },
		"runs":        func(o *options) { o.Runs-- },
		"seconds":     func(o *options) { o.Seconds-- },
		"batch-bytes": func(o *options) { o.BatchBytes-- },
		"connectors":  func(o *options) { o.Connectors-- },
		"settle":      func(o *options) { o.Settle-- },
		"link-rate":   func(o *options) { o.LinkRate-- },
		"topics":      func(o *options) { o.Topics-- },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+" is ") {
			t.Errorf("%s too small: error %v, want one that names it", name, err)
		}
	}
}

func TestLatenessCountsFromTheTimestampAndTheDelay(t *testing.T) {
	at := func(ms int64, value string) kafkatest.Record {
		return kafkatest.Record{Timestamp: time.UnixMilli(ms), Value: []byte(value)}
	}
	source := map[int32][]kafkatest.Record{0: {at(1000, "a"), at(1500, "b")}, 1: {at(1600, "c")}}
	good := map[int32][]kafkatest.Record{0: {at(3100, "a"), at(3507, "b")}, 1: {at(3600, "c")}}
	late, err := lateness(source, good, 2*time.Second, time.UnixMilli(1500))
	if diff := cmp.Diff([]time.Duration{0, 7 * time.Millisecond}, late); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for what, copied := range map[string]map[int32][]kafkatest.Record{
		"too early":      {0: {at(2999, "a"), at(3507, "b")}, 1: {at(3600, "c")}},
		"its copy 1":     {0: {at(3100, "a")}, 1: {at(3600, "c")}},
		"is another one": {0: {at(3100, "a"), at(3507, "x")}, 1: {at(3600, "c")}},
	} {
		if _, err := lateness(source, copied, 2*time.Second, time.UnixMilli(0)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

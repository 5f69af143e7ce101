// Package bench sees whether every scenario of the benchmark can be measured: it runs the program at a small scale, with
// Tributary alone. Figures of such a run mean nothing; that they are there, and that the benchmark's own comparisons of
// records passed, is what counts.
package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tributary/test/cluster/realkafka"
)

// small makes a run short. With fewer records they all arrive between two looks.
var small = []string{
	"BENCH_RECORDS=200000", "BENCH_RUNS=1", "BENCH_TOOLS=tributary", "BENCH_SECONDS=1", "BENCH_SETTLE=1s", "BENCH_CONNECTORS=6",
	"BENCH_TOPICS=3", "BENCH_MAX_PARTITIONS=64", "BENCH_LINK_RATE=2", "BENCH_TOUCH=50", "BENCH_NAME=small",
}

func TestEveryScenarioCanBeMeasured(t *testing.T) {
	realkafka.Require(t)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "tributary/cmd/connect-mirror-maker", "tributary/cmd/connect-distributed", "tributary/test/bench")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, output)
	}
	wanted := map[string][]string{ // scenario → columns
		"plain": {"tributary"}, "zstd": {"tributary"}, "exactly-once": {"tributary"}, "record-lane": {"tributary"},
		"latency": {"straight", "tributary"}, "delayed": {"tributary", "raw"}, "idle": {"tributary"}, "connectors": {"tributary"}, "partitions": {"straight", "tributary"},
		"many-partitions": {"tributary"}, "cost-partitions": {"8", "64"}, "cost-sizes": {"100 B", "1 kB", "10 kB", "1 MB"},
		"far-source": {"tributary"}, "far-target": {"tributary"}, "json": {"tributary"},
	}
	var names []string
	for name := range wanted {
		names = append(names, name)
	}
	run := exec.Command(filepath.Join(dir, "bench"), "--only="+strings.Join(names, ","))
	run.Env = append(append(os.Environ(), small...), "BENCH_OUT="+dir,
		"BENCH_BINARY="+filepath.Join(dir, "connect-mirror-maker"), "BENCH_WORKER="+filepath.Join(dir, "connect-distributed"))
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("run the benchmark: %v\n%s", err, output)
	}

	var report struct {
		Measurements []struct {
			Scenario, Tool string
			Figures        []struct {
				Name, Unit string
				Value      float64
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "small.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, m := range report.Measurements {
		got[m.Scenario] = append(got[m.Scenario], m.Tool)
		for _, f := range m.Figures {
			// A thing that takes no time, memory or records was not measured.
			positive := f.Unit == "MB" && !strings.HasPrefix(f.Name, "lag") || f.Unit == "records/s" || f.Unit == "MB/s" && f.Name != "lag growth" || f.Unit == "ms"
			if f.Value < 0 || positive && f.Value == 0 {
				t.Errorf("%s of %s: %s is %v %s", m.Scenario, m.Tool, f.Name, f.Value, f.Unit)
			}
		}
	}
	for name, tools := range wanted {
		slices.Sort(tools)
		slices.Sort(got[name])
		if !slices.Equal(got[name], tools) {
			t.Errorf("scenario %s was measured for %v, want %v", name, got[name], tools)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "small.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range wanted {
		if !strings.Contains(string(text), "\n"+name+": ") {
			t.Errorf("the report has no table for %s:\n%s", name, text)
		}
	}
	for name, point := range map[string]string{"cost-partitions": ">64<", "cost-sizes": ">10 kB<"} {
		picture, err := os.ReadFile(filepath.Join(dir, "small-"+name+".svg"))
		if err != nil || !strings.Contains(string(picture), point) || !strings.HasSuffix(string(picture), "</svg>\n") {
			t.Errorf("the picture of %s (%v) does not show %s", name, err, point)
		}
	}
}

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/internal/localkafka"
	"tributary/test/cluster"
)

// The example of a custom connector is a module of its own: it is checked and built as a plugin author would, in a copy,
// and its connector runs.
func TestTheExampleConnectorBuildsInItsOwnModuleAndRuns(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", "ticker"))); err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"go.mod": strings.Replace(string(module), "../..", root, 1), "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "ticker")
	for _, args := range [][]string{{"vet", "-mod=mod", "."}, {"build", "-mod=mod", "-o", binary, "."}} {
		command := exec.Command("go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}

	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"time": 1}})
	w := cluster.SpawnBinary(t, binary, cluster.File(t, workerFile(k, text)))
	awaitHealthy(t, w)
	began := time.Now()
	w.API().Create("clock", map[string]string{"connector.class": "Ticker", "topic": "time", "interval.ms": "10"})
	for _, r := range k.AwaitRecords("time", 3, cluster.Patience)[0] {
		at, err := time.Parse(time.RFC3339Nano, string(r.Value))
		if err != nil || at.Before(began.Add(-time.Second)) || at.UnixMilli() != r.Timestamp.UnixMilli() {
			t.Errorf("the record %v: %v", r, err)
		}
	}
}

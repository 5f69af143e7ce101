package compat

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// patience is how long a test waits for what takes a moment: this machine may be busy, and Java takes its time.
const patience = 90 * time.Second

// quickStop is how long a worker may take to stop while its clusters answer.
const quickStop = 2 * time.Second

// worker is one Tributary process.
type worker struct {
	*realkafka.Process
	*api.Client
	t *testing.T
}

var listening = regexp.MustCompile(`REST server listening listener=\S* address=(\S+)`)

// startMaker starts connect-mirror-maker on the text of its file, and waits until its REST API listens. Nodes find
// each other on this machine. The API is on a free port, for the usual one may be another test's.
func startMaker(t *testing.T, file string) *worker {
	t.Helper()
	return start(t, "connect-mirror-maker", "mm2.properties", "rest.advertised.host.name=127.0.0.1\nlisteners=http://127.0.0.1:0\n"+file)
}

// startDistributed starts connect-distributed with the worker's properties, on a free port where they name no listeners,
// and environment variables, each name=value.
func startDistributed(t *testing.T, properties map[string]string, env ...string) *worker {
	t.Helper()
	properties = maps.Clone(properties)
	if properties["listeners"] == "" {
		properties["listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t))
	}
	var file strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&file, "%s=%s\n", key, properties[key])
	}
	return start(t, "connect-distributed", "worker.properties", file.String(), env...)
}

func start(t *testing.T, program, name, file string, env ...string) *worker {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	p := realkafka.StartProcess(t, program, []string{filepath.Join(binaries, program), path}, env, dir)
	address := p.WaitLog(listening, patience)[1]
	return &worker{Process: p, Client: &api.Client{BaseURL: "http://" + address}, t: t}
}

// stop ends the worker in order, within the two seconds that it promises while the clusters answer.
func (w *worker) stop() {
	w.t.Helper()
	began := time.Now()
	if err := w.Terminate(patience); err != nil {
		w.t.Errorf("%v", err)
	}
	if took := time.Since(began); took > quickStop {
		w.t.Errorf("%s took %s to stop, want at most %s", w.Name(), took.Round(time.Millisecond), quickStop)
	}
	if w.ExitCode() != 0 {
		w.t.Errorf("%s ended with exit code %d after SIGTERM, want 0", w.Name(), w.ExitCode())
	}
}

// awaitRunning waits until a connector and that many tasks of it run.
func (w *worker) awaitRunning(connector string, tasks int) api.ConnectorStatus {
	w.t.Helper()
	return awaitRunning(w.t, w.Client, connector, tasks)
}

func awaitRunning(t *testing.T, client *api.Client, connector string, tasks int) api.ConnectorStatus {
	t.Helper()
	var status api.ConnectorStatus
	kafkatest.Await(t, patience, fmt.Sprintf("%s with %d tasks to run", connector, tasks), func() (bool, string) {
		var err error
		if status, err = client.Status(t.Context(), connector); err != nil {
			return false, err.Error()
		}
		running := status.Connector.State == "RUNNING" && len(status.Tasks) == tasks
		for _, task := range status.Tasks {
			running = running && task.State == "RUNNING"
		}
		return running, fmt.Sprintf("%+v", status)
	})
	return status
}

// complaints are the lines of a log that an operator must read: warnings and errors.
func complaints(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "] WARN ") || strings.Contains(line, "] ERROR ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// terminate ends a Java program in order.
func terminate(worker *realkafka.JavaWorker) { worker.Stop(syscall.SIGTERM) }

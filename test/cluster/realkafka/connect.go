package realkafka

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// connectReady is how long a Java worker may take until it answers; it scans plugins and joins its group first.
const connectReady = 90 * time.Second

// restPatience is how long the end of a Java worker's REST server may take: mostly some milliseconds.
const restPatience = 20 * time.Second

// hangsInREST says that a Java worker that has not ended hangs in the end of its REST server, for good and with its
// work going on. Two shutdown hooks end that server, Jetty's own and the worker's, and one time in a hundred or so the
// worker's waits for threads that the other has taken away ("Unable to destroy", QueuedThreadPool.join).
func hangsInREST(log string) bool {
	return strings.Contains(log, "Stopping REST server") && !strings.Contains(log, "REST server stopped")
}

// JavaWorker is a Java Connect worker or the Java MirrorMaker. Beside its own methods it has those of the process:
// Terminate, Kill, Signal, WaitLog, Usage, LogPath and so on.
type JavaWorker struct {
	*Process
	url string
}

// URL is the worker's REST address without a slash at the end; MirrorMaker has none.
func (w *JavaWorker) URL() string { return w.url }

// Stop sends a signal, SIGTERM for an orderly end, and waits up to a minute for the worker to end.
func (w *JavaWorker) Stop(signal syscall.Signal) {
	w.tb.Helper()
	if err := w.end(signal, time.Minute); err != nil {
		w.tb.Errorf("%v", err)
	}
}

// StartJavaConnect starts org.apache.kafka.connect.cli.ConnectDistributed with the worker properties and waits until
// GET / answers 200. Without "listeners" it listens on a free port of 127.0.0.1; without "plugin.discovery" it looks
// for plugins through service files alone, which is quick.
func StartJavaConnect(tb TB, properties map[string]string, options ...JavaOption) *JavaWorker {
	tb.Helper()
	return startWorker(tb, "connect-distributed", "org.apache.kafka.connect.cli.ConnectDistributed", properties, nil, options)
}

// StartJavaStandalone starts ConnectStandalone in the same way, with connectors from the properties given.
func StartJavaStandalone(tb TB, properties map[string]string, connectors []map[string]string, options ...JavaOption) *JavaWorker {
	tb.Helper()
	return startWorker(tb, "connect-standalone", "org.apache.kafka.connect.cli.ConnectStandalone", properties, connectors, options)
}

func startWorker(tb TB, name, class string, properties map[string]string, connectors []map[string]string, options []JavaOption) *JavaWorker {
	tb.Helper()
	properties = maps.Clone(properties)
	if properties["listeners"] == "" {
		properties["listeners"] = "http://" + freeAddress(tb)
	}
	if properties["plugin.discovery"] == "" {
		properties["plugin.discovery"] = "service_load"
	}
	o := javaOptions(name, options)
	dir := tb.TempDir()
	var args []string
	for i, file := range append([]map[string]string{properties}, connectors...) {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.properties", o.name, i))
		if err := writeProperties(path, file); err != nil {
			tb.Fatalf("write the properties of %s: %v", o.name, err)
		}
		args = append(args, path)
	}
	first, _, _ := strings.Cut(properties["listeners"], ",")
	w := &JavaWorker{
		Process: StartProcess(tb, o.name, javaCommand(tb, dir, class, args, o), o.env, dir),
		url:     strings.TrimRight(first, "/"),
	}
	w.hangs, w.hangPatience = hangsInREST, restPatience
	w.await(connectReady, "GET / to answer 200", w.answers)
	return w
}

func (w *JavaWorker) answers() (bool, error) {
	ctx, cancel := context.WithTimeout(w.tb.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/", nil)
	if err != nil {
		return false, err
	}
	// A connection of its own, closed at once: nothing stays behind in the test binary.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return false, err
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("answered %s: %s", response.Status, body)
	}
	return true, nil
}

// StartJavaMirrorMaker starts org.apache.kafka.connect.mirror.MirrorMaker with the text of an mm2.properties file. It
// returns as soon as the program runs: wait for what it is to mirror.
func StartJavaMirrorMaker(tb TB, properties string, options ...JavaOption) *JavaWorker {
	tb.Helper()
	o := javaOptions("mirror-maker", options)
	dir := tb.TempDir()
	path := filepath.Join(dir, "mm2.properties")
	if err := os.WriteFile(path, []byte(properties), 0o600); err != nil {
		tb.Fatalf("write the properties of %s: %v", o.name, err)
	}
	argv := javaCommand(tb, dir, "org.apache.kafka.connect.mirror.MirrorMaker", []string{path}, o)
	return &JavaWorker{Process: StartProcess(tb, o.name, argv, o.env, dir)}
}

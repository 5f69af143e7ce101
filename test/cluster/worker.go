package cluster

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"tributary/api"
	"tributary/connect/cli"
	"tributary/connectors/mirror/maker"
	"tributary/connectors/standard"
)

// Program is one of the project's programs.
type Program struct {
	Name string
	main func(args []string, options ...cli.Option) int
	// defaults stand before the properties that a test gives.
	defaults string
}

// The programs that tests run.
var (
	// Its nodes find each other on this machine.
	MirrorMaker = Program{"connect-mirror-maker", maker.Main, "rest.advertised.host.name=127.0.0.1\n"}
	Distributed = Program{"connect-distributed", cli.Distributed, ""}
)

// Worker is a program that runs, or ran.
type Worker struct {
	Log *Log

	tb   TB
	name string
	ask  func() // to stop
	kill func() // nil in the test's own process
	// signal is nil in the test's own process.
	signal func(syscall.Signal) error
	done   chan struct{}
	pid    int // 0 in the test's own process
	code   int // valid once done is closed
	url    string
}

// Start runs a program in the test's own process, with a properties file of this text.
func Start(tb TB, p Program, properties string, args ...string) *Worker {
	tb.Helper()
	return StartArgs(tb, p, append([]string{File(tb, p.defaults+properties)}, args...)...)
}

// StartArgs runs a program in the test's own process with exactly these arguments.
func StartArgs(tb TB, p Program, args ...string) *Worker {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := newWorker(tb, p)
	w.ask = cancel
	go func() {
		defer close(w.done)
		w.code = p.main(args, cli.WithPlugins(standard.Plugins()...), cli.WithContext(ctx), cli.WithOutput(w.Log, w.Log))
	}()
	w.endWithTest()
	return w
}

// Spawn runs a program as a process of its own, with a properties file of this text. The package's TestMain must be
// [Main].
func Spawn(tb TB, p Program, properties string, args ...string) *Worker {
	tb.Helper()
	return SpawnArgs(tb, p, append([]string{File(tb, p.defaults+properties)}, args...)...)
}

// SpawnArgs runs a program as a process of its own with exactly these arguments.
func SpawnArgs(tb TB, p Program, args ...string) *Worker {
	tb.Helper()
	w := newWorker(tb, p)
	self, err := os.Executable()
	if err != nil {
		tb.Fatalf("find the test binary: %v", err)
	}
	command := exec.Command(self, args...)
	command.Env = append(os.Environ(), programVariable+"="+p.Name)
	w.spawn(command)
	return w
}

// SpawnBinary runs a program that a test has built, with exactly these arguments.
func SpawnBinary(tb TB, path string, args ...string) *Worker {
	tb.Helper()
	w := newWorker(tb, Program{Name: filepath.Base(path)})
	w.spawn(exec.Command(path, args...))
	return w
}

func (w *Worker) spawn(command *exec.Cmd) {
	w.tb.Helper()
	command.Stdout, command.Stderr = w.Log, w.Log
	if err := command.Start(); err != nil {
		w.tb.Fatalf("start %s: %v", w.name, err)
	}
	w.pid = command.Process.Pid
	w.ask = func() { _ = command.Process.Signal(syscall.SIGTERM) } // one that has ended needs none
	w.kill = func() { _ = command.Process.Kill() }
	w.signal = func(s syscall.Signal) error { return command.Process.Signal(s) }
	go func() {
		defer close(w.done)
		err := command.Wait()
		var exited *exec.ExitError
		if errors.As(err, &exited) {
			w.code = exited.ExitCode()
		} else if err != nil {
			w.code = -1
		}
	}()
	w.endWithTest()
}

func newWorker(tb TB, p Program) *Worker {
	return &Worker{Log: &Log{tb: tb}, tb: tb, name: p.Name, done: make(chan struct{})}
}

// File writes a properties file that goes with the test.
func File(tb TB, properties string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "worker.properties")
	if err := os.WriteFile(path, []byte(properties), 0o600); err != nil {
		tb.Fatalf("write the properties file: %v", err)
	}
	return path
}

func (w *Worker) endWithTest() {
	w.tb.Cleanup(func() {
		w.ask()
		if w.kill != nil && !w.ended(Patience/2) {
			w.kill()
		}
		if !w.ended(Patience / 2) {
			w.tb.Errorf("%s has not ended", w.name)
		}
		w.Log.showIfFailed(w.name)
	})
}

// ended waits for the program's end for a while.
func (w *Worker) ended(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-w.done:
		return true
	case <-timer.C:
		return false
	}
}

// ExitCode waits until the program ends by itself.
func (w *Worker) ExitCode() int {
	w.tb.Helper()
	return w.ExitCodeWithin(Patience)
}

// ExitCodeWithin is ExitCode for a program that ought to end soon.
func (w *Worker) ExitCodeWithin(limit time.Duration) int {
	w.tb.Helper()
	if !w.ended(limit) {
		w.tb.Fatalf("%s still runs after %s", w.name, limit)
	}
	return w.code
}

// Stop asks the program to end as SIGTERM does, waits until it has, and tells how long that took. An exit code other
// than 0 ends the test.
func (w *Worker) Stop() time.Duration {
	w.tb.Helper()
	began := time.Now()
	w.ask()
	if code := w.ExitCode(); code != cli.ExitOK {
		w.tb.Fatalf("%s ended with exit code %d", w.name, code)
	}
	return time.Since(began)
}

// Kill ends a spawned program at once, as kill -9 does, and waits until it is gone.
func (w *Worker) Kill() {
	w.tb.Helper()
	if w.kill == nil {
		w.tb.Fatalf("only a spawned program can be killed")
	}
	w.kill()
	w.ExitCode()
}

// PID is the process id of a spawned program.
func (w *Worker) PID() int { return w.pid }

// Freeze stops a spawned program from doing anything, until Thaw: to others it looks dead.
func (w *Worker) Freeze() {
	w.tb.Helper()
	w.send(syscall.SIGSTOP)
}

// Thaw undoes Freeze.
func (w *Worker) Thaw() {
	w.tb.Helper()
	w.send(syscall.SIGCONT)
}

func (w *Worker) send(s syscall.Signal) {
	w.tb.Helper()
	if w.signal == nil {
		w.tb.Fatalf("only a spawned program can be sent signals")
	}
	if err := w.signal(s); err != nil {
		w.tb.Fatalf("send %s the signal %s: %v", w.name, s, err)
	}
}

var listening = regexp.MustCompile(`REST server listening listener=(https?)://[^ ]* address=([^ ]+)`)

// URL is the address of the program's REST API, without a slash at its end. It is taken from the log.
func (w *Worker) URL() string {
	w.tb.Helper()
	if w.url == "" {
		line := w.Log.Await("REST server listening", "address=")
		match := listening.FindStringSubmatch(line)
		if match == nil {
			w.tb.Fatalf("no address in the log line %q", line)
		}
		w.url = match[1] + "://" + match[2]
	}
	return w.url
}

// API is a client of the program's REST API.
func (w *Worker) API() *API { return &API{Client: api.Client{BaseURL: w.URL()}, tb: w.tb} }

// Metrics is what GET /metrics answers now.
func (w *Worker) Metrics() string {
	w.tb.Helper()
	response, err := http.Get(w.URL() + "/metrics")
	if err != nil {
		w.tb.Fatalf("GET /metrics: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.tb.Fatalf("GET /metrics: %v", err)
	}
	return string(body)
}

// Flow is a client of one flow of a dedicated MirrorMaker.
func (w *Worker) Flow(source, target string) *API {
	return &API{Client: api.Client{BaseURL: w.URL() + "/" + source + "/" + target}, tb: w.tb}
}

package realkafka

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// shownLines is how much of a log a failed test shows.
const shownLines = 50

// Process is one program that a test started. All methods but WaitLog may be called from any goroutine.
type Process struct {
	tb      TB
	name    string
	cmd     *exec.Cmd
	logPath string
	done    chan struct{} // closed when the process has ended and was reaped
	tool    bool          // runs to its end; if it ended well, its log says nothing about a failure of the test
	// hangs says from the log that the program hangs in its own end, after hangPatience; nil: no such fault is known of it.
	hangs        func(log string) bool
	hangPatience time.Duration

	mu     sync.Mutex // held to signal and to reap, so that no signal goes to a process id used anew
	reaped bool
	peak   int64 // bytes, the highest resident size seen
}

// StartProcess starts argv in the folder dir (empty: a temporary one) with env added to the test's environment.
// Standard output and error go to LogPath. It returns as soon as the program runs; wait for what shows that it is ready.
func StartProcess(tb TB, name string, argv, env []string, dir string) *Process {
	tb.Helper()
	if dir == "" {
		dir = tb.TempDir()
	}
	log, err := createLog(tb, name)
	if err != nil {
		tb.Fatalf("create the log file of %s: %v", name, err)
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()
	p := &Process{tb: tb, name: name, cmd: cmd, logPath: log.Name(), done: make(chan struct{})}

	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	tb.Cleanup(p.cleanUp)
	return p
}

// run starts the program and waits for its end. It stays on one thread throughout, because the kernel kills the
// program when the thread that started it ends.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	defer close(p.done)
	ending, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		p.sample(ending)
	}()
	unreaped := awaitEnd(p.cmd.Process.Pid)
	if !unreaped {
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}
	close(ending)
	<-sampled

	p.mu.Lock()
	defer p.mu.Unlock()
	if unreaped {
		// The group's number is still taken: what the program left running dies with it, and nobody else.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		_ = p.cmd.Wait()
	}
	p.reaped = true
}

// Name is the name given at the start.
func (p *Process) Name() string { return p.name }

// PID is the process id; the process group has the same number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// LogPath is the file with the program's output.
func (p *Process) LogPath() string { return p.logPath }

// Log is all that the program has written so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return fmt.Sprintf("(the log cannot be read: %v)", err)
	}
	return string(text)
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ExitCode is the exit code of a program that has ended, and -1 while it runs or if a signal ended it.
func (p *Process) ExitCode() int {
	if p.Running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the program and its children. It does nothing when the program has ended.
func (p *Process) Signal(signal syscall.Signal) error {
	p.samplePeak()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if err := syscall.Kill(-p.PID(), signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", signal, p.name, err)
	}
	return nil
}

// Wait waits for the program to end by itself.
func (p *Process) Wait(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s (process %d) still runs after %s", p.name, p.PID(), timeout)
	}
}

// Terminate asks the program to end (SIGTERM) and waits. A program that does not end in time is killed, and that is
// the error, unless the program is known to hang so: then the test's log tells of it, and ExitCode is -1.
func (p *Process) Terminate(timeout time.Duration) error { return p.end(syscall.SIGTERM, timeout) }

func (p *Process) end(signal syscall.Signal, timeout time.Duration) error {
	if err := p.Signal(signal); err != nil {
		return err
	}
	rest := timeout
	if p.hangs != nil && p.hangPatience < timeout {
		if p.Wait(p.hangPatience) == nil {
			return nil
		}
		if p.hangs(p.Log()) {
			p.Kill()
			p.tb.Logf("%s hung in its own end, %s after %s, and was killed", p.name, p.hangPatience, signal)
			return nil
		}
		rest -= p.hangPatience
	}
	if p.Wait(rest) == nil {
		return nil
	}
	p.Kill()
	return fmt.Errorf("%s did not end within %s of %s and was killed", p.name, timeout, signal)
}

// Kill ends the program and its children at once (SIGKILL) and waits until they are gone.
func (p *Process) Kill() {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		p.tb.Errorf("kill %s: %v", p.name, err)
		return
	}
	<-p.done
}

// WaitLog waits until a line of the log matches and returns the match with its groups. It ends the test when the
// time is over or the program ends without such a line.
func (p *Process) WaitLog(pattern *regexp.Regexp, timeout time.Duration) []string {
	p.tb.Helper()
	var match []string
	p.await(timeout, fmt.Sprintf("a log line like %q", pattern), func() (bool, error) {
		for line := range strings.Lines(p.Log()) {
			if match = pattern.FindStringSubmatch(strings.TrimRight(line, "\r\n")); match != nil {
				return true, nil
			}
		}
		return false, errors.New("no such line")
	})
	return match
}

// await looks at a condition until it holds. It gives up at once when the program ends.
func (p *Process) await(timeout time.Duration, what string, condition func() (bool, error)) {
	p.tb.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// Asked before the condition, so that what the program did last still counts.
		running := p.Running()
		ok, err := condition()
		if ok {
			return
		}
		if !running {
			p.tb.Fatalf("%s ended (%s) before %s: %v", p.name, p.cmd.ProcessState, what, err)
			return
		}
		select {
		case <-tick.C:
		case <-p.done:
		case <-p.tb.Context().Done():
			p.tb.Fatalf("the test ended while waiting for %s of %s: %v", what, p.name, err)
			return
		case <-deadline.C:
			p.tb.Fatalf("waited %s for %s of %s: %v", timeout, what, p.name, err)
			return
		}
	}
}

func (p *Process) cleanUp() {
	p.Kill()
	if p.tb.Failed() && !(p.tool && p.ExitCode() == 0) {
		lines := strings.Split(strings.TrimRight(p.Log(), "\n"), "\n")
		lines = lines[max(0, len(lines)-shownLines):]
		p.tb.Logf("end of %s, %s (%s):\n%s", p.logPath, p.name, p.cmd.ProcessState, strings.Join(lines, "\n"))
	}
}

var (
	logFoldersMu sync.Mutex
	logFolders   = map[TB]string{}
)

// createLog makes a log file in the test's log folder. The folder lies outside the test's TempDir, because it is
// kept when the test fails; TRIBUTARY_TEST_LOGS names the place for it.
func createLog(tb TB, name string) (*os.File, error) {
	logFoldersMu.Lock()
	defer logFoldersMu.Unlock()
	folder, found := logFolders[tb]
	if !found {
		test := strings.Map(func(r rune) rune {
			if r == '/' || r == '*' || r == os.PathSeparator {
				return '-'
			}
			return r
		}, tb.Name())
		var err error
		if folder, err = os.MkdirTemp(os.Getenv("TRIBUTARY_TEST_LOGS"), "tributary-"+test+"-"); err != nil {
			return nil, err
		}
		logFolders[tb] = folder
		tb.Cleanup(func() { removeLogs(tb) })
	}
	// A program that is started again under its name gets a log file of its own.
	for run := 1; ; run++ {
		path := filepath.Join(folder, fmt.Sprintf("%s.%d.log", name, run))
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
}

func removeLogs(tb TB) {
	logFoldersMu.Lock()
	folder := logFolders[tb]
	delete(logFolders, tb)
	logFoldersMu.Unlock()
	if tb.Failed() {
		tb.Logf("the log files are kept in %s", folder)
		return
	}
	if err := os.RemoveAll(folder); err != nil {
		tb.Logf("remove the log files: %v", err)
	}
}

package realkafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/test/cluster/kafkatest"
)

const soon = 20 * time.Second

func shell(t *testing.T, script string, env ...string) *Process {
	t.Helper()
	return StartProcess(t, "shell", []string{"sh", "-c", script}, env, "")
}

func TestProcessKeepsOutputAndExitCode(t *testing.T) {
	p := shell(t, `echo "out $WORD"; echo err >&2; exit 3`, "WORD=given")
	if err := p.Wait(soon); err != nil {
		t.Fatal(err)
	}
	if got := p.ExitCode(); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	if got := p.Log(); got != "out given\nerr\n" {
		t.Errorf("log %q, want both outputs in order", got)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to an ended process: %v", err)
	}
}

func TestWaitLogGivesTheGroupsOfTheFirstLineThatMatches(t *testing.T) {
	p := shell(t, `echo starting; echo "port 17"; echo "port 18"; exec sleep 100`)
	match := p.WaitLog(regexp.MustCompile(`^port (\d+)$`), soon)
	if want := []string{"port 17", "17"}; !slices.Equal(match, want) {
		t.Errorf("match %q, want %q", match, want)
	}
	if !p.Running() || p.ExitCode() != -1 {
		t.Errorf("the process is to run on, exit code %d", p.ExitCode())
	}
}

func TestTerminateLetsAProgramEndItself(t *testing.T) {
	p := shell(t, `trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done`)
	p.WaitLog(regexp.MustCompile("ready"), soon)
	if err := p.Terminate(soon); err != nil {
		t.Fatal(err)
	}
	if p.ExitCode() != 7 || !strings.Contains(p.Log(), "bye") {
		t.Errorf("exit code %d and log %q, want 7 and bye", p.ExitCode(), p.Log())
	}
}

func TestTerminateKillsAndReportsWhatWillNotEnd(t *testing.T) {
	p := shell(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	p.WaitLog(regexp.MustCompile("ready"), soon)
	err := p.Terminate(100 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("error %v, want one that says it was killed", err)
	}
	if p.Running() {
		t.Error("the process runs after it was killed")
	}
}

func TestTerminateKillsWhatIsKnownToHang(t *testing.T) {
	p := shell(t, `trap 'echo Stopping REST server' TERM; echo ready; while :; do sleep 0.05; done`)
	p.hangs, p.hangPatience = hangsInREST, 2*time.Second
	p.WaitLog(regexp.MustCompile("ready"), soon)
	if err := p.Terminate(soon); err != nil {
		t.Error(err)
	}
	if p.Running() || p.ExitCode() != -1 {
		t.Errorf("running %t with exit code %d after it hung, want it killed", p.Running(), p.ExitCode())
	}
}

func TestTerminateWaitsForWhatHangsOtherwise(t *testing.T) {
	p := shell(t, `trap 'printf "Stopping REST server\\nREST server stopped\\n"' TERM; echo ready; while :; do sleep 0.05; done`)
	p.hangs, p.hangPatience = hangsInREST, 600*time.Millisecond
	p.WaitLog(regexp.MustCompile("ready"), soon)
	if err := p.Terminate(2 * time.Second); err == nil || !strings.Contains(err.Error(), "within 2s") {
		t.Errorf("error %v, want one that says it did not end within 2s", err)
	}
}

func TestChildrenEndWithTheirProgram(t *testing.T) {
	for name, end := range map[string]func(*Process){
		"killed":         (*Process).Kill,
		"ends by itself": func(p *Process) { _ = p.Signal(syscall.SIGUSR1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := shell(t, `trap 'exit 0' USR1; (trap '' USR1; exec sleep 100) & echo "child $!"; wait`)
			child, err := strconv.Atoi(p.WaitLog(regexp.MustCompile(`child (\d+)`), soon)[1])
			if err != nil {
				t.Fatal(err)
			}
			end(p)
			if err := p.Wait(soon); err != nil {
				t.Fatal(err)
			}
			kafkatest.Await(t, soon, "the child to be gone", func() (bool, string) {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
				if errors.Is(err, os.ErrNotExist) {
					return true, ""
				}
				// An orphan that nobody reaps stays as a zombie.
				return strings.Contains(string(stat), ") Z "), string(stat)
			})
		})
	}
}

func TestUsageCountsTheProgramAndNotTheTestBinary(t *testing.T) {
	// The kernel would count what the parent had resident when it started the program.
	ballast := make([]byte, 256<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	p := shell(t, `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo counted; read never`)
	p.WaitLog(regexp.MustCompile("counted|never"), soon)
	if err := p.Wait(soon); err != nil {
		t.Fatal(err)
	}
	usage, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if usage.CPU() <= 0 || usage.PeakRSS <= 0 || usage.PeakRSS > 64<<20 {
		t.Errorf("usage %+v, want some processor time and a peak of a few megabytes", usage)
	}
	runtime.KeepAlive(ballast)
}

func TestAProgramStartedAgainGetsItsOwnLog(t *testing.T) {
	first, second := shell(t, "echo first"), shell(t, "echo second")
	for p, want := range map[*Process]string{first: "first\n", second: "second\n"} {
		if err := p.Wait(soon); err != nil {
			t.Fatal(err)
		}
		if p.Log() != want {
			t.Errorf("%s holds %q, want %q", filepath.Base(p.LogPath()), p.Log(), want)
		}
	}
}

// failedTest is a test that fails, for what the harness does then.
type failedTest struct {
	TB
	cleanups []func()
	logged   strings.Builder
}

func (f *failedTest) Failed() bool               { return true }
func (f *failedTest) Cleanup(do func())          { f.cleanups = append(f.cleanups, do) }
func (f *failedTest) Logf(form string, a ...any) { fmt.Fprintf(&f.logged, form+"\n", a...) }

func TestAFailedTestShowsTheEndOfTheLogAndKeepsIt(t *testing.T) {
	t.Setenv("TRIBUTARY_TEST_LOGS", t.TempDir())
	failed := &failedTest{TB: t}
	p := StartProcess(failed, "talker", []string{"sh", "-c", `i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "line $i."; done; exec sleep 100`}, nil, "")
	p.WaitLog(regexp.MustCompile(`line 60\.`), soon)

	for _, cleanup := range slices.Backward(failed.cleanups) {
		cleanup()
	}

	if p.Running() {
		t.Error("the process outlives its test")
	}
	if shown := failed.logged.String(); !strings.Contains(shown, "line 11.\n") || !strings.Contains(shown, "line 60.\n") || strings.Contains(shown, "line 10.\n") {
		t.Errorf("shown is %q, want lines 11 to 60", shown)
	}
	if log := p.Log(); !strings.HasPrefix(log, "line 1.\n") {
		t.Errorf("the kept log begins %.20q, want line 1", log)
	}
}

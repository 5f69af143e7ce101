package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/test/cluster/kafkatest"
)

// The launchers stand beside what `make build` makes, take Java's arguments, and work from any folder and through
// links.
//
// It does not run beside others: a program just written cannot be started while a fork of another test still holds it
// open.
func TestLaunchersRunTheProgramBesideThem(t *testing.T) {
	for launcher, daemonLog := range map[string]string{
		"connect-mirror-maker": "mirrorMaker.out", "connect-distributed": "connectDistributed.out", "connect-standalone": "connectStandalone.out",
	} {
		t.Run(launcher, func(t *testing.T) {
			bin, elsewhere := t.TempDir(), t.TempDir()
			script, err := os.ReadFile(filepath.Join("..", "..", "bin", launcher+".sh"))
			if err != nil {
				t.Fatal(err)
			}
			installed := filepath.Join(bin, launcher+".sh")
			writeProgram(t, installed, string(script))
			link := filepath.Join(elsewhere, "start")
			if err := os.Symlink(installed, link); err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) (string, error) {
				cmd := exec.Command(link, args...)
				cmd.Dir = elsewhere
				cmd.Env = append(os.Environ(), "LOG_DIR="+filepath.Join(elsewhere, "logs"))
				out, err := cmd.CombinedOutput()
				return string(out), err
			}

			if out, err := run("file.properties"); err == nil || !strings.Contains(out, filepath.Join(bin, launcher)+" is missing: run 'make build' first") {
				t.Errorf("without the program: %v, %s", err, out)
			}
			writeProgram(t, filepath.Join(bin, launcher), "#!/bin/sh\nfor a in \"$@\"; do echo \"<$a>\"; done\nexit 7\n")
			if out, err := run(); err == nil || !strings.Contains(out, "USAGE:") {
				t.Errorf("without arguments: %v, %s", err, out)
			}
			out, err := run("a file.properties", "--clusters", "x", "y")
			var exit *exec.ExitError
			if want := "<a file.properties>\n<--clusters>\n<x>\n<y>\n"; out != want || !asExit(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("got %q, %v; want %q and the program's exit code 7", out, err, want)
			}
			if out, err := run("-daemon", "file.properties"); err != nil || out != "" {
				t.Errorf("-daemon: %v, %s", err, out)
			}
			kafkatest.Await(t, 10*time.Second, "the daemon's output", func() (bool, string) {
				text, _ := os.ReadFile(filepath.Join(elsewhere, "logs", daemonLog))
				return string(text) == "<file.properties>\n", string(text)
			})
		})
	}
}

func asExit(err error, to **exec.ExitError) bool {
	exit, ok := err.(*exec.ExitError)
	*to = exit
	return ok
}

func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

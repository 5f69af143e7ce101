package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"tributary/connect/cli"
	"tributary/connectors/standard"
	"tributary/test/cluster/realkafka"
	"tributary/test/compat/cases"
)

// binaries is the folder with the programs under test.
var binaries string

// casesWorker is the environment variable that makes the test's own program a connect-standalone with the connectors of
// package cases.
const casesWorker = "COMPAT_CASES_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(casesWorker) != "" {
		os.Exit(cli.Standalone(os.Args[1:], cli.WithPlugins(standard.Plugins()...), cli.WithPlugins(cases.Plugins()...)))
	}
	// Without Java every test is skipped, and nothing needs to be built.
	if _, ok := realkafka.Available(); ok {
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(binaries)
		os.Exit(code)
	}))
}

// build makes the binaries as they are shipped, without cgo.
func build() (err error) {
	if binaries, err = os.MkdirTemp("", "tributary-compat-"); err != nil {
		return err
	}
	compile := exec.Command("go", "build", "-o", binaries+string(filepath.Separator),
		"tributary/cmd/connect-mirror-maker", "tributary/cmd/connect-distributed", "tributary/cmd/connect-standalone")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := compile.CombinedOutput(); err != nil {
		os.RemoveAll(binaries)
		return fmt.Errorf("build the programs under test: %w\n%s", err, output)
	}
	return nil
}

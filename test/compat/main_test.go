package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"tributary/test/cluster/realkafka"
)

// binaries is the folder with the programs under test.
var binaries string

func TestMain(m *testing.M) {
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

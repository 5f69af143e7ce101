package cluster

import (
	"flag"
	"fmt"
	"os"

	"go.uber.org/goleak"

	"tributary/connect/cli"
	"tributary/connectors/standard"
	"tributary/test/cluster/kafkatest"
)

// programVariable makes a test binary be one of the programs instead, see Main.
const programVariable = "TRIBUTARY_TEST_PROGRAM"

// sideBySide is how many tests run at once where -test.parallel is not given. They wait far more than they compute,
// so there may be more of them than cores.
const sideBySide = "6"

// TestRunner is the part of testing.M that Main needs.
type TestRunner interface{ Run() int }

// Main is for TestMain of a package that uses [Spawn]: it runs the tests, looks for goroutines that they left, and
// does not return. A spawned program is this same test binary, which is there already, where building another takes
// longer than all tests.
func Main(m TestRunner) {
	if name := os.Getenv(programVariable); name != "" {
		os.Exit(beProgram(name))
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", sideBySide); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(kafkatest.LeftByKfake()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func beProgram(name string) int {
	for _, p := range []Program{MirrorMaker, Distributed} {
		if p.Name == name {
			return p.main(os.Args[1:], cli.WithPlugins(standard.Plugins()...))
		}
	}
	fmt.Fprintf(os.Stderr, "%s is %q, which is no program\n", programVariable, name)
	return 1
}

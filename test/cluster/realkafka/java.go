package realkafka

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RequireJavaEnv makes a missing Java or Maven fail the tests that need it when it is set to 1, as in CI.
const RequireJavaEnv = "TRIBUTARY_REQUIRE_JAVA"

// oldestJava is what Kafka 4 needs.
const oldestJava = 17

// Require skips the test when real Kafka cannot be started here, and fails it when RequireJavaEnv is 1.
func Require(tb TB) {
	tb.Helper()
	reason, ok := Available()
	switch {
	case ok:
	case os.Getenv(RequireJavaEnv) == "1":
		tb.Fatalf("%s=1, but real Kafka cannot be started: %s", RequireJavaEnv, reason)
	default:
		tb.Skipf("real Kafka cannot be started: %s", reason)
	}
}

// Available says whether Java and Maven are here, and if not, plainly what is missing.
func Available() (reason string, ok bool) {
	if err := checkTools(); err != nil {
		return err.Error(), false
	}
	return "", true
}

var checkTools = sync.OnceValue(func() error {
	java := javaProgram()
	output, err := exec.Command(java, "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("Java %d or newer is needed, but %q does not run: %w", oldestJava, java, err)
	}
	version, err := majorVersion(string(output))
	if err != nil {
		return fmt.Errorf("%q -version: %w", java, err)
	}
	if version < oldestJava {
		return fmt.Errorf("Java %d or newer is needed, but %q is Java %d", oldestJava, java, version)
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("Maven is needed to get Kafka's jars: %w", err)
	}
	return nil
})

// javaProgram is the Java of JAVA_HOME, or else the one in PATH.
func javaProgram() string {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java")
	}
	return "java"
}

// Java prints 17.0.15, or 1.8.0 for what everybody calls 8.
var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

func majorVersion(output string) (int, error) {
	match := javaVersion.FindStringSubmatch(output)
	if match == nil {
		return 0, fmt.Errorf("no version in %q", output)
	}
	return strconv.Atoi(match[1])
}

// JavaOption changes how a Java program is started.
type JavaOption func(*javaProgramOptions)

type javaProgramOptions struct {
	name    string
	version string
	heap    string
	jvm     []string
	env     []string
	args    []string
	classes string
}

// WithName names the process; the log file is called after it.
func WithName(name string) JavaOption { return func(o *javaProgramOptions) { o.name = name } }

// WithVersion chooses the Kafka version; without it DefaultVersion is used.
func WithVersion(version string) JavaOption {
	return func(o *javaProgramOptions) { o.version = version }
}

// WithJVM adds options for the virtual machine, after the harness's own, so that they win.
func WithJVM(options ...string) JavaOption {
	return func(o *javaProgramOptions) { o.jvm = append(o.jvm, options...) }
}

// WithEnv adds environment variables, each name=value.
func WithEnv(env ...string) JavaOption {
	return func(o *javaProgramOptions) { o.env = append(o.env, env...) }
}

// WithArgs adds arguments after the program's own, such as MirrorMaker's --clusters.
func WithArgs(args ...string) JavaOption {
	return func(o *javaProgramOptions) { o.args = append(o.args, args...) }
}

// WithClasses puts a folder of classes before Kafka's jars on the class path.
func WithClasses(dir string) JavaOption { return func(o *javaProgramOptions) { o.classes = dir } }

// CompileJava compiles Java source files against Kafka's jars and gives the folder with the classes.
func CompileJava(tb TB, sources ...string) (dir string) {
	tb.Helper()
	jars, err := installed(DefaultVersion)
	if err != nil {
		tb.Fatalf("install Kafka %s: %v", DefaultVersion, err)
	}
	dir = tb.TempDir()
	compiler := strings.TrimSuffix(javaProgram(), "java") + "javac"
	output, err := exec.Command(compiler, append([]string{"-nowarn", "-d", dir, "-cp", filepath.Join(jars, "*")}, sources...)...).CombinedOutput()
	if err != nil {
		tb.Fatalf("javac: %v\n%s", err, output)
	}
	return dir
}

func javaOptions(name string, options []JavaOption) javaProgramOptions {
	o := javaProgramOptions{name: name, version: DefaultVersion, heap: "-Xmx512m"}
	for _, option := range options {
		option(&o)
	}
	return o
}

// StartJava starts a main class of Kafka, or a single .java source file, with Kafka's jars on the class path.
func StartJava(tb TB, class string, args []string, options ...JavaOption) *Process {
	tb.Helper()
	o := javaOptions(filepath.Base(class), options)
	dir := tb.TempDir()
	return StartProcess(tb, o.name, javaCommand(tb, dir, class, args, o), o.env, dir)
}

// RunJava runs such a program to its end and gives its output. It ends the test unless the program exits with 0.
func RunJava(tb TB, class string, args []string, timeout time.Duration, options ...JavaOption) string {
	tb.Helper()
	p := startTool(tb, class, args, options)
	p.awaitSuccess(timeout)
	return p.Log()
}

func startTool(tb TB, class string, args []string, options []JavaOption) *Process {
	tb.Helper()
	p := StartJava(tb, class, args, options...)
	p.tool = true
	return p
}

// awaitSuccess waits until the program has ended with exit code 0.
func (p *Process) awaitSuccess(timeout time.Duration) {
	p.tb.Helper()
	if err := p.Wait(timeout); err != nil {
		p.tb.Fatalf("%v", err)
	}
	if p.ExitCode() != 0 {
		p.tb.Fatalf("%s ended with %s", p.name, p.cmd.ProcessState)
	}
}

func javaCommand(tb TB, dir, class string, args []string, o javaProgramOptions) []string {
	tb.Helper()
	jars, err := installed(o.version)
	if err != nil {
		tb.Fatalf("install Kafka %s: %v", o.version, err)
	}
	logging, err := writeLogging(dir)
	if err != nil {
		tb.Fatalf("write the logging configuration: %v", err)
	}
	argv := append([]string{javaProgram(), o.heap}, logging...)
	argv = append(argv, o.jvm...)
	path := filepath.Join(jars, "*")
	if o.classes != "" {
		path = o.classes + string(filepath.ListSeparator) + path
	}
	argv = append(argv, "-cp", path, class)
	argv = append(argv, args...)
	return append(argv, o.args...)
}

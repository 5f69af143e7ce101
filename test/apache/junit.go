package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tributary/test/cluster/realkafka"
)

// classLimit is when a class that hangs is given up. Apache's own limits, which are for single waits, are far below.
const classLimit = time.Hour

// defaultProperty begins the names of system properties that WorkerProcess takes for settings of workers.
const defaultProperty = "tributary.default."

// outcome is what came of a method.
type outcome string

const (
	passed        outcome = "passed"
	failed        outcome = "failed"
	notApplicable outcome = "n/a"
)

// result is what came of one method; Reason says why unless it passed.
type result struct {
	Method  string
	Outcome outcome
	Reason  string
	Took    time.Duration
}

// junit runs test classes on the JUnit platform.
type junit struct {
	classPath, logging, heap, temp string
	// bin and testBin hold the programs that stand for Java workers: Tributary's, and those with the tests' connectors.
	bin, testBin string
}

// prepare fetches the jars, compiles the project's own classes and lays out the programs, in a folder that the caller
// removes.
func prepare(ctx context.Context, opts options, dir string) (*junit, error) {
	jars, err := realkafka.Jars("apache", "apache-"+realkafka.DefaultVersion, "-Dkafka.version="+realkafka.DefaultVersion)
	if err != nil {
		return nil, err
	}
	classes := filepath.Join(dir, "classes")
	j := &junit{classPath: classes + ":" + filepath.Join(jars, "*"), heap: opts.Heap, temp: filepath.Join(dir, "tmp"), testBin: filepath.Join(dir, "bin")}
	if err := compile(ctx, classes, jars); err != nil {
		return nil, err
	}
	if err := unpackTestPlugins(ctx, classes, jars); err != nil {
		return nil, err
	}
	if j.bin, err = filepath.Abs(opts.Bin); err != nil {
		return nil, err
	}
	worker, err := filepath.Abs(opts.Worker)
	if err != nil {
		return nil, err
	}
	if j.logging, err = filepath.Abs("test/apache/log4j2.xml"); err != nil {
		return nil, err
	}
	for _, d := range []string{j.temp, j.testBin} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	for _, program := range []string{"connect-distributed", "connect-standalone"} {
		if _, err := os.Stat(filepath.Join(j.bin, program)); err != nil {
			return nil, fmt.Errorf("run `make build` first: %w", err)
		}
		// The test worker looks at the name that it was called by.
		if err := os.Symlink(worker, filepath.Join(j.testBin, program)); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// compile compiles the classes that stand before Apache's.
func compile(ctx context.Context, classes, jars string) error {
	sources, err := javaSources("test/apache/java")
	if err != nil {
		return err
	}
	args := append([]string{"-nowarn", "-d", classes, "-cp", filepath.Join(jars, "*")}, sources...)
	if output, err := exec.CommandContext(ctx, jdkTool("javac"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile test/apache/java: %w\n%s", err, output)
	}
	return nil
}

// unpackTestPlugins lays the sources of plugins that some tests compile beside the classes: they are looked for in
// folders, as Kafka's own build has them, not in jars.
func unpackTestPlugins(ctx context.Context, classes, jars string) error {
	tests, err := filepath.Glob(filepath.Join(jars, "connect-runtime-*-test.jar"))
	if err != nil || len(tests) != 1 {
		return fmt.Errorf("there is not one jar with Connect's tests in %s: %v", jars, tests)
	}
	command := exec.CommandContext(ctx, jdkTool("jar"), "--extract", "--file="+tests[0], "test-plugins")
	command.Dir = classes
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack the test plugins: %w\n%s", err, output)
	}
	return nil
}

func javaSources(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".java") {
			out = append(out, path)
		}
		return err
	})
	return out, err
}

// jdkTool is a program of the JDK in JAVA_HOME, or else the one in PATH.
func jdkTool(name string) string {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", name)
	}
	return name
}

// run runs a suite and tells what came of each of its methods. The logs are left in dir.
func (j *junit) run(ctx context.Context, s suite, dir string) ([]result, error) {
	if s.WhollySkipped != "" {
		return []result{{Method: "all", Outcome: notApplicable, Reason: s.WhollySkipped}}, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	console, err := os.Create(filepath.Join(dir, "console.txt"))
	if err != nil {
		return nil, err
	}
	defer console.Close()
	ctx, cancel := context.WithTimeout(ctx, classLimit)
	defer cancel()
	command := exec.CommandContext(ctx, jdkTool("java"), j.arguments(s, dir, logs)...)
	command.Stdout, command.Stderr = console, console
	// The JVM ends the workers that it started.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	ended := command.Run()
	results, err := readReport(filepath.Join(dir, "reports", "TEST-junit-jupiter.xml"))
	if err != nil {
		// The JVM did not get so far; the other classes may.
		results = []result{{Method: "all", Outcome: failed, Reason: fmt.Sprintf("no report, see %s: %v", console.Name(), errors.Join(ended, err))}}
	}
	if len(results) == 0 {
		results = []result{{Method: strings.Join(s.only, ", "), Outcome: failed, Reason: "the class has no such method"}}
	}
	for _, method := range slices.Sorted(maps.Keys(s.Skip)) {
		if len(s.only) == 0 {
			results = append(results, result{Method: method, Outcome: notApplicable, Reason: s.Skip[method]})
		}
	}
	return results, nil
}

func (j *junit) arguments(s suite, dir, logs string) []string {
	bin := j.bin
	if s.TestWorker {
		bin = j.testBin
	}
	args := []string{
		"-Xmx" + j.heap, "-XX:+UseSerialGC", "-Djava.io.tmpdir=" + j.temp,
		"-Dtributary.bin=" + bin, "-Dtributary.logs=" + logs, "-Dlog4j2.configurationFile=" + j.logging,
		"-cp", j.classPath, "org.junit.platform.console.ConsoleLauncher", "execute",
		"--disable-banner", "--disable-ansi-colors", "--details=testfeed", "--fail-if-no-tests",
		"--reports-dir=" + filepath.Join(dir, "reports"), "--select-class=" + s.Class,
	}
	for _, key := range slices.Sorted(maps.Keys(s.Defaults)) {
		// Before the main class, which ends the JVM's own arguments.
		args = slices.Insert(args, 0, "-D"+defaultProperty+key+"="+s.Defaults[key])
	}
	if p := s.include(); p != "" {
		args = append(args, "--include-methodname="+p)
	}
	if p := s.exclude(); p != "" {
		args = append(args, "--exclude-methodname="+p)
	}
	return args
}

// testSuite is JUnit's report, as far as it matters here.
type testSuite struct {
	Cases []struct {
		Name    string   `xml:"name,attr"`
		Seconds float64  `xml:"time,attr"`
		Failure *trouble `xml:"failure"`
		Error   *trouble `xml:"error"`
		Skipped *trouble `xml:"skipped"`
	} `xml:"testcase"`
}

type trouble struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func readReport(path string) ([]result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseReport(text)
}

// parseReport reads JUnit's report of one class, sorted by method.
func parseReport(text []byte) ([]result, error) {
	var suite testSuite
	if err := xml.Unmarshal(text, &suite); err != nil {
		return nil, fmt.Errorf("read JUnit's report: %w", err)
	}
	var out []result
	for _, c := range suite.Cases {
		r := result{Method: strings.TrimSuffix(c.Name, "()"), Outcome: passed, Took: time.Duration(c.Seconds * float64(time.Second))}
		switch {
		case c.Failure != nil:
			r.Outcome, r.Reason = failed, c.Failure.line()
		case c.Error != nil:
			r.Outcome, r.Reason = failed, c.Error.line()
		case c.Skipped != nil:
			r.Outcome, r.Reason = notApplicable, "skipped by Apache: "+c.Skipped.line()
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b result) int { return strings.Compare(a.Method, b.Method) })
	return out, nil
}

// line is the trouble in one line.
func (t *trouble) line() string {
	message := t.Message
	if message == "" {
		message = t.Text
	}
	first, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	if first == "" {
		first = t.Type
	}
	return strings.TrimSpace(first)
}

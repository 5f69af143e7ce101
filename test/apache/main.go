package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"tributary/test/cluster/realkafka"
)

// options are the command line. Each has an environment variable too, for `APACHE_ONLY=OffsetsApi make apache-suite`.
type options struct {
	Only   []string `env:"APACHE_ONLY" help:"Classes to run, as Class or Class.method, without their package; all if none is given."`
	Quick  bool     `env:"APACHE_QUICK" help:"Run only the most telling methods, in a few minutes."`
	Out    string   `env:"APACHE_OUT" default:"apache-results" help:"Folder for the report and the logs."`
	Bin    string   `env:"APACHE_BIN" default:"bin" help:"Folder with Tributary's programs."`
	Worker string   `env:"APACHE_WORKER" required:"" help:"The worker with connectors of the tests' own."`
	Heap   string   `env:"APACHE_HEAP" default:"1g" help:"Memory of the JVM with the tests and their brokers."`
}

func main() {
	var opts options
	kong.Parse(&opts, kong.Name("apache"), kong.Description("Runs Apache Kafka's integration tests on Tributary's workers."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, opts, log.New(os.Stderr, "", log.Ltime))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

// run runs the chosen suites one after the other and reports on those that ran, also when it is interrupted.
func run(ctx context.Context, opts options, progress *log.Logger) error {
	if reason, ok := realkafka.Available(); !ok {
		return fmt.Errorf("the tests run on real Kafka: %s", reason)
	}
	chosen, err := choose(suites, opts.Only, opts.Quick)
	if err != nil {
		return err
	}
	out, err := filepath.Abs(opts.Out)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tributary-apache-suite")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	j, err := prepare(ctx, opts, dir)
	if err != nil {
		return err
	}
	r := report{Date: time.Now().UTC(), Kafka: realkafka.DefaultVersion}
	for _, s := range chosen {
		progress.Printf("%s: %s", s.Class, s.describe())
		results, err := j.run(ctx, s, filepath.Join(out, s.simpleName()))
		if err != nil {
			return errors.Join(err, r.write(out))
		}
		r.add(s, results)
		for _, m := range results {
			progress.Printf("  %-9s %s", m.Outcome, strings.TrimSpace(m.Method+"  "+m.Reason))
		}
		if ctx.Err() != nil {
			return errors.Join(errors.New("interrupted"), r.write(out))
		}
	}
	if err := r.write(out); err != nil {
		return err
	}
	if n := r.count(failed); n > 0 {
		return fmt.Errorf("%d of %d methods failed; logs are in %s", n, n+r.count(passed), out)
	}
	progress.Printf("%d methods passed; the report is %s", r.count(passed), filepath.Join(out, reportFile))
	return nil
}

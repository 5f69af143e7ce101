package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"tributary/test/cluster/realkafka"
)

// options are the command line. Each has an environment variable too, for `BENCH_RECORDS=200000 make bench`.
type options struct {
	Records    int      `json:"records" env:"BENCH_RECORDS" default:"2000000" help:"Records of 1 kB in each filled topic."`
	Runs       int      `json:"runs" env:"BENCH_RUNS" default:"1" help:"How often to measure each tool; the report gives medians."`
	Only       []string `json:"only" env:"BENCH_ONLY" enum:"${scenarios}" default:"${byDefault}" help:"Scenarios to measure: ${enum}."`
	Tools      []string `json:"tools" env:"BENCH_TOOLS" enum:"java,tributary" default:"java,tributary" help:"Tools to measure: ${enum}."`
	Seconds    int      `json:"seconds" env:"BENCH_SECONDS" default:"20" help:"How long latency and idle are measured."`
	BatchBytes int32    `json:"batchBytes" env:"BENCH_BATCH_BYTES" default:"16384" help:"Largest batch of the filled topics, after compression; the default is the Java producer's."`
	Connectors int      `json:"connectors" env:"BENCH_CONNECTORS" default:"1000" help:"Connectors on Tributary's group of workers."`
	// A Java group of a thousand does not fit beside the brokers.
	JavaConnectors int               `json:"javaConnectors" env:"BENCH_JAVA_CONNECTORS" default:"50" help:"Connectors on Java's group of workers."`
	Topics         int               `json:"topics" env:"BENCH_TOPICS" default:"500" help:"Topics of 4 partitions in partitions; in many-partitions it is five times as many."`
	Settle         time.Duration     `json:"settle" env:"BENCH_SETTLE" default:"10s" help:"How long programs may settle, and streams flow, before they are measured."`
	MaxPartitions  int               `json:"maxPartitions" env:"BENCH_MAX_PARTITIONS" default:"4096" help:"Points of cost-partitions above it are left out."`
	LinkRate       int               `json:"linkRate" env:"BENCH_LINK_RATE" default:"50" help:"MB/s that flow over the long lines of far-source and far-target."`
	Touch          int               `json:"touch" env:"BENCH_TOUCH" default:"5000" help:"MB of free memory to touch before each run, at most half of what is free: a hypervisor hands memory out when it is first touched, which can be slower than the disk. 0 leaves it."`
	Set            map[string]string `json:"set,omitempty" env:"BENCH_SET" help:"Further settings of the flow for both tools, as tasks.max=4;offset.lag.max=0."`
	Out            string            `json:"-" env:"BENCH_OUT" default:"bench-results" help:"Folder for the report."`
	Name           string            `json:"-" env:"BENCH_NAME" help:"Name of the report's files, without an extension; the time if none is given."`
	Binary         string            `json:"-" env:"BENCH_BINARY" default:"bin/connect-mirror-maker" help:"Tributary's mirror maker."`
	Worker         string            `json:"-" env:"BENCH_WORKER" default:"bin/connect-distributed" help:"Tributary's worker."`
}

// Validate is called by kong.
func (o *options) Validate() error {
	switch {
	case o.Records < 1000:
		return fmt.Errorf("records is %d, and at least 1000 are needed to measure a rate", o.Records)
	case o.Runs < 1:
		return fmt.Errorf("runs is %d, and must be 1 or more", o.Runs)
	case o.Connectors < 1 || o.JavaConnectors < 1:
		return fmt.Errorf("connectors is %d and java-connectors %d, and both must be 1 or more", o.Connectors, o.JavaConnectors)
	case o.Settle <= 0:
		return fmt.Errorf("settle is %s, and must be more than nothing", o.Settle)
	case o.LinkRate < 1:
		return fmt.Errorf("link-rate is %d, and must be 1 or more", o.LinkRate)
	case o.Topics < 1:
		return fmt.Errorf("topics is %d, and must be 1 or more", o.Topics)
	case o.Touch < 0:
		return fmt.Errorf("touch is %d, and must be 0 or more", o.Touch)
	case o.Seconds < 1:
		return fmt.Errorf("seconds is %d, and must be 1 or more", o.Seconds)
	case o.BatchBytes < 2*valueBytes:
		return fmt.Errorf("batch-bytes is %d, and a batch must hold two records: %d or more", o.BatchBytes, 2*valueBytes)
	}
	return nil
}

// scenarioNames gives the command line the scenarios' names.
func scenarioNames() kong.Vars {
	var all, byDefault []string
	for _, s := range scenarios() {
		all = append(all, s.name)
		if s.byDefault {
			byDefault = append(byDefault, s.name)
		}
	}
	return kong.Vars{"scenarios": strings.Join(all, ","), "byDefault": strings.Join(byDefault, ",")}
}

func main() {
	var opts options
	kong.Parse(&opts, scenarioNames(), kong.Name("bench"), kong.Description("Measures Tributary's mirror beside Java MirrorMaker 2 on real brokers."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measureAndReport(ctx, opts, log.New(os.Stderr, "", log.Ltime))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

// measureAndReport reports what was measured even when a later measurement failed.
func measureAndReport(ctx context.Context, opts options, progress *log.Logger) error {
	if reason, ok := realkafka.Available(); !ok {
		return fmt.Errorf("the benchmark runs on real Kafka: %s", reason)
	}
	for _, binary := range []*string{&opts.Binary, &opts.Worker} {
		path, err := filepath.Abs(*binary)
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); slices.Contains(opts.Tools, tributary) && err != nil {
			return fmt.Errorf("%s cannot be measured (run `make build`, or set BENCH_TOOLS=java): %w", tributary, err)
		}
		*binary = path
	}
	r := report{Started: time.Now().UTC().Truncate(time.Second), Machine: describeMachine(ctx), Options: opts}
	failure := inScope(ctx, "bench", progress, func(s *scope) {
		b := startBench(s, opts)
		b.measureAll(s, func(m measurement) { r.Measurements = append(r.Measurements, m) })
	})
	if ctx.Err() != nil {
		failure = errors.New("interrupted")
	}
	if len(r.Measurements) == 0 {
		return failure
	}
	path, err := r.write(opts.Out)
	if err != nil {
		return err
	}
	fmt.Print(r.text())
	progress.Printf("the report is in %s.txt and .json", path)
	return failure
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tributary/api"
	"tributary/connect/cli"
	"tributary/connectors/standard"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/internal/logging"
)

// topics are what the generator writes to, with their partitions.
var topics = map[string]int32{"orders": 4, "payments": 3, "shipments": 2}

// alias is the source's name, which prefixes the topics on the target.
const alias = "source"

// startLimit bounds what must happen before data flows, settleLimit what is left to
// mirror at the end.
const (
	startLimit  = 30 * time.Second
	settleLimit = 30 * time.Second
)

// demo is one run: what has to be ended, and where to look.
type demo struct {
	out            io.Writer
	dir            string
	log            *slog.Logger
	source, target *localkafka.Cluster
	urls           []string
	workers        sync.WaitGroup
	failed         chan error
}

// run shows the demo on out until ctx ends, or for as many seconds as limit says.
func run(ctx context.Context, out io.Writer, limit string) (err error) {
	var lasts time.Duration
	if limit != "" {
		seconds, err := strconv.Atoi(limit)
		if err != nil || seconds < 1 {
			return fmt.Errorf("DEMO_SECONDS is %q: it must be a whole number of seconds, 1 or more", limit)
		}
		lasts = time.Duration(seconds) * time.Second
	}
	d := &demo{out: out, failed: make(chan error, 2)}
	if d.dir, err = os.MkdirTemp("", "tributary-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	logFile, err := os.Create(filepath.Join(d.dir, "workers.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	d.log, _ = logging.New(logFile, logging.Options{})
	if err := d.startClusters(); err != nil {
		return err
	}
	defer d.target.Close()
	defer d.source.Close()

	workerCtx, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer d.workers.Wait()
	defer stopWorkers()
	if err := d.startWorkers(workerCtx); err != nil {
		return err
	}
	if err := d.startMirror(ctx); err != nil {
		return d.withLog(err)
	}
	d.invite(lasts)
	return d.withLog(d.mirror(ctx, lasts))
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// withLog keeps the workers' log where an error needs it.
func (d *demo) withLog(err error) error {
	if err == nil {
		return nil
	}
	kept := filepath.Join(os.TempDir(), "tributary-demo.log")
	if text, rerr := os.ReadFile(filepath.Join(d.dir, "workers.log")); rerr == nil && os.WriteFile(kept, text, 0o600) == nil {
		return fmt.Errorf("%w\nthe workers' log is in %s", err, kept)
	}
	return err
}

func (d *demo) startClusters() (err error) {
	options := func(name string, topics map[string]int32) localkafka.Options {
		return localkafka.Options{Brokers: 1, DataDir: filepath.Join(d.dir, name), Topics: topics, Logger: d.log.With("cluster", name)}
	}
	if d.source, err = localkafka.Start(options("source", topics)); err != nil {
		return fmt.Errorf("start the embedded source cluster: %w", err)
	}
	if d.target, err = localkafka.Start(options("target", nil)); err != nil {
		d.source.Close()
		return fmt.Errorf("start the embedded target cluster: %w", err)
	}
	d.say("source cluster  %s  (embedded, data in %s)\ntarget cluster  %s", d.source.Bootstrap(), d.dir, d.target.Bootstrap())
	return nil
}

// startWorkers starts two workers of one group on the target.
func (d *demo) startWorkers(ctx context.Context) error {
	for i, preferred := range []int{8083, 8084} {
		port, err := freePort(preferred)
		if err != nil {
			return err
		}
		url := fmt.Sprintf("http://127.0.0.1:%d", port)
		d.urls = append(d.urls, url)
		props := map[string]string{
			"bootstrap.servers": d.target.Bootstrap(), "group.id": "demo", "listeners": url,
			"config.storage.topic": "connect-configs", "offset.storage.topic": "connect-offsets", "status.storage.topic": "connect-status",
			"key.converter":   "org.apache.kafka.connect.converters.ByteArrayConverter",
			"value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
		}
		program := cli.NewProgram(cli.WithPlugins(standard.Plugins()...))
		log := d.log.With("worker", i+1)
		d.workers.Go(func() {
			if err := program.RunDistributed(ctx, props, log); err != nil {
				d.failed <- fmt.Errorf("worker %d: %w", i+1, err)
			}
		})
		d.say("worker %d        %s", i+1, url)
	}
	return nil
}

// freePort is the preferred port, or any other when it is taken.
func freePort(preferred int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", preferred))
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 0, err
		}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// startMirror posts the connector and waits until its tasks run.
func (d *demo) startMirror(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := api.Client{BaseURL: d.urls[0]}
	if err := d.await(ctx, "the workers to be ready", func() bool {
		for _, url := range d.urls {
			other := api.Client{BaseURL: url}
			if health, err := other.Health(ctx); err != nil || health.Status != "healthy" {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	if _, err := client.CreateConnector(ctx, api.CreateConnectorRequest{Name: "mirror", Config: api.Config(map[string]string{
		"connector.class":                  "org.apache.kafka.connect.mirror.MirrorSourceConnector",
		"tasks.max":                        "2",
		"source.cluster.alias":             alias,
		"target.cluster.alias":             "target",
		"source.cluster.bootstrap.servers": d.source.Bootstrap(),
		"target.cluster.bootstrap.servers": d.target.Bootstrap(),
		"topics":                           "orders,payments,shipments",
	})}); err != nil {
		return fmt.Errorf("post the connector: %w", err)
	}
	return d.await(ctx, "the mirror's tasks to run", func() bool {
		status, err := client.Status(ctx, "mirror")
		if err != nil || len(status.Tasks) == 0 {
			return false
		}
		for _, t := range status.Tasks {
			if t.State != "RUNNING" {
				return false
			}
		}
		return true
	})
}

// pollInterval is how often the demo looks whether something has come true.
const pollInterval = 100 * time.Millisecond

func (d *demo) await(ctx context.Context, what string, ready func() bool) error {
	for !ready() {
		select {
		case err := <-d.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
	return nil
}

func (d *demo) invite(lasts time.Duration) {
	d.say("\nTry, in another terminal:")
	for _, path := range []string{"/connectors", "/connectors/mirror/status", "/connectors/mirror/topics", "/metrics"} {
		d.say("  curl -s %s%s", d.urls[0], path)
	}
	for _, action := range []string{"pause", "resume"} {
		d.say("  curl -s -X PUT %s/connectors/mirror/%s", d.urls[1], action)
	}
	if lasts == 0 {
		d.say("\nCtrl-C ends the demo.\n")
		return
	}
	d.say("\nThe demo ends after %s.\n", lasts)
}

// mirror generates records and shows how the target follows; with a limit it compares
// both sides at the end.
func (d *demo) mirror(ctx context.Context, lasts time.Duration) error {
	from, err := dial(d.source.Bootstrap(), d.log)
	if err != nil {
		return err
	}
	defer from.close()
	to, err := dial(d.target.Bootstrap(), d.log)
	if err != nil {
		return err
	}
	defer to.close()

	generating, stopGenerating := context.WithCancel(ctx)
	defer stopGenerating()
	if lasts > 0 {
		time.AfterFunc(lasts, stopGenerating)
	}
	generator := &generator{}
	var generated sync.WaitGroup
	generated.Go(func() {
		if err := generator.run(generating, from); err != nil {
			select {
			case d.failed <- fmt.Errorf("generator: %w", err):
			default:
			}
		}
	})
	defer generated.Wait()
	progress := newProgress(d.out, generator, to)
	defer progress.close()
	if err := progress.show(generating, d.failed); err != nil {
		return err
	}
	if lasts == 0 || ctx.Err() != nil {
		return nil
	}
	generated.Wait()
	settle, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := progress.settle(settle, d.failed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return d.compare(ctx, from, to)
}

// side is one cluster as the demo itself uses it.
type side struct {
	client *kafka.Client
	admin  *kafka.Admin
	props  kafka.Props
	log    *slog.Logger
}

func dial(bootstrap string, log *slog.Logger) (*side, error) {
	props := kafka.Props{"bootstrap.servers": bootstrap, "client.id": "demo"}
	config, err := kafka.ParseConfig(kafka.RoleAdmin, props)
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewClient(config, log)
	if err != nil {
		return nil, err
	}
	return &side{client: client, admin: kafka.NewAdmin(client, config, log), props: props, log: log}, nil
}

func (s *side) close() { _ = s.client.Close() }

// fetcher reads all partitions of the demo's topics from their beginning.
func (s *side) fetcher(rename func(string) string) (*kafka.Fetcher, error) {
	config, err := kafka.ParseConfig(kafka.RoleConsumer, s.props)
	if err != nil {
		return nil, err
	}
	f := kafka.NewFetcher(s.client, config, s.log)
	positions := map[kafka.TopicPartition]int64{}
	for topic, partitions := range topics {
		for p := range partitions {
			positions[kafka.TopicPartition{Topic: rename(topic), Partition: p}] = 0
		}
	}
	f.Assign(positions)
	return f, nil
}

func remote(topic string) string { return alias + "." + topic }

func same(topic string) string { return topic }

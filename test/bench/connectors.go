package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

const (
	groupWorkers = 3
	// posters create connectors side by side, as a deployment script would.
	posters = 4
	// lookAtAll is how often the statuses of all connectors are asked for: it is a large answer.
	lookAtAll = 250 * time.Millisecond
	// askStatus is the pause between two questions for a single status.
	askStatus = 10 * time.Millisecond
	// sessionTimeout and rebalanceDelay are Tributary's defaults for these, and Java's are set to them.
	sessionTimeout = 10 * time.Second
	rebalanceDelay = 10 * time.Second
)

func connectorsScenario() scenario {
	return scenario{
		name: "connectors", tools: mirrors, measure: (*bench).measureConnectors,
		describe: func(o options) string {
			return fmt.Sprintf("%d connectors (FileStreamSource on an empty file) with one task each on %d workers, %d of them for Java; statuses are asked for %d s, one each %s; memory is the largest worker's; scheduled.rebalance.max.delay.ms is 10 s for both",
				o.Connectors, groupWorkers, o.JavaConnectors, o.Seconds, askStatus)
		},
		goals: map[string]goal{
			"last POST to all RUNNING, s": atMost(30), "idle memory, MB": atMost(150), "status p50, ms": atMost(1), "status p99, ms": atMost(10),
			"SIGKILL of a worker to all RUNNING, s":   atMost((sessionTimeout + rebalanceDelay + 2*time.Second).Seconds()),
			"SIGKILL of the leader to all RUNNING, s": atMost((sessionTimeout + rebalanceDelay + 2*time.Second).Seconds()),
		},
	}
}

// groupWorker is a Connect worker of either tool.
type groupWorker struct {
	*realkafka.Process
	client *api.Client
}

// id is how statuses name the worker.
func (w groupWorker) id() string { return strings.TrimPrefix(w.client.BaseURL, "http://") }

// measureConnectors creates many connectors on a group of workers, looks at the group at rest, and kills a worker.
func (b *bench) measureConnectors(s *scope, tool string, run int) measurement {
	count := b.opts.Connectors
	if tool == java {
		count = b.opts.JavaConnectors
	}
	empty := filepath.Join(s.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		s.Fatalf("%v", err)
	}
	group := fmt.Sprintf("group-%s-%d", tool, run)
	workers := b.startGroup(s, group, tool, groupWorkers)

	begun := time.Now()
	createAll(s, workers[0].client, count, empty)
	posted := time.Now()
	awaitAll(s, workers[0], workers, count)
	running := time.Now()

	s.pause(b.opts.Settle)
	before := cpuOf(s, workers)
	asked := time.Now()
	statuses := askStatuses(s, workers, count, time.Duration(b.opts.Seconds)*time.Second)
	busy := cpuOf(s, workers) - before
	var idle, peak int64
	for _, w := range workers {
		usage := usageOf(s, w.Process)
		idle, peak = max(idle, usage.RSS), max(peak, usage.PeakRSS)
	}
	spent := time.Since(asked)

	// A lost leader has a successor that knows of no delay, so it is the others that take longest.
	leader := b.leaderOf(s, group, workers)
	killed := (leader + 1) % groupWorkers
	others := slices.Delete(slices.Clone(workers), killed, killed+1)
	afterOther := b.heal(s, workers[killed], others, count)
	leader = b.leaderOf(s, group, others)
	last := others[1-leader]
	afterLeader := b.heal(s, others[leader], []groupWorker{last}, count)
	if err := last.Terminate(stopPatience); err != nil {
		s.Fatalf("%v", err)
	}
	return measurement{
		Scenario: "connectors", Tool: tool, Run: run,
		Figures: []figure{
			{"connectors", "", float64(count)},
			{"first POST to last", "s", posted.Sub(begun).Seconds()},
			{"last POST to all RUNNING", "s", running.Sub(posted).Seconds()},
			{"idle memory", "MB", float64(idle) / megabyte},
			{"peak memory", "MB", float64(peak) / megabyte},
			{"CPU of all workers", "% of a core", 100 * busy.Seconds() / spent.Seconds()},
			{"status p50", "ms", percentile(statuses, 0.5).Seconds() * 1000},
			{"status p99", "ms", percentile(statuses, 0.99).Seconds() * 1000},
			{"SIGKILL of a worker to all RUNNING", "s", afterOther.Seconds()},
			{"SIGKILL of the leader to all RUNNING", "s", afterLeader.Seconds()},
		},
	}
}

// heal kills a worker and says how long it takes until everything runs on the others.
func (b *bench) heal(s *scope, worker groupWorker, others []groupWorker, count int) time.Duration {
	killed := time.Now()
	worker.Kill()
	awaitAll(s, others[0], others, count)
	return time.Since(killed)
}

// leaderOf gives the place of the group's leader among the workers.
func (b *bench) leaderOf(s *scope, group string, workers []groupWorker) int {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.target.Bootstrap()), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Groups = []string{group}
	described, err := request.RequestWith(s.ctx, client)
	if err != nil || len(described.Groups) != 1 {
		s.Fatalf("describe the group of workers: %v", err)
	}
	members := described.Groups[0].Members
	for _, member := range members {
		assignment, err := protocol.DecodeAssignment(member.MemberAssignment)
		if err != nil {
			s.Fatalf("read what a member of the group was assigned: %v", err)
		}
		leads := func(w groupWorker) bool { return strings.TrimRight(assignment.LeaderURL, "/") == w.client.BaseURL }
		if place := slices.IndexFunc(workers, leads); place >= 0 {
			return place
		}
	}
	s.Fatalf("no worker is the leader that the group of %d members names", len(members))
	return -1
}

// startGroup starts workers of one group on the target cluster and waits until all are members.
func (b *bench) startGroup(s *scope, group, tool string, count int) []groupWorker {
	var workers []groupWorker
	for range count {
		workers = append(workers, b.startWorker(s, group, tool, nil))
	}
	kafkatest.Await(s, firstPatience, "all workers to be members of the group", func() (bool, string) {
		described, err := b.targetKafka.Admin().DescribeGroups(s.ctx, group)
		if err != nil {
			return false, err.Error()
		}
		seen := described[group]
		return seen.State == "Stable" && len(seen.Members) == count, fmt.Sprintf("%d members, %s", len(seen.Members), seen.State)
	})
	return workers
}

var listening = regexp.MustCompile(`REST server listening listener=http://[^ ]* address=([^ ]+)`)

// startWorker starts one worker on the target cluster, with the tool's defaults but for what one broker and one machine
// enforce.
func (b *bench) startWorker(s *scope, group, tool string, more map[string]string) groupWorker {
	properties := map[string]string{
		"bootstrap.servers": b.target.Bootstrap(), "group.id": group,
		"key.converter":                     "org.apache.kafka.connect.storage.StringConverter",
		"value.converter":                   "org.apache.kafka.connect.storage.StringConverter",
		"rest.advertised.host.name":         "127.0.0.1",
		"scheduled.rebalance.max.delay.ms":  fmt.Sprint(rebalanceDelay.Milliseconds()),
		"config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1",
	}
	for _, kind := range []string{"config", "offset", "status"} {
		properties[kind+".storage.topic"] = group + "-" + kind
	}
	for key, value := range more {
		properties[key] = value
	}
	if tool == java {
		worker := realkafka.StartJavaConnect(s, properties, realkafka.WithJVM(append([]string{"-Xms256M", "-Xmx2G"}, scriptJVM...)...))
		return groupWorker{worker.Process, &api.Client{BaseURL: worker.URL()}}
	}
	properties["listeners"] = "http://127.0.0.1:0"
	var text strings.Builder
	for key, value := range properties {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	path := filepath.Join(s.TempDir(), "worker.properties")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		s.Fatalf("write the worker's properties: %v", err)
	}
	process := realkafka.StartProcess(s, tributary, []string{b.opts.Worker, path}, nil, "")
	return groupWorker{process, &api.Client{BaseURL: "http://" + process.WaitLog(listening, firstPatience)[1]}}
}

func connectorName(number int) string { return fmt.Sprintf("connector-%04d", number) }

// createAll creates connectors that read a file which stays empty.
func createAll(s *scope, client *api.Client, count int, file string) {
	numbers := make(chan int)
	failures := make(chan error, posters)
	var posting sync.WaitGroup
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	for range posters {
		posting.Go(func() {
			for number := range numbers {
				err := create(ctx, client, connectorName(number), map[string]string{
					"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1", "file": file, "topic": "lines",
				})
				if err != nil {
					failures <- err
					cancel()
					return
				}
			}
		})
	}
feed:
	for number := range count {
		select {
		case numbers <- number:
		case <-ctx.Done():
			break feed
		}
	}
	close(numbers)
	posting.Wait()
	select {
	case err := <-failures:
		s.Fatalf("%v", err)
	default:
	}
	if s.ctx.Err() != nil {
		s.Fatalf("interrupted: %v", s.ctx.Err())
	}
}

// create creates a connector, again while the group is rebalancing.
func create(ctx context.Context, client *api.Client, name string, config map[string]string) error {
	const conflict, again = 409, 100 * time.Millisecond
	for begun := time.Now(); ; {
		_, err := client.CreateConnector(ctx, api.CreateConnectorRequest{Name: name, Config: api.Config(config)})
		var refusal *api.Error
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &refusal) || refusal.Code != conflict || time.Since(begun) > firstPatience:
			return fmt.Errorf("create connector %s: %w", name, err)
		case strings.Contains(refusal.Message, "already exists"): // an attempt before had an effect after all
			return nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitAll asks one worker until all connectors and their tasks are RUNNING on some of the given ones.
func awaitAll(s *scope, asked groupWorker, on []groupWorker, count int) {
	alive := map[string]bool{}
	for _, w := range on {
		alive[w.id()] = true
	}
	tick := time.NewTicker(lookAtAll)
	defer tick.Stop()
	best, progressed := -1, time.Now()
	for {
		all, err := asked.client.ListExpanded(s.ctx)
		if err != nil && s.ctx.Err() != nil {
			s.Fatalf("interrupted: %v", err)
		}
		running := 0
		for _, connector := range all {
			if connector.Status != nil && len(connector.Status.Tasks) == 1 && runsOn(alive, connector.Status.Connector.State, connector.Status.Connector.WorkerID) &&
				runsOn(alive, connector.Status.Tasks[0].State, connector.Status.Tasks[0].WorkerID) {
				running++
			}
		}
		if err == nil && running == count {
			return
		}
		if running != best {
			best, progressed = running, time.Now()
		}
		if time.Since(progressed) > firstPatience {
			s.Fatalf("%d of %d connectors run; nothing has changed for %s (%v)", running, count, firstPatience, err)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.Fatalf("interrupted: %v", s.ctx.Err())
		}
	}
}

func runsOn(workers map[string]bool, state, worker string) bool {
	return state == "RUNNING" && workers[worker]
}

// cpuOf is the processor time of all workers together.
func cpuOf(s *scope, workers []groupWorker) (sum time.Duration) {
	for _, w := range workers {
		sum += usageOf(s, w.Process).CPU()
	}
	return sum
}

// askStatuses asks all workers in turn for statuses of random connectors and gives the sorted times that the answers took.
func askStatuses(s *scope, workers []groupWorker, count int, long time.Duration) []time.Duration {
	random := rand.New(rand.NewPCG(7, 1))
	tick := time.NewTicker(askStatus)
	defer tick.Stop()
	var took []time.Duration
	for end := time.Now().Add(long); time.Now().Before(end); {
		client := workers[len(took)%len(workers)].client
		name := connectorName(random.IntN(count))
		begun := time.Now()
		status, err := client.Status(s.ctx, name)
		took = append(took, time.Since(begun))
		if err != nil || status.Connector.State != "RUNNING" {
			s.Fatalf("status of %s: %+v, %v", name, status, err)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.Fatalf("interrupted: %v", s.ctx.Err())
		}
	}
	slices.Sort(took)
	return took
}

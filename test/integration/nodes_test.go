package integration

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// heartbeats is the configuration of one more heartbeat connector of the flow source->target.
func heartbeats(source, target *cluster.Kafka) map[string]string {
	return map[string]string{
		"connector.class":      "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
		"source.cluster.alias": "source", "target.cluster.alias": "target",
		"source.cluster.bootstrap.servers": source.Bootstrap(), "target.cluster.bootstrap.servers": target.Bootstrap(),
		"heartbeats.topic.replication.factor": "1",
	}
}

// quickGroup makes a node's absence count at once.
const quickGroup = "target.session.timeout.ms=6000\ntarget.heartbeat.interval.ms=1000\ntarget.scheduled.rebalance.max.delay.ms=0\n"

var (
	peerAddress   = regexp.MustCompile(`REST server listening for other workers.* address=(\S+)`)
	publicAddress = regexp.MustCompile(`REST server listening listener=.* address=(\S+)`)
)

func TestNodesShareTheWorkWithoutAnythingInTheFile(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 8})
	source.Produce("orders", cluster.Numbered(0, 200, 8)...)
	file := twoLines(source, target) + anyPort + quickGroup + "source->target.tasks.max=4\n"
	one := cluster.Start(t, cluster.MirrorMaker, file)
	one.Flow("source", "target").AwaitState(sourceConnector, "RUNNING", 4)
	two := cluster.Start(t, cluster.MirrorMaker, file)
	flows := []*cluster.API{one.Flow("source", "target"), two.Flow("source", "target")}
	nodes := map[string]bool{}
	for _, w := range []*cluster.Worker{one, two} {
		line := w.Log.Await("REST server listening for other workers")
		nodes[peerAddress.FindStringSubmatch(line)[1]+"/source->target"] = true
		if public := publicAddress.FindStringSubmatch(w.Log.Await("REST server listening listener="))[1]; !strings.HasPrefix(public, "127.0.0.1:") || nodes[public+"/source->target"] {
			t.Errorf("the API for clients is at %s", public)
		}
	}
	flows[1].AwaitStatus(sourceConnector, "tasks on both nodes", func(s api.ConnectorStatus) bool {
		return len(s.Tasks) == 4 && maps.EqualFunc(cluster.Workers(s), nodes, func(tasks int, _ bool) bool { return tasks > 0 })
	})

	// Each node takes what only the leader can do, and sends it there; what a connector of the other one divides its
	// work into is sent there, too.
	var names []string
	for i := range 6 {
		name := fmt.Sprint("more", i)
		flows[i%2].Create(name, heartbeats(source, target))
		names = append(names, name)
	}
	on := map[string]bool{}
	for _, name := range names {
		status := flows[0].AwaitState(name, "RUNNING", 1)
		on[status.Connector.WorkerID] = true
	}
	requireEqual(t, "the nodes that have the new connectors", nodes, on)
	for i, name := range names {
		if err := flows[(i+1)%2].Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	refusal := flows[1].Refused(func(ctx context.Context, c *api.Client) error { return c.Stop(ctx, "nobody") })
	requireEqual(t, "code", 404, refusal.Code)

	// Partitions that come later are divided among the nodes anew.
	addPartitions(t, source, "orders", 8)
	later := kafkatest.Dial(t, source.Bootstrap())
	later.Produce("orders", cluster.Numbered(200, 400, 16)...)
	awaitMirror(t, source, target, "orders")
	for _, flow := range flows {
		page, err := flow.Replication(t.Context(), sourceConnector)
		if err != nil || len(page.Unanswered) > 0 {
			t.Errorf("the replication page: %v, %v", page.Unanswered, err)
		}
	}
	one.Stop()
	later.Produce("orders", cluster.Numbered(400, 600, 16)...)
	awaitMirror(t, source, target, "orders")
	requireLines(t, two.Log, 0, "differs")
}

// Whichever node leads while the others are restarted, in the end the new file counts.
func TestAChangedFileTakesEffectOnARollingRestart(t *testing.T) {
	for _, leaderFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("leader first is %v", leaderFirst), func(t *testing.T) {
			t.Parallel()
			source, target := startPair(t, map[string]int32{"orders": 1, "bills": 1})
			source.Produce("orders", cluster.Numbered(0, 10, 1)...)
			source.Produce("bills", cluster.Numbered(0, 10, 1)...)
			file := twoLines(source, target) + anyPort + quickGroup + "emit.heartbeats.enabled=false\nsource->target.topics="
			nodes := []*cluster.Worker{cluster.Start(t, cluster.MirrorMaker, file+"orders\n")}
			nodes[0].Flow("source", "target").AwaitState(sourceConnector, "RUNNING", 1)
			nodes = append(nodes, cluster.Start(t, cluster.MirrorMaker, file+"orders\n"))
			awaitMirror(t, source, target, "orders")
			nodes[1].Log.Await("Joined the group")
			if !leaderFirst {
				slices.Reverse(nodes)
			}
			for i, node := range nodes {
				node.Stop()
				// Else the one that comes might lead in its place.
				nodes[1-i].Log.Await("Joined the group", "leading=true")
				nodes[i] = cluster.Start(t, cluster.MirrorMaker, file+"bills\n")
				nodes[i].Log.Await("Joined the group")
				if i == 0 {
					nodes[i].Log.Await("WARN", "This node's file differs from what the group runs", "MirrorSourceConnector:topics")
				}
			}
			awaitMirror(t, source, target, "bills")
			for _, node := range nodes {
				kafkatest.Await(t, cluster.Patience, "the new file's topics in the configuration", func() (bool, string) {
					config, err := node.Flow("source", "target").Config(t.Context(), sourceConnector)
					if err != nil {
						return false, err.Error()
					}
					return *config["topics"] == "bills", *config["topics"]
				})
			}
			nodes[0].Log.Await("The group runs the connectors as this node's file says")
		})
	}
}

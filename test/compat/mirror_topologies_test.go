package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/remote"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// threeClusters are clusters of one broker each, called a, b and c in the files below.
type threeClusters struct {
	t        *testing.T
	clusters map[string]*realkafka.Cluster
	clients  map[string]*kafkatest.Client
}

// Each case has topics and aliases of its own on the same three clusters, and one process for all its flows.
func TestTopologiesOfThreeClusters(t *testing.T) {
	realkafka.Require(t)
	k := &threeClusters{t: t, clusters: map[string]*realkafka.Cluster{}, clients: map[string]*kafkatest.Client{}}
	for _, name := range []string{"a", "b", "c"} {
		k.clusters[name] = realkafka.StartCluster(t, realkafka.Options{Name: name, JVM: []string{quickJVM}, Extra: map[string]string{
			"log.message.timestamp.after.max.ms": anyTime["message.timestamp.after.max.ms"],
		}})
		k.clients[name] = kafkatest.Dial(t, k.clusters[name].Bootstrap())
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *threeClusters)
	}{
		{"two ways", mirrorTwoWays},
		{"hub and spokes", mirrorHubAndSpokes},
		{"ring", mirrorRing},
		{"identity", mirrorWithIdentity},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, k) })
	}
}

// file makes the lines of a process: its aliases are a cluster's letter behind a prefix.
func (k *threeClusters) file(prefix string, flows []string, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters = %[1]sa, %[1]sb, %[1]sc\n", prefix)
	for name, cluster := range k.clusters {
		fmt.Fprintf(&b, "%s%s.bootstrap.servers = %s\n", prefix, name, cluster.Bootstrap())
	}
	for _, flow := range flows {
		fmt.Fprintf(&b, "%[1]s%[2]c->%[1]s%[3]c.enabled = true\n", prefix, flow[0], flow[1])
	}
	return b.String() + strings.ReplaceAll(more, "PREFIX", prefix)
}

// produce writes records of their own to a new topic of a cluster.
func (k *threeClusters) produce(cluster, topic string, partitions int32, count int) {
	k.clients[cluster].CreateTopic(topic, partitions, anyTime)
	k.clients[cluster].Produce(topic, keyed(cluster+" "+topic, partitions, 0, count)...)
}

// await waits for the copy of a topic and compares it.
func (k *threeClusters) await(t *testing.T, from, topic, to, copied string) {
	t.Helper()
	awaitCopy(t, k.clients[from], k.clients[to], topic, copied)
}

// topics are those of a cluster that the case made, apart from the mirrors' own.
func (k *threeClusters) topics(cluster, suffix string) []string {
	return slices.DeleteFunc(k.clients[cluster].Topics(), func(topic string) bool {
		return !strings.HasSuffix(topic, suffix)
	})
}

// checkTopics wants a cluster to have these topics of a case and no others: one more would be a loop. By then all
// flows have looked for topics again.
func (k *threeClusters) checkTopics(t *testing.T, suffix string, want map[string][]string) {
	t.Helper()
	for cluster, topics := range want {
		slices.Sort(topics)
		if diff := cmp.Diff(topics, k.topics(cluster, suffix)); diff != "" {
			t.Errorf("topics of cluster %s (-want +got):\n%s", cluster, diff)
		}
	}
}

// upstream is what a program on a cluster sees of the clusters that feed it, with the number of hops.
func (k *threeClusters) awaitUpstream(t *testing.T, cluster string, config map[string]string, want map[string]int) {
	t.Helper()
	props := map[string]string{"bootstrap.servers": k.clusters[cluster].Bootstrap()}
	for key, value := range config {
		props[key] = value
	}
	client, err := remote.New(props, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	kafkatest.Await(t, patience, "the clusters upstream of "+cluster, func() (bool, string) {
		got := map[string]int{}
		for alias := range want {
			hops, err := client.Hops(t.Context(), alias)
			if err != nil {
				return false, err.Error()
			}
			got[alias] = hops
		}
		return cmp.Equal(want, got), cmp.Diff(want, got)
	})
}

const soonAgain = `
refresh.topics.interval.seconds = 1
emit.checkpoints.interval.seconds = 1
refresh.groups.interval.seconds = 1
`

func mirrorTwoWays(t *testing.T, k *threeClusters) {
	k.produce("a", "orders.two", 2, 300)
	k.produce("b", "orders.two", 1, 200)
	w := startMaker(t, k.file("two-", []string{"ab", "ba"}, soonAgain+"topics = .*\\\\.two\ngroups = two-.*\n"))
	k.await(t, "a", "orders.two", "b", "two-a.orders.two")
	k.await(t, "b", "orders.two", "a", "two-b.orders.two")

	// A group of a reads both copies there; on b it goes on with b's own topic and the copy of a's.
	a, b := k.clients["a"], k.clients["b"]
	a.CommitOffset("two-readers", "orders.two", 0, 150)
	a.CommitOffset("two-readers", "two-b.orders.two", 0, 200)
	client, err := remote.New(map[string]string{"bootstrap.servers": k.clusters["b"].Bootstrap()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b.AwaitTopic("two-a.checkpoints.internal", patience)
	kafkatest.Await(t, patience, "the group's place on b", func() (bool, string) {
		got, err := client.TranslatedOffsets(t.Context(), "two-readers", "two-a")
		return err == nil && got[tp{Topic: "two-a.orders.two", Partition: 0}].Offset == 150, fmt.Sprint(got, err)
	})

	// What is written later goes the same way, and nothing comes home.
	k.produce("a", "later.two", 1, 50)
	k.await(t, "a", "later.two", "b", "two-a.later.two")
	a.Produce("orders.two", keyed("more of a", 2, 300, 100)...)
	b.Produce("orders.two", keyed("more of b", 1, 200, 100)...)
	k.await(t, "a", "orders.two", "b", "two-a.orders.two")
	k.await(t, "b", "orders.two", "a", "two-b.orders.two")
	k.awaitUpstream(t, "a", nil, map[string]int{"two-b": 1, "two-a": remote.Unreachable})
	k.awaitUpstream(t, "b", nil, map[string]int{"two-a": 1, "two-b": remote.Unreachable})
	k.checkTopics(t, ".two", map[string][]string{
		"a": {"orders.two", "later.two", "two-b.orders.two"},
		"b": {"orders.two", "two-a.orders.two", "two-a.later.two"},
		"c": {},
	})
	w.stop()
}

func mirrorHubAndSpokes(t *testing.T, k *threeClusters) {
	// b is the hub: it collects from a and c, and gives its own to both.
	k.produce("a", "sales.hub", 2, 300)
	k.produce("c", "sales.hub", 2, 250)
	k.produce("b", "prices.hub", 1, 100)
	w := startMaker(t, k.file("hub-", []string{"ab", "cb", "ba", "bc"}, soonAgain+`
PREFIXa->PREFIXb.topics = sales.*
PREFIXc->PREFIXb.topics = sales.*
PREFIXb->PREFIXa.topics = prices.*
PREFIXb->PREFIXc.topics = prices.*
`))
	k.await(t, "a", "sales.hub", "b", "hub-a.sales.hub")
	k.await(t, "c", "sales.hub", "b", "hub-c.sales.hub")
	k.await(t, "b", "prices.hub", "a", "hub-b.prices.hub")
	k.await(t, "b", "prices.hub", "c", "hub-b.prices.hub")
	k.awaitUpstream(t, "b", nil, map[string]int{"hub-a": 1, "hub-c": 1})
	// Heartbeats are mirrored whatever topics says, so the spokes know of each other.
	k.awaitUpstream(t, "c", nil, map[string]int{"hub-b": 1, "hub-a": 2})
	k.awaitUpstream(t, "a", nil, map[string]int{"hub-b": 1, "hub-c": 2})
	k.checkTopics(t, ".hub", map[string][]string{
		"a": {"sales.hub", "hub-b.prices.hub"},
		"b": {"prices.hub", "hub-a.sales.hub", "hub-c.sales.hub"},
		"c": {"sales.hub", "hub-b.prices.hub"},
	})
	w.stop()
}

func mirrorRing(t *testing.T, k *threeClusters) {
	for cluster, count := range map[string]int{"a": 120, "b": 130, "c": 140} {
		k.produce(cluster, "events.ring", 2, count)
	}
	w := startMaker(t, k.file("ring-", []string{"ab", "bc", "ca"}, soonAgain+"topics = .*\\\\.ring\n"))
	next := map[string]string{"a": "b", "b": "c", "c": "a"}
	want := map[string][]string{}
	for from, to := range next {
		last := next[to]
		once, twice := "ring-"+from+".events.ring", "ring-"+to+".ring-"+from+".events.ring"
		k.await(t, from, "events.ring", to, once)
		k.await(t, from, "events.ring", last, twice)
		want[from] = append(want[from], "events.ring")
		want[to] = append(want[to], once)
		want[last] = append(want[last], twice)
	}
	// A topic that is new goes around, too, and stops before it would come home.
	k.produce("a", "late.ring", 1, 10)
	k.await(t, "a", "late.ring", "c", "ring-b.ring-a.late.ring")
	want["a"], want["b"], want["c"] = append(want["a"], "late.ring"), append(want["b"], "ring-a.late.ring"), append(want["c"], "ring-b.ring-a.late.ring")
	k.awaitUpstream(t, "c", nil, map[string]int{"ring-b": 1, "ring-a": 2, "ring-c": remote.Unreachable})
	k.awaitUpstream(t, "b", nil, map[string]int{"ring-a": 1, "ring-c": 2, "ring-b": remote.Unreachable})
	k.checkTopics(t, ".ring", want)
	w.stop()
}

func mirrorWithIdentity(t *testing.T, k *threeClusters) {
	k.produce("a", "plain.same", 2, 300)
	k.produce("c", "other.same", 1, 100)
	// The target has a topic of that name already, and goes on with it.
	k.clients["b"].CreateTopic("plain.same", 2, anyTime)
	w := startMaker(t, k.file("same-", []string{"ab", "cb"}, soonAgain+`
replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy
topics = .*\\.same
groups = same-.*
PREFIXa->PREFIXb.sync.group.offsets.enabled = true
PREFIXa->PREFIXb.sync.group.offsets.interval.seconds = 1
`))
	k.await(t, "a", "plain.same", "b", "plain.same")
	k.await(t, "c", "other.same", "b", "other.same")
	k.clients["a"].CommitOffset("same-readers", "plain.same", 1, 150)
	kafkatest.Await(t, patience, "the group's place on b", func() (bool, string) {
		got := k.clients["b"].CommittedOffsets("same-readers")
		return got["plain.same"][1] == 150, fmt.Sprint(got)
	})
	// Heartbeats are named as by the default policy, so they cannot go in circles.
	k.awaitUpstream(t, "b", map[string]string{"replication.policy.class": "IdentityReplicationPolicy"}, map[string]int{"same-a": 1, "same-c": 1})
	k.checkTopics(t, ".same", map[string][]string{
		"a": {"plain.same"},
		"b": {"plain.same", "other.same"},
		"c": {"other.same"},
	})
	w.stop()
}

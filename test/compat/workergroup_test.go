package compat

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// mirrorTasks is how many tasks, and partitions, each mirror has.
const mirrorTasks = 2

// workerGroup is a group of workers of one or both kinds, its connectors, and what they have to carry.
type workerGroup struct {
	t          *testing.T
	cluster    *realkafka.Cluster
	client     *kafkatest.Client
	wire       *kgo.Client
	properties map[string]string
	folder     string
	members    []*groupMember
	configs    map[string]map[string]string // of the connectors
	tasks      map[string]int               // how many each has
	carried    []*carried
	batch      int
}

// groupMember is one worker under a name and an address that outlive its processes.
type groupMember struct {
	*api.Client
	name       string
	java       bool
	properties map[string]string
	process    *realkafka.Process
	runs       int
}

func (m *groupMember) id() string { return strings.TrimPrefix(m.BaseURL, "http://") }

// carried is what one connector has to carry: the values of one partition, in order.
type carried struct {
	task   protocol.ConnectorTaskID
	topic  string
	values []string
	// repeatable says which values were in the hands of a worker that was killed and may arrive again.
	repeatable map[string]bool
	add        func(values []string)
}

// newGroup is a group without workers, which have their internal topics on the cluster.
func newGroup(t *testing.T, cluster *realkafka.Cluster, id string) *workerGroup {
	t.Helper()
	properties := (&pair{source: cluster, target: cluster}).group(id)
	properties["value.converter"] = "org.apache.kafka.connect.storage.StringConverter"
	wire, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Close)
	return &workerGroup{
		t: t, cluster: cluster, client: kafkatest.Dial(t, cluster.Bootstrap()), wire: wire, properties: properties, folder: t.TempDir(),
		configs: map[string]map[string]string{}, tasks: map[string]int{},
	}
}

func (g *workerGroup) add(name string, tasks int, configs ...map[string]string) {
	g.tasks[name] = tasks
	g.configs[name] = map[string]string{}
	for _, config := range configs {
		maps.Copy(g.configs[name], config)
	}
}

// addLines adds a connector that reads a file into the topic of its name.
func (g *workerGroup) addLines(name string, more map[string]string) {
	g.add(name, 1, map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": g.file(name), "topic": name,
	}, more)
	g.carry(protocol.ConnectorTaskID{Connector: name}, name, func(values []string) { appendLines(g.t, g.file(name), values) })
}

func (g *workerGroup) mirrorSettings() map[string]string {
	return map[string]string{
		"source.cluster.alias": "origin", "source.cluster.bootstrap.servers": g.cluster.Bootstrap(),
		"target.cluster.alias": "mixed", "target.cluster.bootstrap.servers": g.cluster.Bootstrap(),
		"replication.factor": "1", "offset-syncs.topic.replication.factor": "1", "heartbeats.topic.replication.factor": "1",
		"value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
	}
}

// addMirror adds a connector that mirrors the topic of its name.
func (g *workerGroup) addMirror(name string) {
	g.t.Helper()
	g.client.CreateTopic(name, mirrorTasks, nil)
	g.add(name, mirrorTasks, g.mirrorSettings(), map[string]string{
		"connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "topics": name, "tasks.max": fmt.Sprint(mirrorTasks),
		"sync.topic.acls.enabled": "false", "heartbeats.replication.enabled": "false",
	})
	for p := range int32(mirrorTasks) {
		g.carry(protocol.ConnectorTaskID{Connector: name, Task: int(p)}, "origin."+name, func(values []string) {
			records := make([]kafkatest.Record, len(values))
			for i, value := range values {
				records[i] = kafkatest.Record{Partition: p, Key: []byte(name), Value: []byte(value)}
			}
			g.client.Produce(name, records...)
		})
	}
}

// addBeats adds a connector that writes heartbeats.
func (g *workerGroup) addBeats(name string) {
	g.add(name, 1, g.mirrorSettings(), map[string]string{"connector.class": heartbeatClass, "source.cluster.alias": name})
}

func (g *workerGroup) carry(task protocol.ConnectorTaskID, topic string, add func(values []string)) {
	g.carried = append(g.carried, &carried{task: task, topic: topic, repeatable: map[string]bool{}, add: add})
}

func (g *workerGroup) file(name string) string { return filepath.Join(g.folder, name) }

// appendLines appends lines to a file, which may not exist yet.
func appendLines(t *testing.T, file string, lines []string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
}

// join starts a worker that belongs to the group from now on.
func (g *workerGroup) join(name string, java bool) *groupMember {
	g.t.Helper()
	return g.joinWith(name, java, nil)
}

// joinWith is join with properties that go over the group's.
func (g *workerGroup) joinWith(name string, java bool, more map[string]string) *groupMember {
	g.t.Helper()
	m := &groupMember{name: name, java: java, properties: maps.Clone(g.properties)}
	m.properties["listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(g.t))
	maps.Copy(m.properties, more)
	g.members = append(g.members, m)
	g.start(m)
	return m
}

// start starts a member's process, again under the same address, and waits until it is in the group.
func (g *workerGroup) start(m *groupMember) {
	g.t.Helper()
	m.runs++
	if m.java {
		w := realkafka.StartJavaConnect(g.t, m.properties, realkafka.WithJVM(quickJVM), realkafka.WithName(fmt.Sprintf("%s.%d", m.name, m.runs)))
		m.process, m.Client = w.Process, &api.Client{BaseURL: w.URL()}
	} else {
		w := startDistributed(g.t, m.properties, "WORKER="+m.name)
		m.process, m.Client = w.Process, w.Client
	}
	kafkatest.Await(g.t, patience, m.name+" to be in the group", func() (bool, string) {
		members := g.describe().members
		return slices.ContainsFunc(slices.Collect(maps.Values(members)), func(url string) bool { return strings.TrimSuffix(url, "/") == m.BaseURL }), fmt.Sprint(members)
	})
}

// create creates the connectors, each through another worker than the one before.
func (g *workerGroup) create() {
	g.t.Helper()
	for i, name := range slices.Sorted(maps.Keys(g.configs)) {
		through := g.members[i%len(g.members)]
		kafkatest.Await(g.t, patience, "connector "+name+" to be created through "+through.name, func() (bool, string) {
			_, _, err := through.PutConfig(g.t.Context(), name, g.configs[name])
			return err == nil, fmt.Sprint(err)
		})
	}
}

func (g *workerGroup) alive() []*groupMember {
	return slices.DeleteFunc(slices.Clone(g.members), func(m *groupMember) bool { return !m.process.Running() })
}

// kill ends a worker with SIGKILL while its connectors have new lines and records before them.
func (g *workerGroup) kill(m *groupMember) {
	g.t.Helper()
	held := g.held(g.describe())[m.id()]
	g.feed()
	m.process.Kill()
	g.mayRepeat(func(c *carried) bool { return slices.Contains(held, c.task) })
}

// mayRepeat says of some connectors that what they got so far may arrive again, since their last offsets may not have
// been committed.
func (g *workerGroup) mayRepeat(of func(*carried) bool) {
	for _, c := range g.carried {
		if of(c) {
			for _, value := range c.values {
				c.repeatable[value] = true
			}
		}
	}
}

// feed gives each connector a few more lines or records.
func (g *workerGroup) feed() { g.feedIf(func(*carried) bool { return true }) }

// feedIf is feed for some connectors.
func (g *workerGroup) feedIf(wanted func(*carried) bool) {
	g.t.Helper()
	const count = 5
	g.batch++
	for _, c := range g.carried {
		if !wanted(c) {
			continue
		}
		values := make([]string, count)
		for i := range values {
			values[i] = fmt.Sprintf("%s batch %d value %d", c.task, g.batch, i)
		}
		c.add(values)
		c.values = append(c.values, values...)
	}
}

// feedSettled feeds each connector while nothing moves, and waits until all that it ever got has arrived.
func (g *workerGroup) feedSettled() {
	g.t.Helper()
	g.feed()
	g.awaitCarried()
}

// awaitCarried waits until all has arrived that each connector ever got.
func (g *workerGroup) awaitCarried() {
	g.t.Helper()
	for _, c := range g.carried {
		kafkatest.Await(g.t, patience, fmt.Sprintf("all that %s carries", c.task), func() (bool, string) {
			if !slices.Contains(g.client.Topics(), c.topic) {
				return false, "there is no topic " + c.topic
			}
			got := g.arrived(c)
			last := ""
			if len(got) > 0 {
				last = got[len(got)-1]
			}
			return last == c.values[len(c.values)-1], fmt.Sprintf("%d values, the last is %q", len(got), last)
		})
		g.check(c)
	}
}

func (g *workerGroup) arrived(c *carried) []string {
	g.t.Helper()
	var values []string
	for _, record := range g.client.ReadPartition(c.topic, g.partition(c), kafkatest.ReadCommitted) {
		values = append(values, string(record.Value))
	}
	return values
}

// partition is where a connector's values are: lines go to topics of one partition.
func (g *workerGroup) partition(c *carried) int32 {
	if strings.HasPrefix(c.topic, "origin.") {
		return int32(c.task.Task)
	}
	return 0
}

// check wants every value, in order, and once unless a killed worker had it in hand.
func (g *workerGroup) check(c *carried) {
	g.t.Helper()
	var first []string
	count := map[string]int{}
	for _, value := range g.arrived(c) {
		if count[value]++; count[value] == 1 {
			first = append(first, value)
		} else if !c.repeatable[value] {
			g.t.Errorf("%s: %q has arrived %d times, and no worker was killed over it: two workers ran the task", c.task, value, count[value])
		}
	}
	if !slices.Equal(first, c.values) {
		g.t.Errorf("%s: these values arrived, in this order:\n%q\nwant\n%q", c.task, first, c.values)
	}
}

// remove deletes the connectors, each through another worker than the one before, and stops the workers.
func (g *workerGroup) remove() {
	g.t.Helper()
	for i, connector := range slices.Sorted(maps.Keys(g.tasks)) {
		through := g.members[i%len(g.members)]
		kafkatest.Await(g.t, patience, "connector "+connector+" to be deleted through "+through.name, func() (bool, string) {
			err := through.Delete(g.t.Context(), connector)
			return err == nil, fmt.Sprint(err)
		})
	}
	for _, m := range g.members {
		kafkatest.Await(g.t, patience, m.name+" to list no connectors", func() (bool, string) {
			names, err := m.List(g.t.Context())
			return err == nil && len(names) == 0, fmt.Sprint(names, err)
		})
	}
	for _, m := range g.members {
		if err := m.process.Terminate(patience); err != nil {
			g.t.Errorf("%v", err)
		}
	}
}

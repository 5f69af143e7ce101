package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// The connectors of the mixed group, which workers of both kinds have.
const (
	mixedFiles, mixedMirrors, mixedBeats = 6, 3, 3
	// mirrorTasks is how many tasks, and partitions, each mirror has.
	mirrorTasks = 2
)

// TestMixedGroupOutlivesEveryWorker: two Java and two Tributary workers share twelve connectors. Each worker is killed
// in turn and started again, and the leadership passes from Java to Tributary and back. After every step each connector
// and each task is on exactly one worker, all are spread evenly, every worker gives the same answers, and no line and no
// record is lost. What no killed worker had in hand arrives exactly once.
func TestMixedGroupOutlivesEveryWorker(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	g := startMixedGroup(t)

	j1, t1, t2, j2 := g.join("java-1", true), g.join("tributary-1", false), g.join("tributary-2", false), g.join("java-2", true)
	g.create()
	g.settle(j1)
	g.feedSettled()

	g.kill(j1)
	g.settle(nil)
	g.feedSettled()
	g.kill(j2)
	if leader := g.settle(nil); leader.java {
		t.Errorf("%s leads, want a Tributary worker", leader.name)
	}
	g.feedSettled()

	g.start(j1)
	g.start(j2)
	g.settle(nil)
	g.feedSettled()

	g.kill(t2)
	g.settle(nil)
	g.feedSettled()
	g.kill(t1)
	if leader := g.settle(nil); !leader.java {
		t.Errorf("%s leads, want a Java worker", leader.name)
	}
	g.feedSettled()

	g.start(t1)
	g.start(t2)
	g.settle(nil)
	g.feedSettled()
	g.remove()
}

// mixedGroup is a group of workers of both kinds, its connectors, and what they have to carry.
type mixedGroup struct {
	t          *testing.T
	cluster    *realkafka.Cluster
	client     *kafkatest.Client
	wire       *kgo.Client
	properties map[string]string
	folder     string
	members    []*groupMember
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

func startMixedGroup(t *testing.T) *mixedGroup {
	t.Helper()
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	properties := (&pair{source: cluster, target: cluster}).group("mixed")
	properties["value.converter"] = "org.apache.kafka.connect.storage.StringConverter"
	wire, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Close)
	g := &mixedGroup{
		t: t, cluster: cluster, client: kafkatest.Dial(t, cluster.Bootstrap()), wire: wire, properties: properties, folder: t.TempDir(),
	}
	for i := range mixedFiles {
		name := fmt.Sprintf("lines-%d", i)
		g.carry(protocol.ConnectorTaskID{Connector: name}, name, func(values []string) { appendLines(t, g.file(name), values) })
	}
	for i := range mixedMirrors {
		name := fmt.Sprintf("mirrored-%d", i)
		g.client.CreateTopic(name, mirrorTasks, nil)
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
	return g
}

func (g *mixedGroup) carry(task protocol.ConnectorTaskID, topic string, add func(values []string)) {
	g.carried = append(g.carried, &carried{task: task, topic: topic, repeatable: map[string]bool{}, add: add})
}

func (g *mixedGroup) file(name string) string { return filepath.Join(g.folder, name) }

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
func (g *mixedGroup) join(name string, java bool) *groupMember {
	g.t.Helper()
	m := &groupMember{name: name, java: java, properties: maps.Clone(g.properties)}
	m.properties["listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(g.t))
	g.members = append(g.members, m)
	g.start(m)
	return m
}

// start starts a member's process, again under the same address.
func (g *mixedGroup) start(m *groupMember) {
	g.t.Helper()
	m.runs++
	if m.java {
		w := realkafka.StartJavaConnect(g.t, m.properties, realkafka.WithJVM(quickJVM), realkafka.WithName(fmt.Sprintf("%s.%d", m.name, m.runs)))
		m.process, m.Client = w.Process, &api.Client{BaseURL: w.URL()}
		return
	}
	w := startDistributed(g.t, m.properties)
	m.process, m.Client = w.Process, w.Client
}

// create creates the connectors, each through another worker than the one before.
func (g *mixedGroup) create() {
	g.t.Helper()
	configs := map[string]map[string]string{}
	for i := range mixedFiles {
		name := fmt.Sprintf("lines-%d", i)
		configs[name] = map[string]string{
			"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": g.file(name), "topic": name,
		}
	}
	both := map[string]string{
		"source.cluster.alias": "origin", "source.cluster.bootstrap.servers": g.cluster.Bootstrap(),
		"target.cluster.alias": "mixed", "target.cluster.bootstrap.servers": g.cluster.Bootstrap(),
		"replication.factor": "1", "offset-syncs.topic.replication.factor": "1", "heartbeats.topic.replication.factor": "1",
	}
	const bytes = "org.apache.kafka.connect.converters.ByteArrayConverter"
	for i := range mixedMirrors {
		name := fmt.Sprintf("mirrored-%d", i)
		configs[name] = maps.Clone(both)
		maps.Copy(configs[name], map[string]string{
			"connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "topics": name, "tasks.max": fmt.Sprint(mirrorTasks),
			"sync.topic.acls.enabled": "false", "heartbeats.replication.enabled": "false", "value.converter": bytes,
		})
	}
	for i := range mixedBeats {
		name := fmt.Sprintf("beats-%d", i)
		configs[name] = maps.Clone(both)
		maps.Copy(configs[name], map[string]string{
			"connector.class": heartbeatClass, "source.cluster.alias": name, "value.converter": bytes,
		})
	}
	for i, name := range slices.Sorted(maps.Keys(configs)) {
		through := g.members[i%len(g.members)]
		kafkatest.Await(g.t, patience, "connector "+name+" to be created through "+through.name, func() (bool, string) {
			_, _, err := through.PutConfig(g.t.Context(), name, configs[name])
			return err == nil, fmt.Sprint(err)
		})
	}
}

// tasks are the connectors and how many tasks each has.
func (g *mixedGroup) tasks() map[string]int {
	tasks := map[string]int{}
	for i := range mixedFiles {
		tasks[fmt.Sprintf("lines-%d", i)] = 1
	}
	for i := range mixedMirrors {
		tasks[fmt.Sprintf("mirrored-%d", i)] = mirrorTasks
	}
	for i := range mixedBeats {
		tasks[fmt.Sprintf("beats-%d", i)] = 1
	}
	return tasks
}

func (g *mixedGroup) alive() []*groupMember {
	return slices.DeleteFunc(slices.Clone(g.members), func(m *groupMember) bool { return !m.process.Running() })
}

// kill ends a worker with SIGKILL while its connectors have new lines and records before them.
func (g *mixedGroup) kill(m *groupMember) {
	g.t.Helper()
	held := g.held(g.describe())[m.id()]
	g.feed()
	m.process.Kill()
	for _, c := range g.carried {
		if slices.Contains(held, c.task) {
			// The last offsets may not have been committed.
			for _, value := range c.values {
				c.repeatable[value] = true
			}
		}
	}
}

// feed gives each connector a few more lines or records.
func (g *mixedGroup) feed() {
	g.t.Helper()
	const count = 5
	g.batch++
	for _, c := range g.carried {
		values := make([]string, count)
		for i := range values {
			values[i] = fmt.Sprintf("%s batch %d value %d", c.task, g.batch, i)
		}
		c.add(values)
		c.values = append(c.values, values...)
	}
}

// feedSettled feeds each connector while nothing moves, and waits until all that it ever got has arrived.
func (g *mixedGroup) feedSettled() {
	g.t.Helper()
	g.feed()
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

func (g *mixedGroup) arrived(c *carried) []string {
	g.t.Helper()
	var values []string
	for _, record := range g.client.ReadPartition(c.topic, g.partition(c), kafkatest.ReadCommitted) {
		values = append(values, string(record.Value))
	}
	return values
}

// partition is where a connector's values are: lines go to topics of one partition.
func (g *mixedGroup) partition(c *carried) int32 {
	if strings.HasPrefix(c.topic, "origin.") {
		return int32(c.task.Task)
	}
	return 0
}

// check wants every value, in order, and once unless a killed worker had it in hand.
func (g *mixedGroup) check(c *carried) {
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

// groupView is the group as its coordinator has it.
type groupView struct {
	state   string
	leader  string            // the URL
	members map[string]string // member id → URL
	work    map[string]protocol.Assignment
}

// describe asks the coordinator what each member held when it joined and what the leader gave it and took from it.
func (g *mixedGroup) describe() groupView {
	g.t.Helper()
	return describeGroup(g.t, g.wire, g.properties["group.id"])
}

func describeGroup(t *testing.T, wire *kgo.Client, id string) groupView {
	t.Helper()
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Groups = []string{id}
	response, err := request.RequestWith(t.Context(), wire)
	if err != nil || len(response.Groups) != 1 {
		return groupView{state: fmt.Sprint("unknown: ", err)}
	}
	described := response.Groups[0]
	view := groupView{state: described.State, members: map[string]string{}, work: map[string]protocol.Assignment{}}
	inForce, err := protocol.SubprotocolByName(described.Protocol)
	if err != nil {
		return view
	}
	for _, member := range described.Members {
		metadata, err := protocol.DecodeMetadata(member.ProtocolMetadata)
		if err != nil {
			t.Fatalf("the metadata of a member: %v", err)
		}
		view.members[member.MemberID] = metadata.URL
		if len(member.MemberAssignment) == 0 {
			view.state = "without assignments"
			continue
		}
		received, err := protocol.DecodeAssignment(member.MemberAssignment)
		if err != nil {
			t.Fatalf("the assignment of a member: %v", err)
		}
		view.leader = received.LeaderURL
		view.work[member.MemberID] = protocol.Merge(inForce, metadata.Allocation, received)
	}
	return view
}

// held is what each worker runs, by its id. Task -1 is the connector itself.
func (g *mixedGroup) held(view groupView) map[string][]protocol.ConnectorTaskID {
	held := map[string][]protocol.ConnectorTaskID{}
	for member, work := range view.work {
		id := strings.TrimSuffix(strings.TrimPrefix(view.members[member], "http://"), "/")
		for _, connector := range work.Assigned.Connectors {
			held[id] = append(held[id], protocol.ConnectorTaskID{Connector: connector, Task: -1})
		}
		for _, task := range work.Assigned.Tasks {
			held[id] = append(held[id], task)
		}
	}
	return held
}

// settle waits until the living workers share all work evenly, each piece on exactly one worker, and all workers give
// the same answers. It returns the leader, which must be the given one if that is not nil.
func (g *mixedGroup) settle(leader *groupMember) *groupMember {
	g.t.Helper()
	began := time.Now()
	var leads *groupMember
	kafkatest.Await(g.t, patience, "the work to be shared", func() (bool, string) {
		view := g.describe()
		if problem := g.unsettled(view); problem != "" {
			return false, problem
		}
		leads = nil
		for _, m := range g.alive() {
			if strings.TrimSuffix(view.leader, "/") == m.BaseURL {
				leads = m
			}
		}
		if leads == nil {
			return false, "the leader is " + view.leader
		}
		problem := g.differentAnswers(g.held(view))
		return problem == "", problem
	})
	g.t.Logf("settled after %s, %s leads %d workers", time.Since(began).Round(time.Millisecond), leads.name, len(g.alive()))
	if leader != nil && leader != leads {
		g.t.Errorf("%s leads, want %s", leads.name, leader.name)
	}
	return leads
}

// unsettled says what is not yet as it should be in the coordinator's view of the group.
func (g *mixedGroup) unsettled(view groupView) string {
	if view.state != "Stable" {
		return "the group is " + view.state
	}
	var want []string
	for _, m := range g.alive() {
		want = append(want, m.BaseURL)
	}
	var got []string
	for _, url := range view.members {
		got = append(got, strings.TrimSuffix(url, "/"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("members are %v, want %v", got, want)
	}
	owners := map[protocol.ConnectorTaskID]int{}
	load := map[bool][]int{} // of connectors, of tasks
	for member, work := range view.work {
		if !work.Revoked.Empty() || work.Delay != 0 {
			return fmt.Sprintf("of %s, %v are revoked, delay %s", view.members[member], work.Revoked, work.Delay)
		}
		load[true] = append(load[true], len(work.Assigned.Connectors))
		load[false] = append(load[false], len(work.Assigned.Tasks))
	}
	for _, ids := range g.held(view) {
		for _, id := range ids {
			owners[id]++
		}
	}
	total := 0
	for connector, tasks := range g.tasks() {
		for task := -1; task < tasks; task++ {
			id := protocol.ConnectorTaskID{Connector: connector, Task: task}
			if owners[id] != 1 {
				return fmt.Sprintf("%s is on %d workers", id, owners[id])
			}
			total++
		}
	}
	if len(owners) != total {
		return fmt.Sprintf("%d connectors and tasks are assigned, want %d", len(owners), total)
	}
	for _, counts := range load {
		if slices.Max(counts)-slices.Min(counts) > 1 {
			return fmt.Sprintf("not even: %v", counts)
		}
	}
	return ""
}

// differentAnswers says where workers do not say the same, or not that everything runs where it was assigned.
func (g *mixedGroup) differentAnswers(held map[string][]protocol.ConnectorTaskID) string {
	alive := g.alive()
	paths := []string{"/connectors"}
	for connector, tasks := range g.tasks() {
		status, err := alive[0].Status(g.t.Context(), connector)
		if err != nil {
			return err.Error()
		}
		if status.Connector.State != "RUNNING" || !slices.Contains(held[status.Connector.WorkerID], protocol.ConnectorTaskID{Connector: connector, Task: -1}) || len(status.Tasks) != tasks {
			return fmt.Sprintf("%+v", status)
		}
		for _, task := range status.Tasks {
			if task.State != "RUNNING" || !slices.Contains(held[task.WorkerID], protocol.ConnectorTaskID{Connector: connector, Task: task.ID}) {
				return fmt.Sprintf("%+v", status)
			}
		}
		for _, path := range []string{"", "/status", "/config", "/tasks", "/tasks/0/status", "/topics"} {
			paths = append(paths, "/connectors/"+connector+path)
		}
	}
	for _, path := range paths {
		said := func(m *groupMember) string {
			answer := get(g.t, m.BaseURL+path)
			switch {
			case path == "/connectors":
				return sorted(g.t, answer)
			case strings.HasSuffix(path, "/topics"):
				return sortedTopics(g.t, answer)
			}
			return normal(g.t, answer)
		}
		first := said(alive[0])
		for _, other := range alive[1:] {
			if second := said(other); second != first {
				return fmt.Sprintf("%s:\n %s: %s\n %s: %s", path, alive[0].name, first, other.name, second)
			}
		}
	}
	return ""
}

// sortedTopics puts the topics of a connector, after the status code, into order: Java's are in none.
func sortedTopics(t *testing.T, answer string) string {
	t.Helper()
	code, body, _ := strings.Cut(answer, " ")
	var used map[string]struct{ Topics []string }
	if err := json.Unmarshal([]byte(body), &used); err != nil {
		return answer
	}
	for _, topics := range used {
		slices.Sort(topics.Topics)
	}
	return fmt.Sprint(code, " ", used)
}

// remove deletes the connectors, each through another worker than the one before, and stops the workers.
func (g *mixedGroup) remove() {
	g.t.Helper()
	for i, connector := range slices.Sorted(maps.Keys(g.tasks())) {
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

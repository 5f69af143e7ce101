package compat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
)

// groupView is the group as its coordinator has it.
type groupView struct {
	state   string
	leader  string            // the URL
	members map[string]string // member id → URL
	work    map[string]protocol.Assignment
}

// describe asks the coordinator what each member held when it joined and what the leader gave it and took from it.
func (g *workerGroup) describe() groupView {
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
func (g *workerGroup) held(view groupView) map[string][]protocol.ConnectorTaskID {
	held := map[string][]protocol.ConnectorTaskID{}
	for member, work := range view.work {
		id := strings.TrimSuffix(strings.TrimPrefix(view.members[member], "http://"), "/")
		for _, connector := range work.Assigned.Connectors {
			held[id] = append(held[id], protocol.ConnectorTaskID{Connector: connector, Task: -1})
		}
		held[id] = append(held[id], work.Assigned.Tasks...)
	}
	return held
}

// settle waits until the living workers share all work evenly, each piece on exactly one worker, and all workers give
// the same answers. It returns the leader, which must be the given one if that is not nil.
func (g *workerGroup) settle(leader *groupMember) *groupMember {
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
func (g *workerGroup) unsettled(view groupView) string {
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
	for connector, tasks := range g.tasks {
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
func (g *workerGroup) differentAnswers(held map[string][]protocol.ConnectorTaskID) string {
	alive := g.alive()
	paths := []string{"/connectors"}
	for connector, tasks := range g.tasks {
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

package compat

import (
	"fmt"
	"strings"
	"testing"

	"tributary/test/cluster/kafkatest"
)

// twoLanes are two flows of one process, one in each lane, that read and write over the same listener.
type twoLanes struct {
	*worker
	t      *testing.T
	client *kafkatest.Client
	name   string // stands before the names of the topics
	sent   int
}

// startLanes mirrors <name>-raw as <name>raw.<name>-raw, and <name>-record alike. security are the client properties of
// all clusters. The source has an alias for each lane, for a worker group is that of a source.
func startLanes(t *testing.T, client *kafkatest.Client, name, bootstrap, security string) *twoLanes {
	t.Helper()
	l := &twoLanes{t: t, client: client, name: name}
	for _, topic := range l.topics() {
		client.CreateTopic(topic, 1, anyTime)
	}
	file := strings.NewReplacer("NAME", name, "BOOTSTRAP", bootstrap).Replace(`
clusters = NAMEraw, NAMErecord, target
NAMEraw.bootstrap.servers = BOOTSTRAP
NAMErecord.bootstrap.servers = BOOTSTRAP
target.bootstrap.servers = BOOTSTRAP
emit.heartbeats.enabled = false
heartbeats.replication.enabled = false
sync.topic.acls.enabled = false
sync.topic.configs.enabled = false
emit.checkpoints.enabled = false
NAMEraw->target.enabled = true
NAMEraw->target.topics = NAME-raw
NAMErecord->target.enabled = true
NAMErecord->target.topics = NAME-record
NAMErecord->target.raw.batches = false
`) + security
	l.worker = startMaker(t, file)
	return l
}

func (l *twoLanes) topics() []string { return []string{l.name + "-raw", l.name + "-record"} }

// send writes more records and returns at once.
func (l *twoLanes) send() {
	l.t.Helper()
	const more = 30
	for _, topic := range l.topics() {
		l.client.Produce(topic, keyed(topic, 1, l.sent, more)...)
	}
	l.sent += more
}

// arrive waits until all that was sent is on the target, and compares it: bytes, order, offsets.
func (l *twoLanes) arrive() {
	l.t.Helper()
	for _, topic := range l.topics() {
		remote := strings.Replace(topic, "-", "", 1) + "." + topic
		kafkatest.Await(l.t, patience, fmt.Sprintf("%d records of %s", l.sent, remote), func() (bool, string) {
			_, sum := ends(l.client, remote)
			return sum >= int64(l.sent), fmt.Sprint(sum, "\n", strings.Join(complaints(l.Log()), "\n"))
		})
		compareByClient(l.t, l.client, topic, l.client, remote)
	}
}

// starts counts how often tasks were started.
func (l *twoLanes) starts() int { return strings.Count(l.Log(), "Starting task") }

// connectionTroubles are the complaints about connections and logins, not those about a new topic that a broker does not
// know for a moment.
func (l *twoLanes) connectionTroubles() (found []string) {
	for _, line := range complaints(l.Log()) {
		for _, word := range []string{"login", "logged in", "OAuth", "SASL", "certificate", "cannot be reached", "cannot be used", "closed the connection"} {
			if strings.Contains(line, word) {
				found = append(found, line)
				break
			}
		}
	}
	return found
}

// awaitSaid waits until each lane has said something, and returns how many lines have it.
func (l *twoLanes) awaitSaid(what string, parts ...string) (lines int) {
	l.t.Helper()
	kafkatest.Await(l.t, patience, what, func() (bool, string) {
		lines = 0
		said := complaints(strings.ReplaceAll(l.Log(), `\"`, `"`))
		for _, line := range said {
			if containsAll(line, parts) {
				lines++
			}
		}
		return lines > 0, strings.Join(said, "\n")
	})
	return lines
}

// rightsChangeInMidRun takes rights away and gives them back while mirrors run, one in each lane. Nothing is lost, the
// lack is said once, and no task is started again.
func rightsChangeInMidRun(t *testing.T, g *guarded) {
	right := func(kind, name string, prefix bool, needs string) documentedRight {
		return documentedRight{kind: kind, name: name, prefix: prefix, needs: needs}
	}
	read, write := right("topic", "rights-", true, "Read"), right("topic", "rightsr", true, "Write")
	g.allow("ann", read, write, right("topic", "rights-", true, "DescribeConfigs"), right("topic", "rightsr", true, "Create"),
		// What Read and Write bring as well: who may not see a topic takes it for deleted.
		right("topic", "rights-", true, "Describe"), right("topic", "rightsr", true, "Describe"),
		right("topic", "heartbeats", false, "Create"), right("group", "rightsraw-mm2", false, "Read"), right("group", "rightsrecord-mm2", false, "Read"))
	for _, needs := range []string{"Create", "Read", "Write"} {
		g.allow("ann", right("topic", "mm2-", true, needs))
	}
	l := startLanes(t, g.Client, "rights", g.secure, `
security.protocol = SASL_PLAINTEXT
sasl.mechanism = PLAIN
sasl.jaas.config = `+login(plainModule, "ann", "right")+"\n")
	l.send()
	l.arrive()
	starts := l.starts()
	for _, c := range []struct {
		lost documentedRight
		says string
		on   []string
	}{
		{write, "the user ann is not allowed to write: no rights on the topic %q (needs Write)", []string{"rightsraw.rights-raw", "rightsrecord.rights-record"}},
		{read, "the user ann is not allowed to read: no rights on the topic %q (needs Read)", []string{"rights-raw", "rights-record"}},
	} {
		g.revoke("ann", c.lost)
		l.send()
		for _, topic := range c.on {
			l.awaitSaid("the complaint about "+topic, fmt.Sprintf(c.says, topic))
		}
		l.send()
		g.allow("ann", c.lost)
		l.arrive()
		for _, topic := range c.on {
			if n := l.awaitSaid("the complaint about "+topic, fmt.Sprintf(c.says, topic)); n != 1 {
				t.Errorf("%s is missing on %s, and that is said %d times, want once:\n%s", c.lost.needs, topic, n, strings.Join(complaints(l.Log()), "\n"))
			}
		}
	}
	if now := l.starts(); now != starts {
		t.Errorf("tasks were started %d times, %d of them for want of rights", now, now-starts)
	}
	l.stop()
}

// revoke takes away what allow gave, and waits until the broker knows.
func (g *guarded) revoke(user string, p documentedRight) {
	g.t.Helper()
	results, err := g.Admin().DeleteACLs(g.t.Context(), p.acl(user))
	if err != nil || len(results) != 1 || results[0].Err != nil || len(results[0].Deleted) != 1 {
		g.t.Fatalf("revoke %s of %s: %+v, %v", p, user, results, err)
	}
	kafkatest.Await(g.t, patience, "the broker to know of it", func() (bool, string) {
		found, err := g.Admin().DescribeACLs(g.t.Context(), p.acl(user))
		return err == nil && len(found) == 1 && found[0].Err == nil && len(found[0].Described) == 0, fmt.Sprint(found, err)
	})
}

package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// documentedRight is one operation of a row of docs/permissions.md.
type documentedRight struct {
	section string // the sentence before the table
	kind    string // topic, group, cluster or transactional id
	name    string
	prefix  bool
	needs   string // the operation
	setting string // without which the row is not needed; "" for always
}

func (p documentedRight) String() string {
	return fmt.Sprintf("%s on %s %s", p.needs, p.kind, p.name)
}

func (p documentedRight) acl(user string) *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow("User:" + user).AllowHosts().Operations(operations[p.needs])
	b.ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral)
	if p.prefix {
		b.ResourcePatternType(kmsg.ACLResourcePatternTypePrefixed)
	}
	switch p.kind {
	case "topic":
		return b.Topics(p.name)
	case "group":
		return b.Groups(p.name)
	case "transactional id":
		return b.TransactionalIDs(p.name)
	}
	return b.Clusters()
}

// complaint is what must be said when the user lacks the permission. Where the right brings another, that one may be
// missed first.
func (p documentedRight) complaint(user string) *regexp.Regexp {
	brings := map[string]string{"Read": "Describe", "Write": "Describe", "Alter": "Describe", "AlterConfigs": "DescribeConfigs"}
	needs := p.needs
	if other := brings[needs]; other != "" {
		needs = "(?:" + needs + "|" + other + ")"
	}
	resource := regexp.QuoteMeta(p.name)
	switch {
	case p.kind == "cluster":
		resource = "kafka-cluster"
	case p.prefix:
		resource += `[^"]*`
	}
	said := fmt.Sprintf(`no rights on the %s "%s" \(needs %s\)`, p.kind, resource, needs)
	if p.kind == "topic" && p.needs == "Write" {
		// Who may write to no topic at all is not let in as a producer, before any topic is named.
		said = `(?:` + said + `|no rights on the cluster "kafka-cluster" \(needs IdempotentWrite, or Write on a topic\))`
	}
	return regexp.MustCompile(fmt.Sprintf(`\] (?:WARN|ERROR) .*the user %s is not allowed to [A-Za-z ]+: %s`, user, said))
}

var operations = map[string]kmsg.ACLOperation{
	"Read": kmsg.ACLOperationRead, "Write": kmsg.ACLOperationWrite, "Create": kmsg.ACLOperationCreate,
	"Alter": kmsg.ACLOperationAlter, "Describe": kmsg.ACLOperationDescribe,
	"DescribeConfigs": kmsg.ACLOperationDescribeConfigs, "AlterConfigs": kmsg.ACLOperationAlterConfigs,
}

var (
	tableRow    = regexp.MustCompile(`^\| (.+) \| (.+) \| (.+) \|$`)
	resourceOf  = regexp.MustCompile("^(topic|group|transactional id)(s with the prefix)? `([^`]+)`$")
	settingOf   = regexp.MustCompile("^`([a-z.-]+)`")
	tableRuling = regexp.MustCompile(`^\|[-|]+\|$`)
)

// documentedPermissions reads the tables of docs/permissions.md.
func documentedPermissions(t *testing.T) (all []documentedRight) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		row := tableRow.FindStringSubmatch(line)
		if row == nil {
			if line != "" && !tableRuling.MatchString(line) {
				section = line
			}
			continue
		}
		if row[1] == "resource" {
			continue
		}
		p := documentedRight{section: section, kind: "cluster"}
		if row[1] != "cluster" {
			resource := resourceOf.FindStringSubmatch(row[1])
			if resource == nil {
				t.Fatalf("docs/permissions.md: a resource that the test cannot read: %s", line)
			}
			p.kind, p.prefix, p.name = resource[1], resource[2] != "", resource[3]
		}
		if setting := settingOf.FindStringSubmatch(row[3]); setting != nil {
			p.setting = setting[1]
		}
		for _, p.needs = range strings.Split(row[2], ", ") {
			if _, known := operations[p.needs]; !known {
				t.Fatalf("docs/permissions.md: an operation that the test does not know: %s", line)
			}
			all = append(all, p)
		}
	}
	return all
}

// of picks the permissions of one table, by what the sentence before it ends in.
func of(t *testing.T, all []documentedRight, ending string) []documentedRight {
	t.Helper()
	var found []documentedRight
	for _, p := range all {
		if strings.HasSuffix(p.section, ending) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/permissions.md has no table behind a line that ends in %q", ending)
	}
	return found
}

// guarded is a broker on which users may do what is granted to them; ANONYMOUS, at the plain listener, may do all.
type guarded struct {
	*kafkatest.Client
	t      *testing.T
	secure string // bootstrap.servers of the listener where users log in
}

// mostUsers is how many users there are of each name: ann0, ann1, … All have the password right.
const mostUsers = 60

func startGuarded(t *testing.T, name, user string) *guarded {
	t.Helper()
	var users strings.Builder
	users.WriteString(` user_boss="right"`)
	for i := range mostUsers {
		fmt.Fprintf(&users, ` user_%s%d="right"`, user, i)
	}
	cluster := realkafka.StartCluster(t, realkafka.Options{
		Name: name, JVM: []string{quickJVM},
		Extra: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":           "User:ANONYMOUS;User:boss",
			"log.retention.ms":      "-1", // records are of the past
		},
		Listeners: []realkafka.Listener{{
			Name: "SECURE", Protocol: "SASL_PLAINTEXT",
			Properties: map[string]string{
				"sasl.enabled.mechanisms": "PLAIN",
				"plain.sasl.jaas.config":  plainModule + " required" + users.String() + ";",
			},
		}},
	})
	return &guarded{kafkatest.Dial(t, cluster.Bootstrap()), t, cluster.BootstrapOf("SECURE")}
}

// compareByClient compares the records of a topic and its copy: partitions, order, keys, values, headers, timestamps.
func compareByClient(t *testing.T, source *kafkatest.Client, topic string, target *kafkatest.Client, remote string) {
	t.Helper()
	read := func(client *kafkatest.Client, topic string) map[int32][]kafkatest.Record {
		records := client.ReadTopic(topic, kafkatest.ReadCommitted)
		for _, partition := range records {
			for i := range partition {
				partition[i].Offset = 0 // transactions take offsets, too
			}
		}
		return records
	}
	if diff := cmp.Diff(read(source, topic), read(target, remote)); diff != "" {
		t.Errorf("%s and %s differ (-source +target):\n%s", topic, remote, diff)
	}
}

// allow grants something.
func (g *guarded) allow(user string, permissions ...documentedRight) {
	g.t.Helper()
	for _, p := range permissions {
		results, err := g.Admin().CreateACLs(g.t.Context(), p.acl(user))
		if err != nil || len(results) != 1 || results[0].Err != nil {
			g.t.Fatalf("grant %s to %s: %+v, %v", p, user, results, err)
		}
	}
}

// awaitComplaint waits until a worker's log says that the user lacks the permission.
func awaitComplaint(t *testing.T, w *worker, user string, p documentedRight) {
	t.Helper()
	pattern := p.complaint(user)
	kafkatest.Await(t, patience, "the complaint about the lack of "+p.String()+" for "+user, func() (bool, string) {
		said := strings.ReplaceAll(w.Log(), `\"`, `"`)
		return pattern.MatchString(said), strings.Join(about(user, complaints(said)), "\n")
	})
}

// about are the lines that name a user, or all if there is none.
func about(user string, lines []string) (found []string) {
	for _, line := range lines {
		if strings.Contains(line, user+" ") {
			found = append(found, line)
		}
	}
	if found == nil {
		return lines[max(0, len(lines)-20):]
	}
	return found
}

// guardedFlow is a flow of the dedicated mode from a cluster that ann<number> uses into one that bob<number> uses. Its
// names bear the number, so that flows do not meet.
type guardedFlow struct {
	number int
	lacks  *documentedRight
	user   string   // who lacks it
	off    []string // settings that are off, and so the rows that need not be granted
	more   string   // lines for this flow; FLOW, SOURCE and TARGET stand for what it is
}

func (f guardedFlow) source() string { return fmt.Sprintf("w%d", f.number) }
func (f guardedFlow) target() string { return fmt.Sprintf("e%d", f.number) }
func (f guardedFlow) group() string  { return fmt.Sprintf("readers%d", f.number) }

// topics are the flow's: the copy of the first is there before, with fewer partitions and another configuration; that
// of the second is not.
func (f guardedFlow) topics() (older, newer string) {
	return fmt.Sprintf("orders%d-old", f.number), fmt.Sprintf("orders%d-new", f.number)
}

// real are the permissions that a row is for this flow: one for each topic where it says <topic>.
func (f guardedFlow) real(p documentedRight) (real []documentedRight) {
	older, newer := f.topics()
	names := strings.NewReplacer("mm2-offset-syncs.B", "mm2-offset-syncs."+f.target(), ".A.", "."+f.source()+".", "A.", f.source()+".",
		"connect-cluster-A-", "connect-cluster-"+f.source()+"-", "A-mm2", f.source()+"-mm2", "<group>", f.group())
	p.name = names.Replace(p.name)
	if p.name != "<topic>" {
		return []documentedRight{p}
	}
	for _, p.name = range []string{older, newer} {
		real = append(real, p)
	}
	return real
}

func (f guardedFlow) lines(source, target string) string {
	lines := `
SOURCE.bootstrap.servers = ` + source + `
TARGET.bootstrap.servers = ` + target + `
SOURCE.sasl.jaas.config = ` + login(plainModule, fmt.Sprintf("ann%d", f.number), "right") + `
TARGET.sasl.jaas.config = ` + login(plainModule, fmt.Sprintf("bob%d", f.number), "right") + `
FLOW.enabled = true
FLOW.topics = OLDER, NEWER
FLOW.groups = ` + f.group() + `
FLOW.emit.heartbeats.enabled = true
FLOW.sync.group.offsets.enabled = true
` + f.more
	for _, setting := range f.off {
		if setting != exactlyOnce {
			lines += "\nFLOW." + setting + " = false"
		}
	}
	older, newer := f.topics()
	return strings.NewReplacer("SOURCE", f.source(), "TARGET", f.target(), "FLOW", f.source()+"->"+f.target(), "OLDER", older, "NEWER", newer).Replace(lines)
}

// exactlyOnce is the setting of the rows for exactly-once alone; it is of the target cluster.
const exactlyOnce = "exactly.once.source.support"

// guardedPair is a source, where each flow has a user ann<number>, and a target, where it has bob<number>.
type guardedPair struct {
	source, target     *guarded
	onSource, onTarget []documentedRight
}

// file is that of a dedicated MirrorMaker with these flows.
func (p guardedPair) file(flows ...guardedFlow) string {
	var aliases []string
	lines := ""
	for _, f := range flows {
		aliases = append(aliases, f.source(), f.target())
		lines += f.lines(p.source.secure, p.target.secure)
	}
	return "clusters = " + strings.Join(aliases, ", ") + `
security.protocol = SASL_PLAINTEXT
sasl.mechanism = PLAIN
emit.heartbeats.enabled = false
offset.flush.interval.ms = 1000
offset.storage.partitions = 1
status.storage.partitions = 1
refresh.topics.interval.seconds = 1
sync.topic.configs.interval.seconds = 1
sync.topic.acls.interval.seconds = 1
emit.checkpoints.interval.seconds = 1
sync.group.offsets.interval.seconds = 1
` + lines
}

// prepare makes the topics of a flow and grants what it needs, but for what it lacks.
func (p guardedPair) prepare(f guardedFlow) {
	older, newer := f.topics()
	p.source.CreateTopic(older, 2, map[string]string{"retention.ms": "-1"})
	p.source.CreateTopic(newer, 1, map[string]string{"retention.ms": "-1"}) // records are of the past
	p.target.CreateTopic(f.source()+"."+older, 1, nil)
	p.source.Produce(older, keyed("old", 2, 0, 20)...)
	p.source.Produce(newer, keyed("new", 1, 0, 5)...)
	p.source.CommitOffset(f.group(), newer, 0, 5)
	if f.lacks != nil && strings.HasSuffix(f.lacks.name, ".checkpoints.internal") {
		topic := f.real(*f.lacks)[0].name // what is empty is not read
		p.target.CreateTopic(topic, 1, map[string]string{"cleanup.policy": "compact"})
		p.target.Produce(topic, kafkatest.Record{Key: []byte("no"), Value: []byte("checkpoint")})
	}
	for user, rows := range map[string][]documentedRight{"ann": p.onSource, "bob": p.onTarget} {
		for _, row := range rows {
			if (f.lacks == nil || user != f.user || row != *f.lacks) && !slices.Contains(f.off, row.setting) {
				p.of(user).allow(fmt.Sprint(user, f.number), f.real(row)...)
			}
		}
	}
}

// of is the cluster of a user.
func (p guardedPair) of(user string) *guarded {
	if user == "ann" {
		return p.source
	}
	return p.target
}

// awaitCopies waits until all that a flow mirrors has arrived, and compares it.
func (p guardedPair) awaitCopies(t *testing.T, f guardedFlow) {
	t.Helper()
	older, newer := f.topics()
	for topic, records := range map[string]int{older: 20, newer: 5} {
		remote := f.source() + "." + topic
		kafkatest.Await(t, patience, "the copy "+remote, func() (bool, string) {
			if !slices.Contains(p.target.Topics(), remote) {
				return false, "it does not exist"
			}
			sum := 0 // of what is committed: ends count open transactions, too
			for _, partition := range p.target.ReadTopic(remote, kafkatest.ReadCommitted) {
				sum += len(partition)
			}
			return sum >= records, fmt.Sprint(sum)
		})
		compareByClient(t, p.source.Client, topic, p.target.Client, remote)
	}
}

func (p guardedPair) awaitComplaint(t *testing.T, w *worker, f guardedFlow) {
	t.Helper()
	awaitComplaint(t, w, fmt.Sprint(f.user, f.number), f.real(*f.lacks)[0])
}

// Many flows from one broker to another, each with a user for each side that has exactly the documented permissions, or
// all but one of them.
func TestTheDocumentedPermissionsOfAMirrorAreEnoughAndEachLackIsNamed(t *testing.T) {
	realkafka.Require(t)
	all := documentedPermissions(t)
	mirrorRights(t, guardedPair{
		startGuarded(t, "source", "ann"), startGuarded(t, "target", "bob"),
		of(t, all, "On A, the principal of `A.…`:"), of(t, all, "On B, the principal of `B.…`:"),
	})
}

func mirrorRights(t *testing.T, p guardedPair) {
	number := 0
	add := func(f guardedFlow) guardedFlow {
		f.number = number
		number++
		return f
	}
	var settings []string
	for _, row := range slices.Concat(p.onSource, p.onTarget) {
		if row.setting != "" && !slices.Contains(settings, row.setting) {
			settings = append(settings, row.setting)
		}
	}
	atLeastOnce, inTransactions := []string{exactlyOnce}, "TARGET."+exactlyOnce+" = enabled\n"
	whole := []guardedFlow{
		add(guardedFlow{off: atLeastOnce}),
		add(guardedFlow{off: settings}),
		add(guardedFlow{more: inTransactions}),
		add(guardedFlow{off: atLeastOnce, more: "FLOW.replication.mode = batch\n"}),
		add(guardedFlow{off: atLeastOnce, more: "FLOW.raw.batches = false\n"}),
	}
	var lacking, alone, first []guardedFlow
	for user, rows := range map[string][]documentedRight{"ann": p.onSource, "bob": p.onTarget} {
		for _, row := range rows {
			f := guardedFlow{lacks: &row, user: user, off: atLeastOnce}
			if row.setting == exactlyOnce {
				f.off, f.more = nil, inTransactions
			}
			// What another row grants as well does not lack: that row's setting is off then.
			for _, other := range rows {
				if other != row && other.prefix && other.kind == row.kind && other.needs == row.needs && strings.HasPrefix(row.name, other.name) {
					f.off = append(slices.Clone(f.off), other.setting)
				}
			}
			f = add(f)
			switch {
			case row.name == "heartbeats" && row.needs == "Create":
				first = append(first, f) // before another flow makes the topic
			case strings.HasPrefix(row.name, "mm2-") && strings.HasSuffix(row.name, ".A.internal"):
				alone = append(alone, f) // a process that lacks one of its own topics ends
			default:
				lacking = append(lacking, f)
			}
		}
	}
	sideBySide(t, slices.Concat(whole, lacking, alone, first), func(_ *testing.T, f guardedFlow) { p.prepare(f) })

	w := startMaker(t, p.file(first...))
	for _, f := range first {
		p.awaitComplaint(t, w, f)
	}
	w.stop()

	w = startMaker(t, p.file(whole...))
	for _, f := range whole {
		p.awaitCopies(t, f)
		if !slices.Contains(f.off, "sync.group.offsets.enabled") && !strings.Contains(f.more, "batch") {
			_, newer := f.topics()
			kafkatest.Await(t, patience, "the group's offsets on the target", func() (bool, string) {
				committed := p.target.CommittedOffsets(f.group())
				return committed[f.source()+"."+newer][0] > 0, fmt.Sprint(committed)
			})
		}
	}
	w.stop()
	if said := complaints(w.Log()); strings.Contains(strings.Join(said, "\n"), "not allowed") {
		t.Errorf("with all permissions:\n%s", strings.Join(said, "\n"))
	}

	w = startMaker(t, p.file(lacking...))
	for _, f := range lacking {
		p.awaitComplaint(t, w, f)
	}
	for _, f := range lacking {
		p.of(f.user).allow(fmt.Sprint(f.user, f.number), f.real(*f.lacks)...)
	}
	for _, f := range lacking {
		p.awaitCopies(t, f)
	}
	w.stop()

	sideBySide(t, alone, func(t *testing.T, f guardedFlow) {
		w := startMaker(t, p.file(f))
		p.awaitComplaint(t, w, f)
		_ = w.Terminate(patience)
	})
}

// sideBySide runs something for each item, a few at a time.
func sideBySide[T any](t *testing.T, items []T, run func(*testing.T, T)) {
	t.Helper()
	var running sync.WaitGroup
	slots := make(chan struct{}, 5)
	for _, item := range items {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			run(t, item)
		})
	}
	running.Wait()
}

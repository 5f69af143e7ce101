package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// A check on clusters with ACLs names what is missing, and leaves both clusters as they were.
func TestCheckNamesMissingPermissionsAndChangesNothing(t *testing.T) {
	realkafka.Require(t)
	guarded := func(name string) *realkafka.Cluster {
		return realkafka.StartCluster(t, realkafka.Options{
			Name: name, JVM: []string{quickJVM},
			Extra: map[string]string{
				"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"super.users":           "User:ANONYMOUS",
			},
			Listeners: []realkafka.Listener{{
				Name: "SECURE", Protocol: "SASL_PLAINTEXT",
				Properties: map[string]string{
					"sasl.enabled.mechanisms": "PLAIN",
					"plain.sasl.jaas.config":  plainModule + ` required user_ann="right" user_bob="right";`,
				},
			}},
		})
	}
	west, east := guarded("west"), guarded("east")
	src, dst := kafkatest.Dial(t, west.Bootstrap()), kafkatest.Dial(t, east.Bootstrap())
	src.CreateTopic("orders", 1, anyTime)
	src.CreateTopic("secret", 1, anyTime)
	src.Produce("orders", keyed("orders", 1, 0, 20)...)
	src.CommitOffset("readers", "orders", 0, 20)
	src.CommitOffset("others", "secret", 0, 0)
	file := strings.NewReplacer("WEST", west.BootstrapOf("SECURE"), "EAST", east.BootstrapOf("SECURE"), "ANN", login(plainModule, "ann", "right"), "BOB", login(plainModule, "bob", "right")).Replace(`
clusters = west, east
west.bootstrap.servers = WEST
east.bootstrap.servers = EAST
security.protocol = SASL_PLAINTEXT
sasl.mechanism = PLAIN
west.sasl.jaas.config = ANN
east.sasl.jaas.config = BOB
east->west.emit.heartbeats.enabled = false
west->east.enabled = true
west->east.topics = orders
west->east.groups = readers, others
west->east.sync.group.offsets.enabled = true
`)
	// Until it is granted anything, the mirror may do nothing. There is no topic of offsets on the target yet, and none
	// must come into being.
	before := [2][]string{snapshot(t, src), snapshot(t, dst)}
	code, report := check(t, file)
	if code == 0 {
		t.Errorf("the check ended with 0 although nothing is allowed")
	}
	requireLines(t, report, "Topics to mirror: 0", []string{
		"cluster east: ALTER on the cluster, to copy ACLs (sync.topic.acls.enabled)",
		"cluster east: CREATE on topic heartbeats, which cannot be seen, for heartbeats (emit.heartbeats.enabled)",
		"cluster east: CREATE on topic mm2-configs.west.internal, which cannot be seen, for the state of the workers",
		"cluster east: CREATE on topic mm2-offsets.west.internal, which cannot be seen, for the state of the workers",
		"cluster east: CREATE on topic mm2-status.west.internal, which cannot be seen, for the state of the workers",
		"cluster east: CREATE on topic west.checkpoints.internal, which cannot be seen, for checkpoints",
		"cluster east: READ on group others, to commit translated positions (sync.group.offsets.enabled)",
		"cluster east: READ on group readers, to commit translated positions (sync.group.offsets.enabled)",
		"cluster east: READ on group west-mm2, to join the group of workers",
		"cluster west: CREATE on topic mm2-offset-syncs.east.internal, which cannot be seen, for offset syncs",
		"cluster west: DESCRIBE on group others, to translate its positions",
		"cluster west: DESCRIBE on group readers, to translate its positions",
		"cluster west: DESCRIBE on the cluster, to read ACLs (sync.topic.acls.enabled)",
		"cluster west: READ on topic orders, to mirror it",
	})
	after := [2][]string{snapshot(t, src), snapshot(t, dst)}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the check has changed a cluster (-before +after):\n%s", diff)
	}

	// With all that docs/permissions.md lists, nothing is missing; Create on a prefix is enough.
	for _, p := range append(mirrorPermissions(), permission{"ann", "group", "others", kmsg.ACLOperationDescribe}) {
		client := src
		if p.user == "bob" {
			client = dst
		}
		grantOn(t, client, p)
	}
	before = [2][]string{snapshot(t, src), snapshot(t, dst)}
	code, report = check(t, file)
	if code != 0 {
		t.Errorf("the check ended with %d although all is allowed:\n%s", code, report)
	}
	requireLines(t, report, "Topics to mirror: 1\n    orders\n  Consumer groups to translate: 1\n    readers\n", nil)
	if diff := cmp.Diff(before, [2][]string{snapshot(t, src), snapshot(t, dst)}); diff != "" {
		t.Errorf("the check has changed a cluster (-before +after):\n%s", diff)
	}

	// Of groups and of topics that are there, each lack is named.
	w := startMaker(t, file)
	awaitCopy(t, src, dst, "orders", "west.orders")
	w.awaitRunning("MirrorCheckpointConnector", 1)
	dst.AwaitTopic("west.checkpoints.internal", patience)
	w.stop()
	const read, write, describe, alter = kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationAlter
	for _, p := range []permission{
		{"ann", "group", "readers", describe}, {"ann", "topic", "mm2-offset-syncs.east.internal", write},
		{"bob", "group", "readers", read}, {"bob", "group", "west-mm2", read}, {"bob", "topics", "west.", alter},
		{"bob", "topic", "mm2-status.west.internal", read}, {"bob", "topic", "heartbeats", write},
	} {
		client := src
		if p.user == "bob" {
			client = dst
		}
		revokeOn(t, client, p)
	}
	before = [2][]string{snapshot(t, src), snapshot(t, dst)}
	code, report = check(t, file)
	if code == 0 {
		t.Errorf("the check ended with 0 although permissions are missing")
	}
	requireLines(t, report, "Consumer groups to translate: 1\n    readers\n", []string{
		"cluster east: ALTER on topic west.orders, to add partitions as the source does",
		"cluster east: READ on group readers, to commit translated positions (sync.group.offsets.enabled)",
		"cluster east: READ on group west-mm2, to join the group of workers",
		"cluster east: READ on topic mm2-status.west.internal, for the state of the workers",
		"cluster east: WRITE on topic heartbeats, for heartbeats (emit.heartbeats.enabled)",
		"cluster west: DESCRIBE on group readers, to translate its positions",
		"cluster west: WRITE on topic mm2-offset-syncs.east.internal, for offset syncs",
	})
	if diff := cmp.Diff(before, [2][]string{snapshot(t, src), snapshot(t, dst)}); diff != "" {
		t.Errorf("the check has changed a cluster (-before +after):\n%s", diff)
	}
}

// check runs connect-mirror-maker FILE --check and gives its exit code and report.
func check(t *testing.T, file string) (code int, report string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "mm2.properties")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	p := realkafka.StartProcess(t, "connect-mirror-maker", []string{filepath.Join(binaries, "connect-mirror-maker"), path, "--check"}, nil, dir)
	if err := p.Wait(patience); err != nil {
		t.Fatal(err)
	}
	return p.ExitCode(), p.Log()
}

// requireLines wants a text in the report, and the missing permissions to be exactly these.
func requireLines(t *testing.T, report, text string, missing []string) {
	t.Helper()
	if !strings.Contains(report, text) {
		t.Errorf("the report lacks %q:\n%s", text, report)
	}
	var got []string
	_, rest, _ := strings.Cut(report, "  Missing permissions: ")
	for _, line := range strings.Split(rest, "\n")[1:] {
		permission, ok := strings.CutPrefix(line, "    cluster ")
		if !ok {
			break
		}
		got = append(got, "cluster "+permission)
	}
	if diff := cmp.Diff(missing, got); diff != "" {
		t.Errorf("missing permissions (-want +got):\n%s", diff)
	}
}

// snapshot is all that a check could change on a cluster: topics, their settings, how far each partition reaches,
// groups with their positions, ACLs.
func snapshot(t *testing.T, client *kafkatest.Client) []string {
	t.Helper()
	var lines []string
	for _, topic := range client.Topics() {
		lines = append(lines, fmt.Sprintf("topic %s %v %v", topic, client.TopicOverrides(topic), client.Offsets(topic)))
	}
	groups, err := client.Admin().ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Sorted() {
		lines = append(lines, fmt.Sprintf("group %s %s %v", group.Group, group.State, client.CommittedOffsets(group.Group)))
	}
	all := kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().ResourcePatternType(kmsg.ACLResourcePatternTypeAny).Operations(kmsg.ACLOperationAny)
	acls, err := client.Admin().DescribeACLs(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range acls {
		for _, acl := range found.Described {
			lines = append(lines, fmt.Sprintf("acl %+v", acl))
		}
	}
	slices.Sort(lines)
	return lines
}

func grantOn(t *testing.T, client *kafkatest.Client, p permission) {
	t.Helper()
	results, err := client.Admin().CreateACLs(t.Context(), p.acl())
	if err != nil || len(results) != 1 || results[0].Err != nil {
		t.Fatalf("grant %s: %+v, %v", p, results, err)
	}
	awaitACL(t, client, p, true)
}

func revokeOn(t *testing.T, client *kafkatest.Client, p permission) {
	t.Helper()
	results, err := client.Admin().DeleteACLs(t.Context(), p.acl())
	if err != nil || len(results) != 1 || results[0].Err != nil || len(results[0].Deleted) != 1 {
		t.Fatalf("revoke %s: %+v, %v", p, results, err)
	}
	awaitACL(t, client, p, false)
}

// awaitACL waits until the broker knows of a change.
func awaitACL(t *testing.T, client *kafkatest.Client, p permission, granted bool) {
	t.Helper()
	kafkatest.Await(t, patience, "the broker to know of "+p.String(), func() (bool, string) {
		found, err := client.Admin().DescribeACLs(t.Context(), p.acl())
		return err == nil && len(found) == 1 && found[0].Err == nil && (len(found[0].Described) > 0) == granted, fmt.Sprint(found, err)
	})
}

// permission is one line of docs/permissions.md.
type permission struct {
	user, kind, resource string // kind is topic, topics (a prefix), group or cluster
	operation            kmsg.ACLOperation
}

func (p permission) String() string {
	return fmt.Sprintf("%s on %s %s for %s", p.operation, p.kind, p.resource, p.user)
}

func (p permission) acl() *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow("User:" + p.user).AllowHosts().Operations(p.operation).ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral)
	switch p.kind {
	case "topic":
		return b.Topics(p.resource)
	case "topics":
		return b.Topics(p.resource).ResourcePatternType(kmsg.ACLResourcePatternTypePrefixed)
	case "group":
		return b.Groups(p.resource)
	}
	return b.Clusters()
}

// mirrorPermissions are those of docs/permissions.md for the flow west->east, whose source is used by ann and whose
// target by bob.
func mirrorPermissions() (all []permission) {
	add := func(user, kind, resource string, operations ...kmsg.ACLOperation) {
		for _, o := range operations {
			all = append(all, permission{user, kind, resource, o})
		}
	}
	const (
		read, write, create, alter = kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationAlter
		describe                   = kmsg.ACLOperationDescribe
		describeConfigs            = kmsg.ACLOperationDescribeConfigs
		alterConfigs               = kmsg.ACLOperationAlterConfigs
	)
	add("ann", "topic", "orders", read, describeConfigs)
	add("ann", "topic", "mm2-offset-syncs.east.internal", create, read, write)
	add("ann", "group", "readers", describe)
	add("ann", "cluster", "", describe)
	add("bob", "topics", "west.", create, read, write, alter, alterConfigs)
	add("bob", "group", "readers", read)
	add("bob", "cluster", "", alter)
	add("bob", "topic", "heartbeats", create, write)
	for _, topic := range []string{"configs", "offsets", "status"} {
		add("bob", "topic", "mm2-"+topic+".west.internal", create, read, write)
	}
	add("bob", "group", "west-mm2", read)
	return all
}

package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

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

// complaintsAtOnce are permissions that are missed as soon as a mirror starts, with what is said. Reading the mirrored
// topics is not among them: a checkpoints topic that is still empty is not read.
func complaintsAtOnce() map[permission]string {
	const (
		internal = ".west.internal"
		read     = kmsg.ACLOperationRead
		write    = kmsg.ACLOperationWrite
		describe = kmsg.ACLOperationDescribe
	)
	return map[permission]string{
		{"ann", "topic", "orders", read}:                         `not allowed to read: no rights on the topic "orders"`,
		{"ann", "topic", "mm2-offset-syncs.east.internal", read}: `not allowed to read: no rights on the topic "mm2-offset-syncs.east.internal"`,
		{"ann", "group", "readers", describe}:                    `listing the offsets of the group readers`,
		{"ann", "cluster", "", describe}:                         `not allowed to describe ACLs: no rights on the cluster`,
		{"bob", "group", "readers", read}:                        `no rights on the group "readers"`,
		{"bob", "topic", "mm2-configs" + internal, read}:         `not allowed to read: no rights on the topic "mm2-configs.west.internal"`,
		{"bob", "topic", "mm2-offsets" + internal, read}:         `not allowed to read: no rights on the topic "mm2-offsets.west.internal"`,
		{"bob", "topic", "mm2-status" + internal, read}:          `not allowed to read: no rights on the topic "mm2-status.west.internal"`,
		{"bob", "topic", "mm2-status" + internal, write}:         `not allowed to write: no rights on the topic "mm2-status.west.internal"`,
		{"bob", "group", "west-mm2", read}:                       `not allowed to join: no rights on the group "west-mm2"`,
	}
}

// One cluster is source and target, with a user for each side.
func TestTheDocumentedPermissionsAreEnoughAndALackIsNamed(t *testing.T) {
	realkafka.Require(t)
	cluster := realkafka.StartCluster(t, realkafka.Options{
		JVM: []string{quickJVM},
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
	client := kafkatest.Dial(t, cluster.Bootstrap())
	client.CreateTopic("orders", 1, anyTime)
	client.Produce("orders", keyed("orders", 1, 0, 20)...)
	client.CommitOffset("readers", "orders", 0, 20)
	// settled waits until the broker knows of a change: only then do its answers follow it.
	settled := func(p permission, granted bool) {
		t.Helper()
		kafkatest.Await(t, patience, "the broker to know of "+p.String(), func() (bool, string) {
			found, err := client.Admin().DescribeACLs(t.Context(), p.acl())
			return err == nil && len(found) == 1 && found[0].Err == nil && (len(found[0].Described) > 0) == granted, fmt.Sprint(found, err)
		})
	}
	grant := func(p permission) {
		t.Helper()
		results, err := client.Admin().CreateACLs(t.Context(), p.acl())
		if err != nil || len(results) != 1 || results[0].Err != nil {
			t.Fatalf("grant %s: %+v, %v", p, results, err)
		}
		settled(p, true)
	}
	revoke := func(p permission) {
		t.Helper()
		results, err := client.Admin().DeleteACLs(t.Context(), p.acl())
		if err != nil || len(results) != 1 || results[0].Err != nil || len(results[0].Deleted) != 1 {
			t.Fatalf("revoke %s: %+v, %v", p, results, err)
		}
		settled(p, false)
	}
	permissions, atOnce := mirrorPermissions(), complaintsAtOnce()
	for _, p := range permissions {
		grant(p)
	}
	file := strings.NewReplacer("CLUSTER", cluster.BootstrapOf("SECURE"), "ANN", login(plainModule, "ann", "right"), "BOB", login(plainModule, "bob", "right")).Replace(`
clusters = west, east
west.bootstrap.servers = CLUSTER
east.bootstrap.servers = CLUSTER
security.protocol = SASL_PLAINTEXT
sasl.mechanism = PLAIN
west.sasl.jaas.config = ANN
east.sasl.jaas.config = BOB
east->west.emit.heartbeats.enabled = false
west->east.enabled = true
west->east.topics = orders
west->east.groups = readers
west->east.sync.group.offsets.enabled = true
refresh.topics.interval.seconds = 1
sync.topic.configs.interval.seconds = 1
emit.checkpoints.interval.seconds = 1
sync.group.offsets.interval.seconds = 1
`)
	w := startMaker(t, file)
	kafkatest.Await(t, patience, "the mirror", func() (bool, string) {
		_, sum := ends(client, "west.orders")
		return sum == 20, fmt.Sprint(sum)
	})
	kafkatest.CompareTopic(t, cluster.Bootstrap(), "orders", cluster.Bootstrap(), "west.orders")
	for _, connector := range []string{"MirrorSourceConnector", "MirrorCheckpointConnector", "MirrorHeartbeatConnector"} {
		w.awaitRunning(connector, 1)
	}
	w.stop()
	if strings.Contains(w.Log(), "not allowed") {
		t.Errorf("with all permissions:\n%s", strings.Join(complaints(w.Log()), "\n"))
	}

	// What a start asks for at once is taken away, one permission at a time.
	for _, p := range permissions {
		says := atOnce[p]
		if says == "" {
			continue
		}
		revoke(p)
		w := startMaker(t, file)
		kafkatest.Await(t, patience, "the complaint about the lack of "+p.String(), func() (bool, string) {
			said := complaints(w.Log())
			return slices.ContainsFunc(said, func(line string) bool {
				line = strings.ReplaceAll(line, `\"`, `"`)
				return strings.Contains(line, says) && strings.Contains(line, "the user "+p.user)
			}), strings.Join(said, "\n")
		})
		_ = w.Terminate(patience) // a worker without its topics ends by itself, with an error
		grant(p)
		delete(atOnce, p)
	}
	for p := range atOnce {
		t.Errorf("%s is not among the permissions", p)
	}
}

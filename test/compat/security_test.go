package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// One cluster is source and target here: as source over the plain listener, where everybody is a superuser, as
// target over SASL, where user ann may do only what is granted to her.
func TestCredentialsAndPermissionsOfTheTarget(t *testing.T) {
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
				"plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="right";`,
			},
		}},
	})
	client := kafkatest.Dial(t, cluster.Bootstrap())
	client.CreateTopic("orders", 1, anyTime)
	client.Produce("orders", keyed("orders", 1, 0, 20)...)
	grant := func(b *kadm.ACLBuilder) {
		t.Helper()
		results, err := client.Admin().CreateACLs(t.Context(), b.Allow("User:ann").AllowHosts())
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			if result.Err != nil {
				t.Fatalf("grant %+v: %v", result, result.Err)
			}
		}
	}
	prefixed := func(operations ...kmsg.ACLOperation) *kadm.ACLBuilder {
		return kadm.NewACLs().ResourcePatternType(kmsg.ACLResourcePatternTypePrefixed).Operations(operations...)
	}
	grant(prefixed(kmsg.ACLOperationAll).Topics("mm2-", "heartbeats", "open.checkpoints").Groups("open-mm2"))
	grant(kadm.NewACLs().Clusters().Operations(kmsg.ACLOperationDescribe).ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral))

	file := func(password string) string {
		return strings.NewReplacer("OPEN", cluster.Bootstrap(), "GUARDED", cluster.BootstrapOf("SECURE"), "PASSWORD", password).Replace(`
clusters = open, guarded
open.bootstrap.servers = OPEN
guarded.bootstrap.servers = GUARDED
guarded.security.protocol = SASL_PLAINTEXT
guarded.sasl.mechanism = PLAIN
guarded.sasl.jaas.config = org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" password="PASSWORD";
guarded->open.emit.heartbeats.enabled = false
open->guarded.enabled = true
open->guarded.topics = orders
`)
	}

	t.Run("wrong credentials are named and not shown", func(t *testing.T) {
		w := start(t, "connect-mirror-maker", "mm2.properties", file("mistaken"))
		line := w.WaitLog(regexp.MustCompile(`.*(?i:authenticat|credentials).*`), patience)[0]
		for _, wanted := range []string{cluster.BootstrapOf("SECURE"), "sasl.jaas.config", "refuses the login"} {
			if !strings.Contains(line, wanted) {
				t.Errorf("the message %q does not name %s", line, wanted)
			}
		}
		w.stop()
		if strings.Contains(w.Log(), "mistaken") {
			t.Error("the log shows the password")
		}
		if said := complaints(w.Log()); len(said) > 3 {
			t.Errorf("%d complaints about one thing:\n%s", len(said), strings.Join(said, "\n"))
		}
	})

	t.Run("a missing permission is named, and work goes on once it is granted", func(t *testing.T) {
		w := startMaker(t, file("right"))
		line := w.WaitLog(regexp.MustCompile(`.*WARN .*open\.orders.*`), patience)[0]
		for _, wanted := range []string{"open.orders", "create topic", "the user ann"} {
			if !strings.Contains(line, wanted) {
				t.Errorf("the message %q does not name %q", line, wanted)
			}
		}
		if slices.Contains(client.Topics(), "open.orders") {
			t.Error("the topic was created all the same")
		}
		w.awaitRunning("MirrorSourceConnector", 0)

		grant(prefixed(kmsg.ACLOperationCreate, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe).Topics("open."))
		kafkatest.Await(t, patience, "the mirror", func() (bool, string) {
			_, sum := ends(client, "open.orders")
			return sum == 20, fmt.Sprint(sum)
		})
		kafkatest.CompareTopic(t, cluster.Bootstrap(), "orders", cluster.Bootstrap(), "open.orders")
		if said := strings.Count(strings.Join(complaints(w.Log()), "\n"), "remote_topic=open.orders "); said != 1 {
			t.Errorf("the refusal was said %d times, want once", said)
		}
		w.stop()
	})
}

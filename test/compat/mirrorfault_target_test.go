package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
)

// ann is the keys with which clients of that prefix log in as ann.
func ann(prefix, bootstrap string) map[string]string {
	return map[string]string{
		prefix + "bootstrap.servers": bootstrap, prefix + "security.protocol": "SASL_PLAINTEXT", prefix + "sasl.mechanism": "PLAIN",
		prefix + "sasl.jaas.config": login(plainModule, "ann", "right"),
	}
}

// rule makes ACLs for a user, and waits until the broker follows them; the function returned takes them back.
func rule(t *testing.T, client *kafkatest.Client, acl *kadm.ACLBuilder) (undo func()) {
	t.Helper()
	acl = acl.ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral)
	settled := func(there bool) {
		kafkatest.Await(t, patience, "the broker to know of an ACL", func() (bool, string) {
			found, err := client.Admin().DescribeACLs(t.Context(), acl)
			return err == nil && !slices.ContainsFunc(found, func(r kadm.DescribeACLsResult) bool { return r.Err != nil || (len(r.Described) > 0) != there }), fmt.Sprint(found, err)
		})
	}
	created, err := client.Admin().CreateACLs(t.Context(), acl)
	if err != nil || slices.ContainsFunc(created, func(r kadm.CreateACLsResult) bool { return r.Err != nil }) {
		t.Fatalf("create ACLs: %+v, %v", created, err)
	}
	settled(true)
	return func() {
		t.Helper()
		if _, err := client.Admin().DeleteACLs(t.Context(), acl); err != nil {
			t.Fatal(err)
		}
		settled(false)
	}
}

// annMay allows ann everything on a cluster; what is denied counts all the same.
func annMay(t *testing.T, client *kafkatest.Client) {
	t.Helper()
	rule(t, client, kadm.NewACLs().Allow("User:ann").AllowHosts().Operations(kmsg.ACLOperationAll).Topics("*").Groups("*").Clusters())
}

func annMayNot(t *testing.T, client *kafkatest.Client, operation kmsg.ACLOperation, topics ...string) (undo func()) {
	t.Helper()
	return rule(t, client, kadm.NewACLs().Deny("User:ann").DenyHosts().Operations(operation).Topics(topics...))
}

// rightsAreMissing: a topic that must not be read, and one whose copy must not be written to, wait for the rights, and
// no other does.
func rightsAreMissing(t *testing.T, f *faults) {
	for _, topic := range []string{"open", "unreadable", "unwritable"} {
		f.src.CreateTopic(topic, 1, nil)
		f.write(topic, 0, "0")
	}
	annMay(t, f.src)
	annMay(t, f.dst)
	var names, copies []string
	for lane := range lanes {
		names = append(names, lane+"-rights")
		copies = append(copies, lane+"-rights.unwritable")
	}
	mayRead := annMayNot(t, f.src, kmsg.ACLOperationRead, "unreadable")
	mayWrite := annMayNot(t, f.dst, kmsg.ACLOperationWrite, copies...)
	for lane, keys := range lanes {
		f.mirror(lane+"-rights", "open,unreadable,unwritable", keys,
			ann("source.cluster.", f.p.source.BootstrapOf("SECURE")), ann("producer.override.", f.p.target.BootstrapOf("SECURE")))
	}
	for _, name := range names {
		f.awaitValues(name+".open", 0, "0")
		f.awaitRow(name, "unreadable", 0, "the missing right to read", func(r api.ReplicatedPartition) bool {
			return strings.Contains(r.LastError, `ann is not allowed to read: no rights on the topic "unreadable"`)
		})
		f.awaitRow(name, "unwritable", 0, "the missing right to write", func(r api.ReplicatedPartition) bool {
			return r.Stopped && strings.Contains(r.LastError, fmt.Sprintf(`ann is not allowed to write: no rights on the topic %q`, name+".unwritable")) && *r.MirroredUpTo == 0
		})
		f.awaitMetric("stuck_partitions", name, 2)
	}
	f.write("open", 0, "1")
	for _, name := range names {
		f.awaitValues(name+".open", 0, "0", "1")
	}
	mayRead()
	mayWrite()
	for _, name := range names {
		for _, topic := range []string{"unreadable", "unwritable"} {
			f.awaitValues(name+"."+topic, 0, "0")
			f.awaitRow(name, topic, 0, "no lag", even(1))
		}
		f.awaitMetric("stuck_partitions", name, 0)
	}
}

// targetTopicsAreNotAsTheyWere: a copy that is deleted is made anew, and filled anew if refill.on.target.loss says so;
// one with fewer partitions is grown; one with more is left as it is, and that is said.
func targetTopicsAreNotAsTheyWere(t *testing.T, f *faults) {
	f.src.CreateTopic("gone", 2, map[string]string{"retention.ms": "-1"})
	f.src.CreateTopic("few", 3, nil)
	f.src.CreateTopic("many", 1, nil)
	f.write("gone", 0, "0", "1")
	f.write("gone", 1, "a")
	for partition := range int32(3) {
		f.write("few", partition, "0")
	}
	f.write("many", 0, "0")
	refills := map[string]bool{}
	for lane, keys := range lanes {
		for _, refill := range []bool{false, true} {
			name := fmt.Sprintf("%s-refill-%t", lane, refill)
			refills[name] = refill
			f.dst.CreateTopic(name+".few", 1, nil)
			f.dst.CreateTopic(name+".many", 3, nil)
			f.mirror(name, "gone,few,many", keys, map[string]string{"refill.on.target.loss": fmt.Sprint(refill)})
		}
	}
	for name := range refills {
		f.awaitValues(name+".gone", 0, "0", "1")
		f.awaitValues(name+".gone", 1, "a")
		for partition := range int32(3) {
			f.awaitValues(name+".few", partition, "0")
		}
		f.awaitLine("INFO", "["+name+"]", "Added partitions to a remote topic", "topic="+name+".few", "partitions=3", "before=1")
		f.awaitValues(name+".many", 0, "0")
		f.awaitLine("WARN", "["+name+"]", "The remote topic has more partitions than its source topic", "topic=many")
		f.awaitPage(name, "the surplus", func(p api.Replication) bool {
			return slices.ContainsFunc(p.Troubles, func(text string) bool {
				return strings.Contains(text, "The remote topic "+name+".many has 2 partitions more than its source topic")
			})
		})
		f.awaitMetric("surplus_partitions", name, 2)
		if n := f.dst.Partitions(name + ".many"); n != 3 {
			t.Errorf("%s.many has %d partitions now, want the 3 that it had", name, n)
		}
	}
	if _, err := f.src.Admin().UpdatePartitions(t.Context(), 4, "few"); err != nil {
		t.Fatal(err)
	}
	f.src.AwaitTopic("few", patience)
	f.src = kafkatest.Dial(t, f.p.source.Bootstrap())
	f.write("few", 3, "0")
	for name := range refills {
		f.awaitValues(name+".few", 3, "0")
		f.dst.DeleteTopic(name + ".gone")
	}
	for name, refill := range refills {
		f.awaitLine("WARN", "["+name+"]", "A remote topic was deleted and made anew", "topic=gone", fmt.Sprintf("refill.on.target.loss=%t", refill))
		kafkatest.Await(t, patience, name+".gone to be as it was", func() (bool, string) {
			if !slices.Contains(f.dst.Topics(), name+".gone") {
				return false, "not there"
			}
			got := f.dst.TopicOverrides(name + ".gone")
			return f.dst.Partitions(name+".gone") == 2 && got["retention.ms"] == "-1", fmt.Sprint(got)
		})
		if refill {
			kafkatest.Await(t, patience, name+".gone to be filled", func() (bool, string) {
				got := f.values(name+".gone", 0)
				return len(got) > 0 && got[len(got)-1] == "1", fmt.Sprintf("%q", got)
			})
		}
	}
	f.write("gone", 0, "2")
	f.write("gone", 1, "b")
	for name, refill := range refills {
		want := map[int32][]string{0: {"2"}, 1: {"b"}}
		if refill {
			want = map[int32][]string{0: {"0", "1", "2"}, 1: {"a", "b"}}
		}
		for partition, values := range want {
			f.awaitValues(name+".gone", partition, values...)
		}
		f.awaitRow(name, "gone", 0, "no lag", even(3))
	}
}

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

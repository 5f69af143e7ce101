package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
)

// settingsAreCarriedByDifference: the configuration of copies and their ACLs follow the source's, only what differs is
// sent, what the target refuses is drift and holds up nothing else.
func settingsAreCarriedByDifference(t *testing.T, f *faults) {
	own := map[string]string{"retention.ms": "1000000", "message.timestamp.after.max.ms": "3600000", "message.timestamp.before.max.ms": "9000000000"}
	for _, topic := range []string{"set", "set-denied", "set-last"} {
		f.src.CreateTopic(topic, 1, own)
	}
	annMay(t, f.dst)
	allow := annMayNot(t, f.dst, kmsg.ACLOperationAlterConfigs, "settings.set-denied")
	rule(t, f.src, kadm.NewACLs().Allow("User:bob").AllowHosts().Operations(kmsg.ACLOperationRead, kmsg.ACLOperationWrite).Topics("set"))
	const each = "1"
	f.mirror("settings", "set.*", ann("target.cluster.", f.p.target.BootstrapOf("SECURE")), map[string]string{
		"sync.topic.configs.interval.seconds": each, "sync.topic.acls.interval.seconds": each,
	})
	// What a copy is made with.
	carried := func(topic, retention string) {
		t.Helper()
		kafkatest.Await(t, patience, "the configuration of settings."+topic, func() (bool, string) {
			if !slices.Contains(f.dst.Topics(), "settings."+topic) {
				return false, "no topic"
			}
			got := f.dst.TopicOverrides("settings." + topic)
			return maps.Equal(got, map[string]string{"retention.ms": retention}), fmt.Sprint(got)
		})
	}
	for _, topic := range []string{"set", "set-denied", "set-last"} {
		carried(topic, "1000000")
	}
	for _, topic := range []string{"set", "set-denied", "set-last"} {
		f.retain(topic, "2000000")
	}
	carried("set", "2000000")
	carried("set-last", "2000000")
	carried("set-denied", "1000000")
	f.awaitMetric("config_drift", "settings", 1)
	f.awaitPage("settings", "the drift", func(p api.Replication) bool {
		return slices.ContainsFunc(p.Troubles, func(text string) bool {
			return strings.HasPrefix(text, "1 topic properties and 0 ACLs of the source could not be carried over")
		})
	})
	f.awaitLine("WARN", "[settings]", "The configuration of a topic could not be carried over", "topic=set-denied", "not allowed to")
	// By the time that the next change is carried over, several rounds have sent nothing for the others.
	f.retain("set-last", "3000000")
	carried("set-last", "3000000")
	f.retain("set-last", "4000000")
	carried("set-last", "4000000")
	said := f.lines("[settings]", "Carried topic configuration over", "topic=settings.set ")
	if len(said) != 1 || !strings.Contains(said[0], "[retention.ms]") {
		t.Errorf("what was sent for settings.set is\n%s\nwant retention.ms, once", strings.Join(said, ""))
	}
	allow()
	carried("set-denied", "2000000")
	f.awaitMetric("config_drift", "settings", 0)
	f.awaitPage("settings", "no drift", func(p api.Replication) bool { return len(p.Troubles) == 0 })

	wantACLs(t, f.dst, "bob", "Read settings.set")
	if said := f.lines("[settings]", "Carried ACLs over"); len(said) != 1 || !strings.Contains(said[0], "created=1") {
		t.Errorf("ACLs were sent as\n%s\nwant one, once", strings.Join(said, ""))
	}
}

// wantACLs waits until a user has exactly these rights on topics, each as operation and topic.
func wantACLs(t *testing.T, client *kafkatest.Client, user string, want ...string) {
	t.Helper()
	kafkatest.Await(t, patience, fmt.Sprintf("the ACLs %q of %s", want, user), func() (bool, string) {
		found, err := client.Admin().DescribeACLs(t.Context(), kadm.NewACLs().Allow("User:"+user).AllowHosts().Topics().Operations().ResourcePatternType(kmsg.ACLResourcePatternTypeAny))
		if err != nil {
			return false, err.Error()
		}
		var got []string
		for _, result := range found {
			for _, acl := range result.Described {
				got = append(got, fmt.Sprintf("%s %s", acl.Operation, acl.Name))
			}
		}
		slices.Sort(got)
		got = slices.Compact(got)
		return slices.EqualFunc(got, want, strings.EqualFold), fmt.Sprintf("%q", got)
	})
}

// oneClusterIsSourceAndTarget: a flow within one cluster does not copy its own copies, nor their ACLs, and two such flows
// do not copy each other's without end.
func oneClusterIsSourceAndTarget(t *testing.T, f *faults) {
	f.dst.CreateTopic("first-own", 1, nil)
	rule(t, f.dst, kadm.NewACLs().Allow("User:carl").AllowHosts().Operations(kmsg.ACLOperationRead).Topics("first-own", "second-own"))
	f.mirror("self", ".*-own", map[string]string{
		"source.cluster.bootstrap.servers": f.p.target.Bootstrap(), "sync.topic.acls.interval.seconds": "1", "emit.offset-syncs.enabled": "false",
	})
	wantACLs(t, f.dst, "carl", "Read first-own", "Read second-own", "Read self.first-own", "Read self.second-own")
	f.dst.CreateTopic("second-own", 1, nil)
	f.dst.Produce("second-own", kafkatest.Record{Value: []byte("0")})
	f.awaitValues("self.second-own", 0, "0") // the topics were looked at again since the first copy was there
	f.dst.CreateTopic("third-own", 1, nil)
	f.dst.Produce("third-own", kafkatest.Record{Value: []byte("0")})
	f.awaitValues("self.third-own", 0, "0")
	// Heartbeats topics go with every flow.
	f.dst.CreateTopic("heartbeats", 1, nil)
	within := map[string]string{"source.cluster.bootstrap.servers": f.p.target.Bootstrap(), "target.cluster.alias": "other", "emit.offset-syncs.enabled": "false"}
	f.mirror("again", "looked-.*", within)
	beats := []string{"again.heartbeats", "again.self.heartbeats", "heartbeats", "self.again.heartbeats", "self.heartbeats"}
	for _, topic := range beats {
		f.dst.AwaitTopic(topic, patience)
	}
	// Both flows look at the topics again, twice.
	for _, topic := range []string{"looked-1", "looked-2"} {
		f.dst.CreateTopic(topic, 1, nil)
		f.dst.CreateTopic(topic+"-own", 1, nil)
		f.dst.AwaitTopic("again."+topic, patience)
		f.dst.AwaitTopic("self."+topic+"-own", patience)
		f.dst.AwaitTopic("self.again."+topic+"-own", patience)
	}
	if got := slices.DeleteFunc(f.dst.Topics(), func(topic string) bool { return !strings.HasSuffix(topic, "heartbeats") }); !slices.Equal(got, beats) {
		t.Errorf("the heartbeats topics are %q, want %q", got, beats)
	}
	own := slices.DeleteFunc(f.dst.Topics(), func(topic string) bool { return !strings.HasSuffix(topic, "-own") })
	if want := []string{
		"again.looked-1-own", "again.looked-2-own", "first-own", "looked-1-own", "looked-2-own", "second-own", "self.again.looked-1-own", "self.again.looked-2-own",
		"self.first-own", "self.looked-1-own", "self.looked-2-own", "self.second-own", "self.third-own", "third-own",
	}; !slices.Equal(own, want) {
		t.Errorf("the topics are %q, want %q", own, want)
	}
	wantACLs(t, f.dst, "carl", "Read first-own", "Read second-own", "Read self.first-own", "Read self.second-own")
}

// newTopicsRestartFewTasks: with task.assignment=sticky or load a new topic restarts the task that gets it, and no other.
func newTopicsRestartFewTasks(t *testing.T, f *faults) {
	topics := []string{"fresh-a", "fresh-b", "fresh-c"}
	for _, topic := range topics {
		f.src.CreateTopic(topic, 1, nil)
		f.write(topic, 0, "0")
	}
	assignments := map[string]string{"raw": "sticky", "record": "load"}
	for lane, keys := range lanes {
		f.mirror(lane+"-fresh", "fresh-.*", keys, map[string]string{"tasks.max": "3", "task.assignment": assignments[lane]})
	}
	for lane := range lanes {
		for _, topic := range topics {
			f.awaitValues(lane+"-fresh."+topic, 0, "0")
		}
	}
	f.src.CreateTopic("fresh-d", 1, nil)
	for _, topic := range append(topics, "fresh-d") {
		f.write(topic, 0, "1")
	}
	for lane := range lanes {
		name := lane + "-fresh"
		f.awaitValues(name+".fresh-d", 0, "1")
		for _, topic := range topics {
			f.awaitValues(name+"."+topic, 0, "0", "1")
		}
		starts := make([]int, 3)
		total := 0
		for i := range starts {
			starts[i] = len(f.lines(fmt.Sprintf("[%s|task-%d]", name, i), "The task mirrors its partitions"))
			total += starts[i]
		}
		if total != 4 || slices.Max(starts) != 2 {
			t.Errorf("the tasks of %s started %v times, want one of them twice and the others once", name, starts)
		}
	}
}

// failedTasksRestartByThemselves, with growing pauses, and are counted.
func failedTasksRestartByThemselves(t *testing.T, f *faults) {
	f.src.CreateTopic("restarted", 1, nil)
	f.write("restarted", 0, "0", "1")
	var names []string
	for lane, keys := range lanes {
		names = append(names, lane+"-restarted")
		f.mirror(lane+"-restarted", "restarted", keys, map[string]string{"on.data.loss": "stop.partition"})
	}
	for _, name := range names {
		f.awaitValues(name+".restarted", 0, "0", "1")
	}
	// A task of which no partition can be mirrored fails.
	f.stop(names...)
	f.write("restarted", 0, "2", "3")
	upTo := kadm.Offsets{}
	upTo.AddOffset("restarted", 0, 3, -1)
	if _, err := f.src.Admin().DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	f.resume(names...)
	for _, name := range names {
		page := f.awaitPage(name, "a second restart", func(p api.Replication) bool {
			return len(p.Restarts) == 1 && p.Restarts[0].Count >= 2 && p.Restarts[0].Attempt >= 2
		})
		if at := page.Restarts[0]; at.Task == nil || *at.Task != 0 || at.WorkerID != strings.TrimPrefix(f.w.BaseURL, "http://") {
			t.Errorf("the restarts of %s are %+v, want those of task 0 on %s", name, at, f.w.BaseURL)
		}
		kafkatest.Await(t, patience, "the restarts of "+name+" to be counted", func() (bool, string) {
			n, series := scrape(t, f.w, "tributary_auto_restarts_total", fmt.Sprintf("connector=%q", name))
			return n >= 2, fmt.Sprintf("%g of %d series", n, series)
		})
		kafkatest.Await(t, patience, "the reason in the status of "+name, func() (bool, string) {
			status, err := f.w.Status(t.Context(), name)
			return err == nil && len(status.Tasks) == 1 && status.Tasks[0].State == "FAILED" && strings.Contains(status.Tasks[0].Trace, "the source deleted the records from offset 2 up to 3"), fmt.Sprintf("%+v %v", status, err)
		})
		// Told to go on otherwise, they do.
		config, err := f.w.Config(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		changed := map[string]string{}
		for key, value := range config {
			changed[key] = *value
		}
		changed["on.data.loss"] = "continue"
		if _, _, err := f.w.PutConfig(t.Context(), name, changed); err != nil {
			t.Fatal(err)
		}
		f.awaitValues(name+".restarted", 0, "0", "1", "3")
	}
}

// nothingToMirrorIsSaid: a connector that matches no topic says so.
func nothingToMirrorIsSaid(t *testing.T, f *faults) {
	f.mirror("idle", "no-such-topic.*", nil)
	const said = "No topic of cluster idle matches topics=no-such-topic.*"
	f.awaitPage("idle", "that nothing matches", func(p api.Replication) bool {
		return len(p.Troubles) == 1 && strings.HasPrefix(p.Troubles[0], said) && p.Topics != nil && len(p.Topics) == 0
	})
	f.awaitLine("WARN", "[idle]", said)
	f.awaitMetric("partitions", "idle", 0)
	f.src.CreateTopic("no-such-topic-any-more", 1, nil)
	f.write("no-such-topic-any-more", 0, "0")
	f.awaitValues("idle.no-such-topic-any-more", 0, "0")
	f.awaitPage("idle", "nothing wrong", func(p api.Replication) bool { return len(p.Troubles) == 0 })
	f.awaitMetric("partitions", "idle", 1)
}

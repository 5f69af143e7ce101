package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/api"
	"tributary/connectors/mirror/replica"
	"tributary/test/cluster/kafkatest"
)

// groupsGoTheirOwnWay: a group with members on the target is left alone, one that had some is never taken back, and one
// for which the rights are missing, on either side, costs only itself. What cannot be moved is listed with the reason.
func groupsGoTheirOwnWay(t *testing.T, f *faults) {
	const topic, remote = "moved", "moving.moved"
	f.src.CreateTopic(topic, 1, nil)
	const read = 100 // of the records, by every group on the source
	f.write(topic, 0, slices.Repeat([]string{"x"}, read)...)
	annMay(t, f.src)
	annMay(t, f.dst)
	deny := func(client *kafkatest.Client, operation kmsg.ACLOperation, group string) (undo func()) {
		return rule(t, client, kadm.NewACLs().Deny("User:ann").DenyHosts().Operations(operation).Groups(group))
	}
	mayDescribe := deny(f.src, kmsg.ACLOperationDescribe, "moving-secret")
	mayCommit := deny(f.dst, kmsg.ACLOperationRead, "moving-refused")
	groups := []string{"moving-idle", "moving-secret", "moving-refused", "moving-ahead", "moving-churn", "moving-behind-classic", "moving-behind-consumer"}
	for _, group := range groups {
		f.src.CommitOffset(group, topic, 0, read)
	}
	f.mirror("moving", topic, map[string]string{"emit.offset-syncs.enabled": "true", "offset.lag.max": "0"})
	f.awaitRow("moving", topic, 0, "no lag", even(read))
	f.write(topic, 0, slices.Repeat([]string{"y"}, read)...)
	f.awaitRow("moving", topic, 0, "no lag", even(2*read))

	// Groups that are active on the target from the beginning, behind their place, by both protocols of groups.
	behind := map[string]*member{
		"moving-behind-classic":  join(f, "moving-behind-classic", remote),
		"moving-behind-consumer": join(f, "moving-behind-consumer", remote, kgo.ServerSideBalancer()),
	}
	for _, m := range behind {
		m.commit(10)
	}
	// One that has gone further than on the source, and is not active any more.
	ahead := join(f, "moving-ahead", remote)
	ahead.commit(read + 10)
	ahead.leave()

	f.mirror("moving-groups", topic, ann("source.cluster.", f.p.source.BootstrapOf("SECURE")), ann("target.cluster.", f.p.target.BootstrapOf("SECURE")), map[string]string{
		"connector.class": "org.apache.kafka.connect.mirror.MirrorCheckpointConnector", "source.cluster.alias": "moving", "emit.offset-syncs.enabled": "true",
		"groups": "moving-.*", "tasks.max": "2", "refresh.groups.interval.seconds": "1", "emit.checkpoints.interval.seconds": "1",
		"sync.group.offsets.enabled": "true", "sync.group.offsets.interval.seconds": "0",
	})
	committed := func(group string) int64 {
		f.t.Helper()
		if at, found := f.dst.CommittedOffsets(group)[remote][0]; found {
			return at
		}
		return -1
	}
	awaitCommitted := func(group string, want int64) {
		t.Helper()
		kafkatest.Await(t, patience, fmt.Sprintf("group %s to be at %d of the target", group, want), func() (bool, string) {
			at := committed(group)
			return at == want, fmt.Sprint(at)
		})
	}
	awaitReason := func(group string, reason ...string) {
		t.Helper()
		f.awaitPage("moving-groups", "why group "+group+" is not moved", func(p api.Replication) bool {
			i := slices.IndexFunc(p.UnmovableGroups, func(g api.UnmovableGroup) bool { return g.Group == group })
			return i >= 0 && !slices.ContainsFunc(reason, func(text string) bool { return !strings.Contains(p.UnmovableGroups[i].Reason, text) })
		})
	}
	// Where a group is taken that has read some of the records: not beyond its place, and further than any was.
	translated := func(group string) int64 {
		t.Helper()
		at := f.lastCheckpoint("moving", group)
		if at <= 10 || at > read {
			t.Errorf("the checkpoint of group %s is at %d, want it between 10 and %d", group, at, read)
		}
		return at
	}
	// One more record, and the one group that reads it is moved behind it: so offsets have been committed since.
	end := int64(2 * read)
	awaitRound := func() {
		t.Helper()
		f.write(topic, 0, "z")
		end++
		f.awaitRow("moving", topic, 0, "no lag", even(end))
		f.src.CommitOffset("moving-idle", topic, 0, end)
		awaitCommitted("moving-idle", end)
	}

	awaitCommitted("moving-idle", translated("moving-idle"))
	awaitReason("moving-secret", "its offsets on the source cannot be read: ", "ann is not allowed to", "(needs Describe)")
	awaitReason("moving-refused", "its offsets cannot be committed on the target: ", "ann is not allowed to", "(needs Read)")
	for group := range behind {
		awaitReason(group, "it has members on the target, which go their own way")
	}
	for group, want := range map[string]int64{"moving-secret": -1, "moving-refused": -1} {
		if at := committed(group); at != want {
			t.Errorf("group %s is at %d of the target, want %d", group, at, want)
		}
	}

	// A group of which consumers come, commit and go while offsets are committed ten times a second.
	for i := range int64(5) {
		m := join(f, "moving-churn", remote)
		m.commit(read + 1 + i)
		m.leave()
		awaitRound()
		if at := committed("moving-churn"); at != read+1+i {
			t.Fatalf("group moving-churn went to %d and was taken to %d", read+1+i, at)
		}
	}
	for group := range behind {
		if at := committed(group); at != 10 {
			t.Errorf("group %s was at 10 with a member and was taken to %d", group, at)
		}
	}
	if at := committed("moving-ahead"); at != read+10 {
		t.Errorf("group moving-ahead was at %d and was taken to %d", read+10, at)
	}

	// Without members and with rights, all are where they are on the source; the one ahead once the source has passed it.
	for group, m := range behind {
		m.leave()
		awaitCommitted(group, translated(group))
	}
	mayDescribe()
	awaitCommitted("moving-secret", translated("moving-secret"))
	mayCommit()
	awaitCommitted("moving-refused", translated("moving-refused"))
	f.src.CommitOffset("moving-ahead", topic, 0, end)
	awaitCommitted("moving-ahead", end)
	f.awaitPage("moving-groups", "no group that cannot be moved", func(p api.Replication) bool { return len(p.UnmovableGroups) == 0 })

	// The copy is lost and made anew, and so the translated places lie beyond its end: no group is sent there.
	f.dst.DeleteTopic(remote)
	f.dst.AwaitTopic(remote, patience)
	for _, group := range []string{"moving-idle", "moving-ahead"} {
		awaitReason(group, fmt.Sprintf("moving.moved-0: it translates to offset %d, beyond the end 0 on the target", end))
		if at := committed(group); at != -1 {
			t.Errorf("group %s was moved to %d of a copy that is empty", group, at)
		}
	}
}

// lastCheckpoint waits for a checkpoint of a group and returns its offset on the target.
func (f *faults) lastCheckpoint(source, group string) (at int64) {
	f.t.Helper()
	f.dst.AwaitTopic(source+".checkpoints.internal", patience)
	kafkatest.Await(f.t, patience, "a checkpoint of group "+group, func() (found bool, _ string) {
		for _, record := range f.dst.ReadPartition(source+".checkpoints.internal", 0, kafkatest.ReadUncommitted) {
			c, err := replica.DecodeCheckpoint(record.Key, record.Value)
			if err != nil {
				f.t.Fatal(err)
			}
			if c.Group == group {
				at, found = c.Downstream, true
			}
		}
		return found, "none"
	})
	return at
}

// member is a consumer of a group on the target, which is at work.
type member struct {
	f            *faults
	group, topic string
	client       *kgo.Client
}

// join starts a consumer and waits until it has its partitions.
func join(f *faults, group, topic string, more ...kgo.Opt) *member {
	f.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.p.target.Bootstrap()), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, more...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(client.Close)
	if fetches := client.PollRecords(f.t.Context(), 1); fetches.Err() != nil {
		f.t.Fatalf("consumer of group %s: %v", group, fetches.Err())
	}
	return &member{f: f, group: group, topic: topic, client: client}
}

func (m *member) commit(at int64) {
	m.f.t.Helper()
	var failed error
	m.client.CommitOffsetsSync(m.f.t.Context(), map[string]map[int32]kgo.EpochOffset{m.topic: {0: {Epoch: -1, Offset: at}}},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err == nil && answer.Topics[0].Partitions[0].ErrorCode != 0 {
				failed = fmt.Errorf("error code %d", answer.Topics[0].Partitions[0].ErrorCode)
			}
		})
	if failed != nil {
		m.f.t.Fatalf("commit %d as a member of group %s: %v", at, m.group, failed)
	}
}

// leave ends the consumer, and waits until the group is empty.
func (m *member) leave() {
	m.f.t.Helper()
	m.client.Close()
	kafkatest.Await(m.f.t, patience, "group "+m.group+" to be empty", func() (bool, string) {
		listed, err := m.f.dst.Admin().ListGroups(m.f.t.Context())
		if err != nil {
			return false, err.Error()
		}
		return listed[m.group].State == "Empty", fmt.Sprintf("%+v", listed[m.group])
	})
}

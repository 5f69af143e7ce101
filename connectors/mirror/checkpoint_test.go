package mirror

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func startCheckpoints(t *testing.T, p *pair, more ...string) *runner {
	t.Helper()
	r := newRunner(t, p, "MirrorCheckpointConnector", NewCheckpointConnector())
	r.start(p.with(append([]string{"emit.checkpoints.interval.seconds=0", "refresh.groups.interval.seconds=0"}, more...)...))
	return r
}

// mirrorRecords mirrors ten records of topic t to offsets that are 5 higher, with an
// offset sync for each.
func mirrorRecords(t *testing.T, p *pair) {
	t.Helper()
	p.source.CreateTopic("t", 1, nil)
	p.target.CreateTopic("A.t", 1, nil)
	p.target.Produce("A.t", text("x", "x", "x", "x", "x")...)
	var records []kafkatest.Record
	for i := range 10 {
		records = append(records, kafkatest.Record{Value: fmt.Append(nil, i)})
	}
	p.source.Produce("t", records...)
	r := startSource(t, p, "offset.lag.max=0")
	p.target.AwaitRecords("A.t", 15, patience)
	r.stop()
}

func readCheckpoints(t *testing.T, p *pair) []replica.Checkpoint {
	t.Helper()
	var out []replica.Checkpoint
	for _, r := range p.target.ReadPartition("A.checkpoints.internal", 0, kafkatest.ReadUncommitted) {
		c, err := replica.DecodeCheckpoint(r.Key, r.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func checkpoint(group string, up, down int64) replica.Checkpoint {
	return replica.Checkpoint{Group: group, TopicPartition: replica.TopicPartition{Topic: "A.t", Partition: 0}, Upstream: up, Downstream: down}
}

func (r *runner) awaitCheckpoints(p *pair, want ...replica.Checkpoint) {
	r.t.Helper()
	var got []replica.Checkpoint
	kafkatest.Await(r.t, patience, "the checkpoints", func() (bool, string) {
		if !strings.Contains(strings.Join(p.target.Topics(), " "), "A.checkpoints.internal") {
			return false, "no topic"
		}
		got = readCheckpoints(r.t, p)
		return len(got) >= len(want), fmt.Sprint(got)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Error(diff)
	}
}

func TestCheckpointsTranslateCommittedOffsetsAndNeverFallUnlessTheGroupDoes(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CommitOffset("g", "t", 0, 9)
	p.source.CommitOffset("console-consumer-1", "t", 0, 9) // excluded by default

	r := startCheckpoints(t, p)
	// The last record stands at 9 and 14; the newest sync at or before 9 is that one.
	r.awaitCheckpoints(p, checkpoint("g", 9, 14))
	p.source.CommitOffset("g", "t", 0, 10)
	r.awaitCheckpoints(p, checkpoint("g", 9, 14), checkpoint("g", 10, 15))
	// A group that goes back on the source is followed.
	p.source.CommitOffset("g", "t", 0, 9)
	r.awaitCheckpoints(p, checkpoint("g", 9, 14), checkpoint("g", 10, 15), checkpoint("g", 9, 14))
	r.stop()

	// A new task knows what was written, and does not repeat it.
	again := startCheckpoints(t, p)
	polls := p.a.Count(localkafka.OffsetFetch)
	again.await("some more polls", func() bool { return polls.Hits() > 10 })
	if got := readCheckpoints(t, p); len(got) != 3 {
		t.Errorf("after a restart there are %d checkpoints, want the 3 from before: %v", len(got), got)
	}
	if got := p.target.TopicOverrides("A.checkpoints.internal")["cleanup.policy"]; got != "compact" {
		t.Errorf("cleanup.policy of the checkpoints topic is %q, want compact", got)
	}
	for _, err := range []error{r.failures(), again.failures()} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestTranslatedOffsetsAreCommittedForIdleGroupsOnly(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	for _, group := range []string{"absent", "behind", "ahead", "active"} {
		p.source.CommitOffset(group, "t", 0, 9)
	}
	p.target.CommitOffset("behind", "A.t", 0, 3)
	p.target.CommitOffset("ahead", "A.t", 0, 15)
	member, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(p.b.Bootstrap(), ",")...), kgo.ConsumerGroup("active"), kgo.ConsumeTopics("A.t"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	if fetches := member.PollFetches(t.Context()); fetches.Err() != nil {
		t.Fatal(fetches.Err())
	}

	r := startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")

	committed := func(group string) int64 {
		offset, found := p.target.CommittedOffsets(group)["A.t"][0]
		if !found {
			return -1
		}
		return offset
	}
	r.await("the offsets of the absent group and the one behind", func() bool { return committed("absent") == 14 && committed("behind") == 14 })
	if got := committed("ahead"); got != 15 {
		t.Errorf("the group ahead was moved to %d", got)
	}
	if got := committed("active"); got != -1 {
		t.Errorf("the active group was given %d", got)
	}
	// A group that has gone on on the target is not taken back later either.
	p.target.CommitOffset("behind", "A.t", 0, 15)
	looks := p.b.Count(localkafka.OffsetFetch)
	r.await("some more looks", func() bool { return looks.Hits() > 20 })
	if got := committed("behind"); got != 15 {
		t.Errorf("the group that went on was taken back to %d", got)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

// A consumer of the group comes, commits and goes while the mirror is about to commit for it.
func TestAGroupThatGoesOnWhileItIsLookedAtIsNotTakenBack(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CommitOffset("g", "t", 0, 9)
	first := startCheckpoints(t, p)
	first.awaitCheckpoints(p, checkpoint("g", 9, 14))
	first.stop()
	p.target.CommitOffset("g", "A.t", 0, 3)
	describing := p.b.Hold(localkafka.DescribeGroups) // what only the commit of translated offsets asks
	defer describing.Undo()

	r := startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")

	r.await("the look at the group", func() bool { return describing.Hits() > 0 })
	listing := p.b.Hold(localkafka.ListOffsets) // what comes between that and the commit
	defer listing.Undo()
	describing.Undo()
	r.await("the look at the ends", func() bool { return listing.Hits() > 0 })
	p.target.CommitOffset("g", "A.t", 0, 15)
	looks := p.b.Count(localkafka.DescribeGroups)
	listing.Undo()
	r.await("some more looks", func() bool { return looks.Hits() > 5 })
	if got := p.target.CommittedOffsets("g")["A.t"][0]; got != 15 {
		t.Errorf("the group that went on to 15 was taken back to %d", got)
	}
}

func TestAGroupThatMayNotBeReadCostsOnlyItself(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CommitOffset("secret", "t", 0, 9)
	p.source.CommitOffset("open", "t", 0, 9)
	const groupAuthorizationFailed = 30
	p.a.Fail(localkafka.Fault{API: localkafka.OffsetFetch, Code: groupAuthorizationFailed, Group: "secret", Times: -1})

	r := startCheckpoints(t, p)

	r.awaitCheckpoints(p, checkpoint("open", 9, 14))
	if lines := r.log.lines("cannot be read", "group=secret", "not allowed"); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}
}

func TestGroupsAreDealtToTasksInOrderAndIrrelevantOnesLeftOut(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CreateTopic("other", 1, nil)
	for _, group := range []string{"e", "d", "c", "b", "a", "with,comma"} {
		p.source.CommitOffset(group, "t", 0, 0)
	}
	p.source.CommitOffset("z", "other", 0, 0)
	r := newRunner(t, p, "MirrorCheckpointConnector", NewCheckpointConnector())
	r.maxTasks = 3
	r.start(p.with("topics=t"))

	r.await("three tasks", func() bool { return len(r.taskConfigs()) == 3 })
	for i, want := range []string{"a,b", "c,d", "e"} {
		if got := r.taskConfigs()[i][assignedGroups]; got != want {
			t.Errorf("task %d has the groups %q, want %q", i, got, want)
		}
	}
	if lines := r.log.lines("holds a comma", "with,comma"); len(lines) != 1 {
		t.Errorf("the group that cannot be assigned was reported %d times, want once", len(lines))
	}
}

func TestWithoutItsTopicThereAreNoCheckpointTasks(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CommitOffset("g", "t", 0, 9)
	const policyViolation = 44
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.CreateTopics, Code: policyViolation, Topic: "A.checkpoints.internal", Times: -1})
	r := startCheckpoints(t, p)
	r.await("a second refusal", func() bool { return refusal.Hits() >= 2 })
	if got := len(r.taskConfigs()); got != 0 {
		t.Errorf("%d tasks without a topic to write to", got)
	}
	if lines := r.log.lines("create the checkpoints topic", "A.checkpoints.internal"); len(lines) != 1 {
		t.Errorf("reported %d times, want once: %q", len(lines), lines)
	}
	refusal.Undo()
	r.awaitCheckpoints(p, checkpoint("g", 9, 14))
}

// unmovable is what the tasks say of a group.
func (r *runner) unmovable(group string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, task := range r.tasks {
		for _, g := range task.task.(connect.ReplicationReporter).Replication().UnmovableGroups {
			if g.Group == group {
				return g.Reason
			}
		}
	}
	return ""
}

func TestNoCheckpointLiesBeyondTheEndOfTheTarget(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CreateTopic("unmirrored", 1, nil)
	p.source.Produce("unmirrored", text("x")...)
	p.source.CommitOffset("g", "t", 0, 9)
	p.source.CommitOffset("other", "unmirrored", 0, 1)
	p.target.DeleteTopic("A.t")
	p.target.CreateTopic("A.t", 1, nil)
	kafkatest.Dial(t, p.b.Bootstrap()).Produce("A.t", text("0", "1")...)

	r := startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=1")
	r.await("the reasons", func() bool {
		return strings.Contains(r.unmovable("g"), "A.t-0: it translates to offset 14, beyond the end 2") &&
			strings.Contains(r.unmovable("other"), "unmirrored-0: nothing of it has been mirrored yet")
	})
	labels := map[string]string{"source": "A", "target": "B"}
	const untranslatable = "kafka_connect_mirror_mirrorcheckpointconnector_untranslatable_groups"
	r.await("the metric", func() bool { return r.meter.value(untranslatable, labels) == 2 })
	if got := readCheckpoints(t, p); len(got) != 0 {
		t.Errorf("checkpoints were written: %v", got)
	}
	// Once the target is long enough again, the group is translated.
	for range 2 {
		kafkatest.Dial(t, p.b.Bootstrap()).Produce("A.t", text("a", "b", "c", "d", "e", "f")...)
	}
	r.awaitCheckpoints(p, checkpoint("g", 9, 14))
	r.await("the group to be movable", func() bool { return r.unmovable("g") == "" })
}

func TestACheckpointOfACopyThatIsGoneIsReplacedByATrueOne(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			mirrorRecords(t, p)
			p.source.CommitOffset("g", "t", 0, 9)
			r := startCheckpoints(t, p)
			r.awaitCheckpoints(p, checkpoint("g", 9, 14))
			if restarted {
				r.stop()
			}

			p.target.DeleteTopic("A.t")
			source := startSource(t, p, "offset.lag.max=0")
			p.target.AwaitRecords("A.t", 10, patience)
			source.stop()
			// Long enough for the old checkpoint to look right.
			kafkatest.Dial(t, p.b.Bootstrap()).Produce("A.t", text("a", "b", "c", "d", "e", "f")...)
			if restarted {
				r = startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")
			}
			r.await("the checkpoint for the new copy", func() bool {
				all := readCheckpoints(t, p)
				return all[len(all)-1] == checkpoint("g", 9, 9)
			})
			if !restarted {
				r.stop()
				r = startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")
			}
			r.await("the group's offset on the target", func() bool { return len(p.target.CommittedOffsets("g")["A.t"]) > 0 })
			if got := p.target.CommittedOffsets("g")["A.t"][0]; got != 9 {
				t.Errorf("the group is at %d on the target, want 9: that is where the record is that it reads next", got)
			}
		})
	}
}

func TestAGroupThatNoTaskCanNameIsListed(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	p.source.CommitOffset("one,two", "t", 0, 0)
	p.source.CommitOffset("g", "t", 0, 0)
	connector := NewCheckpointConnector()
	r := newRunner(t, p, "MirrorCheckpointConnector", connector)
	r.start(p.with("refresh.groups.interval.seconds=0"))
	r.await("the group with a comma to be listed", func() bool {
		groups := connector.Replication().UnmovableGroups
		return len(groups) == 1 && groups[0].Group == "one,two" && strings.Contains(groups[0].Reason, "holds a comma")
	})
	if _, err := p.source.Admin().DeleteGroups(t.Context(), "one,two"); err != nil {
		t.Fatal(err)
	}
	r.await("a group that is gone not to be listed", func() bool { return len(connector.Replication().UnmovableGroups) == 0 })
}

func TestAPartitionThatTheTargetDoesNotTellOfHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("u", 1, nil)
	p.source.Produce("u", text("x")...)
	mirrorRecords(t, p)
	p.target.AwaitRecords("A.u", 1, patience)
	p.source.CommitOffset("g", "t", 0, 9)
	p.source.CommitOffset("g", "u", 0, 1)
	const leaderNotAvailable = 5
	leaderless := p.b.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "A.u", Times: -1})

	r := startCheckpoints(t, p, "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")

	r.awaitCheckpoints(p, checkpoint("g", 9, 14))
	r.await("the group's offset on the target", func() bool { return p.target.CommittedOffsets("g")["A.t"][0] == 14 })
	r.await("the reason for the other partition", func() bool {
		return strings.Contains(r.unmovable("g"), "A.u-0: its end on the target is not known")
	})
	leaderless.Undo()
	u := checkpoint("g", 1, 1)
	u.TopicPartition.Topic = "A.u"
	r.awaitCheckpoints(p, checkpoint("g", 9, 14), u)
	r.await("the group to be movable", func() bool { return r.unmovable("g") == "" })
}

func TestAGroupWithoutCoordinatorDoesNotKeepOthersFromBeingFound(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	p.source.CommitOffset("open", "t", 0, 9)
	p.source.CommitOffset("stuck", "t", 0, 9)
	const coordinatorNotAvailable = 15
	p.a.Fail(localkafka.Fault{API: localkafka.OffsetFetch, Code: coordinatorNotAvailable, Group: "stuck", Times: -1})

	connector := NewCheckpointConnector()
	r := newRunner(t, p, "MirrorCheckpointConnector", connector)
	r.start(p.with("emit.checkpoints.interval.seconds=0", "admin.timeout.ms=500"))

	r.awaitCheckpoints(p, checkpoint("open", 9, 14))
	groups := connector.Replication().UnmovableGroups
	if len(groups) != 1 || groups[0].Group != "stuck" || !strings.Contains(groups[0].Reason, "its offsets on the source cannot be read") {
		t.Errorf("groups that cannot be moved: %+v, want the one that is stuck", groups)
	}
}

func TestGroupsWithoutCoordinatorOnTheTargetDoNotKeepOthersFromTheirTurn(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	mirrorRecords(t, p)
	const coordinatorNotAvailable = 15
	for i := range requestsAtOnce {
		group := fmt.Sprintf("stuck-%d", i)
		p.source.CommitOffset(group, "t", 0, 9)
		p.target.CommitOffset(group, "A.t", 0, 3)
		p.b.Fail(localkafka.Fault{API: localkafka.OffsetFetch, Code: coordinatorNotAvailable, Group: group, Times: -1})
	}
	p.source.CommitOffset("the-last", "t", 0, 9)

	r := startCheckpoints(t, p, "admin.timeout.ms=500", "sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=0")

	r.await("the offset of the group that is not stuck", func() bool { return p.target.CommittedOffsets("the-last")["A.t"][0] == 14 })
	r.await("the reason for those that are", func() bool {
		return strings.Contains(r.unmovable("stuck-0"), "its offsets cannot be committed on the target")
	})
}

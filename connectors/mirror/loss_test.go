package mirror

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestALossIsClassifiedAndGoesOnAsThePolicySays(t *testing.T) {
	now := time.UnixMilli(1)
	for _, c := range []struct {
		name     string
		finding  finding
		position int64
		policy   string
		want     verdict
		lost     bool
	}{
		{"in range", finding{earliest: 3, latest: 9, reset: 3}, 5, lossContinue, verdict{}, false},
		{"at the end", finding{earliest: 3, latest: 9, reset: 3}, 9, lossStop, verdict{}, false},
		{"retention overtook", finding{earliest: 7, latest: 9, reset: 7}, 5, lossContinue, verdict{gap: gap{lossDeleted, 5, 7, now}, resume: 7}, true},
		{"retention overtook, reset to the end", finding{earliest: 7, latest: 9, reset: 9}, 5, lossContinue, verdict{gap: gap{lossDeleted, 5, 9, now}, resume: 9}, true},
		{"retention overtook, from earliest", finding{earliest: 7, latest: 9, reset: 9}, 5, lossRestart, verdict{gap: gap{lossDeleted, 5, 7, now}, resume: 7}, true},
		{"retention overtook, stop", finding{earliest: 7, latest: 9, reset: 7}, 5, lossStop, verdict{gap: gap{lossDeleted, 5, 7, now}, resume: 7, stop: true}, true},
		{"retention overtook, no reset", finding{earliest: 7, latest: 9, reset: -1}, 5, lossContinue, verdict{gap: gap{lossDeleted, 5, 7, now}, resume: -1, stop: true}, true},
		{"rolled back", finding{earliest: 0, latest: 4, reset: 0}, 6, lossContinue, verdict{gap: gap{lossRolledBack, 4, 6, now}, resume: 0}, true},
		{"rolled back, no reset but a restart", finding{earliest: 1, latest: 4, reset: -1}, 6, lossRestart, verdict{gap: gap{lossRolledBack, 4, 6, now}, resume: 1}, true},
		{"recreated and shorter", finding{earliest: 0, latest: 2, reset: 0, recreated: true}, 6, lossContinue, verdict{gap: gap{lossRecreated, 6, 6, now}, resume: 0}, true},
		{"recreated and longer", finding{earliest: 0, latest: 20, reset: 0, recreated: true}, 6, lossContinue, verdict{gap: gap{lossRecreated, 0, 6, now}, resume: 6}, true},
		{"recreated and longer, from earliest", finding{earliest: 0, latest: 20, reset: 0, recreated: true}, 6, lossRestart, verdict{gap: gap{lossRecreated, 6, 6, now}, resume: 0}, true},
		{"recreated, stop", finding{earliest: 0, latest: 20, reset: 0, recreated: true}, 6, lossStop, verdict{gap: gap{lossRecreated, 6, 6, now}, resume: 6, stop: true}, true},
	} {
		got, lost := c.finding.judge(c.position, c.policy, now)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(verdict{}, gap{})); diff != "" || lost != c.lost {
			t.Errorf("%s: lost %v, %s", c.name, lost, diff)
		}
	}
}

// deleteRecords moves the start of a partition up to offset.
func deleteRecords(t *testing.T, c *kafkatest.Client, topic string, offset int64) {
	t.Helper()
	var to kadm.Offsets
	to.AddOffset(topic, 0, offset, -1)
	if _, err := c.Admin().DeleteRecords(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}

func TestDeletedRecordsAreAGapAndTheUserSaysHowToGoOn(t *testing.T) {
	for policy, want := range map[string][]string{
		lossContinue: {"0", "1", "4", "5"}, lossRestart: {"0", "1", "4", "5"}, lossStop: {"0", "1"},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			p.source.CreateTopic("other", 1, nil)
			p.source.Produce("t", text("0", "1")...)
			r := startSource(t, p, "on.data.loss="+policy)
			p.target.AwaitRecords("A.t", 2, patience)
			r.await("the offset", func() bool {
				return cmp.Equal(r.stored.get(map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}), map[string]any{"offset": int64(1)})
			})
			r.stop()
			p.source.Produce("t", text("2", "3", "4", "5")...)
			deleteRecords(t, p.source, "t", 4)

			again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
			again.stored = r.stored
			again.start(p.with("on.data.loss=" + policy))
			again.await("the gap", func() bool {
				return len(again.log.lines("level=WARN", "topic=t", "partition=0", "kind=deleted", "from=2", "to=4")) == 1
			})
			p.source.Produce("other", text("x")...)
			p.target.AwaitRecords("A.other", 1, patience)
			got := p.target.AwaitRecords("A.t", len(want), patience)
			if diff := cmp.Diff(want, values(got[0])); diff != "" {
				t.Error(diff)
			}
			labels := map[string]string{"source": "A", "target": "B"}
			again.await("the metrics", func() bool {
				stopped := map[bool]float64{true: 1}[policy == lossStop]
				return again.meter.value(sourcePrefix+"gap_count", labels) == 1 && again.meter.value(sourcePrefix+"stopped_partitions", labels) == stopped
			})
			again.await("the row of the partition", func() bool {
				row := again.row("t", 0)
				return row.Stopped == (policy == lossStop) && len(row.Gaps) == 1 && row.Gaps[0].From == 2 && row.Gaps[0].To == 4 && row.Gaps[0].Kind == "deleted" &&
					(policy == lossStop && strings.Contains(row.LastError, "deleted") || policy != lossStop && row.SourceEnd == 6 && row.MirroredUpTo == 6 && row.LagRecords == 0)
			})
			if err := again.failures(); err != nil {
				t.Errorf("the task failed: %v", err)
			}
		})
	}
}

func TestATopicMadeAnewAndAlreadyLongerIsNoticedByItsID(t *testing.T) {
	for policy, want := range map[string][]string{
		lossContinue: {"a", "b", "2", "3"}, lossRestart: {"a", "b", "0", "1", "2", "3"}, lossStop: {"a", "b"},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			p.source.CreateTopic("other", 1, nil)
			p.source.Produce("t", text("a", "b")...)
			r := startSource(t, p, "on.data.loss="+policy, "refresh.topics.enabled=false")
			p.target.AwaitRecords("A.t", 2, patience)

			// The task must not see the topic before it is longer than it has read.
			fetches := p.a.Hold(localkafka.Fetch)
			p.source.DeleteTopic("t")
			p.source.CreateTopic("t", 1, nil)
			kafkatest.Dial(t, p.a.Bootstrap()).Produce("t", text("0", "1", "2", "3")...)
			fetches.Undo()

			r.await("the loss", func() bool { return len(r.log.lines("level=WARN", "topic=t", "kind=recreated")) == 1 })
			p.source.Produce("other", text("x")...)
			p.target.AwaitRecords("A.other", 1, patience)
			// Before it was noticed, the end of the new topic may have been read on from 2.
			var got []string
			r.await("the records of "+policy, func() bool {
				got = values(p.target.ReadTopic("A.t", kafkatest.ReadUncommitted)[0])
				return len(got) >= len(want) && slices.Equal(got[len(got)-len(want[2:]):], want[2:])
			})
			early := strings.Join(got[2:len(got)-len(want[2:])], "")
			if got[0] != "a" || got[1] != "b" || early != "" && (policy == lossContinue || !strings.HasPrefix("23", early)) {
				t.Errorf("the copy holds %q, want %q", got, want)
			}
		})
	}
}

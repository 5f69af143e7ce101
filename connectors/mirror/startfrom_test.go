package mirror

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestStartPointsAreReadAsUsersWriteThem(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]startPoint{
		"earliest":                  {kind: startAtEarliest},
		"latest":                    {kind: startAtLatest},
		"group:a b:c":               {kind: startAtGroup, group: "a b:c"},
		"2026-03-01T12:00:00Z":      {kind: startAtTime, time: at},
		"2026-03-01T14:00:00+02:00": {kind: startAtTime, time: at},
		"2026-03-01T12:00:00.250Z":  {kind: startAtTime, time: at.Add(250 * time.Millisecond)},
		"2026-03-01T12:00":          {kind: startAtTime, time: at},
		"2026-03-01":                {kind: startAtTime, time: at.Add(-12 * time.Hour)},
	} {
		got, err := parseStartPoint(text)
		if err != nil || got.kind != want.kind || got.group != want.group || !got.time.Equal(want.time) {
			t.Errorf("%q is %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "group:", "Earliest", "12:00", "1700000000000", "2026-13-01"} {
		if got, err := parseStartPoint(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestEveryMistakeInTheStartRulesIsNamedByItsKey(t *testing.T) {
	errs := NewSourceConnector().ValidateConfig(map[string]string{
		"source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1",
		"start.from": "yesterday", "start.from.rules": "one, two,three",
		"start.from.one.from": "latest", "start.from.two.topics": "(", "start.from.two.from": "group:",
		"start.from.three.topics": "t", "start.from.three.from": "2026-01-01",
	})
	want := []string{"start.from", "start.from.one.topics", "start.from.two.from", "start.from.two.topics"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(errs))); diff != "" {
		t.Errorf("%s\n%v", diff, errs)
	}
}

// numbered produces n records to partition 0, "0" on, one second apart from at on.
func numbered(n int, at time.Time) []kafkatest.Record {
	var records []kafkatest.Record
	for i := range n {
		records = append(records, kafkatest.Record{Value: []byte{byte('0' + i)}, Timestamp: at.Add(time.Duration(i) * time.Second)})
	}
	return records
}

func TestFreshPartitionsBeginWhereTheFirstFittingRuleSays(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	at := time.UnixMilli(1_700_000_000_000).UTC()
	for _, topic := range []string{"all", "timed", "grouped", "fresh", "stored"} {
		p.source.CreateTopic(topic, 1, nil)
		p.source.Produce(topic, numbered(6, at)...)
	}
	p.source.CommitOffset("g", "grouped", 0, 4)
	r := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	r.stored.offsets[`{"cluster":"A","partition":0,"topic":"stored"}`] = map[string]any{"offset": int64(1)}
	r.start(p.with("start.from=latest", "start.from.rules=one,two,three",
		"start.from.one.topics=all,never-.*", "start.from.one.from=earliest",
		"start.from.two.topics=tim.*", "start.from.two.from="+at.Add(2500*time.Millisecond).Format(time.RFC3339Nano),
		"start.from.three.topics=grouped,timed", "start.from.three.from=group:g"))

	for topic, want := range map[string][]string{
		"A.all": {"0", "1", "2", "3", "4", "5"}, "A.timed": {"3", "4", "5"}, "A.grouped": {"4", "5"}, "A.stored": {"2", "3", "4", "5"},
	} {
		got := p.target.AwaitRecords(topic, len(want), patience)
		if diff := cmp.Diff(want, values(got[0])); diff != "" {
			t.Errorf("%s: %s", topic, diff)
		}
	}
	// Nothing of fresh is mirrored but what comes from now on, also after a restart.
	at6 := map[string]any{"cluster": "A", "partition": int64(0), "topic": "fresh"}
	r.await("the place of fresh to be stored", func() bool { return cmp.Equal(r.stored.get(at6), map[string]any{"offset": int64(5), "bare": true}) })
	r.stop()
	p.source.Produce("fresh", text("new")...)
	again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
	again.stored = r.stored
	again.start(p.with("start.from=latest"))
	got := p.target.AwaitRecords("A.fresh", 1, patience)
	if diff := cmp.Diff([]string{"new"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

// An empty partition begins at 0 whatever start.from says, and must do so after a restart as well: looked up again, the
// end, and what a group has committed by then, would be behind what came meanwhile.
func TestWhatComesToAnEmptyPartitionWhileTheMirrorIsDownIsMirrored(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"latest", "group:g"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			p.source.CreateTopic("t", 1, nil)
			r := startSource(t, p, "start.from="+from)
			at := map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}
			r.await("the place of t to be stored", func() bool { return cmp.Equal(r.stored.get(at), map[string]any{"offset": int64(-1), "bare": true}) })
			r.stop()
			p.source.Produce("t", text("0", "1", "2")...)
			p.source.CommitOffset("g", "t", 0, 3)
			again := newRunner(t, p, "MirrorSourceConnector", NewSourceConnector())
			again.stored = r.stored
			again.start(p.with("start.from=" + from))
			got := p.target.AwaitRecords("A.t", 3, patience)
			if diff := cmp.Diff([]string{"0", "1", "2"}, values(got[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPartitionWhosePlaceIsNotToldForAWhileBeginsOnceItIsTold(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int16{"no leader": 5, "refused": 29} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, localkafka.Options{}, localkafka.Options{})
			for _, topic := range []string{"t", "other", "never"} {
				p.source.CreateTopic(topic, 1, nil)
			}
			p.source.Produce("t", text("0")...)
			p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: code, Topic: "never", Times: -1})
			refusal := p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: code, Topic: "t", Times: -1})
			r := startSource(t, p, "start.from=latest")
			other := map[string]any{"cluster": "A", "partition": int64(0), "topic": "other"}
			r.await("the place of the other topic", func() bool { return r.stored.get(other) != nil })
			p.source.Produce("other", text("x")...)
			p.target.AwaitRecords("A.other", 1, patience)
			for _, topic := range []string{"t", "never"} {
				r.await("the row of the partition of "+topic, func() bool {
					row := r.row(topic, 0)
					return !row.Stopped && strings.Contains(row.LastError, "look up where to begin")
				})
			}
			r.await("the trouble to be said", func() bool {
				return len(r.log.lines("level=WARN", "Failed to look up where partitions of the source begin", "never-0")) == 1
			})

			refusal.Undo()
			at := map[string]any{"cluster": "A", "partition": int64(0), "topic": "t"}
			r.await("the place of t to be stored", func() bool { return cmp.Equal(r.stored.get(at), map[string]any{"offset": int64(0), "bare": true}) })
			p.source.Produce("t", text("1")...)
			got := p.target.AwaitRecords("A.t", 1, patience)
			if diff := cmp.Diff([]string{"1"}, values(got[0])); diff != "" {
				t.Error(diff)
			}
			if err := r.failures(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAStartGroupThatCannotBeReadFailsTheTaskAndSaysWhy(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	const groupAuthorizationFailed = 30
	p.a.Fail(localkafka.Fault{API: localkafka.OffsetFetch, Code: groupAuthorizationFailed, Times: -1})
	r := startSource(t, p, "start.from=group:g")
	r.await("a failed task", func() bool { return r.failures() != nil })
	if err := r.failures(); !strings.Contains(err.Error(), "start.from=group:g") || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("error %q does not name the key and the reason", err)
	}
}

package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sourceToTarget is a checkpointer for the mirror source1 → target2.
func sourceToTarget(t *testing.T, syncs ...OffsetSync) (Checkpointer, *OffsetSyncStore) {
	t.Helper()
	store := NewOffsetSyncStore(true)
	for _, s := range syncs {
		store.Add(s)
	}
	store.Ready()
	return Checkpointer{
		SourceAlias: "source1", TargetAlias: "target2",
		Policy: newTestPolicy(t, ""), Filter: allTopics{}, Translator: store,
	}, store
}

type committed = map[TopicPartition]CommittedOffset

func TestPartitionsAreRenamedInBothDirections(t *testing.T) {
	byDefault, _ := sourceToTarget(t)
	identity := byDefault
	identity.Policy = newTestPolicy(t, IdentityPolicyClass, SourceClusterAliasKey, "source1")
	tests := []struct {
		checkpointer Checkpointer
		topic, want  string
	}{
		{byDefault, "topic3", "source1.topic3"},
		{byDefault, "target2.topic5", "topic5"},
		{byDefault, "other.topic5", "source1.other.topic5"},
		{byDefault, "target2.other.topic5", "topic5"},
		{identity, "topic3", "topic3"},
		{identity, "target2.topic5", "target2.topic5"},
		{identity, "heartbeats", "source1.heartbeats"},
		{identity, "target2.heartbeats", "heartbeats"},
	}
	for _, test := range tests {
		got := test.checkpointer.TargetPartition(TopicPartition{test.topic, 4})
		if want := (TopicPartition{test.want, 4}); got != want {
			t.Errorf("%s becomes %v, want %v", test.topic, got, want)
		}
	}
}

func TestCheckpointsHoldTranslatedOffsets(t *testing.T) {
	behind, exact := TopicPartition{"topic1", 2}, TopicPartition{"target2.topic5", 6}
	c, _ := sourceToTarget(t, OffsetSync{behind, 3, 4}, OffsetSync{exact, 7, 8})
	got := c.Checkpoints("group9", committed{
		behind: {Offset: 10, Metadata: "m"},
		exact:  {Offset: 7},
	}, nil)
	want := []Checkpoint{
		{"group9", TopicPartition{"source1.topic1", 2}, 10, 5, "m"},
		{"group9", TopicPartition{"topic5", 6}, 7, 8, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOffsetsThatCannotBeTranslatedGiveNoCheckpoint(t *testing.T) {
	synced, filtered := t0, TopicPartition{"secret", 0}
	c, _ := sourceToTarget(t, OffsetSync{synced, 100, 200}, OffsetSync{filtered, 0, 0})
	c.Filter = topicsNamed{"t": true}
	for name, offsets := range map[string]committed{
		"no syncs":           {t1: {Offset: 5}},
		"before all syncs":   {synced: {Offset: 99}},
		"no offset":          {synced: {Offset: -1}},
		"topic not mirrored": {filtered: {Offset: 1}},
		"nothing committed":  {},
	} {
		if got := c.Checkpoints("g", offsets, nil); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestACheckpointIsWrittenOnlyIfItIsMoreRecent(t *testing.T) {
	tests := []struct {
		name                             string
		lastUp, lastDown, nextUp, nextDn int64
		want                             bool
	}{
		{"same", 10, 100, 10, 100, false},
		{"group on, translation not", 10, 100, 12, 100, false},
		{"group on, translation on", 10, 100, 12, 102, true},
		{"translation finer", 10, 100, 10, 105, true},
		{"translation coarser", 10, 100, 12, 90, false},
		{"group back", 10, 100, 5, 50, true},
		{"group back, translation not", 10, 100, 5, 100, true},
	}
	for _, test := range tests {
		last := Checkpoint{Upstream: test.lastUp, Downstream: test.lastDown}
		next := Checkpoint{Upstream: test.nextUp, Downstream: test.nextDn}
		if got := MoreRecent(next, last); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// After a restart the store knows only newer syncs than the checkpoints were computed
// from (KAFKA-15905): groups must not be taken back by it.
func TestLoadedCheckpointsAreNotTakenBack(t *testing.T) {
	target := TopicPartition{"source1.t", 0}
	last := map[TopicPartition]Checkpoint{target: {"g", target, 250, 201, ""}}
	c, store := sourceToTarget(t, OffsetSync{t0, 100, 100}, OffsetSync{t0, 200, 200})

	if got := c.Checkpoints("g", committed{t0: {Offset: 250}}, last); len(got) != 0 {
		t.Errorf("repeated: %v", got)
	}
	coarser := Checkpoint{"g", target, 370, 250, ""}
	last[target] = coarser
	store.Add(OffsetSync{t0, 240, 175})
	if got := c.Checkpoints("g", committed{t0: {Offset: 370}}, last); len(got) != 0 {
		t.Errorf("taken back from %v to %v", coarser, got)
	}
	store.Add(OffsetSync{t0, 380, 375})
	want := []Checkpoint{{"g", target, 400, 376, ""}}
	if diff := cmp.Diff(want, c.Checkpoints("g", committed{t0: {Offset: 400}}, last)); diff != "" {
		t.Error(diff)
	}
}

// outlived asks c about the only checkpoint of last, and takes it out if it is.
func outlived(t *testing.T, c Checkpointer, last map[TopicPartition]Checkpoint, newCopies int) bool {
	t.Helper()
	for tp, checkpoint := range last {
		if c.Outlived(checkpoint, newCopies) {
			delete(last, tp)
			return true
		}
	}
	return false
}

func TestACheckpointOfACopyThatIsGoneDoesNotKeepBackTheTrueOne(t *testing.T) {
	target := TopicPartition{"source1.t", 0}
	// The old copy held all of the source, the new one begins with its offset 500.
	anew := func(upstreams ...int64) (syncs []OffsetSync) {
		for _, up := range upstreams {
			syncs = append(syncs, OffsetSync{t0, up, up - 500})
		}
		return syncs
	}
	tests := []struct {
		name           string
		syncs          []OffsetSync
		group          int64
		restarted      bool
		wantDownstream int64
	}{
		{"a short copy", anew(500, 900), 1000, false, 401},
		{"a group that stands still", anew(500, 900, 1000, 1100), 1000, false, 500},
		{"a group that goes on", anew(500, 900, 1000, 1100, 1600), 1400, false, 601},
		{"a copy that outgrew the old one between two looks", anew(500, 3000), 2000, false, 1},
		{"a short copy, after a restart", anew(500, 900), 1000, true, 401},
		{"a copy longer than the old one, after a restart", anew(500, 900, 1000, 1100, 1600), 1400, true, 601},
		{"the history compacted, after a restart", anew(1400), 1400, true, 900},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, store := sourceToTarget(t, OffsetSync{t0, 1000, 1000})
			first := c.Checkpoints("g", committed{t0: {Offset: 1000}}, nil)
			if diff := cmp.Diff([]Checkpoint{{"g", target, 1000, 1000, ""}}, first); diff != "" {
				t.Fatal(diff)
			}
			last := map[TopicPartition]Checkpoint{target: first[0]}
			if test.restarted {
				c, _ = sourceToTarget(t, test.syncs...)
			} else {
				for _, s := range test.syncs {
					store.Add(s)
				}
			}
			if !outlived(t, c, last, 0) {
				t.Error("the checkpoint of the old copy still counts")
			}
			want := []Checkpoint{{"g", target, test.group, test.wantDownstream, ""}}
			if diff := cmp.Diff(want, c.Checkpoints("g", committed{t0: {Offset: test.group}}, last)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACheckpointComputedWhileACopyWasMadeAnewIsJudgedByTheCountBefore(t *testing.T) {
	c, store := sourceToTarget(t, OffsetSync{t0, 1000, 1000}, OffsetSync{t1, 1000, 1000})
	checkpoint := Checkpoint{"g", TopicPartition{"source1.t", 0}, 1000, 1000, ""}
	ofAnother := Checkpoint{"g", TopicPartition{"source1.t", 1}, 1000, 1000, ""}
	before := store.NewCopies()
	store.Add(OffsetSync{t0, 900, 999})
	after := store.NewCopies()
	store.Add(OffsetSync{t0, 9000, 9000})
	if !c.Outlived(checkpoint, before) {
		t.Error("a checkpoint from before still counts")
	}
	if c.Outlived(checkpoint, after) {
		t.Error("a checkpoint from after does not count")
	}
	if c.Outlived(ofAnother, before) {
		t.Error("a checkpoint of another partition does not count")
	}
}

func TestWhatIsNotKnownOfACopyGivesNoCheckpointUp(t *testing.T) {
	c, _ := sourceToTarget(t)
	for _, topic := range []string{"source1.t", "t", "other.t", "source1.target2.t"} {
		if c.Outlived(Checkpoint{"g", TopicPartition{topic, 0}, 10, 10, ""}, 0) {
			t.Errorf("the checkpoint of %s, of which there is no sync, does not count", topic)
		}
	}
}

// However thin the syncs have become, and whatever was mirrored twice after a restart:
// while the target was not made anew, a checkpoint counts, and so a coarser translation
// never takes its place.
func TestACheckpointCountsAsLongAsItsCopyIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		syncs := []OffsetSync{{t0, rapid.Int64Range(0, 1000).Draw(t, "up"), rapid.Int64Range(0, 1000).Draw(t, "down")}}
		c := Checkpointer{SourceAlias: "source1", TargetAlias: "target2", Policy: newDefaultPolicy(nil), Filter: allTopics{}}
		store := readyStore(true)
		store.Add(syncs[0])
		c.Translator = store
		var written []Checkpoint
		for range rapid.IntRange(1, 150).Draw(t, "syncs") {
			s := syncs[len(syncs)-1]
			switch rapid.IntRange(0, 30).Draw(t, "kind") {
			case 0: // The same once more.
			case 1: // A task that was restarted mirrors again what the offsets did not cover, or the source began anew.
				s.Upstream = rapid.Int64Range(0, s.Upstream).Draw(t, "up")
				s.Downstream++
			default:
				gap := rapid.Int64Range(1, 300).Draw(t, "gap")
				s.Upstream += gap
				s.Downstream += rapid.Int64Range(1, gap).Draw(t, "down")
			}
			syncs = append(syncs, s)
			store.Add(s)
			group := rapid.Int64Range(0, s.Upstream+300).Draw(t, "group")
			written = append(written, c.Checkpoints("g", committed{t0: {Offset: group}}, nil)...)
		}
		for _, checkpoint := range written {
			if c.Outlived(checkpoint, 0) {
				t.Fatalf("%v does not count, with the syncs %v", checkpoint, syncs)
			}
		}
		// After a restart, with all of the history, with the newest part of it, and with the last sync alone.
		for _, kept := range [][]OffsetSync{syncs, syncs[rapid.IntRange(0, len(syncs)-1).Draw(t, "compacted"):]} {
			for _, keepHistory := range []bool{true, false} {
				again := NewOffsetSyncStore(keepHistory)
				for _, s := range kept {
					again.Add(s)
				}
				again.Ready()
				c.Translator = again
				for _, checkpoint := range written {
					if c.Outlived(checkpoint, 0) {
						t.Fatalf("%v does not count after a restart, with the syncs %v", checkpoint, kept)
					}
				}
			}
		}
	})
}

func TestAnUnacknowledgedCheckpointIsGivenAgain(t *testing.T) {
	c, _ := sourceToTarget(t, OffsetSync{t0, 0, 0})
	first := c.Checkpoints("g", committed{t0: {Offset: 1}}, nil)
	second := c.Checkpoints("g", committed{t0: {Offset: 1}}, nil)
	if len(first) != 1 {
		t.Fatalf("checkpoints %v, want one", first)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}

func TestGroupOffsetsAreSetByTheStateOfTheGroupOnTheTarget(t *testing.T) {
	all := committed{t0: {Offset: 10, Metadata: "m"}, t1: {Offset: 20}, t2: {Offset: 30}}
	tests := []struct {
		name    string
		state   TargetGroupState
		current committed
		want    committed
	}{
		{"absent", TargetGroupAbsent, nil, all},
		{"absent groups have no offsets to respect", TargetGroupAbsent, committed{t0: {Offset: 99}}, all},
		{"empty without offsets", TargetGroupEmpty, nil, all},
		{"empty, behind, equal and ahead", TargetGroupEmpty,
			committed{t0: {Offset: 9}, t1: {Offset: 20}, t2: {Offset: 31}}, committed{t0: {Offset: 10, Metadata: "m"}}},
		{"empty, new partition", TargetGroupEmpty, committed{t0: {Offset: 10}, t1: {Offset: 20}}, committed{t2: {Offset: 30}}},
		{"empty, reset to none", TargetGroupEmpty,
			committed{t0: {Offset: -1}, t1: {Offset: 20}, t2: {Offset: 30}}, committed{t0: {Offset: 10, Metadata: "m"}}},
		{"active", TargetGroupActive, nil, committed{}},
		{"unknown", TargetGroupUnknown, nil, committed{}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, GroupOffsetsToSet(test.state, all, test.current)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestGroupStatesHaveNames(t *testing.T) {
	for state, want := range map[TargetGroupState]string{
		TargetGroupUnknown: "unknown", TargetGroupAbsent: "absent", TargetGroupEmpty: "empty",
		TargetGroupActive: "active", 9: "TargetGroupState(9)",
	} {
		if got := state.String(); got != want {
			t.Errorf("state is called %q, want %q", got, want)
		}
	}
}

func TestAGroupKnownOnTheTargetIsNeverTakenBack(t *testing.T) {
	offsets := rapid.MapOf(
		rapid.SampledFrom([]TopicPartition{t0, t1, t2}),
		rapid.Custom(func(t *rapid.T) CommittedOffset {
			return CommittedOffset{Offset: rapid.Int64Range(0, 5).Draw(t, "offset")}
		}))
	rapid.Check(t, func(t *rapid.T) {
		translated, current := offsets.Draw(t, "translated"), offsets.Draw(t, "current")
		set := GroupOffsetsToSet(TargetGroupEmpty, translated, current)
		for tp, offset := range translated {
			now, known := current[tp]
			got, ok := set[tp]
			if wantSet := !known || offset.Offset > now.Offset; ok != wantSet || ok && got != offset {
				t.Fatalf("%v: now %v, translated %v, set %v (%v)", tp, now, offset, got, ok)
			}
		}
		for tp := range set {
			if _, ok := translated[tp]; !ok {
				t.Fatalf("%v is set without a checkpoint", tp)
			}
		}
	})
}

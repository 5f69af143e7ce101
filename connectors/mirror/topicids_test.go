package mirror

import (
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Ids as successive answers give them for one topic: it is made anew once, and brokers that
// are not up to date still tell of the old one.
var (
	idBefore, idAfter = [16]byte{1}, [16]byte{2}
	toldIDs           = [][16]byte{idBefore, idAfter, idBefore, {}, idAfter, idBefore, idAfter}
)

func viewOf(t *testing.T, to io.Writer, more ...string) *topicView {
	t.Helper()
	s, err := readSettings(sourceDef, "c", plus(more...))
	if err != nil {
		t.Fatal(err)
	}
	filter, err := replica.NewTopicFilter("", s.props)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(to, nil))
	return newTopicView(&SourceConnector{settings: s, topics: filter, logger: logger, troubles: newTroubles(logger)})
}

func TestASourceTopicIsMadeAnewOnceThoughSomeBrokersStillKnowTheOldOne(t *testing.T) {
	var log logBook
	v := viewOf(t, &log)
	for _, id := range toldIDs {
		v.choose(map[string]kafka.TopicInfo{"t": {ID: id, Partitions: 1}})
	}
	if lines := log.lines("deleted and created anew"); len(lines) != 1 {
		t.Errorf("said %d times, want once: %q", len(lines), lines)
	}
	if v.seen["t"].ID != idAfter {
		t.Errorf("the topic is taken for %x", v.seen["t"].ID)
	}
}

// As during an upgrade from brokers before 2.8, which tell no ids.
func TestASourceTopicWhoseIDIsNotToldIsNotMadeAnew(t *testing.T) {
	var log logBook
	v := viewOf(t, &log)
	for i, id := range [][16]byte{idBefore, {}, idBefore, {}} {
		v.choose(map[string]kafka.TopicInfo{"t": {ID: id, Partitions: int32(i + 1)}})
		if want := (kafka.TopicInfo{ID: idBefore, Partitions: int32(i + 1)}); v.seen["t"] != want {
			t.Errorf("after look %d the topic is taken for %v, want %v", i, v.seen["t"], want)
		}
	}
	if lines := log.lines("deleted and created anew"); len(lines) != 0 {
		t.Errorf("said %q", lines)
	}
	v.choose(map[string]kafka.TopicInfo{"t": {ID: idAfter, Partitions: 4}})
	if lines := log.lines("deleted and created anew"); len(lines) != 1 {
		t.Errorf("said %d times after it was made anew, want once", len(lines))
	}
}

func TestACopyIsLostOnceThoughSomeBrokersStillKnowTheOldOne(t *testing.T) {
	for name, remade := range map[string]func(v *topicView){
		"made anew by somebody": func(*topicView) {},
		"made anew by the mirror, which knows": func(v *topicView) {
			v.dropCopy("t")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBook
			v := viewOf(t, &log, "refill.on.target.loss=true")
			v.seen["t"] = kafka.TopicInfo{Partitions: 1}
			var refills []string
			for i, id := range toldIDs {
				if i == 1 {
					remade(v)
				}
				v.compareCopies(map[string]kafka.TopicInfo{"A.t": {ID: id, Partitions: 1}})
				if refill := v.refills["t"]; refill != "" && !slices.Contains(refills, refill) {
					refills = append(refills, refill)
				}
			}
			want := []string{"02000000000000000000000000000000"}
			if name != "made anew by somebody" {
				want = nil
			}
			if diff := cmp.Diff(want, refills); diff != "" {
				t.Error(diff)
			}
			if lines := log.lines("deleted and made anew"); len(lines) != len(want) {
				t.Errorf("said %d times, want %d: %q", len(lines), len(want), lines)
			}
		})
	}
}

func TestATaskTakesATopicForMadeAnewOnceThoughSomeBrokersStillKnowTheOldOne(t *testing.T) {
	w := &sourceWatch{ids: map[string][16]byte{}, former: map[[16]byte]bool{}}
	var times int
	for _, id := range toldIDs {
		for _, topic := range w.madeAnew(map[string]kafka.TopicInfo{"t": {ID: id, Partitions: 1}}) {
			w.accept(topic, id)
			times++
		}
	}
	if times != 1 {
		t.Errorf("made anew %d times, want once", times)
	}
}

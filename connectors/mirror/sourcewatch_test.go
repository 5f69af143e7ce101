package mirror

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestWhatBecameOfAPartitionIsFoundOutThoughAnotherHasNoLeader(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	for _, topic := range []string{"told", "leaderless"} {
		p.source.CreateTopic(topic, 1, nil)
		p.source.Produce(topic, text("0", "1")...)
	}
	const leaderNotAvailable = 5
	fault := p.a.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: leaderNotAvailable, Topic: "leaderless", Times: -1})
	s, err := readSettings(sourceDef, "c", p.settings)
	if err != nil {
		t.Fatal(err)
	}
	source, err := s.openCluster(onSource, "test", discard())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.close() }()
	var log logBook
	logger := slog.New(slog.NewTextHandler(&log, nil))
	w := &sourceWatch{admin: source.admin, reset: kafka.OffsetReset{Strategy: "earliest"}, logger: logger, troubles: newTroubles(logger), cluster: "A"}
	told, leaderless := kafka.TopicPartition{Topic: "told"}, kafka.TopicPartition{Topic: "leaderless"}
	w.start(t.Context(), []kafka.TopicPartition{told, leaderless})
	defer w.stop()
	found, ends := map[kafka.TopicPartition]finding{}, map[kafka.TopicPartition]int64{}
	await := func(what string, done func() bool) {
		kafkatest.Await(t, patience, what, func() (bool, string) {
			moreFound, moreEnds := w.take()
			for tp, f := range moreFound {
				found[tp] = f
			}
			for tp, end := range moreEnds {
				ends[tp] = end
			}
			return done(), ""
		})
	}

	w.look([]kafka.TopicPartition{told, leaderless})
	w.ask(told, true)
	w.ask(leaderless, true)
	await("the partition that has a leader", func() bool { return len(found) == 1 && len(ends) == 1 })
	want := finding{earliest: 0, latest: 2, reset: 0}
	if diff := cmp.Diff(map[kafka.TopicPartition]finding{told: want}, found, cmp.AllowUnexported(finding{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[kafka.TopicPartition]int64{told: 2}, ends); diff != "" {
		t.Error(diff)
	}
	await("the other one to be told of", func() bool { return len(log.lines("level=WARN", "cannot be read on", "leaderless-0")) == 1 })

	fault.Undo()
	w.look([]kafka.TopicPartition{leaderless})
	await("the other one", func() bool { return len(found) == 2 && len(ends) == 2 })
	if diff := cmp.Diff(want, found[leaderless], cmp.AllowUnexported(finding{})); diff != "" {
		t.Error(diff)
	}
	await("the trouble to be over", func() bool { return len(log.lines("A problem is over")) == 1 })
}

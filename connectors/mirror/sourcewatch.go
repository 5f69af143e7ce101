package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tributary/internal/beat"
	"tributary/internal/kafka"
)

// identityLook is how often a task asks for the ids of its topics: a topic that was
// deleted and created anew, and is already longer than the old one was read, looks like
// the old one to who only reads on.
const identityLook = 2 * time.Second

// sourceWatch finds out, beside the reading, what became of partitions that cannot be
// read on, and whether topics are still the same. One goroutine, run, asks the cluster;
// the task's goroutine leaves questions and takes answers.
type sourceWatch struct {
	admin    *kafka.Admin
	level    kafka.Isolation
	reset    kafka.OffsetReset
	logger   *slog.Logger
	troubles *troubles
	cluster  string
	topics   map[string][]kafka.TopicPartition

	mu    sync.Mutex
	lost  map[kafka.TopicPartition]bool // to be looked at
	stale map[kafka.TopicPartition]bool // whose end is to be looked up
	found map[kafka.TopicPartition]finding
	ends  map[kafka.TopicPartition]int64

	// ids are those of the topics at the last look, former those that were replaced. Both
	// are run's own.
	ids    map[string][16]byte
	former map[[16]byte]bool
	wake   chan struct{}
	cancel context.CancelFunc
	ended  chan struct{}
}

// start begins to watch the topics of the given partitions.
func (w *sourceWatch) start(ctx context.Context, partitions []kafka.TopicPartition) {
	w.topics, w.ids, w.former = map[string][]kafka.TopicPartition{}, map[string][16]byte{}, map[[16]byte]bool{}
	for _, tp := range partitions {
		w.topics[tp.Topic] = append(w.topics[tp.Topic], tp)
	}
	w.lost, w.stale = map[kafka.TopicPartition]bool{}, map[kafka.TopicPartition]bool{}
	w.found, w.ends = map[kafka.TopicPartition]finding{}, map[kafka.TopicPartition]int64{}
	w.wake, w.ended = make(chan struct{}, 1), make(chan struct{})
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
}

func (w *sourceWatch) stop() {
	if w.cancel != nil {
		w.cancel()
		<-w.ended
	}
}

// ask has a partition looked at that cannot be read on: at once, or with the next regular look, which is soon enough where the
// last finding did not help.
func (w *sourceWatch) ask(tp kafka.TopicPartition, atOnce bool) {
	w.mu.Lock()
	w.lost[tp] = true
	w.mu.Unlock()
	if !atOnce {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// look has the ends of partitions looked up that are not being read at present.
func (w *sourceWatch) look(tps []kafka.TopicPartition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.stale)
	for _, tp := range tps {
		w.stale[tp] = true
	}
}

// take returns what was found out since the last call.
func (w *sourceWatch) take() (found map[kafka.TopicPartition]finding, ends map[kafka.TopicPartition]int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.found) > 0 {
		found, w.found = w.found, map[kafka.TopicPartition]finding{}
	}
	if len(w.ends) > 0 {
		ends, w.ends = w.ends, map[kafka.TopicPartition]int64{}
	}
	return found, ends
}

func (w *sourceWatch) run(ctx context.Context) {
	defer close(w.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.investigate(ctx)
		w.lookUpEnds(ctx)
		timer.Reset(beat.Until(identityLook))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.wake:
		}
	}
}

// investigate looks at the ids of all topics, and at the ends of partitions that were
// asked for or whose topic is another one than before.
func (w *sourceWatch) investigate(ctx context.Context) {
	infos, _, err := w.admin.LookUpTopics(ctx, slices.Sorted(maps.Keys(w.topics))...)
	if ctx.Err() != nil {
		return
	}
	w.troubles.report("topic ids", err, "The topics of the source cannot be looked at: whether one was created anew is not known until they can", "cluster", w.cluster)
	if err != nil {
		return
	}
	w.mu.Lock()
	suspects := maps.Clone(w.lost)
	w.mu.Unlock()
	recreated := w.madeAnew(infos)
	for _, topic := range recreated {
		for _, tp := range w.topics[topic] {
			suspects[tp] = true
		}
	}
	if len(suspects) == 0 {
		return
	}
	found, failed, err := w.examine(ctx, sortedPartitions(suspects))
	if ctx.Err() != nil {
		return
	}
	trouble := err
	for _, tp := range sortedPartitions(failed) {
		// That a topic is gone, the fetcher tells.
		if trouble == nil && !errors.Is(failed[tp], kafka.ErrUnknownTopicOrPartition) {
			trouble = fmt.Errorf("%s-%d: %w", tp.Topic, tp.Partition, failed[tp])
		}
	}
	w.troubles.report("examine", trouble, "Partitions of the source cannot be read on, and why cannot be found out yet; it is tried again",
		"cluster", w.cluster, "partitions", len(suspects))
	if err != nil {
		return
	}
	for _, topic := range recreated {
		// All partitions of a new topic are dealt with at once, lest one is told twice.
		if slices.ContainsFunc(w.topics[topic], func(tp kafka.TopicPartition) bool { _, ok := found[tp]; return !ok }) {
			for _, tp := range w.topics[topic] {
				delete(found, tp)
			}
			continue
		}
		for _, tp := range w.topics[topic] {
			f := found[tp]
			f.recreated = true
			found[tp] = f
		}
		w.accept(topic, infos[topic].ID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for tp, f := range found {
		w.found[tp] = f
		delete(w.lost, tp)
	}
}

// madeAnew lists the topics that are others than before.
func (w *sourceWatch) madeAnew(infos map[string]kafka.TopicInfo) []string {
	var topics []string
	for topic, info := range infos {
		switch before, known := w.ids[topic]; {
		case info.ID == [16]byte{}, w.former[info.ID]: // not told, or by a broker that is not up to date
		case !known:
			w.ids[topic] = info.ID
		case before != info.ID:
			topics = append(topics, topic)
		}
	}
	return topics
}

// accept goes on with the topic that has taken the place of another.
func (w *sourceWatch) accept(topic string, id [16]byte) {
	w.former[w.ids[topic]] = true
	w.ids[topic] = id
}

// examine asks where logs begin and end. Partitions that cannot be asked about now, such as those without a leader or
// of a topic just deleted, are left out, and are in failed.
func (w *sourceWatch) examine(ctx context.Context, tps []kafka.TopicPartition) (found map[kafka.TopicPartition]finding, failed map[kafka.TopicPartition]error, err error) {
	failed = map[kafka.TopicPartition]error{}
	lookUp := func(spec int64) map[kafka.TopicPartition]int64 {
		if err != nil {
			return nil
		}
		var at map[kafka.TopicPartition]int64
		var not map[kafka.TopicPartition]error
		at, not, err = w.admin.CurrentOffsets(ctx, tps, spec, w.level)
		maps.Copy(failed, not)
		return at
	}
	earliest, latest := lookUp(kafka.Earliest), lookUp(kafka.Latest)
	var reset map[kafka.TopicPartition]int64
	switch w.reset.Strategy {
	case "earliest":
		reset = earliest
	case "latest":
		reset = latest
	case "by_duration":
		reset = lookUp(max(time.Now().Add(-w.reset.Duration).UnixMilli(), 0))
	}
	if err != nil {
		return nil, nil, err
	}
	found = map[kafka.TopicPartition]finding{}
	for _, tp := range tps {
		if failed[tp] != nil {
			continue
		}
		f := finding{earliest: earliest[tp], latest: latest[tp], reset: -1}
		if at, ok := reset[tp]; ok {
			f.reset = at
		}
		found[tp] = f
	}
	return found, failed, nil
}

func (w *sourceWatch) lookUpEnds(ctx context.Context) {
	w.mu.Lock()
	tps := sortedPartitions(w.stale)
	clear(w.stale)
	w.mu.Unlock()
	if len(tps) == 0 {
		return
	}
	ends, _, err := w.admin.CurrentOffsets(ctx, tps, kafka.Latest, w.level)
	if err != nil {
		w.logger.Debug("The ends of partitions that are not being read cannot be looked up", "cluster", w.cluster, "error", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.ends, ends)
}

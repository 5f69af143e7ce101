package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
	"tributary/internal/rawkafka"
)

// SourceTask copies the records of its partitions.
type SourceTask struct {
	settings *settings
	lane     laneChoice
	throttle throttle
	limit    atomic.Int64     // for the throttle: it may change at any time
	reader   *rawkafka.Reader // nil in the record lane
	logger   *slog.Logger
	troubles *troubles
	metrics  sourceTaskMetrics

	partitions map[kafka.TopicPartition]*sourcePartition
	// stopped are partitions that will not be read again in this life of the task.
	stopped map[kafka.TopicPartition]error
	maxPoll int
	// portions are what may be handed out and did not fit into the last Poll.
	portions []portion
	// waiting are partitions with records that are not due yet, in the delayed mode.
	waiting map[*sourcePartition]struct{}
	// held are partitions of which the target refused a record.
	held     map[*sourcePartition]struct{}
	refusals refusals
	traffic  traffic
	letters  bool // the topic for refused records is there
	id       connect.TaskID
	// again is when the next of those that wait is due.
	again time.Time

	client      *kafka.Client
	fetcher     *kafka.Fetcher
	watch       *sourceWatch
	late        []*latePlaces // of partitions that had no place at the start
	syncsClient *kafka.Client
	syncs       *syncWriter // nil when offset syncs are off
	checked     time.Time   // when the fetcher was last asked for problems
	asked       time.Time   // when requestCommit was last called
	// page is what others see of the task, once it has started.
	page atomic.Pointer[taskPage]
	// target tells of partitions of the target that cannot be written to; nil where the worker cannot.
	target connect.TargetTeller
	// requestCommit has the worker commit offsets now.
	requestCommit func()
	// transactional says that the worker writes in transactions.
	transactional bool
}

// Start implements connect.SourceTask. It reads the stored offsets; the source itself
// is first asked for records by Poll.
func (t *SourceTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	assigned, err := parseAssigned(config[assignedPartitions])
	if err != nil {
		return err
	}
	s, err := readSettings(sourceDef, fmt.Sprintf("%s-%s", tc.ID().Connector, taskIndex(config)), config)
	if err != nil {
		return err
	}
	t.settings, t.logger = s, tc.Logger()
	t.stopped, t.waiting, t.held = map[kafka.TopicPartition]error{}, map[*sourcePartition]struct{}{}, map[*sourcePartition]struct{}{}
	t.id = tc.ID()
	t.traffic = newTraffic(s, t.lane.batches)
	if in, ok := tc.(connect.TransactionTeller); ok && in.InTransactions() {
		t.transactional = true
		t.traffic.room = 0 // nothing is acknowledged before a commit; and what is stuck fails the transaction
	}
	t.troubles = newTroubles(t.logger)
	t.metrics = newSourceTaskMetrics(tc.Metrics(), s)
	if err := t.startSyncs(ctx); err != nil {
		return err
	}
	consumer, err := s.clientConfig(onSource, kafka.RoleConsumer, "replication-consumer", consumerThroughput(len(assigned)), t.logger)
	if err != nil {
		return err
	}
	t.maxPoll = consumer.Consumer.MaxPollRecords
	if t.client, err = kafka.NewClient(consumer, t.logger); err != nil {
		return fmt.Errorf("client for cluster %s: %w", s.source, err)
	}
	t.target, _ = tc.(connect.TargetTeller)
	t.requestCommit = func() {}
	if asks, ok := tc.(connect.CommitRequester); ok {
		t.requestCommit = asks.RequestCommit
	}
	positions, err := t.findPositions(ctx, tc, assigned, config, consumer)
	if err != nil {
		return err
	}
	t.startReading(ctx, positions, consumer)
	page := &taskPage{lane: t.lane.name, laneReason: t.lane.reason}
	for _, tp := range sortedPartitions(t.partitions) {
		page.partitions = append(page.partitions, t.partitions[tp])
	}
	t.page.Store(page)
	t.logger.Info("The task mirrors its partitions", "partitions", len(positions), "source", s.source, "target", s.target, "lane", t.lane.name)
	return nil
}

// taskIndex is the number that Java puts into client ids, and its sign for "unknown".
func taskIndex(config map[string]string) string {
	if i := config[taskIndexKey]; i != "" {
		return i
	}
	return "?"
}

func parseAssigned(list string) ([]replica.TopicPartition, error) {
	var assigned []replica.TopicPartition
	for item := range strings.SplitSeq(list, ",") {
		tp, err := replica.ParseTopicPartition(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("%s is %q: %w", assignedPartitions, list, err)
		}
		assigned = append(assigned, tp)
	}
	return assigned, nil
}

func (t *SourceTask) startSyncs(ctx context.Context) error {
	s := t.settings
	if !s.Bool(emitSyncsKey) {
		return nil
	}
	at := onTarget
	if s.syncsOnSource() {
		at = onSource
	}
	config, err := s.clientConfig(at, kafka.RoleProducer, "offset-syncs-"+string(at)+"-producer", nil, t.logger)
	if err != nil {
		return err
	}
	if t.syncsClient, err = kafka.NewClient(config, t.logger); err != nil {
		return fmt.Errorf("client for offset syncs on cluster %s: %w", s.alias(at), err)
	}
	producer, err := kafka.NewProducer(t.syncsClient, config, t.logger)
	if err != nil {
		return fmt.Errorf("producer of offset syncs on cluster %s: %w", s.alias(at), err)
	}
	t.syncs = startSyncWriter(ctx, s.syncsTopic(), s.Int(offsetLagMaxKey), producer, t.troubles, t.metrics)
	return nil
}

// findPositions makes the state of each assigned partition and says where to begin
// with it: behind the last record mirrored, or where start.from says.
func (t *SourceTask) findPositions(ctx context.Context, tc connect.TaskContext, assigned []replica.TopicPartition, config map[string]string, consumer *kafka.Config) (map[kafka.TopicPartition]int64, error) {
	s := t.settings
	ends, err := s.batchEnds(config, assigned)
	if err != nil {
		return nil, err
	}
	t.partitions = make(map[kafka.TopicPartition]*sourcePartition, len(assigned))
	keys := make([]*connect.SourcePartition, len(assigned))
	for i, tp := range assigned {
		keys[i] = connect.NewSourcePartition(replica.SourcePartitionMap(s.source, tp.Topic, tp.Partition))
		p := newSourcePartition(tc.Metrics(), s, tp, keys[i], ends[tp])
		p.toldLate = t.transactional
		t.partitions[kafka.TopicPartition(tp)] = p
	}
	offsets, err := tc.Offsets().Offsets(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read the offsets mirrored so far: %w", err)
	}
	positions := make(map[kafka.TopicPartition]int64, len(assigned))
	var fresh []kafka.TopicPartition
	for i, tp := range assigned {
		last, err := replica.UnwrapOffset(offsets[i])
		if err != nil {
			return nil, fmt.Errorf("offset mirrored so far of %s: %w", tp, err)
		}
		// -1 is stored for the very beginning, 0. Java takes it for nothing stored, as it takes no offset at all.
		none := offsets[i][replica.OffsetField] == nil || last < -1
		t.partitions[kafka.TopicPartition(tp)].bare.Store(none || offsets[i][bareField] == true)
		if none {
			fresh = append(fresh, kafka.TopicPartition(tp))
			continue
		}
		positions[kafka.TopicPartition(tp)] = last + 1
	}
	if err := t.refill(ctx, tc, config, positions, kafka.NewAdmin(t.client, consumer, t.logger)); err != nil {
		return nil, err
	}
	return positions, t.placeFresh(ctx, fresh, consumer, positions)
}

// placeFresh adds the positions of partitions that were never mirrored.
func (t *SourceTask) placeFresh(ctx context.Context, fresh []kafka.TopicPartition, consumer *kafka.Config, positions map[kafka.TopicPartition]int64) error {
	if len(fresh) == 0 {
		return nil
	}
	rules, _ := parseStartRules(t.settings.props)
	place := placer{
		rules: rules, reset: consumer.Consumer.OffsetReset, now: time.Now(), level: isolationOf(consumer),
		admin:    kafka.NewAdmin(t.client, consumer, t.logger),
		position: positions, refused: map[kafka.TopicPartition]error{}, failed: map[kafka.TopicPartition]error{},
	}
	if err := place.place(ctx, fresh); err != nil {
		return fmt.Errorf("cluster %s: %w", t.settings.source, err)
	}
	for tp, err := range place.refused {
		t.stop(tp, err)
	}
	// A place that was looked up is kept from now on: looked up again after a restart it
	// could be further on, and what lies between would be left out. That of an empty log is, too.
	for _, tp := range fresh {
		if at, ok := positions[tp]; ok {
			t.keepPlace(tp, at)
		}
	}
	if len(place.failed) > 0 {
		t.placeLate(ctx, "look up where partitions of the source begin", &latePlaces{ask: place.again, keeps: t.keepPlace, failed: place.failed})
	}
	return nil
}

func (t *SourceTask) placeLate(ctx context.Context, name string, l *latePlaces) {
	l.start(ctx, name, t.settings.millis(adminTimeoutKey), t.troubles)
	t.late = append(t.late, l)
}

func (t *SourceTask) keepPlace(tp kafka.TopicPartition, at int64) {
	if at >= 0 {
		t.portions = append(t.portions, portion{partition: t.partitions[tp], position: at - 1, placed: true})
	}
}

// beginLate begins with the partitions whose places were found since the start. It
// returns what is wrong with those that have none yet.
func (t *SourceTask) beginLate() map[kafka.TopicPartition]error {
	placeless := map[kafka.TopicPartition]error{}
	for _, l := range t.late {
		found, failed := l.take()
		maps.Copy(placeless, failed)
		for _, tp := range sortedPartitions(found) {
			p, at := t.partitions[tp], found[tp]
			l.keeps(tp, at)
			p.from, p.next = at, at
			if p.atEnd() {
				t.finish(p)
				continue
			}
			t.fetcher.Add(map[kafka.TopicPartition]int64{tp: at})
		}
	}
	return placeless
}

func isolationOf(consumer *kafka.Config) kafka.Isolation {
	if consumer.Consumer.ReadCommitted {
		return kafka.ReadCommitted
	}
	return kafka.ReadUncommitted
}

// CommitRecord implements connect.RecordCommitter.
func (t *SourceTask) CommitRecord(record *connect.SourceRecord, md *connect.RecordMetadata) {
	at, ours := record.SourceOffset.(*sourceOffset)
	if !ours {
		return
	}
	at.partition.acknowledged(record, at.offset, md, time.Now())
	if p := at.partition; p.bare.Load() {
		if md != nil && md.Topic == p.remote {
			p.bare.Store(false)
		} else {
			at.bare.Store(true) // it was left out, or went elsewhere
		}
	}
	if t.syncs != nil && md != nil && md.Offset >= 0 && !at.dead {
		if at.whole != nil {
			t.syncs.ackedBatch(at.partition.tp, at.whole, md)
		} else {
			t.syncs.acked(at.partition.tp, at.offset, md.Offset)
		}
	}
	// The worker keeps the offset until it is committed, a minute as a rule, and with it would keep the answer that the
	// batch came in: a different one for each partition.
	at.whole = nil
}

// Commit implements connect.Committer.
func (t *SourceTask) Commit(context.Context) error {
	if t.syncs != nil {
		t.syncs.promote()
	}
	return nil
}

// Stop implements connect.SourceTask. Offset syncs of all that was acknowledged are
// written first, for some seconds at most.
func (t *SourceTask) Stop(ctx context.Context) error {
	for _, l := range t.late {
		l.stop()
	}
	if t.fetcher != nil {
		t.fetcher.Close()
		t.watch.stop()
	}
	if t.syncs != nil {
		limited, cancel := context.WithTimeout(ctx, drainTime)
		unwritten := t.syncs.stop(limited)
		cancel()
		if unwritten > 0 {
			t.logger.Warn("The task ends with offset syncs not written: until the partitions get new records, their consumer groups are translated to an earlier place",
				"unwritten", unwritten, "topic", t.settings.syncsTopic())
		}
	}
	var errs []error
	for _, client := range []*kafka.Client{t.client, t.syncsClient} {
		if client != nil {
			errs = append(errs, client.Close())
		}
	}
	t.fetcher, t.watch, t.late, t.syncs, t.client, t.syncsClient = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

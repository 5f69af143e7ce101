package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// SourceTask copies the records of its partitions.
type SourceTask struct {
	settings *settings
	logger   *slog.Logger
	troubles *troubles
	metrics  sourceTaskMetrics

	partitions map[kafka.TopicPartition]*sourcePartition
	// stopped are partitions that will not be read again in this life of the task.
	stopped map[kafka.TopicPartition]error
	maxPoll int
	// portions are fetched records that did not fit into the last Poll.
	portions []portion

	client      *kafka.Client
	fetcher     *kafka.Fetcher
	syncsClient *kafka.Client
	syncs       *syncWriter // nil when offset syncs are off
	checked     time.Time   // when the fetcher was last asked for problems
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
	*t = SourceTask{settings: s, logger: tc.Logger(), stopped: map[kafka.TopicPartition]error{}}
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
	positions, err := t.findPositions(ctx, tc, assigned, consumer)
	if err != nil {
		return err
	}
	t.fetcher = kafka.NewFetcher(t.client, consumer, t.logger)
	t.fetcher.Assign(positions)
	t.logger.Info("The task mirrors its partitions", "partitions", len(positions), "source", s.source, "target", s.target)
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
// with it: behind the last record mirrored, or where auto.offset.reset says.
func (t *SourceTask) findPositions(ctx context.Context, tc connect.TaskContext, assigned []replica.TopicPartition, consumer *kafka.Config) (map[kafka.TopicPartition]int64, error) {
	s := t.settings
	t.partitions = make(map[kafka.TopicPartition]*sourcePartition, len(assigned))
	keys := make([]*connect.SourcePartition, len(assigned))
	for i, tp := range assigned {
		keys[i] = connect.NewSourcePartition(replica.SourcePartitionMap(s.source, tp.Topic, tp.Partition))
		t.partitions[kafka.TopicPartition(tp)] = &sourcePartition{
			tp: tp, remote: s.remoteTopic(tp.Topic), position: keys[i],
			metrics: newPartitionMetrics(tc.Metrics(), s, tp),
		}
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
		if last < 0 {
			fresh = append(fresh, kafka.TopicPartition(tp))
			continue
		}
		positions[kafka.TopicPartition(tp)] = last + 1
	}
	return positions, t.placeFresh(ctx, fresh, consumer, positions)
}

// placeFresh adds the positions of partitions that were never mirrored.
func (t *SourceTask) placeFresh(ctx context.Context, fresh []kafka.TopicPartition, consumer *kafka.Config, positions map[kafka.TopicPartition]int64) error {
	reset := consumer.Consumer.OffsetReset
	switch reset.Strategy {
	case "latest":
		for _, tp := range fresh {
			positions[tp] = kafka.Latest
		}
	case "none":
		for _, tp := range fresh {
			t.stop(tp, errors.New("it has no stored offset to begin at, and auto.offset.reset=none allows no other place"))
		}
	case "by_duration":
		since := time.Now().Add(-reset.Duration).UnixMilli()
		admin := kafka.NewAdmin(t.client, consumer, t.logger)
		found, failed, err := admin.ListOffsets(ctx, fresh, max(since, 0), kafka.ReadUncommitted)
		if err != nil {
			return fmt.Errorf("look up where to begin by auto.offset.reset=by_duration on cluster %s: %w", t.settings.source, err)
		}
		for tp, err := range failed {
			t.stop(tp, fmt.Errorf("look up where to begin by auto.offset.reset=by_duration: %w", err))
		}
		maps.Copy(positions, found)
	default:
		for _, tp := range fresh {
			positions[tp] = kafka.Earliest
		}
	}
	return nil
}

// stop gives a partition up for this life of the task.
func (t *SourceTask) stop(tp kafka.TopicPartition, err error) {
	t.stopped[tp] = err
	t.logger.Error("A partition is not mirrored any more. Restart the task once this is mended",
		"topic", tp.Topic, "partition", tp.Partition, "cluster", t.settings.source, "error", err)
}

// Poll implements connect.SourceTask. A batch holds at most max.poll.records records.
// Partitions that cannot be read at present are the fetcher's to retry and to log; a
// task is failed only when none of its partitions can ever be read again.
func (t *SourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	t.checkProblems()
	if len(t.stopped) == len(t.partitions) {
		return nil, fmt.Errorf("none of the %d partitions of the task can be mirrored: %w", len(t.partitions), t.firstStop())
	}
	if len(t.portions) == 0 {
		waiting, cancel := context.WithTimeout(ctx, max(t.settings.millis(pollTimeoutKey), time.Millisecond))
		fetched, err := t.fetcher.Poll(waiting)
		cancel()
		if err != nil && waiting.Err() == nil {
			return nil, fmt.Errorf("read from cluster %s: %w", t.settings.source, err)
		}
		t.take(fetched)
	}
	chosen := t.choose()
	if len(chosen) == 0 {
		return nil, nil
	}
	return convert(chosen, time.Now()), nil
}

func (t *SourceTask) take(fetched []kafka.Fetched) {
	for _, f := range fetched {
		p := t.partitions[f.TopicPartition]
		if p == nil {
			continue
		}
		if len(f.Records) > 0 {
			t.portions = append(t.portions, portion{p, f.Records})
		}
		// Other errors are the fetcher's: it has logged them and goes on trying.
		if errors.Is(f.Err, kafka.ErrOffsetOutOfRange) {
			t.stop(f.TopicPartition, f.Err)
		}
	}
}

// choose takes up to maxPoll records off the front of portions.
func (t *SourceTask) choose() []portion {
	left := t.maxPoll
	for i := range t.portions {
		p := &t.portions[i]
		if len(p.records) > left {
			chosen := append(slices.Clone(t.portions[:i]), portion{p.partition, p.records[:left]})
			p.records = p.records[left:]
			t.portions = t.portions[i:]
			if left == 0 {
				chosen = chosen[:i]
			}
			return chosen
		}
		left -= len(p.records)
	}
	chosen := t.portions
	t.portions = nil
	return chosen
}

// checkProblems keeps the gauge of partitions that do not move up to date.
func (t *SourceTask) checkProblems() {
	if now := time.Now(); now.Sub(t.checked) >= time.Second {
		t.checked = now
		stuck := t.fetcher.Problems()
		maps.Copy(stuck, t.stopped)
		t.metrics.stuck.Set(float64(len(stuck)))
	}
}

func (t *SourceTask) firstStop() error {
	first := slices.MinFunc(slices.Collect(maps.Keys(t.stopped)), func(a, b kafka.TopicPartition) int {
		return replica.TopicPartition(a).Compare(replica.TopicPartition(b))
	})
	return fmt.Errorf("%s-%d: %w", first.Topic, first.Partition, t.stopped[first])
}

// CommitRecord implements connect.RecordCommitter.
func (t *SourceTask) CommitRecord(record *connect.SourceRecord, md *connect.RecordMetadata) {
	at, ours := record.SourceOffset.(*sourceOffset)
	if md == nil || !ours {
		return
	}
	at.partition.metrics.acknowledged(record.Timestamp, time.Now())
	if t.syncs != nil && md.Offset >= 0 {
		t.syncs.acked(at.partition.tp, at.offset, md.Offset)
	}
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
	if t.fetcher != nil {
		t.fetcher.Close()
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
	t.fetcher, t.syncs, t.client, t.syncsClient = nil, nil, nil, nil
	return errors.Join(errs...)
}

package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// CheckpointTask translates the offsets of its groups, writes them as checkpoints and,
// if asked to, commits them for groups that are idle on the target.
//
// One goroutine loads what is known, then commits offsets now and again; the worker's
// goroutine polls. They share the newest checkpoint of each partition of each group.
type CheckpointTask struct {
	settings     *settings
	logger       *slog.Logger
	troubles     *troubles
	connectMeter connect.Metrics
	groups       []string
	topics       replica.TopicFilter
	every        time.Duration

	source, target *cluster
	ended          sync.WaitGroup
	cancel         context.CancelFunc
	// loaded is closed once checkpointer is set and checkpoints and syncs are read.
	loaded       chan struct{}
	checkpointer replica.Checkpointer
	syncs        *replica.OffsetSyncStore
	next         time.Time // of the next Poll that looks at the groups

	mu sync.Mutex
	// last are the newest checkpoints that the target has, by group and partition.
	last   map[string]map[replica.TopicPartition]writtenCheckpoint
	gauges map[checkpointID]*latencyMetrics

	// newestSync is the time of the last offset sync read, in milliseconds since 1970.
	newestSync atomic.Int64

	reports groupReports
	metrics checkpointTaskMetrics
}

// writtenCheckpoint is a checkpoint, and how many copies on the target had begun anew
// before it was computed.
type writtenCheckpoint struct {
	replica.Checkpoint
	newCopies int
}

type checkpointID struct {
	group string
	tp    replica.TopicPartition
}

// Start implements connect.SourceTask. Loading goes on behind it.
func (t *CheckpointTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	s, err := readSettings(checkpointDef, fmt.Sprintf("%s-%s", tc.ID().Connector, taskIndex(config)), config)
	if err != nil {
		return err
	}
	t.settings, t.logger, t.connectMeter, t.every = s, tc.Logger(), tc.Metrics(), s.period(emitCheckpoints)
	t.loaded = make(chan struct{})
	t.last, t.gauges = map[string]map[replica.TopicPartition]writtenCheckpoint{}, map[checkpointID]*latencyMetrics{}
	t.metrics = newCheckpointTaskMetrics(tc.Metrics(), s)
	t.troubles = newTroubles(t.logger)
	for group := range strings.SplitSeq(config[assignedGroups], ",") {
		if group = strings.TrimSpace(group); group != "" {
			t.groups = append(t.groups, group)
			t.last[group] = map[replica.TopicPartition]writtenCheckpoint{}
		}
	}
	if len(t.groups) == 0 {
		return fmt.Errorf("%s is %q: it must name at least one consumer group", assignedGroups, config[assignedGroups])
	}
	if t.topics, err = replica.NewTopicFilter(s.String(replica.TopicFilterClassKey), config); err != nil {
		return err
	}
	if t.source, err = s.openCluster(onSource, "checkpoint-source-admin", t.logger); err != nil {
		return err
	}
	if t.target, err = s.openCluster(onTarget, "checkpoint-target-admin", t.logger); err != nil {
		return err
	}
	history, err := t.openHistory()
	if err != nil {
		return err
	}
	ctx, t.cancel = context.WithCancel(ctx)
	t.ended.Go(func() {
		defer history.close()
		t.run(ctx, history)
	})
	t.logger.Info("The task translates its consumer groups", "groups", len(t.groups), "source", s.source, "target", s.target)
	return nil
}

func (t *CheckpointTask) run(ctx context.Context, history *history) {
	if awaitClusters(ctx, t.source, t.target) != nil {
		return
	}
	s := t.settings
	complete, err := history.loadCheckpoints(ctx, func(c replica.Checkpoint) { t.restore(writtenCheckpoint{Checkpoint: c}) })
	if err != nil {
		return
	}
	syncs, err := history.followSyncs(ctx, complete)
	if err != nil {
		return
	}
	t.syncs = syncs
	t.checkpointer = replica.Checkpointer{SourceAlias: s.source, TargetAlias: s.target, Policy: s.policy, Filter: t.topics, Translator: syncs}
	close(t.loaded)
	if every := s.period(syncGroupOffsets); every > 0 {
		doChores(ctx, s.millis(adminTimeoutKey), t.troubles, chore{name: "commit translated offsets on the target", every: every, delay: min(every, time.Second), patient: true, do: t.syncGroups})
		return
	}
	<-ctx.Done()
}

// restore takes a checkpoint from the target.
func (t *CheckpointTask) restore(c writtenCheckpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of, mine := t.last[c.Group]; mine {
		of[c.TopicPartition] = c
	}
}

// lastOf gives the newest checkpoints of a group, and forgets those of copies that are
// gone.
func (t *CheckpointTask) lastOf(group string) map[replica.TopicPartition]replica.Checkpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := make(map[replica.TopicPartition]replica.Checkpoint, len(t.last[group]))
	for tp, c := range t.last[group] {
		if !t.checkpointer.Outlived(c.Checkpoint, c.newCopies) {
			last[tp] = c.Checkpoint
		}
	}
	if outlived := len(t.last[group]) - len(last); outlived > 0 {
		maps.DeleteFunc(t.last[group], func(tp replica.TopicPartition, _ writtenCheckpoint) bool {
			_, current := last[tp]
			return !current
		})
		t.logger.Info("Checkpoints are given up, because the remote topics were deleted, truncated or made anew since", "group", group, "partitions", outlived, "cluster", t.settings.target)
	}
	return last
}

// Poll implements connect.SourceTask.
func (t *CheckpointTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	select {
	case <-t.loaded:
	case <-ctx.Done():
		return nil, nil
	}
	if !sleep(ctx, time.Until(t.next)) {
		return nil, nil
	}
	t.next = time.Now().Add(t.every)
	parts := make([][]*connect.SourceRecord, len(t.groups))
	forEach(ctx, t.groups, func(ctx context.Context, i int, group string) { parts[i] = t.checkpoint(ctx, group) })
	var records []*connect.SourceRecord
	for _, p := range parts {
		records = append(records, p...)
	}
	unmovable := len(t.reports.list())
	t.metrics.translated.Set(float64(len(t.groups) - unmovable))
	t.metrics.untranslatable.Set(float64(unmovable))
	if newest := t.newestSync.Load(); newest > 0 {
		t.metrics.syncAge.Set(ageOf(newest, time.Now()))
	}
	return records, nil
}

// checkpoint makes the records for one group; a group that cannot be asked about costs
// only itself.
func (t *CheckpointTask) checkpoint(ctx context.Context, group string) []*connect.SourceRecord {
	now := time.Now().UnixMilli()
	limited, cancel := context.WithTimeout(ctx, max(t.settings.millis(adminTimeoutKey), time.Second))
	defer cancel()
	committed, err := committedOffsets(limited, t.source.admin, group)
	if ctx.Err() != nil {
		return nil
	}
	t.troubles.report("group "+group, err, "The offsets of a consumer group cannot be read: it is not translated until they can",
		"group", group, "cluster", t.settings.source, "operation", "list group offsets")
	if err != nil {
		t.reports.set(group, "read", unreadGroup(err))
		return nil
	}
	t.reports.set(group, "read", "")
	obstacles := t.checkpointer.Obstacles(committed)
	newCopies := t.syncs.NewCopies() // before they are used: what comes meanwhile must count against the result
	checkpoints := t.checkpointer.Checkpoints(group, committed, t.lastOf(group))
	offsets := make(map[replica.TopicPartition]int64, len(checkpoints))
	for _, c := range checkpoints {
		offsets[c.TopicPartition] = c.Downstream
	}
	beyond, err := t.withinTarget(limited, offsets)
	if ctx.Err() != nil {
		return nil
	}
	t.troubles.report("ends "+group, err, "The checkpoints of a consumer group cannot be compared with the target: they are written once they can", "group", group, "cluster", t.settings.target)
	t.reports.set(group, "translate", obstacleText(append(obstacles, beyond...)))
	if err != nil {
		return nil
	}
	records := make([]*connect.SourceRecord, 0, len(checkpoints))
	for _, c := range checkpoints {
		if _, within := offsets[c.TopicPartition]; !within {
			continue
		}
		key, err := c.Key()
		if err != nil {
			t.troubles.once("encode "+group, "A checkpoint cannot be written.", "group", group, "topic", c.TopicPartition.Topic, "error", err)
			continue
		}
		value, err := c.Value()
		if err != nil {
			t.troubles.once("encode "+group, "A checkpoint cannot be written.", "group", group, "topic", c.TopicPartition.Topic, "error", err)
			continue
		}
		record := bytesRecord(t.settings.checkpointsTopic(), now, key, value, connect.NewSourcePartition(replica.CheckpointPartitionMap(group, c.TopicPartition)))
		record.SourceOffset = checkpointOffset{writtenCheckpoint{c, newCopies}}
		records = append(records, record)
	}
	return records
}

// checkpointOffset is the source offset of a checkpoint's record, which is always 0,
// and the checkpoint itself for its acknowledgement.
type checkpointOffset struct{ checkpoint writtenCheckpoint }

// OffsetFields implements connect.SourceOffset.
func (checkpointOffset) OffsetFields() map[string]any { return replica.WrapOffset(0) }

// CommitRecord implements connect.RecordCommitter. Only now does the checkpoint count
// as written: one that fails is made again.
func (t *CheckpointTask) CommitRecord(record *connect.SourceRecord, md *connect.RecordMetadata) {
	at, ours := record.SourceOffset.(checkpointOffset)
	if md == nil || !ours {
		return
	}
	t.restore(at.checkpoint)
	latency, took := t.latency(at.checkpoint.Checkpoint), ageOf(record.Timestamp, time.Now())
	latency.last.Set(took)
	latency.lately.add(took)
	latency.lately.settle()
}

// latencyMetrics are those of one partition of one group.
type latencyMetrics struct {
	last   connect.Gauge
	lately lately
}

func (t *CheckpointTask) latency(c replica.Checkpoint) *latencyMetrics {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := checkpointID{c.Group, c.TopicPartition}
	known := t.gauges[id]
	if known == nil {
		const name = "kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms"
		labels := map[string]string{
			"source": t.settings.source, "target": t.settings.target, "group": c.Group,
			"topic": c.TopicPartition.Topic, "partition": fmt.Sprint(c.TopicPartition.Partition),
		}
		known = &latencyMetrics{last: t.connectMeter.Gauge(name, "From asking for the group's offsets to the target's acknowledgement of its last checkpoint, in milliseconds.", labels)}
		known.lately.showSpread(t.connectMeter, name, labels, "From asking for the group's offsets to the target's acknowledgement of a checkpoint")
		t.gauges[id] = known
	}
	return known
}

// syncGroups commits translated offsets on the target, group by group (KIP-545). Each
// group is looked at right before it is written: a consumer that has come back since
// must not be taken back. And each has a time of its own: those behind groups whose
// coordinator is away have their turn, too.
func (t *CheckpointTask) syncGroups(ctx context.Context) error {
	forEach(ctx, t.groups, func(ctx context.Context, _ int, group string) {
		err := runLimited(ctx, t.settings.millis(adminTimeoutKey), func(ctx context.Context) error { return t.syncGroup(ctx, group) })
		if ctx.Err() == nil {
			reason := ""
			if err != nil {
				reason = fmt.Sprintf("its offsets cannot be committed on the target: %v", err)
			}
			t.reports.set(group, "commit", reason)
			t.troubles.report("sync "+group, err, "The translated offsets of a consumer group could not be committed on the target",
				"group", group, "cluster", t.settings.target, "operation", "alter group offsets")
		}
	})
	return ctx.Err()
}

func (t *CheckpointTask) syncGroup(ctx context.Context, group string) error {
	last := t.lastOf(group)
	translated := make(map[replica.TopicPartition]replica.CommittedOffset, len(last))
	for tp, c := range last {
		translated[tp] = c.Committed()
	}
	if len(translated) == 0 {
		return nil
	}
	toSet, err := t.offsetsToSet(ctx, group, translated)
	if err != nil {
		return err
	}
	offsets := make(map[replica.TopicPartition]int64, len(toSet))
	for tp, o := range toSet {
		offsets[tp] = o.Offset
	}
	beyond, err := t.withinTarget(ctx, offsets)
	if err != nil {
		return err
	}
	t.reports.set(group, "beyond", obstacleText(beyond))
	if len(offsets) == 0 {
		return nil
	}
	maps.DeleteFunc(translated, func(tp replica.TopicPartition, _ replica.CommittedOffset) bool {
		_, within := offsets[tp]
		return !within
	})
	// The look at the ends took time: consumers may have come, or come and gone, meanwhile.
	if toSet, err = t.offsetsToSet(ctx, group, translated); err != nil || len(toSet) == 0 {
		return err
	}
	err = commitOffsets(ctx, t.target.admin, group, toSet)
	if errors.Is(err, kafka.ErrUnknownMemberID) {
		return nil // a consumer joined a moment ago: the group is its own again
	}
	if err == nil {
		t.logger.Debug("Committed translated offsets on the target", "group", group, "partitions", len(toSet))
	}
	return err
}

// offsetsToSet asks what the group does on the target and what it has committed there, and says what is to be committed
// for it. If consumers come between the answers and the commit, the broker refuses it.
func (t *CheckpointTask) offsetsToSet(ctx context.Context, group string, translated map[replica.TopicPartition]replica.CommittedOffset) (map[replica.TopicPartition]replica.CommittedOffset, error) {
	state, err := stateOf(ctx, t.target.admin, group)
	if err != nil {
		return nil, err
	}
	active := ""
	if state == replica.TargetGroupActive {
		active = "it has members on the target, which go their own way"
	}
	t.reports.set(group, "active", active)
	var current map[replica.TopicPartition]replica.CommittedOffset
	if state == replica.TargetGroupEmpty {
		if current, err = committedOffsets(ctx, t.target.admin, group); err != nil {
			return nil, err
		}
	}
	return replica.GroupOffsetsToSet(state, translated, current), nil
}

// Stop implements connect.SourceTask.
func (t *CheckpointTask) Stop(context.Context) error {
	if t.cancel != nil {
		t.cancel()
	}
	t.ended.Wait()
	err := errors.Join(t.source.close(), t.target.close())
	t.source, t.target, t.cancel = nil, nil, nil
	return err
}

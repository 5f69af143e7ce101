package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Class names of the checkpoint connector and its task.
const (
	CheckpointConnectorClass = "org.apache.kafka.connect.mirror.MirrorCheckpointConnector"
	CheckpointTaskClass      = "org.apache.kafka.connect.mirror.MirrorCheckpointTask"
)

// quickGroupLook is how often consumer groups are looked for unless the user sets
// refresh.groups.interval.seconds. Each group's offsets are asked for, so this is
// gentle and not as quick as for topics.
const quickGroupLook = 10 * time.Second

// CheckpointConnector finds the consumer groups of the source that matter to the
// mirror and divides them among tasks.
type CheckpointConnector struct {
	settings *settings
	topics   replica.TopicFilter
	groups   replica.GroupFilter
	logger   *slog.Logger
	troubles *troubles
	context  connect.ConnectorContext

	source, target *cluster
	topic          topicGate
	ended          sync.WaitGroup
	cancel         context.CancelFunc

	mu sync.Mutex
	// looked says that known holds the result of a look, not nothing.
	looked bool
	known  []string

	// reports are of groups that no task translates.
	reports groupReports
}

// NewCheckpointConnector returns a connector that does nothing yet.
func NewCheckpointConnector() *CheckpointConnector { return &CheckpointConnector{} }

// ConfigDef implements connect.Connector.
func (*CheckpointConnector) ConfigDef() *connect.ConfigDef { return checkpointDef }

// NewTask implements connect.SourceConnector.
func (*CheckpointConnector) NewTask() connect.SourceTask { return &CheckpointTask{} }

// Start checks the configuration and leaves the rest to a goroutine.
func (c *CheckpointConnector) Start(ctx context.Context, cc connect.ConnectorContext, config map[string]string) error {
	s, err := readSettings(checkpointDef, cc.Name(), config)
	if err != nil {
		return err
	}
	c.settings, c.context, c.logger = s, cc, cc.Logger()
	c.looked, c.known, c.cancel = false, nil, nil
	c.topic.reset()
	if !c.active() {
		return nil
	}
	if c.topics, err = replica.NewTopicFilter(s.String(replica.TopicFilterClassKey), config); err != nil {
		return err
	}
	if c.groups, err = replica.NewGroupFilter(s.String(replica.GroupFilterClassKey), config); err != nil {
		return err
	}
	if c.source, err = s.openCluster(onSource, "checkpoint-source-admin", c.logger); err != nil {
		return err
	}
	if c.target, err = s.openCluster(onTarget, "checkpoint-target-admin", c.logger); err != nil {
		return errors.Join(err, c.source.close())
	}
	c.troubles = newTroubles(c.logger)
	ctx, c.cancel = context.WithCancel(ctx)
	c.ended.Go(func() { c.run(ctx) })
	return nil
}

// active reports whether the connector has anything to do.
func (c *CheckpointConnector) active() bool {
	return c.settings.Bool(enabledKey) && c.settings.period(emitCheckpoints) > 0
}

func (c *CheckpointConnector) run(ctx context.Context) {
	if awaitClusters(ctx, c.source, c.target) != nil {
		return
	}
	s := c.settings
	topic := internalTopic{s.checkpointsTopic(), "checkpoints cannot be written", checkpointsReplicationFactorKey}
	look := chore{name: "look for consumer groups", every: s.period(refreshGroups), patient: true, do: c.look}
	if look.every > 0 && !s.given(refreshGroups+intervalSuffix) {
		look.every, look.gentle = quickGroupLook, true
	}
	doChores(ctx, s.millis(adminTimeoutKey), c.troubles,
		chore{name: "create the checkpoints topic", do: func(ctx context.Context) error {
			return c.topic.pass(s.createInternalTopic(ctx, c.target, topic, c.troubles), c.context)
		}},
		look)
}

// look finds the groups with at least one offset for a topic that the filter takes. A
// group that cannot be asked about stays what it was.
func (c *CheckpointConnector) look(ctx context.Context) error {
	limit := c.settings.millis(adminTimeoutKey)
	var candidates []string
	err := runLimited(ctx, limit, func(ctx context.Context) (err error) {
		candidates, err = consumerGroups(ctx, c.source.admin)
		return err
	})
	if err != nil {
		return fmt.Errorf("list consumer groups of cluster %s: %w", c.settings.source, err)
	}
	c.reports.only(candidates)
	candidates = slices.DeleteFunc(candidates, func(g string) bool { return !c.takes(g) })
	relevant := make([]bool, len(candidates))
	known := func(g string) bool { _, found := slices.BinarySearch(c.known, g); return found }
	forEach(ctx, candidates, func(ctx context.Context, i int, group string) {
		var offsets map[replica.TopicPartition]replica.CommittedOffset
		err := runLimited(ctx, limit, func(ctx context.Context) (err error) {
			offsets, err = committedOffsets(ctx, c.source.admin, group)
			return err
		})
		if ctx.Err() != nil {
			return
		}
		c.troubles.report("group "+group, err, "The offsets of a consumer group cannot be read: it is not translated until they can",
			"group", group, "cluster", c.settings.source, "operation", "list group offsets")
		if err != nil {
			if relevant[i] = known(group); !relevant[i] {
				c.reports.set(group, "read", unreadGroup(err))
			}
			return
		}
		c.reports.set(group, "read", "")
		for tp := range offsets {
			if c.topics.ShouldReplicateTopic(tp.Topic) {
				relevant[i] = true
				return
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var groups []string
	for i, g := range candidates {
		if relevant[i] {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	c.mu.Lock()
	changed := !c.looked || !slices.Equal(c.known, groups)
	before := len(c.known)
	c.looked, c.known = true, groups
	c.mu.Unlock()
	if changed {
		c.logger.Info("The consumer groups to translate have changed", "before", before, "now", len(groups))
		c.context.RequestTaskReconfiguration()
	}
	return nil
}

// takes asks the filter, and refuses names that the list in a task's configuration
// cannot hold.
func (c *CheckpointConnector) takes(group string) bool {
	if !c.groups.ShouldReplicateGroup(group) {
		return false
	}
	if group == "" || strings.TrimSpace(group) != group || strings.Contains(group, ",") {
		c.troubles.once("name of group "+group, "A consumer group is not translated: its name is empty, holds a comma, or begins or ends with a blank.", "group", group)
		c.reports.set(group, "name", "its name is empty, holds a comma, or begins or ends with a blank: the configuration of a task, which Java's workers read too, cannot hold it")
		return false
	}
	return true
}

// Replication implements connect.ReplicationReporter: the groups that no task translates.
// Those of a task are the task's to report.
func (c *CheckpointConnector) Replication() connect.Replication {
	return connect.Replication{UnmovableGroups: c.reports.list()}
}

// TaskConfigs gives each task a run of groups, in order.
func (c *CheckpointConnector) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	if !c.active() {
		return nil, nil
	}
	c.mu.Lock()
	looked, groups := c.looked, c.known
	c.mu.Unlock()
	if !looked {
		return nil, connect.Retriable(fmt.Errorf("the consumer groups of cluster %s are not known yet", c.settings.source))
	}
	if open, err := c.topic.open(c.settings.checkpointsTopic()); !open || err != nil {
		return nil, err
	}
	tasks := min(maxTasks, len(groups))
	configs := make([]map[string]string, tasks)
	for i := range configs {
		n := len(groups) / (tasks - i) // what is left, over the tasks that are left
		if len(groups)%(tasks-i) > 0 {
			n++
		}
		configs[i] = maps.Clone(c.settings.props)
		configs[i][assignedGroups] = strings.Join(groups[:n], ",")
		configs[i][taskIndexKey] = strconv.Itoa(i)
		groups = groups[n:]
	}
	return configs, nil
}

// Stop implements connect.Connector.
func (c *CheckpointConnector) Stop(context.Context) error {
	if c.cancel == nil {
		return nil
	}
	c.cancel()
	c.ended.Wait()
	return errors.Join(c.source.close(), c.target.close())
}

// ValidateConfig implements connect.ConfigValidator.
func (*CheckpointConnector) ValidateConfig(config map[string]string) map[string][]string {
	errs := classErrors(config, replica.TopicFilterClassKey, replica.GroupFilterClassKey)
	if cmp.Or(config[enabledKey], "true") == "false" {
		return errs
	}
	clientErrors(errs, config, clientOf{onSource, kafka.RoleAdmin}, clientOf{onSource, kafka.RoleConsumer}, clientOf{onTarget, kafka.RoleAdmin}, clientOf{onTarget, kafka.RoleConsumer})
	if config[emitCheckpointsKey] == "false" {
		errs[emitCheckpointsKey] = append(errs[emitCheckpointsKey], "MirrorCheckpointConnector does nothing with "+emitCheckpointsKey+"=false: set enabled=false to switch it off")
	}
	if config[emitSyncsKey] == "false" {
		errs[emitSyncsKey] = append(errs[emitSyncsKey], "MirrorCheckpointConnector translates by offset syncs: with "+emitSyncsKey+"=false it cannot run")
	}
	return errs
}

// AlterOffsets implements connect.OffsetAlterer. The offsets mean nothing to the
// tasks, which keep their state in the checkpoints topic.
func (*CheckpointConnector) AlterOffsets(_ context.Context, _ map[string]string, changes []connect.OffsetChange) (bool, error) {
	return checkChanges(changes, replica.CheckCheckpointOffset)
}

package mirror

import (
	"context"
	"maps"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/beat"
	"tributary/internal/kafka"
)

// Class names of the heartbeat connector and its task.
const (
	HeartbeatConnectorClass = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector"
	HeartbeatTaskClass      = "org.apache.kafka.connect.mirror.MirrorHeartbeatTask"
)

// HeartbeatConnector creates the heartbeats topic on the target. Its one task writes
// there, unless that is switched off. As in MirrorMaker 2 it runs whether or not the
// mirror is enabled: the heartbeats of one direction are what the other one mirrors.
type HeartbeatConnector struct {
	settings *settings
	target   *cluster
	ended    sync.WaitGroup
	cancel   context.CancelFunc
	topic    topicGate
}

// NewHeartbeatConnector returns a connector that does nothing yet.
func NewHeartbeatConnector() *HeartbeatConnector { return &HeartbeatConnector{} }

// ConfigDef implements connect.Connector.
func (*HeartbeatConnector) ConfigDef() *connect.ConfigDef { return heartbeatDef }

// NewTask implements connect.SourceConnector.
func (*HeartbeatConnector) NewTask() connect.SourceTask { return &HeartbeatTask{} }

// Start implements connect.Connector.
func (c *HeartbeatConnector) Start(ctx context.Context, cc connect.ConnectorContext, config map[string]string) error {
	s, err := readSettings(heartbeatDef, cc.Name(), config)
	if err != nil {
		return err
	}
	if c.target, err = s.openCluster(onTarget, "heartbeats-target-admin", cc.Logger()); err != nil {
		return err
	}
	c.settings = s
	troubles := newTroubles(cc.Logger())
	topic := internalTopic{s.policy.HeartbeatsTopic(), "heartbeats cannot be written", heartbeatsReplicationFactorKey}
	c.topic.reset()
	ctx, c.cancel = context.WithCancel(ctx)
	c.ended.Go(func() {
		if awaitClusters(ctx, c.target) != nil {
			return
		}
		doChores(ctx, s.millis(adminTimeoutKey), troubles, chore{name: "create the heartbeats topic", do: func(ctx context.Context) error {
			return c.topic.pass(s.createInternalTopic(ctx, c.target, topic, troubles), cc)
		}})
	})
	return nil
}

// TaskConfigs returns one task, once there is a topic for it to write to.
func (c *HeartbeatConnector) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	if c.settings.period(emitHeartbeats) == 0 {
		return nil, nil
	}
	if open, err := c.topic.open(c.settings.policy.HeartbeatsTopic()); !open || err != nil {
		return nil, err
	}
	return []map[string]string{maps.Clone(c.settings.props)}, nil
}

// Stop implements connect.Connector.
func (c *HeartbeatConnector) Stop(context.Context) error {
	c.cancel()
	c.ended.Wait()
	return c.target.close()
}

// ValidateConfig implements connect.ConfigValidator.
func (*HeartbeatConnector) ValidateConfig(config map[string]string) map[string][]string {
	errs := classErrors(config)
	clientErrors(errs, config, clientOf{onTarget, kafka.RoleAdmin})
	return errs
}

// AlterOffsets implements connect.OffsetAlterer.
func (*HeartbeatConnector) AlterOffsets(_ context.Context, _ map[string]string, changes []connect.OffsetChange) (bool, error) {
	return checkChanges(changes, replica.CheckHeartbeatOffset)
}

// HeartbeatTask writes one heartbeat after each interval.
type HeartbeatTask struct {
	every     time.Duration
	topic     string
	heartbeat replica.Heartbeat
	key       []byte
	partition *connect.SourcePartition
}

// noOffset is the source offset of records whose connectors keep no position.
var noOffset = connect.OffsetMap(replica.WrapOffset(0))

// Start implements connect.SourceTask.
func (t *HeartbeatTask) Start(_ context.Context, tc connect.TaskContext, config map[string]string) error {
	s, err := readSettings(heartbeatDef, tc.ID().Connector, config)
	if err != nil {
		return err
	}
	t.every, t.topic = s.period(emitHeartbeats), s.policy.HeartbeatsTopic()
	t.heartbeat = replica.Heartbeat{SourceAlias: s.source, TargetAlias: s.target}
	t.partition = connect.NewSourcePartition(replica.HeartbeatPartitionMap(s.source, s.target))
	t.key, err = t.heartbeat.Key()
	return err
}

// Poll implements connect.SourceTask.
func (t *HeartbeatTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if t.every == 0 { // the configuration of a task from before it was switched off
		<-ctx.Done()
		return nil, nil
	}
	if !sleep(ctx, beat.Until(t.every)) {
		return nil, nil
	}
	t.heartbeat.Timestamp = time.Now().UnixMilli()
	return []*connect.SourceRecord{bytesRecord(t.topic, t.heartbeat.Timestamp, t.key, t.heartbeat.Value(), t.partition)}, nil
}

// Stop implements connect.SourceTask.
func (*HeartbeatTask) Stop(context.Context) error { return nil }

// bytesRecord is a record for partition 0 of one of the mirror's own topics.
func bytesRecord(topic string, timestamp int64, key, value []byte, from *connect.SourcePartition) *connect.SourceRecord {
	return &connect.SourceRecord{
		Record: connect.Record{
			Topic: topic, Partition: 0, Timestamp: timestamp,
			KeySchema: connect.BytesSchema, Key: key,
			ValueSchema: connect.BytesSchema, Value: value,
		},
		SourcePartition: from,
		SourceOffset:    noOffset,
	}
}

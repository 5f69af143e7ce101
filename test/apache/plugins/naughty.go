package plugins

import (
	"context"
	"errors"
	"maps"

	"tributary/connect"
)

// naughty is NaughtyConnector: its tasks write to the topic that their own offsets go to.
type naughty struct{ config map[string]string }

func (n *naughty) Version() string               { return "none" }
func (n *naughty) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }
func (n *naughty) NewTask() connect.SourceTask   { return &naughtyTask{} }
func (n *naughty) Stop(context.Context) error    { return nil }

func (n *naughty) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	n.config = config
	return nil
}

func (n *naughty) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	out := make([]map[string]string, maxTasks)
	for i := range out {
		out[i] = maps.Clone(n.config)
	}
	return out, nil
}

type naughtyTask struct {
	topic   string
	offsets connect.OffsetReader
}

func (t *naughtyTask) Version() string            { return "none" }
func (t *naughtyTask) Stop(context.Context) error { return nil }

func (t *naughtyTask) Start(_ context.Context, tc connect.TaskContext, config map[string]string) error {
	t.topic, t.offsets = config["offsets.storage.topic"], tc.Offsets()
	if t.topic == "" {
		return errors.New("No offsets topic")
	}
	return nil
}

func (t *naughtyTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	// This reads to the end of the topic.
	if _, err := t.offsets.Offsets(ctx, []*connect.SourcePartition{connect.NewSourcePartition(map[string]any{"": nil})}); err != nil {
		return nil, err
	}
	return []*connect.SourceRecord{{Record: connect.Record{Topic: t.topic, Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp, Key: ""}}}, nil
}

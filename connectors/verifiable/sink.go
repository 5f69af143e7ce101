package verifiable

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tributary/connect"
)

// SinkConnector is VerifiableSinkConnector: as many tasks as allowed.
type SinkConnector struct {
	out    *printer
	config map[string]string
}

// ConfigDef implements connect.Connector; there are no keys of its own.
func (c *SinkConnector) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

// Start implements connect.Connector.
func (c *SinkConnector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	return nil
}

// TaskConfigs implements connect.Connector.
func (c *SinkConnector) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	return divide(c.config, maxTasks), nil
}

// Stop implements connect.Connector.
func (c *SinkConnector) Stop(context.Context) error { return nil }

// NewTask implements connect.SinkConnector.
func (c *SinkConnector) NewTask() connect.SinkTask {
	return &sinkTask{out: c.out, unflushed: map[connect.TopicPartition][][]field{}}
}

// sinkTask prints each record when it comes, and again when it is flushed.
type sinkTask struct {
	out  *printer
	name string
	id   int

	unflushed map[connect.TopicPartition][][]field
}

var _ connect.Flusher = (*sinkTask)(nil)

// Start implements connect.SinkTask.
func (t *sinkTask) Start(_ context.Context, _ connect.SinkTaskContext, config map[string]string) (err error) {
	t.name = config["name"]
	if t.id, err = strconv.Atoi(config["id"]); err != nil {
		return fmt.Errorf("Invalid VerifiableSinkTask configuration: id must be a whole number: %w", err)
	}
	return nil
}

// timeField is where the fields of a record have its time.
const timeField = 3

// Put implements connect.SinkTask.
func (t *sinkTask) Put(_ context.Context, records []*connect.Record) error {
	now := time.Now().UnixMilli()
	for _, r := range records {
		at := connect.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		offset := int64(0)
		if r.Origin != nil {
			at, offset = r.Origin.TopicPartition(), r.Origin.Offset
		}
		fields := []field{
			{"task", r.Key}, {"seqno", r.Value}, {"offset", offset}, {"time_ms", now},
			{"name", t.name}, {"topic", r.Topic}, {"sinkTask", t.id},
		}
		t.out.print(fields...)
		t.unflushed[at] = append(t.unflushed[at], fields)
	}
	return nil
}

// Flush implements connect.Flusher.
func (t *sinkTask) Flush(_ context.Context, offsets map[connect.TopicPartition]int64) error {
	now := time.Now().UnixMilli()
	for tp := range offsets {
		for _, fields := range t.unflushed[tp] {
			fields[timeField].value = now
			t.out.print(append(fields, field{"flushed", true})...)
		}
		delete(t.unflushed, tp)
	}
	return nil
}

// Stop implements connect.SinkTask.
func (t *sinkTask) Stop(context.Context) error { return nil }

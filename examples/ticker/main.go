// ticker is a Kafka Connect worker with one connector of its own: it writes the time to a topic.
package main

import (
	"context"
	"os"
	"time"

	"tributary/connect"
	"tributary/connect/cli"
	"tributary/connect/plugin"
	"tributary/connectors/standard"
)

var def = connect.NewConfigDef(
	connect.ConfigKey{Name: "topic", Type: connect.TypeString, Required: true, Importance: connect.High, Doc: "Topic to write to."},
	connect.ConfigKey{Name: "interval.ms", Type: connect.TypeLong, Default: int64(1000), Importance: connect.Medium, Validate: connect.AtLeast(1), Doc: "Time between two records, in milliseconds."},
)

// Ticker is the connector; it has one task, with the configuration of the connector.
type Ticker struct{ config map[string]string }

func (t *Ticker) ConfigDef() *connect.ConfigDef { return def }
func (t *Ticker) NewTask() connect.SourceTask   { return &task{} }
func (t *Ticker) Stop(context.Context) error    { return nil }
func (t *Ticker) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	t.config = config
	return nil
}
func (t *Ticker) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	return []map[string]string{t.config}, nil
}

type task struct {
	topic string
	ticks *time.Ticker
}

func (t *task) Stop(context.Context) error { return nil }
func (t *task) Start(_ context.Context, _ connect.TaskContext, config map[string]string) error {
	values, err := def.ParseValues(config)
	if err == nil {
		t.topic, t.ticks = values.String("topic"), time.NewTicker(time.Duration(values.Int("interval.ms"))*time.Millisecond)
	}
	return err
}
func (t *task) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	select {
	case now := <-t.ticks.C:
		record := connect.Record{Topic: t.topic, Partition: connect.PartitionUnset, Timestamp: now.UnixMilli(), ValueSchema: connect.StringSchema, Value: now.UTC().Format(time.RFC3339Nano)}
		return []*connect.SourceRecord{{Record: record}}, nil
	case <-ctx.Done():
		return nil, nil
	}
}

func main() {
	ticker := plugin.Plugin{Class: "com.example.TickerConnector", Kind: plugin.Source, TaskClass: "com.example.TickerTask", Version: "1.0", New: func() any { return &Ticker{} }}
	os.Exit(cli.Distributed(os.Args[1:], cli.WithPlugins(standard.Plugins()...), cli.WithPlugins(ticker)))
}

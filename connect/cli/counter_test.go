package cli_test

import (
	"context"
	"errors"
	"strconv"

	"tributary/connect"
	"tributary/connect/plugin"
)

// counter is a source connector that writes the numbers up to its "count" to its
// "topic", each once.
type counter struct{ config map[string]string }

var counterPlugin = plugin.Plugin{
	Class: "acme.CounterConnector", Kind: plugin.Source, TaskClass: "acme.CounterTask", Version: "1.2", New: func() any { return new(counter) },
}

func (*counter) ConfigDef() *connect.ConfigDef {
	return connect.NewConfigDef(
		connect.ConfigKey{Name: "topic", Type: connect.TypeString, Required: true, Doc: "Where to."},
		connect.ConfigKey{Name: "count", Type: connect.TypeInt, Required: true, Doc: "How far."},
		connect.ConfigKey{Name: "trouble", Type: connect.TypeString, Doc: "Why it does not start."},
	)
}

func (c *counter) Start(ctx context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	switch trouble := config["trouble"]; trouble {
	case "":
		return nil
	case "none yet":
		<-ctx.Done()
		return ctx.Err()
	default:
		return errors.New(trouble + "\nand more of it")
	}
}

func (c *counter) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	return []map[string]string{{"topic": c.config["topic"], "count": c.config["count"]}}, nil
}

func (*counter) Stop(context.Context) error { return nil }

func (*counter) NewTask() connect.SourceTask { return new(counterTask) }

type counterTask struct {
	topic       string
	next, limit int64
	partition   *connect.SourcePartition
}

func (c *counterTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	limit, err := strconv.ParseInt(config["count"], 10, 64)
	if err != nil {
		return err
	}
	c.topic, c.limit, c.partition = config["topic"], limit, connect.NewSourcePartition(map[string]any{"counter": config["topic"]})
	offsets, err := tc.Offsets().Offsets(ctx, []*connect.SourcePartition{c.partition})
	if err == nil && offsets[0] != nil {
		c.next = offsets[0]["next"].(int64)
	}
	return err
}

func (c *counterTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if c.next == c.limit {
		<-ctx.Done()
		return nil, nil
	}
	r := &connect.SourceRecord{
		Record:          connect.Record{Topic: c.topic, Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp, Value: strconv.FormatInt(c.next, 10)},
		SourcePartition: c.partition,
	}
	c.next++
	r.SourceOffset = connect.OffsetMap{"next": c.next}
	return []*connect.SourceRecord{r}, nil
}

func (*counterTask) Stop(context.Context) error { return nil }

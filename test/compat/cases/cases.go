// Package cases has a source and a sink for the cases of test/oracle: twins of those in test/compat/testdata/plugins,
// so that the same records go through the same pipelines on Tributary and on a Java worker.
package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/test/oracle"
)

// The names of the classes.
const (
	SourceClass = "CasesSourceConnector"
	SinkClass   = "CasesSinkConnector"
)

// Plugins lists both.
func Plugins() []plugin.Plugin {
	return []plugin.Plugin{
		{Class: SourceClass, Kind: plugin.Source, TaskClass: SourceClass + "$CasesSourceTask", Version: "1", New: func() any { return &source{} }},
		{Class: SinkClass, Kind: plugin.Sink, TaskClass: SinkClass + "$CasesSinkTask", Version: "1", New: func() any { return &sink{} }},
	}
}

// connector has one task, with the connector's configuration.
type connector struct{ config map[string]string }

func (c *connector) ConfigDef() *connect.ConfigDef {
	return connect.NewConfigDef(connect.ConfigKey{Name: "file", Type: connect.TypeString, Required: true, Importance: connect.High, Doc: "File with the records, or to write to."})
}

func (c *connector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	return nil
}

func (c *connector) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	return []map[string]string{c.config}, nil
}

func (c *connector) Stop(context.Context) error { return nil }

type source struct{ connector }

func (*source) NewTask() connect.SourceTask { return &sourceTask{} }

type sink struct{ connector }

func (*sink) NewTask() connect.SinkTask { return &sinkTask{} }

// sourceTask sends the records of a file once.
type sourceTask struct{ records []*connect.SourceRecord }

func (t *sourceTask) Start(_ context.Context, _ connect.TaskContext, config map[string]string) error {
	notation, err := oracle.NewNotation()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(config["file"])
	if err != nil {
		return err
	}
	var all []oracle.Record
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for _, one := range all {
		record, err := notation.Record(one)
		if err != nil {
			return err
		}
		t.records = append(t.records, &connect.SourceRecord{Record: *record})
	}
	return nil
}

func (t *sourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if t.records == nil {
		<-ctx.Done()
	}
	records := t.records
	t.records = nil
	return records, nil
}

func (t *sourceTask) Stop(context.Context) error { return nil }

// sinkTask appends each record to a file.
type sinkTask struct {
	notation *oracle.Notation
	file     *os.File
}

func (t *sinkTask) Start(_ context.Context, _ connect.SinkTaskContext, config map[string]string) (err error) {
	if t.notation, err = oracle.NewNotation(); err != nil {
		return err
	}
	t.file, err = os.OpenFile(config["file"], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

func (t *sinkTask) Put(_ context.Context, records []*connect.Record) error {
	for _, r := range records {
		line := t.notation.Show(r)
		line["from"] = fmt.Sprintf("%s/%d/%d %s", r.Origin.Topic, r.Origin.Partition, r.Origin.Offset, r.Origin.TimestampType)
		data, err := json.Marshal(line)
		if err != nil {
			return err
		}
		if _, err := t.file.Write(append(data, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (t *sinkTask) Stop(context.Context) error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

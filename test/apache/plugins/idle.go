package plugins

import (
	"context"

	"tributary/connect"
)

// emptyConfigs is EmptyTaskConfigsConnector: the configurations of its tasks have nothing in them.
type emptyConfigs struct{}

func (emptyConfigs) Version() string               { return "0.0" }
func (emptyConfigs) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }
func (emptyConfigs) NewTask() connect.SinkTask     { return simpleTask{} }
func (emptyConfigs) Stop(context.Context) error    { return nil }

func (emptyConfigs) Start(context.Context, connect.ConnectorContext, map[string]string) error {
	return nil
}

func (emptyConfigs) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	out := make([]map[string]string, maxTasks)
	for i := range out {
		out[i] = map[string]string{}
	}
	return out, nil
}

// simpleTask takes records and does nothing.
type simpleTask struct{}

func (simpleTask) Version() string { return "0.0" }
func (simpleTask) Start(context.Context, connect.SinkTaskContext, map[string]string) error {
	return nil
}
func (simpleTask) Put(context.Context, []*connect.Record) error { return nil }
func (simpleTask) Stop(context.Context) error                   { return nil }

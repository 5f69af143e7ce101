package plugins

import (
	"context"
	"maps"

	"tributary/connect"
)

// The places where something may hang, as the tests call them.
const (
	connectorInitialize  = "Connector::initialize"
	connectorStart       = "Connector::start"
	connectorTaskConfigs = "Connector::taskConfigs"
	connectorStop        = "Connector::stop"
	connectorValidate    = "Connector::validate"
	connectorConfig      = "Connector::config"
	taskStart            = "Task::start"
	taskStop             = "Task::stop"
	sourceTaskInitialize = "SourceTask::initialize"
	sourceTaskPoll       = "SourceTask::poll"
	sinkTaskInitialize   = "SinkTask::initialize"
	sinkTaskPut          = "SinkTask::put"
)

// blockDef is the configuration of everything that blocks.
func blockDef() *connect.ConfigDef {
	return connect.NewConfigDef(connect.ConfigKey{
		Name: "block", Type: connect.TypeString, Default: "", Importance: connect.Medium, Doc: "Where to block until the test goes on.",
	})
}

// blockingConnector is BlockingConnector: it hangs in a method of the connector. Those that are called before its start
// hang in subclasses, which know their place from the beginning.
type blockingConnector struct {
	channel *Channel
	always  string // a place known before the start, or ""
	early   *block
	block   *block
	failure error
}

func newBlockingConnector(channel *Channel, always string) *blockingConnector {
	c := &blockingConnector{channel: channel, always: always}
	if always != "" {
		c.early, c.failure = channel.arm(always)
	}
	return c
}

func (c *blockingConnector) Version() string { return "0.0.0" }

func (c *blockingConnector) ConfigDef() *connect.ConfigDef {
	c.note(c.early.at(connectorConfig))
	return blockDef()
}

// note keeps a failure of the channel until a method can return it.
func (c *blockingConnector) note(err error) {
	if c.failure == nil {
		c.failure = err
	}
}

// ValidateConfig implements connect.ConfigValidator.
func (c *blockingConnector) ValidateConfig(map[string]string) map[string][]string {
	c.note(c.early.at(connectorValidate))
	return nil
}

func (c *blockingConnector) NewTask() connect.SourceTask { return idleTask{} }

func (c *blockingConnector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	// Here is no method to initialize a connector.
	if c.note(c.early.at(connectorInitialize)); c.failure != nil {
		return c.failure
	}
	var err error
	if c.block, err = c.channel.arm(config["block"]); err != nil {
		return err
	}
	return c.block.at(connectorStart)
}

func (c *blockingConnector) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	return []map[string]string{{}}, c.block.at(connectorTaskConfigs)
}

func (c *blockingConnector) Stop(context.Context) error { return c.block.at(connectorStop) }

// idleTask sends nothing.
type idleTask struct{}

func (idleTask) Version() string                                                     { return "0.0.0" }
func (idleTask) Start(context.Context, connect.TaskContext, map[string]string) error { return nil }
func (idleTask) Stop(context.Context) error                                          { return nil }

func (idleTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	return nil, sleep(ctx, idlePoll)
}

// blockingTasks is what BlockingSourceConnector and BlockingSinkConnector share: their tasks hang.
type blockingTasks struct {
	channel *Channel
	always  string
	config  map[string]string
}

func (c *blockingTasks) Version() string               { return "0.0.0" }
func (c *blockingTasks) ConfigDef() *connect.ConfigDef { return blockDef() }
func (c *blockingTasks) Stop(context.Context) error    { return nil }

func (c *blockingTasks) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	return nil
}

func (c *blockingTasks) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	out := make([]map[string]string, maxTasks)
	for i := range out {
		out[i] = maps.Clone(c.config)
	}
	return out, nil
}

// blockingTask is what tasks of both kinds share.
type blockingTask struct {
	channel *Channel
	always  string
	block   *block
}

func (t *blockingTask) Version() string            { return "0.0.0" }
func (t *blockingTask) Stop(context.Context) error { return t.block.at(taskStop) }

// start hangs where the task is initialized, for which there is no method here, or started.
func (t *blockingTask) start(config map[string]string, initialize string) error {
	if t.always != "" {
		early, err := t.channel.arm(t.always)
		if err == nil {
			err = early.at(initialize)
		}
		if err != nil {
			return err
		}
	}
	var err error
	if t.block, err = t.channel.arm(config["block"]); err != nil {
		return err
	}
	return t.block.at(taskStart)
}

type blockingSource struct{ blockingTasks }

func (c *blockingSource) NewTask() connect.SourceTask {
	return &blockingSourceTask{blockingTask{channel: c.channel, always: c.always}}
}

type blockingSourceTask struct{ blockingTask }

func (t *blockingSourceTask) Start(_ context.Context, _ connect.TaskContext, config map[string]string) error {
	return t.start(config, sourceTaskInitialize)
}

func (t *blockingSourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if err := t.block.at(sourceTaskPoll); err != nil {
		return nil, err
	}
	return nil, sleep(ctx, idlePoll)
}

type blockingSink struct{ blockingTasks }

func (c *blockingSink) NewTask() connect.SinkTask {
	return &blockingSinkTask{blockingTask{channel: c.channel, always: c.always}}
}

type blockingSinkTask struct{ blockingTask }

func (t *blockingSinkTask) Start(_ context.Context, _ connect.SinkTaskContext, config map[string]string) error {
	return t.start(config, sinkTaskInitialize)
}

func (t *blockingSinkTask) Put(context.Context, []*connect.Record) error {
	return t.block.at(sinkTaskPut)
}

package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"tributary/connect"
	"tributary/internal/javatext"
)

var sinkDef = connect.NewConfigDef(
	connect.ConfigKey{Name: fileKey, Type: connect.TypeString, Importance: connect.High,
		Doc: "File to append lines to; the standard output if absent."},
)

// SinkConnector is FileStreamSinkConnector: each task appends to the same file.
type SinkConnector struct {
	stdout *output
	config map[string]string
}

var (
	_ connect.SinkConnector     = (*SinkConnector)(nil)
	_ connect.SinkOffsetAlterer = (*SinkConnector)(nil)
)

// ConfigDef implements connect.Connector.
func (c *SinkConnector) ConfigDef() *connect.ConfigDef { return sinkDef }

// Start implements connect.Connector.
func (c *SinkConnector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	return nil
}

// TaskConfigs implements connect.Connector.
func (c *SinkConnector) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	configs := make([]map[string]string, maxTasks)
	for i := range configs {
		configs[i] = c.config
	}
	return configs, nil
}

// Stop implements connect.Connector.
func (c *SinkConnector) Stop(context.Context) error { return nil }

// NewTask implements connect.SinkConnector.
func (c *SinkConnector) NewTask() connect.SinkTask { return &sinkTask{stdout: c.stdout} }

// AlterSinkOffsets implements connect.SinkOffsetAlterer: all offsets are the consumer
// group's.
func (c *SinkConnector) AlterSinkOffsets(context.Context, map[string]string, map[connect.TopicPartition]*int64) (bool, error) {
	return true, nil
}

// output is a writer that several tasks write to, whole batches at a time.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(b)
}

// sinkTask appends one line a record: the text of its value.
type sinkTask struct {
	stdout *output
	file   *os.File // nil for the standard output
	to     io.Writer
	room   []byte // for lines
}

// mostRoom is what is kept at most from one batch to the next.
const mostRoom = 1 << 20

var _ connect.Flusher = (*sinkTask)(nil)

// Start implements connect.SinkTask.
func (t *sinkTask) Start(_ context.Context, _ connect.SinkTaskContext, config map[string]string) error {
	name := config[fileKey]
	if name == "" {
		t.to = t.stdout
		return nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("Couldn't find or create file '%s' for FileStreamSinkTask: %w", name, err)
	}
	t.file, t.to = file, file
	return nil
}

// Put implements connect.SinkTask. A batch is one write, so that lines of tasks that share
// a file stay whole.
func (t *sinkTask) Put(_ context.Context, records []*connect.Record) error {
	if len(records) == 0 {
		return nil
	}
	lines := t.room[:0]
	for _, r := range records {
		lines = append(javatext.Append(lines, r.Value), '\n')
	}
	if cap(lines) <= mostRoom {
		t.room = lines
	}
	_, err := t.to.Write(lines)
	return err
}

// Flush implements connect.Flusher: what is committed is on the disk.
func (t *sinkTask) Flush(context.Context, map[connect.TopicPartition]int64) error {
	if t.file == nil {
		return nil
	}
	if err := t.file.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // which pipes and devices say
		return err
	}
	return nil
}

// Stop implements connect.SinkTask.
func (t *sinkTask) Stop(context.Context) error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

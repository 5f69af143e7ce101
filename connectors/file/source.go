package file

import (
	"context"
	"errors"
	"fmt"

	"tributary/connect"
)

const (
	fileKey      = "file"
	topicKey     = "topic"
	batchSizeKey = "batch.size"

	defaultBatchSize = 2000
)

// The fields of source partitions and offsets.
const (
	filenameField = "filename"
	positionField = "position"
)

var sourceDef = connect.NewConfigDef(
	connect.ConfigKey{Name: fileKey, Type: connect.TypeString, Importance: connect.High,
		Doc: "File to read lines from; the standard input if absent."},
	connect.ConfigKey{Name: topicKey, Type: connect.TypeString, Required: true, Importance: connect.High, Validate: nonEmpty,
		Doc: "Topic to write the lines to."},
	connect.ConfigKey{Name: batchSizeKey, Type: connect.TypeInt, Default: int64(defaultBatchSize), Importance: connect.Low,
		Doc: "Most lines that are read at a time."},
)

func nonEmpty(v any) string {
	if v == "" {
		return "String must be non-empty"
	}
	return ""
}

// SourceConnector is FileStreamSourceConnector: one task, which reads one file.
type SourceConnector struct {
	stdin  *input
	config map[string]string
}

var (
	_ connect.SourceConnector      = (*SourceConnector)(nil)
	_ connect.ExactlyOnceSupporter = (*SourceConnector)(nil)
	_ connect.OffsetAlterer        = (*SourceConnector)(nil)
)

// ConfigDef implements connect.Connector.
func (c *SourceConnector) ConfigDef() *connect.ConfigDef { return sourceDef }

// Start implements connect.Connector.
func (c *SourceConnector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	_, err := sourceDef.ParseValues(config)
	return err
}

// TaskConfigs implements connect.Connector.
func (c *SourceConnector) TaskConfigs(context.Context, int) ([]map[string]string, error) {
	return []map[string]string{c.config}, nil
}

// Stop implements connect.Connector.
func (c *SourceConnector) Stop(context.Context) error { return nil }

// NewTask implements connect.SourceConnector.
func (c *SourceConnector) NewTask() connect.SourceTask { return &sourceTask{stdin: c.stdin} }

// ExactlyOnceSupport implements connect.ExactlyOnceSupporter: a file that is only appended
// to can be read exactly once, the standard input cannot.
func (c *SourceConnector) ExactlyOnceSupport(config map[string]string) connect.ExactlyOnceSupport {
	if config[fileKey] == "" {
		return connect.ExactlyOnceUnsupported
	}
	return connect.ExactlyOnceSupported
}

// AlterOffsets implements connect.OffsetAlterer. Any offset can be removed; one that is set
// must be a position in a file. Whether the file is that long shows when the task starts.
func (c *SourceConnector) AlterOffsets(_ context.Context, config map[string]string, changes []connect.OffsetChange) (bool, error) {
	if config[fileKey] == "" {
		return false, errors.New("Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input and offsets are not tracked.")
	}
	for _, change := range changes {
		if change.Offset == nil {
			continue
		}
		position, given := change.Offset[positionField]
		if !given {
			return false, errors.New("Offset objects should either be null or contain the key 'position'")
		}
		n, ok := position.(int64)
		if !ok {
			return false, errors.New("The value for the 'position' key in the offset is expected to be a Long value")
		}
		if n < 0 {
			return false, errors.New("The value for the 'position' key in the offset should be a non-negative value")
		}
		if change.Partition == nil {
			return false, errors.New("Partition objects cannot be null")
		}
		if _, given := change.Partition[filenameField]; !given {
			return false, errors.New("Partition objects should contain the key 'filename'")
		}
	}
	return true, nil
}

// position reads a committed offset, 0 without one.
func position(offset map[string]any) (int64, error) {
	switch n := offset[positionField].(type) {
	case nil:
		return 0, nil
	case int64:
		return n, nil
	default:
		return 0, fmt.Errorf("the committed position %v is not a whole number", n)
	}
}

package verifiable

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
)

// SourceConnector is VerifiableSourceConnector: as many tasks as allowed, each of which
// counts on its own.
type SourceConnector struct {
	out    *printer
	config map[string]string
}

// ConfigDef implements connect.Connector. As in Java nothing is declared; the keys are
// topic, throughput (records a second and task, negative is unlimited) and
// complete.record.data.
func (c *SourceConnector) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

// Start implements connect.Connector.
func (c *SourceConnector) Start(_ context.Context, _ connect.ConnectorContext, config map[string]string) error {
	c.config = config
	return nil
}

// TaskConfigs implements connect.Connector.
func (c *SourceConnector) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	return divide(c.config, maxTasks), nil
}

// Stop implements connect.Connector.
func (c *SourceConnector) Stop(context.Context) error { return nil }

// NewTask implements connect.SourceConnector.
func (c *SourceConnector) NewTask() connect.SourceTask { return &sourceTask{out: c.out} }

var completeSchema = connect.StructOf(
	connect.Field{Name: "name", Schema: connect.StringSchema},
	connect.Field{Name: "task", Schema: connect.Int32Schema},
	connect.Field{Name: "topic", Schema: connect.StringSchema},
	connect.Field{Name: "time_ms", Schema: connect.Int64Schema},
	connect.Field{Name: "seqno", Schema: connect.Int64Schema},
)

// sourceTask returns one record a poll: its number, under the task's id as key.
type sourceTask struct {
	out         *printer
	name, topic string
	id          int32
	throughput  int64
	complete    bool

	partition *connect.SourcePartition
	seqno     int64
	first     int64 // seqno at the start
	began     time.Time
}

var _ connect.RecordCommitter = (*sourceTask)(nil)

// seqnoOffset is the offset of a record: its number.
type seqnoOffset int64

// OffsetFields implements connect.SourceOffset.
func (o seqnoOffset) OffsetFields() map[string]any { return map[string]any{"seqno": int64(o)} }

// Start implements connect.SourceTask.
func (t *sourceTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	id, err := strconv.ParseInt(config["id"], 10, 32)
	if err == nil {
		t.throughput, err = strconv.ParseInt(config["throughput"], 10, 64)
	}
	if err != nil {
		return fmt.Errorf("Invalid VerifiableSourceTask configuration: id and throughput must be whole numbers: %w", err)
	}
	t.id, t.name, t.topic = int32(id), config["name"], config["topic"]
	t.complete = strings.EqualFold(config["complete.record.data"], "true")
	t.partition = connect.NewSourcePartition(map[string]any{"id": t.id})
	offsets, err := tc.Offsets().Offsets(ctx, []*connect.SourcePartition{t.partition})
	if err != nil {
		return err
	}
	if committed, ok := offsets[0]["seqno"].(int64); ok {
		t.seqno = committed + 1
	}
	t.first, t.began = t.seqno, time.Now()
	return nil
}

// Poll implements connect.SourceTask.
func (t *sourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if !t.throttle(ctx) {
		return nil, nil
	}
	now := time.Now().UnixMilli()
	t.out.print(field{"task", t.id}, field{"seqno", t.seqno}, field{"time_ms", now}, field{"name", t.name}, field{"topic", t.topic})
	r := &connect.SourceRecord{
		Record: connect.Record{
			Topic: t.topic, Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp,
			KeySchema: connect.Int32Schema, Key: t.id, ValueSchema: connect.Int64Schema, Value: t.seqno,
		},
		SourcePartition: t.partition, SourceOffset: seqnoOffset(t.seqno),
	}
	if t.complete {
		value := connect.NewStruct(completeSchema)
		for i, v := range []any{t.name, t.id, t.topic, now, t.seqno} {
			if err := value.PutAt(i, v); err != nil {
				return nil, err
			}
		}
		r.ValueSchema, r.Value = completeSchema, value
	}
	t.seqno++
	return []*connect.SourceRecord{r}, nil
}

// throttle waits until the next record is due; false is that ctx ended before.
func (t *sourceTask) throttle(ctx context.Context) bool {
	if t.throughput < 0 {
		return ctx.Err() == nil
	}
	if t.throughput == 0 {
		<-ctx.Done()
		return false
	}
	due := t.began.Add(time.Duration(float64(t.seqno-t.first) / float64(t.throughput) * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// CommitRecord implements connect.RecordCommitter.
func (t *sourceTask) CommitRecord(record *connect.SourceRecord, _ *connect.RecordMetadata) {
	seqno, _ := record.SourceOffset.(seqnoOffset) // all of them are
	t.out.print(field{"committed", true}, field{"task", t.id}, field{"seqno", int64(seqno)},
		field{"time_ms", time.Now().UnixMilli()}, field{"name", t.name}, field{"topic", t.topic})
}

// Stop implements connect.SourceTask.
func (t *sourceTask) Stop(context.Context) error { return nil }

package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"tributary/connect"
)

// idlePoll is how long a task with nothing left to send waits before it says so.
const idlePoll = 100 * time.Millisecond

// number is a setting that may be left out.
func number(config map[string]string, key string, otherwise int64) (int64, error) {
	text, ok := config[key]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, which is no whole number", key, text)
	}
	return n, nil
}

// testableSource is TestableSourceConnector: its tasks send numbered records.
type testableSource struct {
	channel *Channel
	config  map[string]string
	handle  handle
}

func (s *testableSource) Version() string               { return "some great version" }
func (s *testableSource) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }
func (s *testableSource) NewTask() connect.SourceTask   { return &testableSourceTask{channel: s.channel} }

func (s *testableSource) Start(ctx context.Context, _ connect.ConnectorContext, config map[string]string) error {
	s.config, s.handle = config, s.channel.handleOf(config["name"], "")
	if err := s.handle.tell(ctx, "connector-start"); err != nil {
		return err
	}
	if config["connector.start.inject.error"] == "true" {
		return errors.New("Injecting errors during connector start")
	}
	return nil
}

func (s *testableSource) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	tasks, err := number(s.config, "num.tasks", int64(maxTasks))
	if err != nil {
		return nil, err
	}
	return taskConfigs(s.config, s.handle.connector, int(tasks)), nil
}

// taskConfigs gives each task the connector's configuration and an id.
func taskConfigs(config map[string]string, name string, n int) []map[string]string {
	out := make([]map[string]string, n)
	for i := range out {
		out[i] = maps.Clone(config)
		out[i]["connector.name"], out[i]["task.id"] = name, name+"-"+strconv.Itoa(i)
	}
	return out
}

func (s *testableSource) Stop(ctx context.Context) error {
	if err := s.handle.tell(ctx, "connector-stop"); err != nil {
		return err
	}
	if s.config["connector.stop.inject.error"] == "true" {
		return errors.New("Injecting errors during connector stop")
	}
	return nil
}

// AlterOffsets implements connect.OffsetAlterer.
func (s *testableSource) AlterOffsets(_ context.Context, config map[string]string, _ []connect.OffsetChange) (bool, error) {
	return config["alter.offsets.result"] == "true", nil
}

// ExactlyOnceSupport implements connect.ExactlyOnceSupporter.
func (s *testableSource) ExactlyOnceSupport(config map[string]string) connect.ExactlyOnceSupport {
	switch config["custom.exactly.once.support"] {
	case "supported":
		return connect.ExactlyOnceSupported
	case "unsupported":
		return connect.ExactlyOnceUnsupported
	}
	return connect.ExactlyOnceUnknown
}

// CanDefineTransactionBoundaries implements connect.TransactionDefiner.
func (s *testableSource) CanDefineTransactionBoundaries(config map[string]string) bool {
	return config["custom.transaction.boundaries"] == "supported"
}

// testableSourceTask sends records whose keys, values and offsets are the numbers from 1 or from where it left off.
type testableSourceTask struct {
	channel            *Channel
	handle             handle
	id, topic          string
	partition          *connect.SourcePartition
	sent, first, max   int64
	perPoll, perSecond int64
	began              time.Time

	// Where the task defines its transactions, their sizes follow the Fibonacci numbers: those that end at an even
	// number are aborted.
	transactions  connect.TransactionContext
	prior, border int64
}

// Version implements connect.Versioned.
func (t *testableSourceTask) Version() string { return "unknown" }

func (t *testableSourceTask) Start(ctx context.Context, tc connect.TaskContext, config map[string]string) error {
	t.id, t.topic = config["task.id"], config["topic"]
	t.handle = t.channel.handleOf(config["connector.name"], t.id)
	if t.topic == "" {
		t.topic = "sequential-topic"
	}
	var errs [3]error
	t.perPoll, errs[0] = number(config, "messages.per.poll", 1)
	t.perSecond, errs[1] = number(config, "throughput", -1)
	t.max, errs[2] = number(config, "max.messages", 1<<62)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	t.partition = connect.NewSourcePartition(map[string]any{"task.id": t.id})
	offsets, err := tc.Offsets().Offsets(ctx, []*connect.SourcePartition{t.partition})
	if err != nil {
		return err
	}
	if saved, ok := offsets[0]["saved"]; ok {
		if t.first, err = whole(saved); err != nil {
			return err
		}
	}
	t.sent, t.began = t.first, time.Now()
	t.transactions, t.prior, t.border = connect.TransactionContextOf(tc), 0, 1
	t.nextBorder()
	if err := t.handle.tell(ctx, "task-start"); err != nil {
		return err
	}
	if config["task-"+t.id+".start.inject.error"] == "true" {
		return errors.New("Injecting errors during task start")
	}
	return nil
}

// whole is a number of a committed offset.
func whole(v any) (int64, error) {
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the committed offset %v is no whole number", v)
	}
	return n, nil
}

func (t *testableSourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if t.sent >= t.max {
		return nil, sleep(ctx, idlePoll)
	}
	if t.perSecond > 0 {
		due := t.began.Add(time.Duration(t.sent-t.first) * time.Second / time.Duration(t.perSecond))
		if err := sleep(ctx, time.Until(due)); err != nil {
			return nil, err
		}
	}
	n := min(t.max-t.sent, t.perPoll)
	sending := t.handle.event("records")
	sending.Count = int(n)
	if err := t.channel.tell(ctx, sending); err != nil {
		return nil, err
	}
	out := make([]*connect.SourceRecord, n)
	for i := range out {
		out[i] = t.next()
		t.bound(out[i])
	}
	return out, nil
}

// nextBorder moves to the first transaction that ends after the record sent last.
func (t *testableSourceTask) nextBorder() {
	for t.border <= t.sent {
		t.prior, t.border = t.border, t.border+t.prior
	}
}

// bound ends a transaction with this record if one is to end here.
func (t *testableSourceTask) bound(r *connect.SourceRecord) {
	if t.transactions == nil || t.sent != t.border {
		return
	}
	abort := t.border%2 == 0
	t.nextBorder()
	if abort {
		t.transactions.AbortTransactionAfter(r)
	} else {
		t.transactions.CommitTransactionAfter(r)
	}
}

// next makes the next record.
func (t *testableSourceTask) next() *connect.SourceRecord {
	t.sent++
	text := t.id + "-" + strconv.FormatInt(t.sent, 10)
	return &connect.SourceRecord{
		Record: connect.Record{
			Topic: t.topic, Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp,
			KeySchema: connect.StringSchema, Key: "key-" + text,
			ValueSchema: connect.StringSchema, Value: "value-" + text,
			Headers: []connect.Header{{Key: "header-" + strconv.FormatInt(t.sent, 10), Schema: int64Schema, Value: t.sent}},
		},
		SourcePartition: t.partition,
		SourceOffset:    connect.OffsetMap{"saved": t.sent},
	}
}

var int64Schema = &connect.Schema{Type: connect.Int64}

// CommitRecord implements connect.RecordCommitter.
func (t *testableSourceTask) CommitRecord(*connect.SourceRecord, *connect.RecordMetadata) {
	t.handle.committed()
}

func (t *testableSourceTask) Stop(ctx context.Context) error {
	return t.handle.tell(ctx, "task-stop")
}

// sleep waits, unless the task is to stop.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

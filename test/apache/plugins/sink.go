package plugins

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tributary/connect"
)

// testableSink is TestableSinkConnector: its tasks count what they get.
type testableSink struct {
	channel *Channel
	config  map[string]string
	handle  handle
}

func (s *testableSink) Version() string               { return "some great version" }
func (s *testableSink) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }
func (s *testableSink) NewTask() connect.SinkTask     { return &testableSinkTask{channel: s.channel} }

func (s *testableSink) Start(ctx context.Context, _ connect.ConnectorContext, config map[string]string) error {
	s.config, s.handle = config, s.channel.handleOf(config["name"], "")
	return s.handle.tell(ctx, "connector-start")
}

func (s *testableSink) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	return taskConfigs(s.config, s.handle.connector, maxTasks), nil
}

func (s *testableSink) Stop(ctx context.Context) error {
	return s.handle.tell(ctx, "connector-stop")
}

// AlterSinkOffsets implements connect.SinkOffsetAlterer.
func (s *testableSink) AlterSinkOffsets(_ context.Context, config map[string]string, _ map[connect.TopicPartition]*int64) (bool, error) {
	return config["alter.offsets.result"] == "true", nil
}

// testableSinkTask tells the JVM of every record, and of what happens to its partitions.
type testableSinkTask struct {
	channel *Channel
	handle  handle
	// fresh counts the records since the last commit.
	fresh map[connect.TopicPartition]int
}

// Version implements connect.Versioned.
func (t *testableSinkTask) Version() string { return "unknown" }

func (t *testableSinkTask) Start(ctx context.Context, _ connect.SinkTaskContext, config map[string]string) error {
	t.handle, t.fresh = t.channel.handleOf(config["connector.name"], config["task.id"]), map[connect.TopicPartition]int{}
	return t.handle.tell(ctx, "task-start")
}

// Open implements connect.PartitionOpener.
func (t *testableSinkTask) Open(ctx context.Context, partitions []connect.TopicPartition) error {
	e := t.handle.event("assigned")
	e.Partitions = topicPartitions(partitions)
	return t.channel.tell(ctx, e)
}

// Close implements connect.PartitionOpener.
func (t *testableSinkTask) Close(ctx context.Context, partitions []connect.TopicPartition) error {
	for _, tp := range partitions {
		delete(t.fresh, tp)
	}
	e := t.handle.event("revoked")
	e.Partitions = topicPartitions(partitions)
	return t.channel.tell(ctx, e)
}

func (t *testableSinkTask) Put(ctx context.Context, records []*connect.Record) error {
	if len(records) == 0 {
		return nil
	}
	events := make([]event, len(records))
	for i, r := range records {
		events[i] = t.handle.event("record")
		events[i].Record = &sinkRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Origin.Offset, Key: text(r.Key), Value: text(r.Value)}
		t.fresh[connect.TopicPartition{Topic: r.Topic, Partition: r.Partition}]++
	}
	return t.channel.tell(ctx, events...)
}

// text is how a test sees a key or value, which are strings in all tests.
func text(v any) *string {
	if v == nil {
		return nil
	}
	s := fmt.Sprint(v)
	return &s
}

// PreCommit implements connect.PreCommitter.
func (t *testableSinkTask) PreCommit(ctx context.Context, offsets map[connect.TopicPartition]int64) (map[connect.TopicPartition]int64, error) {
	e := t.handle.event("committed")
	commits := t.handle.event("commits")
	for tp := range offsets {
		e.Partitions = append(e.Partitions, topicPartition{tp.Topic, tp.Partition})
		commits.Count += t.fresh[tp]
		delete(t.fresh, tp)
	}
	return offsets, t.channel.tell(ctx, e, commits)
}

func (t *testableSinkTask) Stop(ctx context.Context) error {
	return t.handle.tell(ctx, "task-stop")
}

// errantSink is ErrantRecordSinkConnector: its tasks refuse every record, half of them at once and half a little later.
type errantSink struct{ testableSink }

func (s *errantSink) NewTask() connect.SinkTask {
	return &errantSinkTask{testableSinkTask: testableSinkTask{channel: s.channel}}
}

type errantSinkTask struct {
	testableSinkTask
	reporter connect.ErrantRecordReporter
	later    sync.WaitGroup
}

func (t *errantSinkTask) Start(ctx context.Context, tc connect.SinkTaskContext, config map[string]string) error {
	if t.reporter = tc.ErrantRecords(); t.reporter == nil {
		return errors.New("There is no reporter for errant records")
	}
	return t.testableSinkTask.Start(ctx, tc, config)
}

func (t *errantSinkTask) Put(ctx context.Context, records []*connect.Record) error {
	e := t.handle.event("records")
	cause := errors.New("This record is errant")
	for _, r := range records {
		e.Count++
		t.fresh[connect.TopicPartition{Topic: r.Topic, Partition: r.Partition}]++
		if r.Origin.Offset%2 == 0 {
			if _, err := t.reporter.Report(ctx, r, cause); err != nil {
				return err
			}
			continue
		}
		t.later.Go(func() {
			// The worker fails the task where this is not allowed.
			_, _ = t.reporter.Report(ctx, r, cause)
		})
	}
	if e.Count == 0 {
		return nil
	}
	return t.channel.tell(ctx, e)
}

// Stop tells nothing, as in Java.
func (t *errantSinkTask) Stop(context.Context) error {
	t.later.Wait()
	return nil
}

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
	name    string
}

func (s *testableSink) Version() string               { return "some great version" }
func (s *testableSink) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }
func (s *testableSink) NewTask() connect.SinkTask     { return &testableSinkTask{channel: s.channel} }

func (s *testableSink) Start(ctx context.Context, _ connect.ConnectorContext, config map[string]string) error {
	s.config, s.name = config, config["name"]
	return s.channel.tell(ctx, event{Event: "connector-start", Connector: s.name})
}

func (s *testableSink) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	return taskConfigs(s.config, s.name, maxTasks), nil
}

func (s *testableSink) Stop(ctx context.Context) error {
	return s.channel.tell(ctx, event{Event: "connector-stop", Connector: s.name})
}

// AlterSinkOffsets implements connect.SinkOffsetAlterer.
func (s *testableSink) AlterSinkOffsets(_ context.Context, config map[string]string, _ map[connect.TopicPartition]*int64) (bool, error) {
	return config["alter.offsets.result"] == "true", nil
}

// testableSinkTask tells the JVM of every record, and of what happens to its partitions.
type testableSinkTask struct {
	channel       *Channel
	connector, id string
	// fresh counts the records since the last commit.
	fresh map[connect.TopicPartition]int
}

// Version implements connect.Versioned.
func (t *testableSinkTask) Version() string { return "unknown" }

func (t *testableSinkTask) event(kind string) event {
	return event{Event: kind, Connector: t.connector, Task: t.id}
}

func (t *testableSinkTask) Start(ctx context.Context, _ connect.SinkTaskContext, config map[string]string) error {
	t.connector, t.id, t.fresh = config["connector.name"], config["task.id"], map[connect.TopicPartition]int{}
	return t.channel.tell(ctx, t.event("task-start"))
}

// Open implements connect.PartitionOpener.
func (t *testableSinkTask) Open(ctx context.Context, partitions []connect.TopicPartition) error {
	e := t.event("assigned")
	e.Partitions = topicPartitions(partitions)
	return t.channel.tell(ctx, e)
}

// Close implements connect.PartitionOpener.
func (t *testableSinkTask) Close(ctx context.Context, partitions []connect.TopicPartition) error {
	for _, tp := range partitions {
		delete(t.fresh, tp)
	}
	e := t.event("revoked")
	e.Partitions = topicPartitions(partitions)
	return t.channel.tell(ctx, e)
}

func (t *testableSinkTask) Put(ctx context.Context, records []*connect.Record) error {
	if len(records) == 0 {
		return nil
	}
	events := make([]event, len(records))
	for i, r := range records {
		events[i] = t.event("record")
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
	e := t.event("committed")
	commits := t.event("commits")
	for tp := range offsets {
		e.Partitions = append(e.Partitions, topicPartition{tp.Topic, tp.Partition})
		commits.Count += t.fresh[tp]
		delete(t.fresh, tp)
	}
	return offsets, t.channel.tell(ctx, e, commits)
}

func (t *testableSinkTask) Stop(ctx context.Context) error {
	return t.channel.tell(ctx, t.event("task-stop"))
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
	e := t.event("records")
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

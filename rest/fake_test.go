package rest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/storage"
)

// heartbeats is a connector that is only asked for what it declares.
type heartbeats struct{ connect.SourceConnector }

func (heartbeats) ConfigDef() *connect.ConfigDef {
	return connect.NewConfigDef(connect.ConfigKey{Name: "secret", Type: connect.TypePassword, Required: true, Importance: connect.High, Doc: "<Secret> of the source."})
}

func text(s string) *string { return &s }

// fakeHerder has one connector, hb, with one task, and one, h b/1, that has no status
// yet. It remembers what it was asked to do and fails as told.
type fakeHerder struct {
	mu    sync.Mutex
	calls []string
	// fail returns the error of a method's next call; nil is none.
	fail func(ctx context.Context, method string) error
	// stage is what Stage says.
	stage string
	// plugins are those that configurations are validated against.
	plugins *plugin.Registry
}

var _ herder.Herder = (*fakeHerder)(nil)
var _ herder.StageReporter = (*fakeHerder)(nil)

// called remembers a call and returns its error.
func (f *fakeHerder) called(ctx context.Context, method string, args ...any) error {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprint(append([]any{method}, args...)...))
	fail := f.fail
	f.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(ctx, method)
}

func (f *fakeHerder) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func known(connector, format string) error {
	if connector == "hb" || connector == "h b/1" {
		return nil
	}
	return &herder.NotFoundError{Message: fmt.Sprintf(format, connector)}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeHerder) Stage() string     { return f.stage }
func (f *fakeHerder) ClusterID() string { return "CguS2CsEdM0hx1xPYHPA2w" }

func (f *fakeHerder) Health(ctx context.Context) error { return f.called(ctx, "Health") }

func (f *fakeHerder) Connectors(ctx context.Context) ([]string, error) {
	return []string{"h b/1", "hb"}, f.called(ctx, "Connectors")
}

func (f *fakeHerder) config(connector string) map[string]*string {
	return map[string]*string{"connector.class": text("MirrorHeartbeatConnector"), "name": &connector, "old": nil, "u": text("<é>&")}
}

func (f *fakeHerder) ConnectorInfo(ctx context.Context, connector string) (api.ConnectorInfo, error) {
	info := api.ConnectorInfo{Name: connector, Config: f.config(connector), Tasks: []api.ConnectorTaskID{{Connector: connector, Task: 0}}, Type: "source"}
	return info, firstOf(f.called(ctx, "ConnectorInfo", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) ConnectorConfig(ctx context.Context, connector string) (storage.ConnectorConfig, error) {
	return f.config(connector), firstOf(f.called(ctx, "ConnectorConfig"), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) status(connector, state string) api.ConnectorStatus {
	return api.ConnectorStatus{
		Name: connector, Type: "source",
		Connector: api.InstanceStatus{State: state, WorkerID: "127.0.0.1:29480", Version: text("4.3.1")},
		Tasks:     []api.TaskStatus{{ID: 0, State: state, WorkerID: "127.0.0.1:29480"}},
	}
}

func (f *fakeHerder) ConnectorStatus(ctx context.Context, connector string) (api.ConnectorStatus, error) {
	err := f.called(ctx, "ConnectorStatus", connector)
	if connector != "hb" {
		err = &herder.NotFoundError{Message: "No status found for connector " + connector}
	}
	return f.status(connector, "RUNNING"), err
}

func (f *fakeHerder) TaskStatus(ctx context.Context, task connect.TaskID) (api.TaskStatus, error) {
	err := f.called(ctx, "TaskStatus", task)
	if task.Connector != "hb" || task.Task != 0 {
		err = &herder.NotFoundError{Message: fmt.Sprintf("No status found for task %s-%d", task.Connector, task.Task)}
	}
	return api.TaskStatus{ID: task.Task, State: "FAILED", WorkerID: "127.0.0.1:29480", Version: text("4.3.1"), Trace: "boom\n\tat here"}, err
}

func (f *fakeHerder) TaskInfos(ctx context.Context, connector string) ([]api.TaskInfo, error) {
	infos := []api.TaskInfo{{ID: api.ConnectorTaskID{Connector: connector, Task: 0}, Config: map[string]string{"task.class": "T"}}}
	return infos, firstOf(f.called(ctx, "TaskInfos", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) ActiveTopics(ctx context.Context, connector string) ([]string, error) {
	if connector != "hb" {
		return nil, f.called(ctx, "ActiveTopics", connector)
	}
	return []string{"heartbeats"}, f.called(ctx, "ActiveTopics", connector)
}

func (f *fakeHerder) ResetActiveTopics(ctx context.Context, connector string) error {
	return f.called(ctx, "ResetActiveTopics", connector)
}

func (f *fakeHerder) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState, allowReplace bool) (bool, api.ConnectorInfo, error) {
	state := "none"
	if initial != nil {
		state = string(*initial)
	}
	if err := f.called(ctx, "PutConnectorConfig", connector, " ", state, allowReplace); err != nil {
		return false, api.ConnectorInfo{}, err
	}
	exists := known(connector, "") == nil
	if exists && !allowReplace {
		return false, api.ConnectorInfo{}, &herder.AlreadyExistsError{Connector: connector}
	}
	return !exists, api.ConnectorInfo{Name: connector, Config: config, Tasks: []api.ConnectorTaskID{}, Type: "source"}, nil
}

func (f *fakeHerder) PatchConnectorConfig(ctx context.Context, connector string, patch storage.ConnectorConfig) (api.ConnectorInfo, error) {
	config := f.config(connector)
	for k, v := range patch {
		if config[k] = v; v == nil {
			delete(config, k)
		}
	}
	return api.ConnectorInfo{Name: connector, Config: config, Tasks: []api.ConnectorTaskID{}, Type: "source"},
		firstOf(f.called(ctx, "PatchConnectorConfig", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) validator() *herder.Validator { return &herder.Validator{Plugins: f.plugins} }

func (f *fakeHerder) ValidateConfig(ctx context.Context, config map[string]*string) (api.ConfigInfos, error) {
	infos, err := f.validator().Validate(ctx, config)
	return infos, firstOf(f.called(ctx, "ValidateConfig"), err)
}

func (f *fakeHerder) PluginConfig(ctx context.Context, plugin, version string) ([]api.ConfigKeyInfo, error) {
	keys, err := f.validator().PluginConfig(plugin, version)
	return keys, firstOf(f.called(ctx, "PluginConfig"), err)
}

func (f *fakeHerder) ConnectorOffsets(ctx context.Context, connector string) (api.ConnectorOffsets, error) {
	offsets := api.ConnectorOffsets{Offsets: []api.ConnectorOffset{{Partition: []byte(`{"b":1,"a":"<x>"}`), Offset: []byte(`{"o":1.0}`)}, {Partition: []byte(`{}`)}}}
	return offsets, firstOf(f.called(ctx, "ConnectorOffsets", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) AlterOffsets(ctx context.Context, connector string, changes []connect.OffsetChange) (api.Message, error) {
	return api.Message{Message: fmt.Sprintf("altered %#v", changes)},
		firstOf(f.called(ctx, "AlterOffsets", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) ResetOffsets(ctx context.Context, connector string) (api.Message, error) {
	return api.Message{Message: "reset"}, firstOf(f.called(ctx, "ResetOffsets", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) SetClusterLoggerLevel(ctx context.Context, namespace, level string) error {
	return f.called(ctx, "SetClusterLoggerLevel", namespace, " ", level)
}

func (f *fakeHerder) DeleteConnector(ctx context.Context, connector string) error {
	return firstOf(f.called(ctx, "DeleteConnector", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) PauseConnector(ctx context.Context, connector string) error {
	return firstOf(f.called(ctx, "PauseConnector", connector), known(connector, "Unknown connector %s"))
}

func (f *fakeHerder) ResumeConnector(ctx context.Context, connector string) error {
	return firstOf(f.called(ctx, "ResumeConnector", connector), known(connector, "Unknown connector %s"))
}

func (f *fakeHerder) StopConnector(ctx context.Context, connector string) error {
	return firstOf(f.called(ctx, "StopConnector", connector), known(connector, "Unknown connector %s"))
}

func (f *fakeHerder) RestartConnector(ctx context.Context, connector string) error {
	return firstOf(f.called(ctx, "RestartConnector", connector), known(connector, "Unknown connector: %s"))
}

func (f *fakeHerder) RestartTask(ctx context.Context, task connect.TaskID) error {
	if err := firstOf(f.called(ctx, "RestartTask", task), known(task.Connector, "Unknown connector: %s")); err != nil {
		return err
	}
	if task.Task != 0 {
		return &herder.NotFoundError{Message: fmt.Sprintf("Unknown task: %s-%d", task.Connector, task.Task)}
	}
	return nil
}

func (f *fakeHerder) RestartConnectorAndTasks(ctx context.Context, request storage.RestartRequest) (api.ConnectorStatus, error) {
	return f.status(request.Connector, "RESTARTING"),
		firstOf(f.called(ctx, "RestartConnectorAndTasks", request), known(request.Connector, "Unknown connector: %s"))
}

func (f *fakeHerder) PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string, request protocol.SignedRequest) error {
	return firstOf(f.called(ctx, "PutTaskConfigs", connector, configs, request.Signature, request.Algorithm, string(request.Body)), signed(request), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) FenceZombies(ctx context.Context, connector string, request protocol.SignedRequest) error {
	return firstOf(f.called(ctx, "FenceZombies", connector), signed(request), known(connector, "Connector %s not found"))
}

// replication is the page of hb, or a worker's share of it.
func (f *fakeHerder) replication(connector string) api.Replication {
	end, upTo, lag, age, task := int64(12), int64(10), int64(2), 0.25, 0
	noticed := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	return api.Replication{
		Name: connector, Mode: "batch", Topics: []string{"orders"},
		Batch:           &api.ReplicationBatch{Copied: 10, Left: 2, StoppedPartitions: 1, Next: &noticed},
		UnmovableGroups: []api.UnmovableGroup{{Group: "g", Reason: "it is active on the target"}},
		Troubles:        []string{"nothing moves"},
		Partitions: []api.ReplicatedPartition{
			{Topic: "orders", WorkerID: "127.0.0.1:29480", SourceEnd: &end, MirroredUpTo: &upTo, LagRecords: &lag, LagSeconds: &age,
				Lane: "record", LaneReason: "transforms are configured", Gaps: []api.ReplicationGap{{From: 3, To: 5, Time: noticed, Kind: "truncated"}}},
			{Topic: "orders", Partition: 1, Task: 1, WorkerID: "127.0.0.1:29480", Stopped: true, LastError: "too large", LastErrorTime: &noticed, Gaps: []api.ReplicationGap{}},
		},
		Restarts:   []api.AutoRestarts{{WorkerID: "127.0.0.1:29480", Count: 1}, {Task: &task, WorkerID: "127.0.0.1:29480", Count: 3, Attempt: 2, Next: &noticed}},
		Unanswered: []api.UnansweredWorker{{WorkerID: "127.0.0.1:29481", Reason: "it did not answer within 3s"}},
	}
}

func (f *fakeHerder) Replication(ctx context.Context, connector string) (api.Replication, error) {
	return f.replication(connector), firstOf(f.called(ctx, "Replication", connector), known(connector, "Connector %s not found"))
}

func (f *fakeHerder) LocalReplication(ctx context.Context, connector string, request protocol.SignedRequest) (api.Replication, error) {
	return f.replication(connector), firstOf(f.called(ctx, "LocalReplication", connector, string(request.Body)), signed(request))
}

func (f *fakeHerder) MemberDeparted(ctx context.Context, memberID string, request protocol.SignedRequest) error {
	return firstOf(f.called(ctx, "MemberDeparted", memberID), signed(request))
}

func signed(request protocol.SignedRequest) error {
	return protocol.Verify(protocol.Sessioned, []byte("key"), []string{protocol.DefaultAlgorithm}, request)
}

// fakeLoggers are three loggers whose levels never change.
type fakeLoggers struct{}

func (fakeLoggers) All() map[string]api.LoggerLevel {
	modified := int64(1795402307159)
	return map[string]api.LoggerLevel{"root": {Level: "INFO"}, "a.b": {Level: "DEBUG", LastModified: &modified}, "quiet": {Level: "OFF"}}
}

func (f fakeLoggers) Level(logger string) (api.LoggerLevel, bool) {
	level, ok := f.All()[logger]
	return level, ok
}

func (fakeLoggers) Valid(level string) bool { return level != "xx" }

func (fakeLoggers) Set(namespace, level string) []string {
	if namespace == "quiet" {
		return []string{}
	}
	return []string{namespace, namespace + "." + level}
}

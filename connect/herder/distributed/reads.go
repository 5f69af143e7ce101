package distributed

import (
	"context"
	"fmt"
	"slices"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/herder"
	"tributary/storage"
)

type roundView = group.Round

// ClusterID implements herder.Herder.
func (h *Herder) ClusterID() string { return h.opts.ClusterID() }

// awaitReady makes requests wait until the worker is a member of its group.
func (h *Herder) awaitReady(ctx context.Context) error {
	select {
	case <-h.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

// Health implements herder.Herder.
func (h *Herder) Health(ctx context.Context) error {
	select {
	case <-h.ready:
	default:
		return &herder.NotReadyError{Message: "Worker is still starting up."}
	}
	if err := h.call(ctx, func() {}); err != nil {
		return err
	}
	// A worker that writes nothing, or that has lost its group, cannot do much either.
	return h.write(ctx, "", func(context.Context) error { return nil })
}

// Connectors implements herder.Herder.
func (h *Herder) Connectors(ctx context.Context) ([]string, error) {
	if err := h.awaitReady(ctx); err != nil {
		return nil, err
	}
	return h.snapshot().Connectors(), nil
}

// ConnectorInfo implements herder.Herder.
func (h *Herder) ConnectorInfo(ctx context.Context, connector string) (api.ConnectorInfo, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.ConnectorInfo{}, err
	}
	return h.info(h.snapshot(), connector)
}

func (h *Herder) info(state *storage.ClusterState, connector string) (api.ConnectorInfo, error) {
	if !state.Contains(connector) {
		return api.ConnectorInfo{}, herder.ConnectorNotFound(connector)
	}
	config, _ := state.RawConnectorConfig(connector)
	info := api.ConnectorInfo{Name: connector, Config: config, Tasks: []api.ConnectorTaskID{}, Type: h.kind(config)}
	for _, id := range state.Tasks(connector) {
		info.Tasks = append(info.Tasks, api.ConnectorTaskID{Connector: id.Connector, Task: id.Task})
	}
	return info, nil
}

func (h *Herder) kind(config storage.ConnectorConfig) string {
	if class := config["connector.class"]; class != nil {
		if p, err := h.opts.Plugins.Connector(*class); err == nil {
			return string(p.Kind)
		}
	}
	return "unknown"
}

// ConnectorConfig implements herder.Herder.
func (h *Herder) ConnectorConfig(ctx context.Context, connector string) (storage.ConnectorConfig, error) {
	if err := h.awaitReady(ctx); err != nil {
		return nil, err
	}
	config, ok := h.snapshot().RawConnectorConfig(connector)
	if !ok {
		return nil, herder.ConnectorNotFound(connector)
	}
	return config, nil
}

// ConnectorStatus implements herder.Herder.
func (h *Herder) ConnectorStatus(ctx context.Context, connector string) (api.ConnectorStatus, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.ConnectorStatus{}, err
	}
	status, ok := h.opts.Statuses.Connector(connector)
	if !ok {
		return api.ConnectorStatus{}, &herder.NotFoundError{Message: "No status found for connector " + connector}
	}
	config, _ := h.snapshot().RawConnectorConfig(connector)
	out := api.ConnectorStatus{
		Name: connector,
		Connector: api.InstanceStatus{State: string(status.State), WorkerID: status.WorkerID,
			Version: nullable(status.Version), Trace: status.Trace},
		Tasks: []api.TaskStatus{},
		Type:  h.kind(config),
	}
	for id, s := range h.opts.Statuses.Tasks(connector) {
		out.Tasks = append(out.Tasks, taskStatus(id, s))
	}
	slices.SortFunc(out.Tasks, func(a, b api.TaskStatus) int { return a.ID - b.ID })
	return out, nil
}

func taskStatus(id connect.TaskID, s storage.Status) api.TaskStatus {
	return api.TaskStatus{ID: id.Task, State: string(s.State), WorkerID: s.WorkerID, Version: nullable(s.Version), Trace: s.Trace}
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// TaskStatus implements herder.Herder.
func (h *Herder) TaskStatus(ctx context.Context, task connect.TaskID) (api.TaskStatus, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.TaskStatus{}, err
	}
	status, ok := h.opts.Statuses.Task(task)
	if !ok {
		return api.TaskStatus{}, &herder.NotFoundError{Message: fmt.Sprintf("No status found for task %s-%d", task.Connector, task.Task)}
	}
	return taskStatus(task, status), nil
}

// TaskInfos implements herder.Herder.
func (h *Herder) TaskInfos(ctx context.Context, connector string) ([]api.TaskInfo, error) {
	if err := h.awaitReady(ctx); err != nil {
		return nil, err
	}
	state := h.snapshot()
	if !state.Contains(connector) {
		return nil, herder.ConnectorNotFound(connector)
	}
	out := []api.TaskInfo{}
	for i, config := range state.RawTaskConfigs(connector) {
		out = append(out, api.TaskInfo{ID: api.ConnectorTaskID{Connector: connector, Task: i}, Config: withoutNulls(config)})
	}
	return out, nil
}

// ActiveTopics implements herder.Herder.
func (h *Herder) ActiveTopics(ctx context.Context, connector string) ([]string, error) {
	if err := h.awaitReady(ctx); err != nil {
		return nil, err
	}
	if !h.opts.TopicTracking {
		return nil, &herder.ForbiddenError{Message: "Topic tracking is disabled."}
	}
	topics := []string{}
	for _, t := range h.opts.Statuses.Topics(connector) {
		topics = append(topics, t.Topic)
	}
	slices.Sort(topics)
	return topics, nil
}

// ResetActiveTopics implements herder.Herder.
func (h *Herder) ResetActiveTopics(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	switch {
	case !h.opts.TopicTracking:
		return &herder.ForbiddenError{Message: "Topic tracking is disabled."}
	case !h.opts.TopicTrackingReset:
		return &herder.ForbiddenError{Message: "Topic tracking reset is disabled."}
	}
	for _, t := range h.opts.Statuses.Topics(connector) {
		h.opts.Statuses.RemoveTopic(t.Topic, connector)
	}
	return nil
}

package distributed

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
)

var errStartFailed = errors.New("it failed to start; its status shows why")

func (h *Herder) notLeader() error {
	return &herder.NotLeaderError{LeaderURL: h.view.Load().round.Snapshot.LeaderURL}
}

// requireLeader is nil when this worker leads the group.
func (h *Herder) requireLeader() error {
	if !h.view.Load().round.Leader() {
		return h.notLeader()
	}
	return nil
}

// requireSettled refuses requests that depend on who runs what while that changes.
func (h *Herder) requireSettled() error {
	if h.view.Load().rebalanceAhead {
		return &herder.RebalanceError{Message: "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"}
	}
	return nil
}

// PutConnectorConfig implements herder.Herder.
func (h *Herder) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState, allowReplace bool) (created bool, info api.ConnectorInfo, err error) {
	if err := h.awaitReady(ctx); err != nil {
		return false, api.ConnectorInfo{}, err
	}
	if err := h.check(ctx, config); err != nil {
		return false, api.ConnectorInfo{}, err
	}
	if err := h.requireLeader(); err != nil {
		return false, api.ConnectorInfo{}, err
	}
	var written struct { // by the writer, which may go on when this request has ended
		created bool
		info    api.ConnectorInfo
	}
	err = h.writeAsLeader(ctx, "writing a config for connector "+connector+" to the config topic", func(ctx context.Context) (err error) {
		written.created = !h.snapshot().Contains(connector)
		if !written.created && !allowReplace {
			return &herder.AlreadyExistsError{Connector: connector}
		}
		if err := h.opts.Configs.PutConnectorConfig(ctx, connector, maps.Clone(config), initial); err != nil {
			return fmt.Errorf("Error writing connector configuration to Kafka: %w", err)
		}
		written.info, err = h.info(h.snapshot(), connector)
		return err
	})
	if err != nil {
		return false, api.ConnectorInfo{}, err
	}
	return written.created, written.info, nil
}

// check validates a configuration that is about to be written.
func (h *Herder) check(ctx context.Context, config storage.ConnectorConfig) error {
	if h.opts.Validator == nil {
		return nil
	}
	infos, err := h.opts.Validator.Validate(ctx, config)
	if err != nil {
		return err
	}
	return herder.Refusal(infos)
}

var errNoValidator = errors.New("this worker does not validate configurations")

// ValidateConfig implements herder.Herder.
func (h *Herder) ValidateConfig(ctx context.Context, config map[string]*string) (api.ConfigInfos, error) {
	if h.opts.Validator == nil {
		return api.ConfigInfos{}, errNoValidator
	}
	return h.opts.Validator.Validate(ctx, config)
}

// PluginConfig implements herder.Herder.
func (h *Herder) PluginConfig(_ context.Context, plugin, version string) ([]api.ConfigKeyInfo, error) {
	if h.opts.Validator == nil {
		return nil, errNoValidator
	}
	return h.opts.Validator.PluginConfig(plugin, version)
}

// PatchConnectorConfig implements herder.Herder.
func (h *Herder) PatchConnectorConfig(ctx context.Context, connector string, patch storage.ConnectorConfig) (info api.ConnectorInfo, err error) {
	if err := h.awaitReady(ctx); err != nil {
		return info, err
	}
	for {
		if err := h.requireLeader(); err != nil {
			return info, err
		}
		current, ok := h.snapshot().RawConnectorConfig(connector)
		if !ok {
			return info, herder.ConnectorNotFound(connector)
		}
		patched := patchedConfig(current, patch)
		if err := h.check(ctx, patched); err != nil {
			return info, err
		}
		var written struct { // by the writer, which may go on when this request has ended
			done bool
			info api.ConnectorInfo
		}
		err := h.writeAsLeader(ctx, "writing a config for connector "+connector+" to the config topic", func(ctx context.Context) (err error) {
			// The check took place outside of the writer: it may ask the connector, which is
			// slow. What was written meanwhile must not be undone.
			if now, ok := h.snapshot().RawConnectorConfig(connector); !ok || !sameConfig(now, current) {
				return nil
			}
			written.done = true
			if err := h.opts.Configs.PutConnectorConfig(ctx, connector, patched, nil); err != nil {
				return fmt.Errorf("Error writing connector configuration to Kafka: %w", err)
			}
			written.info, err = h.info(h.snapshot(), connector)
			return err
		})
		if err != nil {
			return info, err
		}
		if written.done {
			return written.info, nil
		}
	}
}

func patchedConfig(current, patch storage.ConnectorConfig) storage.ConnectorConfig {
	patched := maps.Clone(current)
	for key, value := range patch {
		if value == nil {
			delete(patched, key)
		} else {
			patched[key] = value
		}
	}
	return patched
}

func sameConfig(a, b storage.ConnectorConfig) bool {
	return maps.EqualFunc(a, b, func(x, y *string) bool { return x == y || x != nil && y != nil && *x == *y })
}

// SetClusterLoggerLevel implements herder.Herder. Any worker may write it.
func (h *Herder) SetClusterLoggerLevel(ctx context.Context, namespace, level string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	return h.write(ctx, "writing a log level to the config topic", func(ctx context.Context) error {
		return h.opts.Configs.PutLoggerLevel(ctx, namespace, level)
	})
}

// DeleteConnector implements herder.Herder.
func (h *Herder) DeleteConnector(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	return h.writeAsLeader(ctx, "removing the config for connector "+connector+" from the config topic", func(ctx context.Context) error {
		if !h.snapshot().Contains(connector) {
			return herder.ConnectorNotFound(connector)
		}
		return h.opts.Configs.RemoveConnectorConfig(ctx, connector)
	})
}

// PauseConnector implements herder.Herder.
func (h *Herder) PauseConnector(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	return h.putTargetState(ctx, connector, storage.Paused)
}

// ResumeConnector implements herder.Herder.
func (h *Herder) ResumeConnector(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	return h.putTargetState(ctx, connector, storage.Started)
}

// putTargetState is for the states that any worker may write.
func (h *Herder) putTargetState(ctx context.Context, connector string, target storage.TargetState) error {
	if err := h.requireKnown(connector); err != nil {
		return err
	}
	return h.write(ctx, fmt.Sprintf("writing the %s target state for connector %s to the config topic", target, connector), func(ctx context.Context) error {
		return h.opts.Configs.PutTargetState(ctx, connector, target)
	})
}

func (h *Herder) requireKnown(connector string) error {
	if !h.snapshot().Contains(connector) {
		return &herder.NotFoundError{Message: "Unknown connector " + connector}
	}
	return nil
}

// StopConnector implements herder.Herder.
func (h *Herder) StopConnector(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if err := h.requireKnown(connector); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	return h.writeAsLeader(ctx, "writing the STOPPED target stage for connector "+connector+" to the config topic", func(ctx context.Context) error {
		if err := h.requireKnown(connector); err != nil {
			return err
		}
		// Without tasks first: a reader that sees STOPPED must find none (KIP-875).
		if err := h.opts.Configs.PutTaskConfigs(ctx, connector, nil); err != nil {
			return err
		}
		if err := h.opts.Configs.PutTargetState(ctx, connector, storage.Stopped); err != nil {
			return err
		}
		return h.opts.Configs.Refresh(ctx)
	})
}

// PutTaskConfigs implements herder.Herder.
func (h *Herder) PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string, request protocol.SignedRequest) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if err := h.verify(request); err != nil {
		return err
	}
	if err := h.requireLeader(); err != nil {
		return err
	}
	if err := h.admit(request); err != nil {
		return err
	}
	return h.putTaskConfigs(ctx, connector, configs)
}

// RestartConnector implements herder.Herder.
func (h *Herder) RestartConnector(ctx context.Context, connector string) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	if !h.snapshot().Contains(connector) {
		return &herder.NotFoundError{Message: "Unknown connector: " + connector}
	}
	if err := h.restartHere(ctx, connectorID(connector)); err != nil {
		if errors.Is(err, errStartFailed) {
			return fmt.Errorf("Failed to start connector: %s: %w", connector, err)
		}
		return err
	}
	return nil
}

// RunsHere reports whether a connector, or a task of it, is this worker's.
func (h *Herder) RunsHere(connector string) bool {
	for id := range h.view.Load().assigned {
		if id.Connector == connector {
			return true
		}
	}
	return false
}

// RestartTask implements herder.Herder.
func (h *Herder) RestartTask(ctx context.Context, task connect.TaskID) error {
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	state := h.snapshot()
	if !state.Contains(task.Connector) {
		return &herder.NotFoundError{Message: "Unknown connector: " + task.Connector}
	}
	if task.Task < 0 || !exists(state, task) {
		return &herder.NotFoundError{Message: fmt.Sprintf("Unknown task: %s-%d", task.Connector, task.Task)}
	}
	if err := h.restartHere(ctx, task); err != nil {
		if errors.Is(err, errStartFailed) {
			return fmt.Errorf("Failed to start task: %s-%d: %w", task.Connector, task.Task, err)
		}
		return err
	}
	return nil
}

// restartHere stops and starts an instance of this worker and waits until a connector has
// started, or a task has been made, or says whose it is.
func (h *Herder) restartHere(ctx context.Context, id connect.TaskID) error {
	if err := h.requireSettled(); err != nil {
		return err
	}
	v := h.view.Load()
	if !v.assigned[id] {
		if v.round.Leader() {
			return &herder.NotAssignedError{OwnerURL: h.opts.Group.OwnerURL(id)}
		}
		return h.notLeader()
	}
	what := "starting the connector"
	if id.Task != connectorInstance {
		what = fmt.Sprintf("restarting task %s-%d", id.Connector, id.Task)
	}
	// A request that runs out of time leaves the stage open, and tells it.
	leave := herder.EnterStage(ctx, what)
	started := make(chan error, 1)
	if err := h.call(ctx, func() {
		h.starts[id] = append(h.starts[id], started)
		if inst := h.instances[id]; inst != nil {
			inst.stale, inst.restart = true, true
		}
		h.reconcile()
	}); err != nil {
		return err
	}
	select {
	case err := <-started:
		leave()
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

// RestartConnectorAndTasks implements herder.Herder.
func (h *Herder) RestartConnectorAndTasks(ctx context.Context, request storage.RestartRequest) (api.ConnectorStatus, error) {
	if err := h.awaitReady(ctx); err != nil {
		return api.ConnectorStatus{}, err
	}
	if !h.snapshot().Contains(request.Connector) {
		return api.ConnectorStatus{}, &herder.NotFoundError{Message: "Unknown connector: " + request.Connector}
	}
	if err := h.requireSettled(); err != nil {
		return api.ConnectorStatus{}, err
	}
	if err := h.requireLeader(); err != nil {
		return api.ConnectorStatus{}, err
	}
	status, err := h.ConnectorStatus(ctx, request.Connector)
	if err != nil {
		return api.ConnectorStatus{}, &herder.NotFoundError{Message: "Status for connector " + request.Connector + " not found"}
	}
	err = h.writeAsLeader(ctx, "writing restart request for connector "+request.Connector+" to the config topic", func(ctx context.Context) error {
		return h.opts.Configs.PutRestartRequest(ctx, request)
	})
	if err != nil {
		return api.ConnectorStatus{}, err
	}
	if restarts(request, storage.State(status.Connector.State), false) {
		status.Connector.State = string(storage.StateRestarting)
	}
	for i := range status.Tasks {
		if restarts(request, storage.State(status.Tasks[i].State), true) {
			status.Tasks[i].State = string(storage.StateRestarting)
		}
	}
	return status, nil
}

// restarts decides whether a request concerns an instance in a given state (KIP-745).
func restarts(request storage.RestartRequest, state storage.State, task bool) bool {
	if task && !request.IncludeTasks {
		return false
	}
	return !request.OnlyFailed || state == storage.StateFailed
}

// RestartRequested implements storage.ConfigEvents: every worker restarts what it has
// of the connector.
func (h *Herder) RestartRequested(request storage.RestartRequest) {
	h.loop.post(func() {
		for id, inst := range h.instances {
			if id.Connector != request.Connector {
				continue
			}
			var status storage.Status
			if id.Task == connectorInstance {
				status, _ = h.opts.Statuses.Connector(id.Connector)
			} else {
				status, _ = h.opts.Statuses.Task(id)
			}
			if restarts(request, status.State, id.Task != connectorInstance) {
				inst.stale, inst.restart = true, true
			}
		}
		h.reconcile()
	})
}

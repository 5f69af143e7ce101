package distributed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/worker"
	"tributary/storage"
)

// reconfiguration is one connector's task configurations on their way to the config
// topic. There is at most one for each connector; a request that comes meanwhile makes
// it start over.
type reconfiguration struct {
	cancel context.CancelFunc
	// again gets a value when the connector asks once more: a pause between attempts
	// ends then.
	again chan struct{}
	// tried is closed once they were published, or could not be at first.
	tried chan struct{}
}

// Pauses between attempts to publish task configurations.
const (
	reconfigureFirstPause = 250 * time.Millisecond
	reconfigureLastPause  = 60 * time.Second
	// patience is the pause from which on a failure that should pass is worth a warning.
	patience = 4 * time.Second
)

// TaskConfigsRequested implements worker.Listener.
func (h *Herder) TaskConfigsRequested(connector string) {
	h.loop.post(func() { h.reconfigure(connector) })
}

// AwaitTaskConfigs waits until the task configurations that a connector has asked for by now were published, or could not
// be at the first attempt.
func (h *Herder) AwaitTaskConfigs(ctx context.Context, connector string) error {
	var tried <-chan struct{}
	err := h.call(ctx, func() {
		if r := h.reconfigs[connector]; r != nil {
			tried = r.tried
		}
	})
	if err != nil || tried == nil {
		return err
	}
	select {
	case <-tried:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ended:
		return errStopping
	}
}

func (h *Herder) reconfigure(connector string) {
	if h.halted || h.instances[connectorID(connector)] == nil {
		return
	}
	if r := h.reconfigs[connector]; r != nil {
		select {
		case r.again <- struct{}{}:
		default:
		}
		return
	}
	ctx, cancel := context.WithCancel(h.runCtx)
	r := &reconfiguration{cancel: cancel, again: make(chan struct{}, 1), tried: make(chan struct{})}
	h.reconfigs[connector] = r
	h.goBackground(func(context.Context) {
		defer cancel()
		tried := sync.OnceFunc(func() { close(r.tried) })
		h.publishUntilDone(ctx, connector, r.again, tried)
		tried()
		h.loop.post(func() {
			delete(h.reconfigs, connector)
			select {
			case <-r.again:
				h.reconfigure(connector)
			default:
			}
		})
	})
}

// publishUntilDone asks the connector for task configurations and publishes them if
// they changed, again and again until it succeeds or ctx ends. It calls tried after each attempt.
func (h *Herder) publishUntilDone(ctx context.Context, connector string, again <-chan struct{}, tried func()) {
	pause := reconfigureFirstPause
	for {
		err := h.publishTaskConfigs(ctx, connector)
		tried()
		if err == nil || ctx.Err() != nil || !h.snapshot().Contains(connector) {
			return
		}
		// A connector that does not run asks again once it does, and one that wants too
		// many tasks has failed for it.
		var notRunning *worker.NotRunningError
		var tooMany *worker.TooManyTasksError
		if errors.As(err, &notRunning) || errors.As(err, &tooMany) {
			return
		}
		// A connector that does not know its work yet, a rebalance under way and a key just
		// rotated pass soon and are no news, unless they last.
		level := h.log.Warn
		var passing *herder.RebalanceError
		var early *connect.RetriableError
		if pause < patience && (errors.As(err, &passing) || errors.As(err, &early)) {
			level = h.log.Debug
		}
		level("Could not publish the connector's task configurations; trying again", "connector", connector, "after", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-again:
			continue
		case <-time.After(pause):
		}
		pause = min(2*pause, reconfigureLastPause)
	}
}

func (h *Herder) publishTaskConfigs(ctx context.Context, connector string) error {
	configs, err := h.runner.TaskConfigs(ctx, connector)
	if err != nil {
		return fmt.Errorf("generate task configurations: %w", err)
	}
	if !h.taskConfigsChanged(h.snapshot(), connector, configs) {
		return nil
	}
	round := h.view.Load().round
	if round.Leader() {
		return h.putTaskConfigs(ctx, connector, configs)
	}
	return h.sendTaskConfigs(ctx, round, connector, configs)
}

// taskConfigsChanged compares what the connector wants with what the config topic has.
// The connector's own configuration counts too: tasks see changes of it only when
// they are started anew, but for its Live keys.
func (h *Herder) taskConfigsChanged(state *storage.ClusterState, connector string, configs []map[string]string) bool {
	if state.TaskCount(connector) != len(configs) || state.IsInconsistent(connector) {
		return true
	}
	for i, config := range state.RawTaskConfigs(connector) {
		if !maps.Equal(withoutNulls(config), configs[i]) {
			return true
		}
	}
	applied, ok := state.AppliedConfig(connector)
	current, _ := state.RawConnectorConfig(connector)
	return !ok || !h.equalButForLive(withoutNulls(applied), withoutNulls(current))
}

// equalButForLive compares two configurations of a connector as its tasks see them.
func (h *Herder) equalButForLive(a, b map[string]string) bool {
	if maps.Equal(a, b) {
		return true
	}
	instance, _, err := h.opts.Plugins.NewConnector(b["connector.class"])
	if err != nil {
		return false
	}
	def := instance.ConfigDef()
	return maps.Equal(def.WithoutLive(a), def.WithoutLive(b))
}

// putTaskConfigs writes task configurations, as the leader.
func (h *Herder) putTaskConfigs(ctx context.Context, connector string, configs []map[string]string) error {
	return h.writeAsLeader(ctx, fmt.Sprintf("writing %d task configs for connector %s to the config topic", len(configs), connector), func(ctx context.Context) error {
		state := h.snapshot()
		switch {
		case !state.Contains(connector):
			return herder.ConnectorNotFound(connector)
		case len(configs) > 0 && isStopped(state, connector):
			return &herder.BadRequestError{Message: fmt.Sprintf("Cannot submit non-empty set of task configs for stopped connector %s", connector)}
		case !h.taskConfigsChanged(state, connector, configs):
			return nil
		}
		return h.opts.Configs.PutTaskConfigs(ctx, connector, configs)
	})
}

func isStopped(state *storage.ClusterState, connector string) bool {
	target, _ := state.TargetState(connector)
	return target == storage.Stopped
}

// sendTaskConfigs hands task configurations to the leader (KIP-507).
func (h *Herder) sendTaskConfigs(ctx context.Context, round roundView, connector string, configs []map[string]string) error {
	if round.Snapshot.LeaderURL == "" {
		return &herder.RebalanceError{Message: "no leader is known yet"}
	}
	body, err := json.Marshal(configs)
	if err != nil {
		return err
	}
	_, err = h.ask(ctx, round, round.Snapshot.LeaderURL, http.MethodPost, "/connectors/"+url.PathEscape(connector)+"/tasks", body)
	return err
}

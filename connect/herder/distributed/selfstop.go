package distributed

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"tributary/connect/herder"
)

// StopRequested implements worker.Listener.
func (h *Herder) StopRequested(connector, reason string) {
	h.log.Info("The connector has done its work and is stopped", "connector", connector, "reason", reason)
	h.goBackground(func(ctx context.Context) { h.stopUntilDone(ctx, connector) })
}

// stopUntilDone sets the target state STOPPED, by the leader if that is another worker,
// unless the connector does not run here any more: whoever runs it asks, too.
func (h *Herder) stopUntilDone(ctx context.Context, connector string) {
	for pause := reconfigureFirstPause; ; pause = min(2*pause, reconfigureLastPause) {
		state := h.snapshot()
		if ctx.Err() != nil || !h.view.Load().assigned[connectorID(connector)] || !state.Contains(connector) || isStopped(state, connector) {
			return
		}
		err := h.StopConnector(ctx, connector)
		var elsewhere *herder.NotLeaderError
		if errors.As(err, &elsewhere) {
			_, err = h.ask(ctx, h.view.Load().round, elsewhere.LeaderURL, http.MethodPut, "/connectors/"+url.PathEscape(connector)+"/stop", nil)
		}
		if err == nil {
			return
		}
		h.log.Warn("The connector that has done its work could not be stopped; trying again", "connector", connector, "after", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

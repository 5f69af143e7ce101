package maker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"tributary/connect/herder"
	"tributary/storage"
)

const (
	sourceConnector     = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
	heartbeatConnector  = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector"
	checkpointConnector = "org.apache.kafka.connect.mirror.MirrorCheckpointConnector"
)

// connectorClasses are posted in this order.
var connectorClasses = []string{
	sourceConnector,
	heartbeatConnector,
	checkpointConnector,
}

// connectors returns the configurations of a flow's connectors, in the order in which they are posted. Without
// checkpoints, or the offset syncs that they are made of, a flow has no MirrorCheckpointConnector: it refuses to run,
// and in Java, too, the others run without it.
func (m *mirrorMaker) connectors(f Flow) []map[string]string {
	var out []map[string]string
	known := m.known().Connector
	for _, class := range connectorClasses {
		props := m.config.ConnectorProps(f, class, known)
		if class != checkpointConnector || checkpointsOff(props) == "" {
			out = append(out, props)
		}
	}
	return out
}

// checkpointsOff returns the setting by which a flow has no checkpoints, or "".
func checkpointsOff(props map[string]string) string {
	for _, key := range []string{"emit.checkpoints.enabled", "emit.offset-syncs.enabled"} {
		if strings.EqualFold(strings.TrimSpace(props[key]), "false") {
			return key + "=false"
		}
	}
	return ""
}

// postRetry is the pause before a connector is posted again that could not be.
const postRetry = 2 * time.Second

// post writes the connectors of a flow to its config topic where they are not there
// yet or the file says otherwise. The worker that becomes leader does it.
func (m *mirrorMaker) post(ctx context.Context, f Flow, h herder.Herder, log *slog.Logger) {
	for _, want := range m.connectors(f) {
		name := want["name"]
		said := ""
		for {
			err := putIfChanged(ctx, h, name, want)
			if err == nil || ctx.Err() != nil {
				break
			}
			var wrong *herder.BadRequestError
			var other *herder.NotLeaderError
			if errors.As(err, &wrong) || errors.As(err, &other) {
				log.Error("The connector was not configured", "connector", name, "error", err)
				break
			}
			if text := err.Error(); text != said { // it is said again once something else is wrong
				said = text
				log.Warn("Could not configure the connector; trying again", "connector", name, "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(postRetry):
			}
		}
	}
}

func putIfChanged(ctx context.Context, h herder.Herder, name string, want map[string]string) error {
	config := storage.ConnectorConfig{}
	for k, v := range want {
		config[k] = &v
	}
	current, err := h.ConnectorConfig(ctx, name)
	var missing *herder.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	if err == nil && len(differingKeys(current, want)) == 0 {
		return nil
	}
	_, _, err = h.PutConnectorConfig(ctx, name, config, nil, true)
	return err
}

package mirror

import (
	"fmt"
	"testing"

	"tributary/connect"
	"tributary/connect/connecttest"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// The connectors keep what the plugin API promises the worker, by the suite that authors of connectors use.
func TestTheConnectorsKeepThePluginAPIsPromises(t *testing.T) {
	t.Run("MirrorSource", func(t *testing.T) {
		p := startPair(t, localkafka.Options{}, localkafka.Options{})
		p.source.CreateTopic("t", 1, nil)
		for i := range 4 {
			p.source.Produce("t", kafkatest.Record{Key: []byte("k"), Value: fmt.Append(nil, i)})
		}
		connecttest.TestSource(t, connecttest.Source{
			New:     func() connect.SourceConnector { return NewSourceConnector() },
			Config:  p.with("name=source", "topics=t", "raw.batches=false"),
			Feed:    func(*testing.T) {}, // what is there is there
			Records: 4,
		})
	})
	t.Run("MirrorHeartbeat", func(t *testing.T) {
		p := startPair(t, localkafka.Options{}, localkafka.Options{})
		connecttest.TestSource(t, connecttest.Source{
			New:     func() connect.SourceConnector { return NewHeartbeatConnector() },
			Config:  p.with("name=heartbeat", "emit.heartbeats.interval.seconds=1"),
			Feed:    func(*testing.T) {}, // time passes by itself
			Records: 1,
			Forgets: true,
		})
	})
}

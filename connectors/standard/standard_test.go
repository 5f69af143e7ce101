package standard_test

import (
	"testing"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connectors/standard"
)

func TestEveryPluginIsWhatItsKindSays(t *testing.T) {
	plugins := standard.Plugins()
	if _, err := plugin.NewRegistry(plugins...); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range plugins {
		found[string(p.Kind)+" "+p.SimpleName()] = true
		var ok bool
		switch made := p.New(); p.Kind {
		case plugin.Source:
			_, ok = made.(connect.SourceConnector)
			ok = ok && p.TaskClass != ""
		case plugin.Sink:
			_, ok = made.(connect.SinkConnector)
			ok = ok && p.TaskClass != ""
		case plugin.Converter:
			_, ok = made.(connect.Converter)
		case plugin.HeaderConverter:
			_, ok = made.(connect.HeaderConverter)
		case plugin.Transformation:
			_, ok = made.(connect.Transformation)
		case plugin.Predicate:
			_, ok = made.(connect.Predicate)
		}
		if !ok {
			t.Errorf("%s is no %s", p.Class, p.Kind)
		}
		if p.Version == "" {
			t.Errorf("%s has no version", p.Class)
		}
	}
	for _, want := range []string{"source MirrorSourceConnector", "source MirrorCheckpointConnector", "source MirrorHeartbeatConnector", "source FileStreamSourceConnector", "sink FileStreamSinkConnector", "source VerifiableSourceConnector", "sink VerifiableSinkConnector", "converter ByteArrayConverter", "header_converter SimpleHeaderConverter"} {
		if !found[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

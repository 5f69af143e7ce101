package mirror

import "tributary/connect/plugin"

// headerConverter carries header values as they are. The worker's own default would
// turn the bytes of mirrored headers into Base64 text.
const headerConverter = "org.apache.kafka.connect.converters.ByteArrayConverter"

// Plugins lists the three connectors for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return []plugin.Plugin{
		{Class: SourceConnectorClass, Kind: plugin.Source, TaskClass: SourceTaskClass, HeaderConverter: headerConverter, Version: version, New: func() any { return NewSourceConnector() }},
		{Class: CheckpointConnectorClass, Kind: plugin.Source, TaskClass: CheckpointTaskClass, HeaderConverter: headerConverter, Version: version, New: func() any { return NewCheckpointConnector() }},
		{Class: HeartbeatConnectorClass, Kind: plugin.Source, TaskClass: HeartbeatTaskClass, HeaderConverter: headerConverter, Version: version, New: func() any { return NewHeartbeatConnector() }},
	}
}

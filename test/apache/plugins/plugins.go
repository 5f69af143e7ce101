package plugins

import (
	"tributary/connect/plugin"
)

// integration is the Java package of the tests and their connectors.
const integration = "org.apache.kafka.connect.integration."

// Plugins returns the connectors and transformations of Apache's tests.
func Plugins(c *Channel) []plugin.Plugin {
	const testable, blocking = integration + "Testable", integration + "BlockingConnectorTest$"
	// Classes that cannot be instantiated have no like here: a worker says of them what it says of any unknown class.
	const validation = integration + "ConnectorValidationIntegrationTest$TestConverterWith"
	connector := func(kind plugin.Kind, class, task, version string, make func() any) plugin.Plugin {
		return plugin.Plugin{Class: class, Kind: kind, TaskClass: task, Version: version, New: make}
	}
	source := func() any { return &testableSource{channel: c} }
	sink := func() any { return &testableSink{channel: c} }
	blockingConnectorOf := func(class, always string) plugin.Plugin {
		return connector(plugin.Source, blocking+class, blocking+"BlockingConnector$BlockingTask", "0.0.0", func() any { return newBlockingConnector(c, always) })
	}
	blockingSourceOf := func(class, task, always string) plugin.Plugin {
		return connector(plugin.Source, blocking+class, blocking+class+"$"+task, "0.0.0", func() any { return &blockingSource{blockingTasks{channel: c, always: always}} })
	}
	blockingSinkOf := func(class, task, always string) plugin.Plugin {
		return connector(plugin.Sink, blocking+class, blocking+class+"$"+task, "0.0.0", func() any { return &blockingSink{blockingTasks{channel: c, always: always}} })
	}
	return []plugin.Plugin{
		connector(plugin.Source, testable+"SourceConnector", testable+"SourceConnector$TestableSourceTask", "some great version", source),
		connector(plugin.Sink, testable+"SinkConnector", testable+"SinkConnector$TestableSinkTask", "some great version", sink),
		connector(plugin.Sink, integration+"ErrantRecordSinkConnector", integration+"ErrantRecordSinkConnector$ErrantRecordSinkTask", "some great version",
			func() any { return &errantSink{testableSink{channel: c}} }),
		connector(plugin.Sink, integration+"ConnectWorkerIntegrationTest$EmptyTaskConfigsConnector", integration+"ConnectWorkerIntegrationTest$SimpleTask", "0.0",
			func() any { return emptyConfigs{} }),
		connector(plugin.Sink, "test.plugins.InnocuousSinkConnector", integration+"ConnectWorkerIntegrationTest$SimpleTask", "0.0", func() any { return emptyConfigs{} }),
		connector(plugin.Source, integration+"ExactlyOnceSourceIntegrationTest$NaughtyConnector", integration+"ExactlyOnceSourceIntegrationTest$NaughtyTask", "none", func() any { return &naughty{} }),
		blockingConnectorOf("BlockingConnector", ""),
		blockingConnectorOf("InitializeBlockingConnector", connectorInitialize),
		blockingConnectorOf("ConfigBlockingConnector", connectorConfig),
		blockingConnectorOf("ValidateBlockingConnector", connectorValidate),
		blockingSourceOf("BlockingSourceConnector", "BlockingSourceTask", ""),
		blockingSourceOf("TaskInitializeBlockingSourceConnector", "InitializeBlockingSourceTask", sourceTaskInitialize),
		blockingSinkOf("BlockingSinkConnector", "BlockingSinkTask", ""),
		blockingSinkOf("TaskInitializeBlockingSinkConnector", "InitializeBlockingSinkTask", sinkTaskInitialize),
		{Class: validation + "NoConfigDef", Kind: plugin.Converter, New: func() any { return keyConverter{} }},
		{Class: validation + "NoConfigDef", Kind: plugin.HeaderConverter, New: func() any { return headerConverter{} }},
		{Class: validation + "SinglePropertyConfigDef", Kind: plugin.Converter, New: func() any { return definedKeyConverter{} }},
		{Class: validation + "SinglePropertyConfigDef", Kind: plugin.HeaderConverter, New: func() any { return definedHeaderConverter{} }},
		{Class: integration + "ErrorHandlingIntegrationTest$FaultyPassthrough", Kind: plugin.Transformation, Version: "1.0", New: func() any { return &faultyPassthrough{} }},
	}
}

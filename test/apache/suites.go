package main

const (
	mirrorTests  = "org.apache.kafka.connect.mirror.integration."
	connectTests = "org.apache.kafka.connect.integration."
)

// Reasons why a method does not apply.
const (
	readsReporter = "reads the metrics through a Java reporter inside the worker"
	readsRegistry = "reads the metrics registry of a worker in the test's JVM"
	readsJavaLog  = "reads the log lines of a worker in the test's JVM"
	javaAdmin     = "needs Java's ForwardingAdmin inside the worker"
	javaExtension = "needs a Java REST extension inside the worker"
	mocksHerders  = "mocks the herder in the test's JVM"
	blocksWorker  = "wants a worker that a connector's taskConfigs blocks, which the test itself calls a bug"
)

var mirrorMetrics = map[string]string{
	"testConnectorMetricsNew":          readsReporter,
	"testConnectorMetricsLegacy":       readsReporter,
	"testConnectorMetricsDefault":      readsReporter,
	"testConnectorMetricsNewAndLegacy": readsReporter,
}

// suites are the classes to run, in this order.
var suites = []suite{
	{Class: mirrorTests + "MirrorConnectorsIntegrationBaseTest", Skip: mirrorMetrics, Quick: []string{"testReplication"}},
	{Class: mirrorTests + "IdentityReplicationIntegrationTest", Skip: mirrorMetrics, Quick: []string{"testOneWayReplicationWithAutoOffsetSync"}},
	{Class: mirrorTests + "MirrorConnectorsIntegrationSSLTest", Skip: mirrorMetrics},
	{Class: mirrorTests + "MirrorConnectorsIntegrationTransactionsTest", Skip: mirrorMetrics},
	{Class: mirrorTests + "MirrorConnectorsIntegrationExactlyOnceTest", Skip: mirrorMetrics},
	{Class: mirrorTests + "DedicatedMirrorIntegrationTest", Quick: []string{"testSingleNodeCluster", "testMultiNodeCluster"}},
	{Class: connectTests + "ConnectorValidationIntegrationTest", TestWorker: true},
	{Class: connectTests + "ConnectorClientPolicyIntegrationTest", TestWorker: true, Quick: []string{"testCreateWithNotAllowedOverridesForPrincipalPolicy"}},
	{Class: connectTests + "SessionedProtocolIntegrationTest", TestWorker: true, Quick: []string{"ensureInternalEndpointIsSecured"}},
	{Class: connectTests + "InternalTopicsIntegrationTest", TestWorker: true},
	{Class: connectTests + "ConnectorTopicsIntegrationTest", TestWorker: true},
	{Class: connectTests + "RebalanceSourceConnectorsIntegrationTest", TestWorker: true},
	{Class: connectTests + "ConnectWorkerIntegrationTest", TestWorker: true, Skip: map[string]string{
		"testPollTimeoutExpiry": readsJavaLog,
	}, Quick: []string{"testPauseStopResume", "testTasksMaxEnforcement", "testCompactedDeletedOlderConnectorConfig"}},
	{Class: connectTests + "ConnectorRestartApiIntegrationTest", TestWorker: true, Quick: []string{"testMultiWorkerRestartBothConnectorAndTasks"}},
	{Class: connectTests + "OffsetsApiIntegrationTest", TestWorker: true, Quick: []string{
		"testAlterSinkConnectorOffsets", "testResetSinkConnectorOffsetsZombieSinkTasks", "testAlterSinkConnectorOffsetsInvalidRequestBody",
		"testAlterSourceConnectorOffsets", "testResetSourceConnectorOffsetsExactlyOnceSupportEnabled",
	}},
	{Class: connectTests + "ErrorHandlingIntegrationTest", TestWorker: true, Quick: []string{"testSkipRetryAndDLQWithHeaders"}},
	{Class: connectTests + "TransformationIntegrationTest", TestWorker: true, Quick: []string{"testFilterOnTombstonesWithSinkConnector"}},
	{Class: connectTests + "SourceConnectorsIntegrationTest", TestWorker: true},
	// Counts commits.
	{Class: connectTests + "SinkConnectorsIntegrationTest", TestWorker: true, Defaults: map[string]string{"offset.flush.interval.ms": "60000"},
		Quick: []string{"testCooperativeConsumerPartitionAssignment"}},
	{Class: connectTests + "ExampleConnectIntegrationTest", TestWorker: true},
	{Class: connectTests + "ExactlyOnceSourceIntegrationTest", TestWorker: true, Quick: []string{
		"testConnectorBoundary", "testConnectorReconfiguration", "testFencedLeaderRecovery", "testTasksFailOnInabilityToFence",
	}},
	{Class: connectTests + "BlockingConnectorTest", TestWorker: true},
	{Class: connectTests + "StandaloneWorkerIntegrationTest", TestWorker: true, Skip: map[string]string{"testHealthCheck": blocksWorker}},
	{Class: mirrorTests + "MirrorConnectorsWithCustomForwardingAdminIntegrationTest", WhollySkipped: javaAdmin},
	{Class: connectTests + "MonitorableSourceIntegrationTest", WhollySkipped: readsRegistry},
	{Class: connectTests + "MonitorableSinkIntegrationTest", WhollySkipped: readsRegistry},
	{Class: connectTests + "RestExtensionIntegrationTest", WhollySkipped: javaExtension},
	{Class: connectTests + "RestForwardingIntegrationTest", WhollySkipped: mocksHerders},
}

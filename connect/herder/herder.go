package herder

import (
	"context"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/storage"
)

// Herder accepts requests about connectors, whichever worker they concern. Reads are
// answered from memory. Requests that belong to another worker fail with a
// *NotLeaderError or *NotAssignedError that names its URL: forwarding is the
// caller's. Every method may be called concurrently and honours ctx.
type Herder interface {
	// ClusterID is the Kafka cluster's id, "" while it is unknown.
	ClusterID() string
	// Health is nil when the herder's loop answers, a *NotReadyError while it starts.
	Health(ctx context.Context) error

	Connectors(ctx context.Context) ([]string, error)
	ConnectorInfo(ctx context.Context, connector string) (api.ConnectorInfo, error)
	ConnectorConfig(ctx context.Context, connector string) (storage.ConnectorConfig, error)
	ConnectorStatus(ctx context.Context, connector string) (api.ConnectorStatus, error)
	TaskStatus(ctx context.Context, task connect.TaskID) (api.TaskStatus, error)
	TaskInfos(ctx context.Context, connector string) ([]api.TaskInfo, error)
	ActiveTopics(ctx context.Context, connector string) ([]string, error)
	ResetActiveTopics(ctx context.Context, connector string) error

	// PutConnectorConfig validates and writes a configuration and returns once it was
	// read back. created says whether the connector is new; with allowReplace unset an
	// existing one is an *AlreadyExistsError. initial may be nil.
	PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, initial *storage.TargetState, allowReplace bool) (created bool, info api.ConnectorInfo, err error)
	// PatchConnectorConfig lays patch over a connector's raw configuration, in which a nil
	// value removes the key, and goes on as PutConnectorConfig (KIP-477).
	PatchConnectorConfig(ctx context.Context, connector string, patch storage.ConnectorConfig) (api.ConnectorInfo, error)
	DeleteConnector(ctx context.Context, connector string) error
	PauseConnector(ctx context.Context, connector string) error
	ResumeConnector(ctx context.Context, connector string) error
	StopConnector(ctx context.Context, connector string) error

	// ValidateConfig checks a connector's configuration without writing it: mistakes are in
	// the answer. PluginConfig lists the keys of a plugin by its class or alias, in the
	// version asked for; "latest" is any.
	ValidateConfig(ctx context.Context, config map[string]*string) (api.ConfigInfos, error)
	PluginConfig(ctx context.Context, plugin, version string) ([]api.ConfigKeyInfo, error)

	// ConnectorOffsets are the source offsets that a connector committed. AlterOffsets
	// changes those of some partitions of a stopped connector, of equal ones the last
	// counts; ResetOffsets removes all (KIP-875). The message says how far that goes.
	ConnectorOffsets(ctx context.Context, connector string) (api.ConnectorOffsets, error)
	AlterOffsets(ctx context.Context, connector string, changes []connect.OffsetChange) (api.Message, error)
	ResetOffsets(ctx context.Context, connector string) (api.Message, error)

	// SetClusterLoggerLevel asks all workers of the group to set a level (KIP-976).
	SetClusterLoggerLevel(ctx context.Context, namespace, level string) error

	// RestartConnector restarts the Connector instance alone, on the worker that has it.
	RestartConnector(ctx context.Context, connector string) error
	// RestartTask restarts one task, on the worker that has it.
	RestartTask(ctx context.Context, task connect.TaskID) error
	// RestartConnectorAndTasks writes a restart request (KIP-745) and returns the status
	// in which all that will be restarted shows RESTARTING.
	RestartConnectorAndTasks(ctx context.Context, request storage.RestartRequest) (api.ConnectorStatus, error)

	// PutTaskConfigs and FenceZombies are the internal requests between workers (KIP-507,
	// KIP-618). request is what came over the wire; its signature is checked before
	// anything else, and its failure is a *protocol.SignatureError.
	PutTaskConfigs(ctx context.Context, connector string, configs []map[string]string, request protocol.SignedRequest) error
	FenceZombies(ctx context.Context, connector string, request protocol.SignedRequest) error

	// Replication is what a connector and its tasks say of their replication. The workers
	// that its statuses name are asked for their share; those that do not answer in time
	// are named in the result. LocalReplication is that internal request: the share of
	// this worker alone. It is signed as the others are.
	Replication(ctx context.Context, connector string) (api.Replication, error)
	LocalReplication(ctx context.Context, connector string, request protocol.SignedRequest) (api.Replication, error)
	// MemberDeparted is an internal request too, which only Tributary workers send and
	// know: the member of the group has stopped for good.
	MemberDeparted(ctx context.Context, memberID string, request protocol.SignedRequest) error
}

package replica

import (
	"fmt"
	"strings"
)

// Configuration keys that a replication policy reads.
const (
	PolicyClassKey              = "replication.policy.class"
	PolicySeparatorKey          = "replication.policy.separator"
	InternalSeparatorEnabledKey = "replication.policy.internal.topic.separator.enabled"
	SourceClusterAliasKey       = "source.cluster.alias"
)

// DefaultSeparator separates a source alias from a topic name unless configured.
const DefaultSeparator = "."

// javaPackage is where MirrorMaker 2 keeps the classes that configurations name.
const javaPackage = "org.apache.kafka.connect.mirror."

// Class names of the built-in policies, as configurations written for MirrorMaker 2
// have them. The name after the last dot is accepted too.
const (
	DefaultPolicyClass  = javaPackage + "DefaultReplicationPolicy"
	IdentityPolicyClass = javaPackage + "IdentityReplicationPolicy"
)

// heartbeatsTopic is the same under every policy and separator.
const heartbeatsTopic = "heartbeats"

// Policy decides how topics are named on the target of a mirror, and reads such
// names back. Both built-in policies are immutable and safe for concurrent use.
type Policy interface {
	// FormatRemoteTopic gives the name on the target for a topic of source.
	FormatRemoteTopic(source, topic string) string
	// TopicSource gives the alias of the cluster that topic was mirrored from. It is
	// false when the name does not tell or topic is not remote. The alias may be
	// empty (a name that begins with the separator).
	TopicSource(topic string) (alias string, ok bool)
	// UpstreamTopic gives the name of topic on the cluster it was mirrored from,
	// itself perhaps a remote topic; false when topic is not remote. A policy that
	// does not rename answers with topic itself.
	UpstreamTopic(topic string) (name string, ok bool)
	// OriginalTopic follows UpstreamTopic to the first cluster; topic itself when it
	// is not remote.
	OriginalTopic(topic string) string

	// IsInternalTopic is true for topics that are never mirrored: Kafka's and Connect's
	// own (leading "__" or ".") and those of MirrorMaker.
	IsInternalTopic(topic string) bool
	// IsMM2InternalTopic is true for topics in which MirrorMaker keeps its state.
	IsMM2InternalTopic(topic string) bool
	// IsHeartbeatsTopic is true for the heartbeats topic and each mirrored one.
	IsHeartbeatsTopic(topic string) bool
	// IsCheckpointsTopic is true for the checkpoints topic of any source.
	IsCheckpointsTopic(topic string) bool

	// OffsetSyncsTopic names the topic for offset syncs. alias is the target's when
	// the topic lives on the source, and the source's when it lives on the target.
	OffsetSyncsTopic(alias string) string
	// CheckpointsTopic names the topic for checkpoints of the source called alias.
	CheckpointsTopic(alias string) string
	// HeartbeatsTopic names the topic for heartbeats.
	HeartbeatsTopic() string
	// Separator stands between a source alias and a topic name.
	Separator() string
}

// NewPolicy makes the policy that class names (a Java class name, or its last part;
// empty means the default policy) and configures it from a connector's properties.
func NewPolicy(class string, props map[string]string) (Policy, error) {
	switch strings.TrimPrefix(class, javaPackage) {
	case "", "DefaultReplicationPolicy":
		return newDefaultPolicy(props), nil
	case "IdentityReplicationPolicy":
		return newIdentityPolicy(props), nil
	}
	return nil, unknownClass(PolicyClassKey, class, DefaultPolicyClass, IdentityPolicyClass)
}

// unknownClass is the error for a class name that is not built in. Java plug-ins
// cannot be loaded, so the message says what there is instead.
func unknownClass(key, class string, builtIn ...string) error {
	return fmt.Errorf("%s is %q, which is not built in: use %s", key, class, strings.Join(builtIn, " or "))
}

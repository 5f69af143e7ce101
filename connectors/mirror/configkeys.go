package mirror

import (
	"fmt"
	"strings"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
)

// Configuration keys of the three connectors, apart from those of package replica.
const (
	enabledKey           = "enabled"
	sourceAliasKey       = replica.SourceClusterAliasKey
	targetAliasKey       = "target.cluster.alias"
	adminTimeoutKey      = "admin.timeout.ms"
	forwardingAdminKey   = "forwarding.admin.class"
	pollTimeoutKey       = "consumer.poll.timeout.ms"
	syncsLocationKey     = "offset-syncs.topic.location"
	emitSyncsKey         = "emit.offset-syncs.enabled"
	emitCheckpointsKey   = "emit.checkpoints.enabled"
	metricFormatsKey     = "metric.names.formats"
	assignedPartitions   = "task.assigned.partitions"
	assignedGroups       = "task.assigned.groups"
	taskIndexKey         = "task.index"
	exactlyOnceKey       = "exactly.once.support"
	forwardingAdminClass = "org.apache.kafka.clients.admin.ForwardingAdmin"

	refreshTopics    = "refresh.topics"
	syncTopicConfigs = "sync.topic.configs"
	syncTopicACLs    = "sync.topic.acls"
	refreshGroups    = "refresh.groups"
	emitCheckpoints  = "emit.checkpoints"
	syncGroupOffsets = "sync.group.offsets"
	emitHeartbeats   = "emit.heartbeats"

	enabledSuffix  = ".enabled"
	intervalSuffix = ".interval.seconds"

	replicationFactorKey            = "replication.factor"
	syncsReplicationFactorKey       = "offset-syncs.topic.replication.factor"
	checkpointsReplicationFactorKey = "checkpoints.topic.replication.factor"
	heartbeatsReplicationFactorKey  = "heartbeats.topic.replication.factor"
	offsetLagMaxKey                 = "offset.lag.max"
	replicateHeartbeatsKey          = "heartbeats.replication.enabled"
)

const (
	locationSource = "source"
	locationTarget = "target"
)

var (
	sourceDef     = connect.NewConfigDef(commonKeys...).With(sourceKeys...)
	checkpointDef = connect.NewConfigDef(commonKeys...).With(checkpointKeys...)
	heartbeatDef  = connect.NewConfigDef(commonKeys...).With(heartbeatKeys...)
)

// ConfigNames returns the name of every key that one of the three connectors declares.
// The framework's own keys are not among them. The map is the caller's.
func ConfigNames() map[string]bool {
	names := map[string]bool{}
	for _, def := range []*connect.ConfigDef{sourceDef, checkpointDef, heartbeatDef} {
		for _, key := range def.Keys() {
			names[key.Name] = true
		}
	}
	return names
}

// Default is a key's value where a configuration does not set it, as text.
type Default struct{ Name, Text string }

// DefaultsOf lists the defaults of one of the three connectors by its class name.
func DefaultsOf(class string) []Default {
	var out []Default
	for suffix, def := range map[string]*connect.ConfigDef{"MirrorSourceConnector": sourceDef, "MirrorCheckpointConnector": checkpointDef, "MirrorHeartbeatConnector": heartbeatDef} {
		if !strings.HasSuffix(class, suffix) {
			continue
		}
		for _, key := range def.Keys() {
			if list, ok := key.Default.([]string); ok {
				out = append(out, Default{key.Name, strings.Join(list, ",")})
			} else if key.Default != nil {
				out = append(out, Default{key.Name, fmt.Sprint(key.Default)})
			}
		}
	}
	return out
}

// listOf gives a list of package replica, which is text, as a configuration value.
func listOf(text string) []string {
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

func key(name string, t connect.ConfigType, def any, importance connect.Importance, doc string) connect.ConfigKey {
	return connect.ConfigKey{Name: name, Type: t, Default: def, Importance: importance, Doc: doc}
}

func low(name string, t connect.ConfigType, def any, doc string) connect.ConfigKey {
	return key(name, t, def, connect.Low, doc)
}

func valid(k connect.ConfigKey, check func(any) string) connect.ConfigKey {
	k.Validate = check
	return k
}

// unique is for lists without repeated items.
func unique(k connect.ConfigKey) connect.ConfigKey {
	k.Items = connect.UniqueItems
	return k
}

func live(k connect.ConfigKey) connect.ConfigKey {
	k.Live = true
	return k
}

func required(k connect.ConfigKey) connect.ConfigKey {
	k.Required = true
	return k
}

// periodic declares the two keys of something that is done now and again.
func periodic(prefix string, enabled bool, seconds int64, what, note string) []connect.ConfigKey {
	return []connect.ConfigKey{
		low(prefix+enabledSuffix, connect.TypeBoolean, enabled, "Whether to "+what+"."),
		low(prefix+intervalSuffix, connect.TypeLong, seconds, "How often to "+what+", in seconds."+note),
	}
}

func metricFormats(v any) string {
	for _, f := range v.([]string) {
		if f != "legacy" && f != "new" {
			return fmt.Sprintf("%q must be legacy or new", f)
		}
	}
	return ""
}

// atLeastOr accepts a number of at least least, or the one number that means something else.
func atLeastOr(least, other int64) func(any) string {
	return func(v any) string {
		if n, ok := v.(int64); ok && n < least && n != other {
			return fmt.Sprintf("Value must be at least %d, or %d for the broker's default", least, other)
		}
		return ""
	}
}

var commonKeys = append([]connect.ConfigKey{
	low(enabledKey, connect.TypeBoolean, true, "Whether the mirror does this part of its work. The heartbeat connector does not look at it."),
	required(key(sourceAliasKey, connect.TypeString, nil, connect.High, "Alias of the source cluster, by which the target knows it.")),
	key(targetAliasKey, connect.TypeString, "target", connect.High, "Alias of the target cluster. Used in names of topics and clients, and to recognise cycles."),
	low(adminTimeoutKey, connect.TypeLong, int64(60000), "How long one administrative step, such as creating topics, may take, in milliseconds."),
	low(replica.PolicyClassKey, connect.TypeClass, replica.DefaultPolicyClass, "How topics are named on the target: DefaultReplicationPolicy puts the source's alias in front, IdentityReplicationPolicy keeps the name."),
	low(replica.PolicySeparatorKey, connect.TypeString, replica.DefaultSeparator, "Separates the source's alias from the topic's name."),
	low(replica.InternalSeparatorEnabledKey, connect.TypeBoolean, true, "Whether a configured separator is used in the names of the mirror's own topics, too. Read only if the separator is set."),
	low(forwardingAdminKey, connect.TypeClass, forwardingAdminClass, "Class that creates and alters topics. Only the built-in one can be used."),
	unique(low("metric.reporters", connect.TypeList, []string{"org.apache.kafka.common.metrics.JmxReporter"}, "Java classes that report metrics. Read and not used: metrics are served by the worker over HTTP.")),
	valid(key("security.protocol", connect.TypeString, "PLAINTEXT", connect.Medium, "How connections are protected. Set it for each cluster."),
		connect.OneOfFold("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
	unique(low("config.providers", connect.TypeList, []string{}, "Names of the configuration providers that values refer to.")),
}, securityKeys()...)

var sourceKeys = concat([]connect.ConfigKey{
	unique(key(replica.TopicsKey, connect.TypeList, listOf(replica.TopicsDefault), connect.High, "Topics to mirror: names or regular expressions, separated by commas.")),
	unique(key(replica.TopicsExcludeKey, connect.TypeList, listOf(replica.TopicsExcludeDefault), connect.High, "Topics not to mirror; it wins over topics.")),
	unique(key(replica.ConfigPropertiesExcludeKey, connect.TypeList, listOf(replica.ConfigPropertiesExcludeDefault), connect.High, "Topic properties that are not carried over: names or regular expressions.")),
	low(replica.TopicFilterClassKey, connect.TypeClass, replica.TopicFilterClass, "Class that selects topics. Only the built-in one can be used."),
	low(replica.ConfigPropertyFilterClassKey, connect.TypeClass, replica.ConfigPropertyFilterClass, "Class that selects topic properties. Only the built-in one can be used."),
	low(pollTimeoutKey, connect.TypeLong, int64(1000), "How long to wait for records before looking after other things, in milliseconds."),
	valid(low(replicationFactorKey, connect.TypeInt, int64(2), "Replication factor of new topics on the target; -1 for the broker's default. Unless set, no more than the target has brokers."), atLeastOr(1, -1)),
	valid(low(syncsReplicationFactorKey, connect.TypeShort, int64(3), "Replication factor of the offset-syncs topic; -1 for the broker's default. Unless set, no more than the cluster has brokers."), atLeastOr(1, -1)),
	valid(low(syncsLocationKey, connect.TypeString, locationSource, "The cluster that holds the offset-syncs topic."), connect.OneOf(locationSource, locationTarget)),
	valid(low(offsetLagMaxKey, connect.TypeLong, int64(100), "How many records a consumer group may be translated behind its true place before another offset sync is written."), connect.AtLeast(0)),
	low(emitSyncsKey, connect.TypeBoolean, true, "Whether to write the offset syncs that consumer groups are translated by."),
	low(replicateHeartbeatsKey, connect.TypeBoolean, true, "Whether heartbeats topics are mirrored, whatever topics says."),
	valid(unique(low(metricFormatsKey, connect.TypeList, []string{"legacy"}, "Names of Java's metrics. Read and not used: metrics have one name here.")), metricFormats),
},
	periodic(refreshTopics, true, 600, "look for new topics and partitions", " Unless it is set, this is done every few seconds."),
	periodic(syncTopicConfigs, true, 600, "carry topic configurations over to the target", ""),
	periodic(syncTopicACLs, true, 600, "carry ACLs of topics over to the target", ""),
	startKeys,
	modeKeys,
	recordErrorKeys,
	rawKeys,
	assignmentKeys,
	throttleKeys,
	refillKeys,
)

var checkpointKeys = concat([]connect.ConfigKey{
	unique(key(replica.GroupsKey, connect.TypeList, listOf(replica.GroupsDefault), connect.High, "Consumer groups to translate: names or regular expressions, separated by commas.")),
	unique(key(replica.GroupsExcludeKey, connect.TypeList, listOf(replica.GroupsExcludeDefault), connect.High, "Consumer groups not to translate; it wins over groups.")),
	low(replica.GroupFilterClassKey, connect.TypeClass, replica.GroupFilterClass, "Class that selects consumer groups. Only the built-in one can be used."),
	low(replica.TopicFilterClassKey, connect.TypeClass, replica.TopicFilterClass, "Class that selects topics. Only the built-in one can be used."),
	low(pollTimeoutKey, connect.TypeLong, int64(1000), "How long to wait before looking after other things, in milliseconds."),
	valid(low(checkpointsReplicationFactorKey, connect.TypeShort, int64(3), "Replication factor of the checkpoints topic; -1 for the broker's default. Unless set, no more than the target has brokers."), atLeastOr(1, -1)),
	valid(low(syncsLocationKey, connect.TypeString, locationSource, "The cluster that holds the offset-syncs topic."), connect.OneOf(locationSource, locationTarget)),
	valid(unique(low(metricFormatsKey, connect.TypeList, []string{"legacy"}, "Names of Java's metrics. Read and not used: metrics have one name here.")), metricFormats),
},
	periodic(refreshGroups, true, 600, "look for new consumer groups", " Unless it is set, this is done every ten seconds, or less often where it takes long."),
	periodic(emitCheckpoints, true, 60, "write checkpoints", ""),
	periodic(syncGroupOffsets, false, 60, "commit translated offsets for groups that are idle on the target", ""),
)

var heartbeatKeys = append(periodic(emitHeartbeats, true, 1, "write heartbeats", ""),
	valid(low(heartbeatsReplicationFactorKey, connect.TypeShort, int64(3), "Replication factor of the heartbeats topic; -1 for the broker's default. Unless set, no more than the target has brokers."), atLeastOr(1, -1)),
)

func concat(lists ...[]connect.ConfigKey) []connect.ConfigKey {
	var all []connect.ConfigKey
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

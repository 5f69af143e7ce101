package worker

import (
	"tributary/connect"
	"tributary/connect/plugin"
)

// commonKeys are the framework's keys of every connector's configuration.
var commonKeys = []connect.ConfigKey{
	{Name: "name", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
		Group: "Common", OrderInGroup: 1, Width: "MEDIUM", DisplayName: "Connector name",
		Doc: "Name of the connector, unique among all of the worker group."},
	{Name: "connector.class", Type: connect.TypeString, Required: true, Importance: connect.High,
		Group: "Common", OrderInGroup: 2, Width: "LONG", DisplayName: "Connector class",
		Doc: "Class name of the connector, or its short name."},
	{Name: "connector.plugin.version", Type: connect.TypeString, Importance: connect.Medium,
		Group: "Common", OrderInGroup: 3, Width: "MEDIUM", DisplayName: "Connector version",
		Doc: "Version of the connector, or a range of versions such as [1.0,2.0); the one there is if absent."},
	{Name: "tasks.max", Type: connect.TypeInt, Default: int64(1), Importance: connect.High, Validate: connect.AtLeast(1),
		Group: "Common", OrderInGroup: 4, Width: "SHORT", DisplayName: "Tasks max",
		Doc: "Most tasks that the connector may have."},
	{Name: "tasks.max.enforce", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Group: "Common", OrderInGroup: 5, Width: "SHORT", DisplayName: "Enforce tasks max",
		Doc: "Whether a connector that asks for more than tasks.max tasks fails. Deprecated: false is for connectors that relied on the limit not being kept."},
	{Name: "key.converter", Type: connect.TypeClass, Importance: connect.Low,
		Group: "Common", OrderInGroup: 6, Width: "SHORT", DisplayName: "Key converter class",
		Doc: "Converter for the keys of records; the worker's if absent."},
	{Name: "key.converter.plugin.version", Type: connect.TypeString, Importance: connect.Low,
		Group: "Common", OrderInGroup: 7, Width: "SHORT", DisplayName: "Key converter version",
		Doc: "Version of that converter, or a range of versions; the one there is if absent."},
	{Name: "value.converter", Type: connect.TypeClass, Importance: connect.Low,
		Group: "Common", OrderInGroup: 8, Width: "SHORT", DisplayName: "Value converter class",
		Doc: "Converter for the values of records; the worker's if absent."},
	{Name: "value.converter.plugin.version", Type: connect.TypeString, Importance: connect.Low,
		Group: "Common", OrderInGroup: 9, Width: "SHORT", DisplayName: "Value converter version",
		Doc: "Version of that converter, or a range of versions; the one there is if absent."},
	{Name: "header.converter", Type: connect.TypeClass, Importance: connect.Low,
		Group: "Common", OrderInGroup: 10, Width: "SHORT", DisplayName: "Header converter class",
		Doc: "Converter for the header values of records; the worker's if absent."},
	{Name: "header.converter.plugin.version", Type: connect.TypeString, Importance: connect.Low,
		Group: "Common", OrderInGroup: 11, Width: "SHORT", DisplayName: "Header converter version",
		Doc: "Version of that converter, or a range of versions; the one there is if absent."},
	{Name: "transforms", Type: connect.TypeList, Default: []string{}, Importance: connect.Low, Validate: uniqueAliases,
		Group: "Transforms", OrderInGroup: 12, Width: "LONG", DisplayName: "Transforms",
		Doc: "Aliases of the transformations applied to each record, in order."},
	{Name: "predicates", Type: connect.TypeList, Default: []string{}, Importance: connect.Low, Validate: uniqueAliases,
		Group: "Predicates", OrderInGroup: 13, Width: "LONG", DisplayName: "Predicates",
		Doc: "Aliases of the predicates that transformations refer to."},
	{Name: "config.action.reload", Type: connect.TypeString, Default: "restart", Importance: connect.Low, Validate: connect.OneOf("none", "restart"),
		Group: "Common", OrderInGroup: 14, Width: "MEDIUM", DisplayName: "Reload Action",
		Doc: "What happens when a value from a configuration provider changes: none, or restart of the connector."},
	{Name: "errors.retry.timeout", Type: connect.TypeLong, Default: int64(0), Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 1, Width: "MEDIUM", DisplayName: "Retry Timeout for Errors",
		Doc: "How long a failed transformation or conversion is retried, in milliseconds; 0 is never, -1 for ever."},
	{Name: "errors.retry.delay.max.ms", Type: connect.TypeLong, Default: int64(60000), Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 2, Width: "MEDIUM", DisplayName: "Maximum Delay Between Retries for Errors",
		Doc: "Longest pause between two such retries, in milliseconds."},
	{Name: "errors.tolerance", Type: connect.TypeString, Default: toleranceNone, Importance: connect.Medium,
		Validate: connect.OneOf(toleranceNone, toleranceAll),
		Group:    "Error Handling", OrderInGroup: 3, Width: "SHORT", DisplayName: "Error Tolerance",
		Doc: "none fails the task with the first record that cannot be handled, all skips such records."},
	{Name: "errors.log.enable", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 4, Width: "SHORT", DisplayName: "Log Errors",
		Doc: "Whether each record that could not be handled is logged. Off, only failures that are not tolerated are."},
	{Name: "errors.log.include.messages", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 5, Width: "SHORT", DisplayName: "Log Error Details",
		Doc: "Whether that line says which record it was: topic, partition, timestamp and source position, never keys, values or headers."},
}

var sourceKeys = []connect.ConfigKey{
	{Name: "topic.creation.groups", Type: connect.TypeList, Default: []string{}, Importance: connect.Low, Validate: uniqueAliases,
		Group: "Topic Creation", OrderInGroup: 1, Width: "LONG", DisplayName: "Topic Creation Groups",
		Doc: "Names of groups of topics that are created with settings of their own."},
	{Name: "exactly.once.support", Type: connect.TypeString, Default: "requested", Importance: connect.Medium,
		Validate: connect.OneOfFold("required", "requested"),
		Group:    "Exactly Once Support", OrderInGroup: 2, Width: "SHORT", DisplayName: "Exactly once support",
		Doc: "required refuses the connector unless it can deliver exactly once, requested does not."},
	{Name: "transaction.boundary", Type: connect.TypeString, Default: "poll", Importance: connect.Medium,
		Validate: connect.OneOfFold("interval", "poll", "connector"),
		Group:    "Exactly Once Support", OrderInGroup: 3, Width: "SHORT", DisplayName: "Transaction Boundary",
		Doc: "When a transaction ends: with each batch (poll), after some time (interval), or when the connector says so (connector)."},
	{Name: "transaction.boundary.interval.ms", Type: connect.TypeLong, Importance: connect.Low, Validate: connect.AtLeast(0),
		Group: "Exactly Once Support", OrderInGroup: 4, Width: "SHORT", DisplayName: "Transaction boundary interval",
		Doc: "Length of a transaction with transaction.boundary=interval, in milliseconds; offset.flush.interval.ms if absent."},
	{Name: "offsets.storage.topic", Type: connect.TypeString, Importance: connect.Low, Validate: nonEmptyOrNull,
		Group: "offsets.topic", OrderInGroup: 1, Width: "LONG", DisplayName: "Offsets topic",
		Doc: "Offsets topic of this connector alone; the worker's if absent."},
}

var sinkKeys = []connect.ConfigKey{
	{Name: "topics", Type: connect.TypeList, Default: []string{}, Importance: connect.High, Items: connect.UniqueItems,
		Group: "Common", OrderInGroup: 4, Width: "LONG", DisplayName: "Topics",
		Doc: "Topics to read, separated by commas."},
	{Name: "topics.regex", Type: connect.TypeString, Default: "", Importance: connect.High,
		Group: "Common", OrderInGroup: 4, Width: "LONG", DisplayName: "Topics regex",
		Doc: "Regular expression of the topics to read; either this or topics."},
	{Name: "errors.deadletterqueue.topic.name", Type: connect.TypeString, Default: "", Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 6, Width: "MEDIUM", DisplayName: "Dead Letter Queue Topic Name",
		Doc: "Topic for records that could not be handled; none if empty."},
	{Name: "errors.deadletterqueue.topic.replication.factor", Type: connect.TypeShort, Default: int64(3), Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 7, Width: "MEDIUM", DisplayName: "Dead Letter Queue Topic Replication Factor",
		Doc: "Replicas of that topic when it is created."},
	{Name: "errors.deadletterqueue.context.headers.enable", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
		Group: "Error Handling", OrderInGroup: 8, Width: "MEDIUM", DisplayName: "Enable Error Context Headers",
		Doc: "Whether records in that topic get headers that say what went wrong, with names that begin with __connect.errors."},
}

func uniqueAliases(v any) string {
	list, _ := v.([]string)
	seen := make(map[string]bool, len(list))
	for _, alias := range list {
		if seen[alias] {
			return "Duplicate alias provided."
		}
		seen[alias] = true
	}
	return ""
}

func nonEmptyOrNull(v any) string {
	if v == "" {
		return "String must be non-empty"
	}
	return ""
}

// sinkTopicsDef are the keys of a sink task's own configuration that the framework reads.
// A connector with a topic named twice is refused; a task that has one reads it once.
var sinkTopicsDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "topics", Type: connect.TypeList, Default: []string{}, Importance: connect.High, Doc: sinkKeys[0].Doc},
	sinkKeys[1],
)

var (
	connectorDef = connect.NewConfigDef(commonKeys...)
	sourceDef    = connectorDef.With(sourceKeys...)
	sinkDef      = connectorDef.With(sinkKeys...)
)

// ConnectorDef declares the framework's configuration keys of a connector of that
// kind; the connector's own come on top.
func ConnectorDef(kind plugin.Kind) *connect.ConfigDef {
	switch kind {
	case plugin.Source:
		return sourceDef
	case plugin.Sink:
		return sinkDef
	}
	return connectorDef
}

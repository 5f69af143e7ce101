package cli

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connect/worker"
	"tributary/storage/filestore"
)

// servingKeys are those of the REST API.
var servingKeys = []connect.ConfigKey{
	{Name: "listeners", Type: connect.TypeList, Default: []string{"http://:8083"}, Importance: connect.Low, Validate: listenerURLs,
		Doc: "Addresses the REST API listens on; an empty host means all interfaces, port 0 any free port."},
	{Name: "admin.listeners", Type: connect.TypeList, Importance: connect.Low, Validate: adminURLs,
		Doc: "Addresses that /admin/loggers listens on, and nothing else does; empty switches it off, not set has it with the rest of the REST API."},
	{Name: "access.control.allow.origin", Type: connect.TypeString, Default: "", Importance: connect.Low,
		Doc: "Origins whose pages may use the REST API, as regular expressions separated by commas; none if empty."},
	{Name: "access.control.allow.methods", Type: connect.TypeString, Default: "", Importance: connect.Low,
		Doc: "Methods that such pages may use; GET, POST and HEAD if empty."},
	{Name: "response.http.headers.config", Type: connect.TypeString, Default: "", Importance: connect.Low,
		Doc: "Headers of every answer, as [action] [name]:[value] separated by commas, in double quotes where they hold one; actions are set, add, setDate and addDate."},
	{Name: "rest.advertised.host.name", Type: connect.TypeString, Importance: connect.Low,
		Doc: "Host name that other workers reach this one by."},
	{Name: "rest.advertised.port", Type: connect.TypeInt, Importance: connect.Low,
		Doc: "Port that other workers reach this one by."},
	{Name: "rest.advertised.listener", Type: connect.TypeString, Importance: connect.Low, Validate: connect.OneOfFold("http", "https"),
		Doc: "Which listener other workers use: http or https."},
}

// The definitions of a worker's own configuration. Client settings, converters'
// settings and the like pass through to those who read them.
var (
	commonDef = worker.ConfigDef().With(restKeys...).With(
		connect.ConfigKey{Name: "bootstrap.servers", Type: connect.TypeList, Required: true, Importance: connect.High, Items: connect.SomeUniqueItems,
			Doc: "Brokers to find the cluster by, as host:port pairs separated by commas."},
		connect.ConfigKey{Name: "topic.tracking.allow.reset", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
			Doc: "Whether that record may be cleared over REST."},
		connect.ConfigKey{Name: "connector.client.config.override.policy", Type: connect.TypeString, Default: "All", Importance: connect.Medium,
			Doc: "Which settings of its clients a connector may override: All, None, Principal or Allowlist."},
		connect.ConfigKey{Name: "connector.client.config.override.allowlist", Type: connect.TypeList, Default: []string{}, Importance: connect.Medium, Items: connect.UniqueItems,
			Doc: "The settings that may be overridden with the policy Allowlist."},
		connect.ConfigKey{Name: "task.auto.restart", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium,
			Doc: "Whether connectors and tasks that failed are restarted by themselves; connect-mirror-maker has true."},
		connect.ConfigKey{Name: "task.auto.restart.backoff.ms", Type: connect.TypeLong, Default: int64(5000), Importance: connect.Low, Validate: connect.AtLeast(1),
			Doc: "Pause before the first such restart, in milliseconds; it doubles with each further one."},
		connect.ConfigKey{Name: "task.auto.restart.backoff.max.ms", Type: connect.TypeLong, Default: int64(300000), Importance: connect.Low, Validate: connect.AtLeast(1),
			Doc: "Longest such pause, in milliseconds. What has run for as long without a failure begins with the first pause again."},
	).With(servingKeys...)
	distributedDef = commonDef.With(
		connect.ConfigKey{Name: "group.id", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
			Doc: "Name of the worker group; workers of one name share their work."},
		connect.ConfigKey{Name: "config.storage.topic", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
			Doc: "Topic that holds connector configurations."},
		connect.ConfigKey{Name: "offset.storage.topic", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
			Doc: "Topic that holds source offsets."},
		connect.ConfigKey{Name: "status.storage.topic", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
			Doc: "Topic that holds the states of connectors and tasks."},
		connect.ConfigKey{Name: "config.storage.replication.factor", Type: connect.TypeShort, Default: int64(3), Importance: connect.Low, Validate: brokerDefaultOr(math.MaxInt16),
			Doc: "Replicas of the config topic when it is created; -1 is the broker's default."},
		connect.ConfigKey{Name: "offset.storage.replication.factor", Type: connect.TypeShort, Default: int64(3), Importance: connect.Low, Validate: brokerDefaultOr(math.MaxInt16),
			Doc: "Replicas of the offsets topic when it is created; -1 is the broker's default."},
		connect.ConfigKey{Name: "status.storage.replication.factor", Type: connect.TypeShort, Default: int64(3), Importance: connect.Low, Validate: brokerDefaultOr(math.MaxInt16),
			Doc: "Replicas of the status topic when it is created; -1 is the broker's default."},
		connect.ConfigKey{Name: "offset.storage.partitions", Type: connect.TypeInt, Default: int64(25), Importance: connect.Low, Validate: brokerDefaultOr(math.MaxInt32),
			Doc: "Partitions of the offsets topic when it is created; -1 is the broker's default."},
		connect.ConfigKey{Name: "status.storage.partitions", Type: connect.TypeInt, Default: int64(5), Importance: connect.Low, Validate: brokerDefaultOr(math.MaxInt32),
			Doc: "Partitions of the status topic when it is created; -1 is the broker's default."},
		connect.ConfigKey{Name: "session.timeout.ms", Type: connect.TypeInt, Default: int64(10000), Importance: connect.High,
			Doc: "How long the group waits for a silent worker before it gives its work to others, in milliseconds."},
		connect.ConfigKey{Name: "heartbeat.interval.ms", Type: connect.TypeInt, Default: int64(1000), Importance: connect.High,
			Doc: "Time between two signs of life to the group, in milliseconds; at most a third of session.timeout.ms."},
		connect.ConfigKey{Name: "rebalance.timeout.ms", Type: connect.TypeInt, Default: int64(60000), Importance: connect.High,
			Doc: "How long a worker may take to join a rebalance, in milliseconds."},
		connect.ConfigKey{Name: "scheduled.rebalance.max.delay.ms", Type: connect.TypeInt, Default: int64(300000), Importance: connect.Low, Validate: connect.AtLeast(0),
			Doc: "How long the work of a worker that has gone waits for its return, in milliseconds."},
		connect.ConfigKey{Name: "connect.protocol", Type: connect.TypeString, Default: "sessioned", Importance: connect.Low, Validate: connect.OneOfFold("eager", "compatible", "sessioned"),
			Doc: "How the group shares work: eager stops everything in a rebalance, compatible moves only what must move, sessioned also signs internal requests."},
		connect.ConfigKey{Name: "exactly.once.source.support", Type: connect.TypeString, Default: "disabled", Importance: connect.High, Validate: connect.OneOfFold("disabled", "preparing", "enabled"),
			Doc: "Whether source connectors write records and offsets in transactions."},
		connect.ConfigKey{Name: "worker.sync.timeout.ms", Type: connect.TypeInt, Default: int64(3000), Importance: connect.Medium,
			Doc: "How long reading the config topic may take after a rebalance, in milliseconds."},
		connect.ConfigKey{Name: "worker.unsync.backoff.ms", Type: connect.TypeInt, Default: int64(300000), Importance: connect.Medium,
			Doc: "Longest pause of a worker that could not read the config topic in time, in milliseconds."},
		connect.ConfigKey{Name: "inter.worker.key.generation.algorithm", Type: connect.TypeString, Default: "HmacSHA256", Importance: connect.Low,
			Doc: "Algorithm of the keys that sign requests between workers."},
		connect.ConfigKey{Name: "inter.worker.key.size", Type: connect.TypeInt, Importance: connect.Low,
			Doc: "Size of these keys in bits; the algorithm's default when it is not set."},
		connect.ConfigKey{Name: "inter.worker.key.ttl.ms", Type: connect.TypeInt, Default: int64(3600000), Importance: connect.Low, Validate: connect.AtLeast(0),
			Doc: "Life of such a key in milliseconds."},
		connect.ConfigKey{Name: "inter.worker.signature.algorithm", Type: connect.TypeString, Default: "HmacSHA256", Importance: connect.Low,
			Doc: "Algorithm that signs requests to other workers."},
		connect.ConfigKey{Name: "inter.worker.verification.algorithms", Type: connect.TypeList, Default: []string{"HmacSHA256"}, Importance: connect.Low, Items: connect.SomeUniqueItems,
			Doc: "Algorithms accepted in requests from other workers."},
		connect.ConfigKey{Name: "client.id", Type: connect.TypeString, Default: "", Importance: connect.Low,
			Doc: "Name of this worker's clients in the brokers' logs."},
	)
	standaloneDef = commonDef.With(
		connect.ConfigKey{Name: filestore.Key, Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty,
			Doc: "File that holds source offsets; each worker needs one of its own."},
	)
)

// brokerDefaultOr accepts -1 and positive numbers.
func brokerDefaultOr(limit int64) func(any) string {
	return func(v any) string {
		if n, ok := v.(int64); ok && n != -1 && (n < 1 || n > limit) {
			return "Value must be -1 (the broker's default) or at least 1"
		}
		return ""
	}
}

func listenerURLs(v any) string {
	if list, _ := v.([]string); len(list) == 0 {
		return "List must not be empty"
	}
	return adminURLs(v)
}

// adminURLs accepts lists of listeners, also empty ones.
func adminURLs(v any) string {
	list, _ := v.([]string)
	for _, l := range list {
		u, err := url.Parse(l)
		if err != nil || u.Port() == "" || (!strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https")) {
			return fmt.Sprintf("%q is not of the form http://host:port or https://host:port", l)
		}
	}
	return ""
}

func millis(v connect.Values, key string) time.Duration {
	return time.Duration(v.Int(key)) * time.Millisecond
}

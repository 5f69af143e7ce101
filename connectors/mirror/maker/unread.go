package maker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Known answers which keys somebody reads, apart from the file's own grammar.
type Known struct {
	// Connector reports a key of one of the mirror connectors or of the framework around
	// them, as it may stand at the top of the file or after A->B.
	Connector func(key string) bool
	// Worker reports a key of a Connect worker.
	Worker func(key string) bool
	// Client reports a key of a Kafka client of any kind.
	Client func(key string) bool
}

// processKeys are the keys at the top of the file that the process itself reads.
var processKeys = []string{
	"clusters", "emit.heartbeats.enabled", "dedicated.mode.enable.internal.rest", "listeners", "admin.listeners",
	"rest.advertised.host.name", "rest.advertised.port", "rest.advertised.listener",
	"access.control.allow.origin", "access.control.allow.methods", "response.http.headers.config", "ssl.client.auth",
}

// processPrefixes are families of such keys.
var processPrefixes = []string{"config.providers", "replication.policy.", "listeners.https.", "admin.listeners.https.", "metrics.", "metric."}

// flowPrefixes are families of keys that a connector hands on.
var flowPrefixes = []string{"transforms.", "predicates.", "topic.creation.", "key.converter.", "value.converter.", "header.converter.", "replication.policy.", "config.providers", "topic.filter.", "group.filter.", "config.property.filter.", "forwarding.admin."}

// clusterPrefixes are families of keys that the worker of a flow into a cluster reads.
var clusterPrefixes = []string{"offset.storage", "config.storage", "status.storage", "key.converter", "value.converter", "header.converter", "config.providers"}

// flowKeys are keys that only make sense for a flow: the framework reads them, the top
// of the file does not hand them on.
var flowKeys = []string{"use.defaults.from", "exactly.once.support", "transaction.boundary", "transaction.boundary.interval.ms", "offsets.storage.topic", "topic.creation.groups"}

// UnreadKeys explains, a sentence each and sorted by key, the keys of the file that
// nothing reads. MirrorMaker drops them in silence, and a mistyped key then costs an
// afternoon.
func (c *Config) UnreadKeys(known Known) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(c.raw)) {
		if why := c.unread(key, known); why != "" {
			out = append(out, why)
		}
	}
	return out
}

func (c *Config) unread(key string, known Known) string {
	if alias, rest, ok := c.cutFlow(key); ok {
		return unreadFlow(alias, key, rest, known, c.Clusters)
	}
	for _, alias := range c.Clusters {
		if rest, ok := strings.CutPrefix(key, alias+"."); ok {
			switch {
			case clusterKeyRead(rest, known):
				return ""
			case known.Connector(rest):
				return fmt.Sprintf("%s is not read by anything: %s is a key of the mirror connectors: set it at the top of the file or for a flow (%s.%s)", key, rest, c.exampleFlow(), rest)
			case slices.Contains(flowKeys, rest), hasPrefix(rest, flowPrefixes):
				return fmt.Sprintf("%s is not read by anything: set it for a flow (%s.%s)", key, c.exampleFlow(), rest)
			}
			return fmt.Sprintf("%s is not read by anything: %s is no key of a worker or a Kafka client", key, rest)
		}
	}
	switch {
	case slices.Contains(processKeys, key), slices.Contains(clientKeys, key), known.Connector(key),
		hasPrefix(key, processPrefixes), hasPrefix(key, workerPrefixes):
		return ""
	case slices.Contains(flowKeys, key), hasPrefix(key, flowPrefixes):
		return fmt.Sprintf("%s is not read at the top of the file: set it for a flow (%s.%s)", key, c.exampleFlow(), key)
	case known.Worker(key), hasPrefix(key, []string{"producer.", "consumer.", "admin."}):
		return fmt.Sprintf("%s is not read at the top of the file: set it for a cluster (%s.%s) or for a flow (%s.%s)", key, c.Clusters[0], key, c.exampleFlow(), key)
	}
	if head, rest, ok := strings.Cut(key, "."); ok && clusterKeyRead(rest, known) {
		return fmt.Sprintf("%s is not read by anything: no cluster is called %s (clusters=%s)", key, head, strings.Join(c.Clusters, ","))
	}
	return key + " is not read by anything"
}

func (c *Config) exampleFlow() string {
	if flows := c.flows(nil); len(flows) > 0 {
		return flows[0].String()
	}
	return "A->B"
}

// cutFlow splits A->B.key at the flow. Aliases may hold dots, so the known ones are
// tried first.
func (c *Config) cutFlow(key string) (flow, rest string, ok bool) {
	for _, s := range c.Clusters {
		for _, t := range c.Clusters {
			f := Flow{s, t}.String()
			if rest, ok := strings.CutPrefix(key, f+"."); ok {
				return f, rest, true
			}
		}
	}
	source, after, ok := strings.Cut(key, "->")
	if !ok {
		return "", "", false
	}
	target, rest, ok := strings.Cut(after, ".")
	return source + "->" + target, rest, ok
}

func unreadFlow(flow, key, rest string, known Known, clusters []string) string {
	source, target, _ := strings.Cut(flow, "->")
	for _, alias := range []string{source, target} {
		if !slices.Contains(clusters, alias) {
			return fmt.Sprintf("%s is not read by anything: no cluster is called %s (clusters=%s)", key, alias, strings.Join(clusters, ","))
		}
	}
	if source == target {
		return fmt.Sprintf("%s is not read by anything: a flow needs two clusters", key)
	}
	if rest == "enabled" || known.Connector(rest) || slices.Contains(flowKeys, rest) || hasPrefix(rest, flowPrefixes) || clientOverrideRead(rest, known) {
		return ""
	}
	return fmt.Sprintf("%s is not read by anything: %s is no key of the mirror connectors", key, rest)
}

func clusterKeyRead(rest string, known Known) bool {
	return known.Worker(rest) || known.Client(rest) || slices.Contains(clientKeys, rest) ||
		hasPrefix(rest, clusterPrefixes) || clientOverrideRead(rest, known)
}

// clientOverrideRead reports a key for one kind of client, with any of the prefixes
// under which connectors and workers look for them.
func clientOverrideRead(rest string, known Known) bool {
	for _, side := range []string{"source.", "target.", ""} {
		for _, client := range []string{"producer.override.", "consumer.override.", "admin.override.", "producer.", "consumer.", "admin.", "cluster."} {
			if k, ok := strings.CutPrefix(rest, side+client); ok {
				return known.Client(k)
			}
		}
	}
	return false
}

func hasPrefix(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

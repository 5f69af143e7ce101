package cli

import (
	"maps"
	"slices"
	"strings"

	"tributary/internal/kafka"
)

// workerPrefixes are families of worker keys that others read.
var workerPrefixes = []string{
	"config.providers", "config.storage.", "offset.storage.", "status.storage.",
	"key.converter.", "value.converter.", "header.converter.", "listeners.https.", "admin.listeners.https.",
}

// unhonouredWorkerKeys are keys of Java's worker that have no meaning here or are not
// followed yet, with what happens instead.
var unhonouredWorkerKeys = map[string]string{
	"plugin.path":              "plugins are built in",
	"plugin.discovery":         "plugins are built in",
	"metric.reporters":         "metrics are served at /metrics",
	"metrics.num.samples":      "metrics are served at /metrics",
	"metrics.sample.window.ms": "metrics are served at /metrics",
	"metrics.recording.level":  "metrics are served at /metrics",
}

// WorkerKey reports whether a distributed worker reads a key.
func WorkerKey(key string) bool {
	if _, ok := distributedDef.Key(key); ok {
		return true
	}
	if _, ok := unhonouredWorkerKeys[key]; ok {
		return true
	}
	return slices.ContainsFunc(workerPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// ClientKey reports whether a Kafka client of any kind knows a key.
func ClientKey(key string) bool {
	for _, role := range []kafka.Role{kafka.RoleConsumer, kafka.RoleProducer, kafka.RoleAdmin, kafka.RoleGroup} {
		if kafka.Knows(role, key) {
			return true
		}
	}
	return false
}

// unreadWorkerKeys returns the keys that nothing reads, sorted.
func unreadWorkerKeys(props map[string]string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(props)) {
		name := key
		for _, prefix := range []string{"producer.", "consumer.", "admin."} {
			name = strings.TrimPrefix(name, prefix)
		}
		if !WorkerKey(key) && !ClientKey(name) {
			out = append(out, key)
		}
	}
	return out
}

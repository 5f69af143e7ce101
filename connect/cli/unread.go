package cli

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/internal/kafka"
)

// workerPrefixes are families of worker keys that others read, topicPrefixes those of
// the settings of internal topics.
var (
	workerPrefixes = []string{
		"config.providers", "key.converter.", "value.converter.", "header.converter.", "listeners.https.", "admin.listeners.https.",
	}
	topicPrefixes = []string{"config.storage.", "offset.storage.", "status.storage."}
)

// unhonouredWorkerKeys are keys of Java's worker that have no meaning here or are not
// followed yet, with what happens instead.
var unhonouredWorkerKeys = map[string]string{
	"plugin.path":               "plugins are built in",
	"plugin.discovery":          "plugins are built in",
	"config.storage.partitions": "the config topic always has one partition",
	"metric.reporters":          "metrics are served at /metrics",
	"metrics.recording.level":   "metrics are served at /metrics",
}

// WorkerKey reports whether a distributed worker reads a key.
func WorkerKey(key string) bool {
	return workerKey(distributedDef, key) || slices.ContainsFunc(topicPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// standaloneKey is WorkerKey for a standalone worker.
func standaloneKey(key string) bool { return workerKey(standaloneDef, key) }

func workerKey(def *connect.ConfigDef, key string) bool {
	if _, ok := def.Key(key); ok {
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

// reportUnread names in the log the keys that nothing reads, and those that mean nothing
// here with what there is instead.
func reportUnread(props map[string]string, worker func(key string) bool, log *slog.Logger) {
	for _, key := range unreadWorkerKeys(props, worker) {
		log.Warn(key + " is not read by anything")
	}
	for _, key := range slices.Sorted(maps.Keys(unhonouredWorkerKeys)) {
		if _, set := props[key]; set {
			log.Warn(key + " has no effect: " + unhonouredWorkerKeys[key])
		}
	}
}

// unreadWorkerKeys returns the keys that nothing reads, sorted: neither the worker nor
// any client.
func unreadWorkerKeys(props map[string]string, worker func(key string) bool) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(props)) {
		name := key
		for _, prefix := range []string{"producer.", "consumer.", "admin."} {
			name = strings.TrimPrefix(name, prefix)
		}
		if !worker(key) && !ClientKey(name) {
			out = append(out, key)
		}
	}
	return out
}

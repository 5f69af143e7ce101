package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"

	"tributary/internal/kafka"
)

// side is one of the two clusters, as configuration keys name it.
type side string

const (
	onSource side = "source"
	onTarget side = "target"
)

// What one answer of a broker may hold: the fetcher keeps up to three of them for each
// broker and task, so this is what a task costs in memory.
const (
	fetchBytes             = 8 << 20
	leastPartitionBytes    = 1 << 20
	maxPollRecords         = 2000
	receiveBufferBySystem  = -1
	partitionFetchBytesKey = "max.partition.fetch.bytes"
)

// consumerThroughput returns defaults for the consumer that mirrors so many partitions,
// where the user set none. An answer is shared among the partitions: many of them each
// get Java's 1 MiB, so that all move at once; a few get more, so that a long link to
// their broker does not hold them up.
func consumerThroughput(partitions int) map[string]string {
	return map[string]string{
		"fetch.max.bytes":      strconv.Itoa(fetchBytes),
		partitionFetchBytesKey: strconv.Itoa(max(fetchBytes/max(partitions, 1), leastPartitionBytes)),
		"max.poll.records":     strconv.Itoa(maxPollRecords),
		"receive.buffer.bytes": strconv.Itoa(receiveBufferBySystem),
	}
}

// isClientKey tells the keys of a cluster that reach every client without a prefix.
func isClientKey(key string) bool {
	return key == "bootstrap.servers" || key == "security.protocol" || strings.HasPrefix(key, "ssl.") || strings.HasPrefix(key, "sasl.")
}

// isNoOverride leaves out the keys that Connect has for the clients of the worker, such as
// producer.override.linger.ms.
func isNoOverride(key string) bool { return !strings.HasPrefix(key, "override.") }

// clientProps puts the properties of one client together, low to high: the cluster's
// own, those for this kind of client in the flow, those for it at the cluster.
func clientProps(props map[string]string, at side, role kafka.Role) kafka.Props {
	out := kafka.Props{}
	copyPrefixed(out, props, string(at)+".cluster.", isClientKey)
	kind := role.String() + "."
	copyPrefixed(out, props, kind, isNoOverride)
	copyPrefixed(out, props, string(at)+"."+kind, nil)
	if role == kafka.RoleConsumer {
		// Offsets are never committed, whatever the user says: the worker keeps them.
		delete(out, "enable.auto.commit")
		setDefault(out, "auto.offset.reset", "earliest")
	}
	return out
}

func copyPrefixed(to kafka.Props, from map[string]string, prefix string, only func(string) bool) {
	for k, v := range from {
		if rest, ok := strings.CutPrefix(k, prefix); ok && rest != "" && (only == nil || only(rest)) {
			to[rest] = v
		}
	}
}

func setDefault(props kafka.Props, key, value string) {
	if _, ok := props[key]; !ok {
		props[key] = value
	}
}

// readsCommitted reports whether the consumer that mirrors leaves out aborted
// transactions.
func readsCommitted(props map[string]string) bool {
	return clientProps(props, onSource, kafka.RoleConsumer)["isolation.level"] == "read_committed"
}

// clientConfig is the checked configuration of one client. purpose is the last part of
// its client id, after the user's own and the connector's name.
func (s *settings) clientConfig(at side, role kafka.Role, purpose string, defaults map[string]string, logger *slog.Logger) (*kafka.Config, error) {
	props := clientProps(s.props, at, role)
	// consumer.poll.timeout.ms belongs to the connector, though its prefix says otherwise.
	delete(props, strings.TrimPrefix(pollTimeoutKey, "consumer."))
	for k, v := range defaults {
		setDefault(props, k, v)
	}
	id := s.label + "|" + purpose
	if own := props["client.id"]; own != "" {
		id = own + "|" + id
	}
	props["client.id"] = id
	config, err := kafka.ParseConfig(role, props)
	if err != nil {
		return nil, fmt.Errorf("configuration of the %s for cluster %s (%s.cluster.*, %s.*, %s.%s.*): %w", role, s.alias(at), at, role, at, role, err)
	}
	for _, w := range config.Warnings() {
		logger.Warn("A client setting has no effect", "cluster", s.alias(at), "client", purpose, "reason", w)
	}
	if unknown := config.UnknownKeys(); len(unknown) > 0 {
		logger.Warn("Client settings are unknown and ignored", "cluster", s.alias(at), "client", purpose, "keys", strings.Join(unknown, ", "))
	}
	return config, nil
}

func (s *settings) alias(at side) string {
	if at == onSource {
		return s.source
	}
	return s.target
}

// clientOf names one kind of client that a connector or its tasks need.
type clientOf struct {
	at   side
	role kafka.Role
}

// clientErrors adds what is wrong with the settings of the clients, by the key that the
// user wrote, or would have to write.
func clientErrors(errs map[string][]string, props map[string]string, clients ...clientOf) {
	for _, c := range clients {
		own := clientProps(props, c.at, c.role)
		delete(own, strings.TrimPrefix(pollTimeoutKey, "consumer."))
		_, err := kafka.ParseConfig(c.role, own)
		if err == nil {
			continue
		}
		var several *multierror.Error
		if !errors.As(err, &several) {
			several = multierror.Append(several, err)
		}
		for _, e := range several.Errors {
			key := string(c.at) + ".cluster"
			var wrong *kafka.KeyError
			if errors.As(e, &wrong) {
				key = writtenAs(props, c, wrong.Key)
			}
			text := key + ": " + e.Error()
			if !slices.Contains(errs[key], text) { // one setting may serve several clients
				errs[key] = append(errs[key], text)
			}
		}
	}
}

// writtenAs finds the key under which a client's setting stands in the connector's
// configuration, that of the whole cluster if it stands nowhere.
func writtenAs(props map[string]string, c clientOf, key string) string {
	cluster := string(c.at) + ".cluster." + key
	for _, candidate := range []string{string(c.at) + "." + c.role.String() + "." + key, c.role.String() + "." + key} {
		// The dedicated mode copies a cluster's security keys to each kind of client.
		if value, ok := props[candidate]; ok && value != props[cluster] {
			return candidate
		}
	}
	return cluster
}

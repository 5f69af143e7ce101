package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Unreachable is the number of hops from a cluster that does not feed this one.
const Unreachable = -1

// Client looks at one cluster. Safe for concurrent use.
type Client struct {
	policy   replica.Policy
	client   *kafka.Client
	admin    *kafka.Admin
	consumer *kafka.Config
	logger   *slog.Logger
}

// New returns a client of the cluster that config describes, as Java's MirrorClient
// takes it: bootstrap.servers and security keys as they are, further ones for one kind
// of client behind admin. and consumer., and replication.policy.… as the mirror has
// them. logger may be nil. Nothing is connected yet; Close ends the client.
func New(config map[string]string, logger *slog.Logger) (*Client, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	policy, err := replica.NewPolicy(config[replica.PolicyClassKey], config)
	if err != nil {
		return nil, err
	}
	admin, err := kafka.ParseConfig(kafka.RoleAdmin, clientProps(config, "admin."))
	if err != nil {
		return nil, err
	}
	consumer, err := kafka.ParseConfig(kafka.RoleConsumer, clientProps(config, "consumer."))
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewClient(admin, logger)
	if err != nil {
		return nil, err
	}
	return &Client{policy: policy, client: client, admin: kafka.NewAdmin(client, admin, logger), consumer: consumer, logger: logger}, nil
}

// clientProps are the keys for one kind of client.
func clientProps(config map[string]string, prefix string) kafka.Props {
	props := kafka.Props{}
	for key, value := range config {
		if !strings.HasPrefix(key, "admin.") && !strings.HasPrefix(key, "consumer.") && !strings.HasPrefix(key, "producer.") && !strings.HasPrefix(key, "replication.policy.") {
			props[key] = value
		}
	}
	for key, value := range config {
		if own, ok := strings.CutPrefix(key, prefix); ok {
			props[own] = value
		}
	}
	return props
}

// Close ends the client's connections.
func (c *Client) Close() error { return c.client.Close() }

// Policy is the naming of topics that the client goes by.
func (c *Client) Policy() replica.Policy { return c.policy }

// Hops is the smallest number of mirrors between a cluster and this one, by the
// heartbeats that come from it: 2 in A->B->C from A to C. It is Unreachable for a
// cluster that does not feed this one.
func (c *Client) Hops(ctx context.Context, upstream string) (int, error) {
	topics, err := c.HeartbeatTopics(ctx)
	if err != nil {
		return 0, err
	}
	hops := Unreachable
	for _, topic := range topics {
		if i := slices.Index(c.sources(topic), upstream); i >= 0 && (hops == Unreachable || i+1 < hops) {
			hops = i + 1
		}
	}
	return hops, nil
}

// HeartbeatTopics are this cluster's heartbeats topic and the copies of others, sorted.
func (c *Client) HeartbeatTopics(ctx context.Context) ([]string, error) {
	return c.topics(ctx, c.policy.IsHeartbeatsTopic)
}

// CheckpointTopics are the topics that hold the positions of other clusters' groups,
// sorted.
func (c *Client) CheckpointTopics(ctx context.Context) ([]string, error) {
	return c.topics(ctx, c.policy.IsCheckpointsTopic)
}

// UpstreamClusters are the aliases of the clusters that feed this one, also over
// others, by their heartbeats; sorted.
func (c *Client) UpstreamClusters(ctx context.Context) ([]string, error) {
	topics, err := c.HeartbeatTopics(ctx)
	if err != nil {
		return nil, err
	}
	aliases := map[string]bool{}
	for _, topic := range topics {
		for _, alias := range c.sources(topic) {
			aliases[alias] = true
		}
	}
	return slices.Sorted(maps.Keys(aliases)), nil
}

// RemoteTopics are the copies of other clusters' topics, sorted; the mirror's own are
// not among them.
func (c *Client) RemoteTopics(ctx context.Context) ([]string, error) {
	return c.topics(ctx, func(topic string) bool {
		_, remote := c.policy.TopicSource(topic)
		return remote && !c.policy.IsInternalTopic(topic)
	})
}

// RemoteTopicsOf are those that come directly from one cluster.
func (c *Client) RemoteTopicsOf(ctx context.Context, source string) ([]string, error) {
	return c.topics(ctx, func(topic string) bool {
		alias, remote := c.policy.TopicSource(topic)
		return remote && alias == source && !c.policy.IsInternalTopic(topic)
	})
}

// sources are the clusters that a topic has come over, the nearest first. A policy that
// does not rename answers with the same one for ever; it counts once.
func (c *Client) sources(topic string) []string {
	var aliases []string
	for {
		alias, ok := c.policy.TopicSource(topic)
		if !ok || slices.Contains(aliases, alias) {
			return aliases
		}
		aliases = append(aliases, alias)
		if topic, ok = c.policy.UpstreamTopic(topic); !ok {
			return aliases
		}
	}
}

func (c *Client) topics(ctx context.Context, match func(topic string) bool) ([]string, error) {
	all, err := c.admin.ListTopics(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("list the topics: %w", err)
	}
	var names []string
	for name := range all {
		if match(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Positions are offsets of a consumer group by partition, both as on this cluster.
type Positions map[replica.TopicPartition]replica.CommittedOffset

// TranslatedOffsets are the positions from which a consumer group of another cluster
// may go on reading here, by the newest checkpoints of the mirror from that cluster. A
// group without any has none.
func (c *Client) TranslatedOffsets(ctx context.Context, group, source string) (Positions, error) {
	groups, err := c.TranslatedGroups(ctx, source, func(id string) bool { return id == group })
	return groups[group], err
}

// TranslatedGroups is TranslatedOffsets for all groups that match.
func (c *Client) TranslatedGroups(ctx context.Context, source string, match func(group string) bool) (map[string]Positions, error) {
	topic := c.policy.CheckpointsTopic(source)
	if found, err := c.topics(ctx, func(name string) bool { return name == topic }); err != nil {
		return nil, err
	} else if len(found) == 0 {
		return nil, fmt.Errorf("read the checkpoints of cluster %s: there is no topic %s here; a mirror with emit.checkpoints.enabled writes it", source, topic)
	}
	groups := map[string]Positions{}
	log, err := kafka.OpenLog(ctx, c.client, c.consumer, topic, func(r kafka.Record) {
		if r.Partition != 0 { // the mirror writes to the first alone
			return
		}
		checkpoint, err := replica.DecodeCheckpoint(r.Key, r.Value)
		switch {
		case errors.Is(err, replica.ErrTombstone):
		case err != nil:
			c.logger.Info("A record of a checkpoints topic is not understood and skipped", "topic", topic, "offset", r.Offset, "error", err)
		case match(checkpoint.Group):
			if groups[checkpoint.Group] == nil {
				groups[checkpoint.Group] = Positions{}
			}
			groups[checkpoint.Group][checkpoint.TopicPartition] = checkpoint.Committed()
		}
	}, c.logger)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints of cluster %s: %w", source, err)
	}
	log.Close()
	return groups, nil
}

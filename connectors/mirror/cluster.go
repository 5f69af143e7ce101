package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"tributary/connect"
	"tributary/internal/kafka"
)

// cluster is one of the two clusters as a connector sees it: a client for
// administration.
type cluster struct {
	alias  string
	client *kafka.Client
	admin  *kafka.Admin
}

// openCluster makes the client; nothing is connected yet. The caller closes it.
func (s *settings) openCluster(at side, purpose string, logger *slog.Logger) (*cluster, error) {
	logger = logger.With("alias", s.alias(at))
	config, err := s.clientConfig(at, kafka.RoleAdmin, purpose, nil, logger)
	if err != nil {
		return nil, err
	}
	client, err := kafka.NewClient(config, logger)
	if err != nil {
		return nil, fmt.Errorf("client for cluster %s: %w", s.alias(at), err)
	}
	return &cluster{alias: s.alias(at), client: client, admin: kafka.NewAdmin(client, config, logger)}, nil
}

func (c *cluster) close() error {
	if c == nil {
		return nil
	}
	return c.client.Close()
}

// awaitClusters waits until a broker of each answers. The clients say in the log what
// they wait for.
func awaitClusters(ctx context.Context, clusters ...*cluster) error {
	errs := make([]error, len(clusters))
	var group sync.WaitGroup
	for i, c := range clusters {
		group.Go(func() { errs[i] = c.client.Await(ctx) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// internalTopic is a topic in which the mirror keeps its own records.
type internalTopic struct {
	name      string
	purpose   string // what does not work without it
	factorKey string
}

// createInternalTopic makes sure that a compacted topic with one partition is there. A
// principal that may not create it may still be allowed to use it: it is an error only
// when the topic cannot be seen either.
func (s *settings) createInternalTopic(ctx context.Context, on *cluster, topic internalTopic, troubles *troubles) error {
	there, describeErr := on.admin.DescribeTopics(ctx, topic.name)
	if _, ok := there[topic.name]; ok {
		return nil
	}
	factor, err := s.factor(ctx, on, topic.factorKey)
	if err != nil {
		return fmt.Errorf("%s on cluster %s: %w", topic.name, on.alias, err)
	}
	err = on.admin.CreateTopic(ctx, kafka.TopicSpec{
		Name: topic.name, Partitions: 1, ReplicationFactor: factor,
		Configs: map[string]string{"cleanup.policy": "compact"},
	})
	switch {
	case err == nil:
		troubles.logger.Info("Created an internal topic", "topic", topic.name, "cluster", on.alias, "replication_factor", factor)
		return nil
	case errors.Is(err, kafka.ErrTopicExists):
		return nil
	}
	return fmt.Errorf("%s on cluster %s, without which %s: %w", topic.name, on.alias, topic.purpose, errors.Join(err, describeErr))
}

// factor is the replication factor for a new topic. What the user set is taken as it
// is; the default gives way to a cluster with fewer brokers.
func (s *settings) factor(ctx context.Context, on *cluster, key string) (int16, error) {
	wanted := int16(s.Int(key))
	if s.given(key) {
		return wanted, nil
	}
	return on.admin.FitReplicas(ctx, wanted)
}

// topicGate keeps back a connector's tasks while the topic that they write to is not
// there: a producer would wait for it in silence. Safe for concurrent use.
type topicGate struct {
	mu           sync.Mutex
	tried, ready bool
}

func (g *topicGate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried, g.ready = false, false
}

// pass takes the outcome of creating the topic and returns it. Tasks are asked for
// again when the outcome is another than before. A failure that may pass says nothing
// about the topic.
func (g *topicGate) pass(err error, cc connect.ConnectorContext) error {
	if kafka.IsRetriable(err) {
		return err
	}
	g.mu.Lock()
	changed := !g.tried || g.ready != (err == nil)
	g.tried, g.ready = true, err == nil
	g.mu.Unlock()
	if changed {
		cc.RequestTaskReconfiguration()
	}
	return err
}

// open reports whether there may be tasks. Before the first try it is a
// *connect.RetriableError, so that tasks of an earlier life go on.
func (g *topicGate) open(topic string) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.tried {
		return false, connect.Retriable(fmt.Errorf("it is not known yet whether the topic %s exists", topic))
	}
	return g.ready, nil
}

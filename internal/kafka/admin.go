package kafka

import (
	"context"
	"errors"
	"log/slog"

	"github.com/IBM/sarama"
)

// Admin reads and changes what a cluster knows: topics, their configurations, offsets, groups and
// ACLs. Its methods may be called from any goroutine. Each retries while the failure may pass, for
// default.api.timeout.ms at most, and ends early with its context.
type Admin struct {
	client *Client
	cfg    *Config
	logger *slog.Logger
}

// NewAdmin returns an admin on the client's connections. It has nothing to close; closing the client
// ends it.
func NewAdmin(c *Client, cfg *Config, logger *slog.Logger) *Admin {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Admin{client: c, cfg: cfg, logger: logger}
}

// ClusterID is the id of the cluster.
func (a *Admin) ClusterID(ctx context.Context) (string, error) { return a.client.ClusterID(ctx) }

// BrokerCount is how many brokers are in the cluster now.
func (a *Admin) BrokerCount(ctx context.Context) (int, error) {
	var n int
	err := a.client.retry(ctx, "counting the brokers", func() error {
		resp, err := a.client.askMetadata(ctx, nil, true)
		if err == nil {
			n = len(resp.Brokers)
		}
		return err
	})
	return n, err
}

// TopicInfo is what metadata says about a topic.
type TopicInfo struct {
	Partitions        int32
	ID                [16]byte // all zero on brokers older than 2.8
	ReplicationFactor int16    // of the first partition
	Internal          bool     // the brokers' own, such as __consumer_offsets
}

// ListTopics asks about every topic, in one request. Topics this client may not see are missing.
func (a *Admin) ListTopics(ctx context.Context, includeInternal bool) (map[string]TopicInfo, error) {
	topics, _, err := a.topics(ctx, "listing topics", nil)
	if err != nil {
		return nil, err
	}
	for name, t := range topics {
		if t.Internal && !includeInternal {
			delete(topics, name)
		}
	}
	return topics, nil
}

// DescribeTopics asks about some topics. Those that do not exist are missing in the answer; one that
// must not be seen is an error.
func (a *Admin) DescribeTopics(ctx context.Context, names ...string) (map[string]TopicInfo, error) {
	if len(names) == 0 {
		return map[string]TopicInfo{}, nil
	}
	topics, failed, err := a.topics(ctx, "describing topics", names)
	if err != nil {
		return nil, err
	}
	for _, err := range failed {
		if !errors.Is(err, ErrUnknownTopicOrPartition) {
			return nil, err
		}
	}
	return topics, nil
}

// LookUpTopics is DescribeTopics with a failure for each topic that cannot be described; those that do
// not exist are among them.
func (a *Admin) LookUpTopics(ctx context.Context, names ...string) (map[string]TopicInfo, map[string]error, error) {
	if len(names) == 0 {
		return map[string]TopicInfo{}, map[string]error{}, nil
	}
	return a.topics(ctx, "describing topics", names)
}

func (a *Admin) topics(ctx context.Context, what string, names []string) (map[string]TopicInfo, map[string]error, error) {
	var resp *sarama.MetadataResponse
	err := a.client.retry(ctx, what, func() (err error) {
		resp, err = a.client.askMetadata(ctx, names, false)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			// A topic just created may have no leader yet; its partitions are complete all the same.
			if t.Err != sarama.ErrNoError && t.Err != sarama.ErrUnknownTopicOrPartition && retriableCode(t.Err) && len(t.Partitions) == 0 {
				return a.cfg.answerError(t.Err, nil, OpDescribe, t.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	topics, failed := make(map[string]TopicInfo, len(resp.Topics)), make(map[string]error)
	for _, t := range resp.Topics {
		if err := a.cfg.answerError(t.Err, nil, OpDescribe, t.Name); err != nil && len(t.Partitions) == 0 {
			failed[t.Name] = err
			continue
		}
		info := TopicInfo{Partitions: int32(len(t.Partitions)), ID: t.Uuid, Internal: t.IsInternal}
		if len(t.Partitions) > 0 {
			info.ReplicationFactor = int16(len(t.Partitions[0].Replicas))
		}
		topics[t.Name] = info
	}
	return topics, failed, nil
}

package worker

import (
	"context"

	"tributary/connect"
	"tributary/connect/provider"
	"tributary/internal/kafka"
)

// Consumer reads a sink task's topics as a member of a consumer group. *kafka.Consumer is
// one, and says what the methods do; Commit ends by itself, after default.api.timeout.ms at
// the latest. All but Commit are called from one goroutine.
type Consumer interface {
	Poll(ctx context.Context) ([]kafka.Record, error)
	Assignment() []kafka.TopicPartition
	Seek(offsets map[kafka.TopicPartition]int64)
	Pause(partitions ...kafka.TopicPartition)
	Resume(partitions ...kafka.TopicPartition)
	Commit(ctx context.Context, offsets map[kafka.TopicPartition]int64) error
	Close(ctx context.Context)
}

var _ Consumer = (*kafka.Consumer)(nil)

// ConsumerSpec says whose consumer is wanted, so that its configuration can be made:
// framework defaults, then the worker's consumer.*, then Overrides.
type ConsumerSpec struct {
	Task connect.TaskID
	// ClientID and GroupID are the defaults of client.id and group.id.
	ClientID, GroupID string
	// Overrides are the connector's consumer.override.* settings without the prefix,
	// references resolved.
	Overrides    map[string]string
	Subscription kafka.Subscription
	// Concealment is ProducerSpec's.
	Concealment *provider.Concealment
}

// ConsumerFactory makes the consumer of a sink task, without waiting for the cluster. An
// error fails the task.
type ConsumerFactory func(spec ConsumerSpec, listener kafka.RebalanceListener) (Consumer, error)

// Admin creates topics for a task.
type Admin interface {
	// Topics returns those of the topics that exist.
	Topics(ctx context.Context, names ...string) (map[string]kafka.TopicInfo, error)
	// CreateTopic makes a topic. errors.Is knows kafka.ErrTopicExists.
	CreateTopic(ctx context.Context, spec kafka.TopicSpec) error
	Close() error
}

// AdminSpec says whose admin client is wanted: the worker's own settings, then its
// admin.*, then Overrides (admin.override.*).
type AdminSpec struct {
	Task      connect.TaskID
	ClientID  string
	Overrides map[string]string
	// Concealment is ProducerSpec's.
	Concealment *provider.Concealment
}

// AdminFactory makes the admin client of a task, without waiting for the cluster.
type AdminFactory func(spec AdminSpec) (Admin, error)

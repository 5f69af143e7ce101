package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/IBM/sarama"
)

// DefaultByBroker leaves a topic's partition count or replication factor to the broker.
const DefaultByBroker = -1

// TopicSpec describes a topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int32 // or DefaultByBroker
	ReplicationFactor int16 // or DefaultByBroker
	Configs           map[string]string
}

// CreateTopic creates a topic. errors.Is knows ErrTopicExists, ErrInvalidConfig,
// ErrInvalidReplicationFactor and ErrPolicyViolation; missing rights are an *AuthorizationError.
func (a *Admin) CreateTopic(ctx context.Context, spec TopicSpec) error {
	detail := &sarama.TopicDetail{
		NumPartitions:     spec.Partitions,
		ReplicationFactor: spec.ReplicationFactor,
		ConfigEntries:     make(map[string]*string, len(spec.Configs)),
	}
	for k, v := range spec.Configs {
		detail.ConfigEntries[k] = &v
	}
	unsure := false
	return a.client.retry(ctx, "creating the topic "+spec.Name, func() error {
		err := a.client.onController(ctx, func(b *sarama.Broker) error {
			req := sarama.NewCreateTopicsRequest(sarama.MaxVersion, map[string]*sarama.TopicDetail{spec.Name: detail}, a.cfg.RequestTimeout, false)
			resp, err := b.CreateTopics(req)
			if err != nil {
				return err
			}
			result, ok := resp.TopicErrors[spec.Name]
			if !ok {
				return fmt.Errorf("the broker did not answer about the topic %s", spec.Name)
			}
			return a.cfg.answerError(result.Err, result.ErrMsg, OpCreate, spec.Name)
		})
		if unsure && errors.Is(err, ErrTopicExists) {
			return nil // created by the attempt whose answer was lost
		}
		unsure = unsure || broken(err) || errors.Is(err, ErrRequestTimedOut)
		return err
	})
}

// FitReplicas is the replication factor for new topics where the user set none: wanted, or the number
// of brokers where there are fewer. That is said in one line a cluster, however many clients ask.
func (a *Admin) FitReplicas(ctx context.Context, wanted int16) (int16, error) {
	if wanted <= 1 { // 1 fits everywhere, DefaultByBroker is the broker's affair
		return wanted, nil
	}
	brokers, err := a.BrokerCount(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting the brokers: %w", err)
	}
	if brokers < 1 || int(wanted) <= brokers {
		return wanted, nil
	}
	if _, said := smallClusters.LoadOrStore(a.client.Bootstrap(), true); !said {
		a.logger.Warn("The cluster has fewer brokers than the default replication factor: where the configuration sets none, new topics get one replica a broker",
			"brokers", brokers, "default", wanted, "cluster", a.client.Bootstrap())
	}
	return int16(brokers), nil
}

// smallClusters are those, by bootstrap servers, of which it was said that they have few brokers.
var smallClusters sync.Map

// CreateCompactedTopic creates a topic with cleanup.policy=compact unless it exists, as Connect does
// for its internal topics. extra are further topic configurations and win. With fewer brokers than
// rf it fails with ErrInvalidReplicationFactor.
//
// Missing rights to create are an *AuthorizationError; the topic may exist all the same.
func (a *Admin) CreateCompactedTopic(ctx context.Context, name string, partitions int32, rf int16, extra map[string]string) (created bool, err error) {
	configs := map[string]string{"cleanup.policy": "compact"}
	maps.Copy(configs, extra)
	err = a.CreateTopic(ctx, TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: rf, Configs: configs})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrTopicExists):
		return false, nil
	case errors.Is(err, ErrUnsupportedVersion):
		a.logger.Debug("the broker cannot create topics over the wire; the topic must exist", "topic", name)
		return false, nil
	}
	return false, err
}

// DeleteTopics deletes topics. The map holds the failures by topic.
func (a *Admin) DeleteTopics(ctx context.Context, names ...string) (map[string]error, error) {
	failed := make(map[string]error)
	err := a.client.retry(ctx, "deleting topics", func() error {
		clear(failed)
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.DeleteTopics(sarama.NewDeleteTopicsRequest(sarama.MaxVersion, names, a.cfg.RequestTimeout))
			if err != nil {
				return err
			}
			for name, code := range resp.TopicErrorCodes {
				if code == sarama.ErrNotController {
					return a.cfg.answerError(code, nil, OpDelete, name)
				}
				if err := a.cfg.answerError(code, nil, OpDelete, name); err != nil {
					failed[name] = err
				}
			}
			return nil
		})
	})
	return failed, err
}

// CreatePartitions raises the partition count of a topic to total. errors.Is knows
// ErrInvalidPartitions (not more than there are) and ErrUnknownTopicOrPartition.
func (a *Admin) CreatePartitions(ctx context.Context, topic string, total int32) error {
	return a.client.retry(ctx, "adding partitions to "+topic, func() error {
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.CreatePartitions(&sarama.CreatePartitionsRequest{
				Version:         3,
				TopicPartitions: map[string]*sarama.TopicPartition{topic: {Count: total}},
				Timeout:         a.cfg.RequestTimeout,
			})
			if err != nil {
				return err
			}
			result, ok := resp.TopicPartitionErrors[topic]
			if !ok {
				return fmt.Errorf("the broker did not answer about the topic %s", topic)
			}
			err = a.cfg.answerError(result.Err, result.ErrMsg, OpAlter, topic)
			if errors.Is(err, ErrUnknownTopicOrPartition) {
				return final{err}
			}
			return err
		})
	})
}

// final marks an error that is not worth another try although its code says so.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// DeleteRecords moves the start of partitions up to the given offsets and returns the new starts.
func (a *Admin) DeleteRecords(ctx context.Context, before map[TopicPartition]int64) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	return byLeader(ctx, a.client, "deleting records", OpDeleteRecords, before, func(b *sarama.Broker, part map[TopicPartition]int64) (map[TopicPartition]outcome[int64], error) {
		req := &sarama.DeleteRecordsRequest{Version: 2, Topics: map[string]*sarama.DeleteRecordsRequestTopic{}, Timeout: a.cfg.RequestTimeout}
		for tp, offset := range part {
			t := req.Topics[tp.Topic]
			if t == nil {
				t = &sarama.DeleteRecordsRequestTopic{PartitionOffsets: map[int32]int64{}}
				req.Topics[tp.Topic] = t
			}
			t.PartitionOffsets[tp.Partition] = offset
		}
		resp, err := b.DeleteRecords(req)
		if err != nil {
			return nil, err
		}
		got := make(map[TopicPartition]outcome[int64])
		for topic, t := range resp.Topics {
			for p, r := range t.Partitions {
				got[TopicPartition{topic, p}] = outcome[int64]{r.LowWatermark, a.cfg.answerError(r.Err, nil, OpDeleteRecords, topic)}
			}
		}
		return got, nil
	})
}
